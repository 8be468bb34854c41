//! What a list is asked for, in the query string or in a body.

use crate::{
    document::render::{Include, Options},
    error::Error,
};
use serde_json::Value;
use std::ops::Bound;
use tidegate_documents::Attachments;
use tidegate_engine::{DocRange, Order};
use tidegate_http::query::Query;

/// The parameters of a list.
#[derive(Debug)]
pub(crate) struct Params {
    key: Option<Value>,
    keys: Option<Vec<Value>>,
    start: Option<Value>,
    end: Option<Value>,
    inclusive_end: bool,
    order: Order,
    pub(crate) limit: usize,
    pub(crate) skip: usize,
    pub(crate) update_seq: bool,
    /// The one partition that is asked for.
    pub(crate) partition: Option<String>,
    pub(crate) docs: Docs,
}

/// Whether rows bring their documents along, and how those look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Docs {
    pub(crate) include: bool,
    pub(crate) options: Options,
}

impl Docs {
    /// Reads a parameter that is about documents. Whether it was one.
    pub(crate) fn read(&mut self, name: &str, flag: impl FnOnce() -> Result<bool, Error>) -> Result<bool, Error> {
        let include = match name {
            "include_docs" => {
                self.include = flag()?;
                return Ok(true);
            }
            "attachments" => {
                self.options.attachments = if flag()? { Attachments::Inline } else { Attachments::Stubs };
                return Ok(true);
            }
            "conflicts" => Include::CONFLICTS,
            "att_encoding_info" => Include::ATT_ENCODING_INFO,
            _ => return Ok(false),
        };
        if flag()? {
            self.options.include = self.options.include.with(include);
        }
        Ok(true)
    }
}

/// Which documents a list is of.
#[derive(Debug)]
pub(crate) enum Selection {
    Range(DocRange),
    /// In this order, which is the request's or its reverse; what isn't a string is no id.
    Keys(Vec<Value>),
    /// No id can be in it.
    Nothing(Order),
}

impl Params {
    /// What a request that says nothing asks for.
    pub(crate) fn new() -> Self {
        Self {
            key: None,
            keys: None,
            start: None,
            end: None,
            inclusive_end: true,
            order: Order::Ascending,
            limit: usize::MAX,
            skip: 0,
            update_seq: false,
            partition: None,
            docs: Docs::default(),
        }
    }

    #[cfg(test)]
    fn of_query(query: &Query<'_>) -> Result<Self, Error> {
        let mut params = Self::new();
        params.read_query(query)?;
        Ok(params)
    }

    /// Parameters in the query string, over those read before.
    pub(crate) fn read_query(&mut self, query: &Query<'_>) -> Result<(), Error> {
        for (name, text) in query.iter() {
            self.read(name, || parse_value(name, text))?;
        }
        Ok(())
    }

    /// Parameters in a body, over those read before.
    pub(crate) fn read_body(&mut self, body: &Value) -> Result<(), Error> {
        let members = body.as_object().ok_or(Error::bad_request("Request body must be a JSON object"))?;
        for (name, value) in members {
            self.read(name, || Ok(value.clone()))?;
        }
        Ok(())
    }

    fn read(&mut self, name: &str, value: impl FnOnce() -> Result<Value, Error>) -> Result<(), Error> {
        match name {
            "key" => self.key = Some(value()?),
            "keys" => {
                let Value::Array(keys) = value()? else {
                    return Err(Error::bad_request("`keys` body member must be an array."));
                };
                self.keys = Some(keys);
            }
            "startkey" | "start_key" => self.start = Some(value()?),
            "endkey" | "end_key" => self.end = Some(value()?),
            "inclusive_end" => self.inclusive_end = flag(&value()?)?,
            "descending" => self.order = if flag(&value()?)? { Order::Descending } else { Order::Ascending },
            "limit" => self.limit = count(&value()?)?,
            "skip" => self.skip = count(&value()?)?,
            "update_seq" => self.update_seq = flag(&value()?)?,
            "partition" => {
                let Value::String(name) = value()? else {
                    return Err(Error::query_parse("Invalid value for `partition`."));
                };
                self.partition = Some(name);
            }
            _ => drop(self.docs.read(name, || flag(&value()?))?),
        }
        Ok(())
    }

    /// Takes the greatest limit where there is none, and refuses a greater one.
    pub(crate) fn check_limit(&mut self, limit_max: u64) -> Result<(), Error> {
        let limit_max = usize::try_from(limit_max).unwrap_or(usize::MAX);
        if self.limit == usize::MAX {
            self.limit = limit_max;
        }
        if self.limit > limit_max {
            return Err(Error::query_parse(format!("Limit is too large, must not exceed {limit_max}")));
        }
        Ok(())
    }

    /// Which documents are meant, of those between `first` and `last` (exclusive).
    pub(crate) fn selection(&mut self, first: Option<&str>, last: Option<&str>) -> Result<Selection, Error> {
        let ranged = self.key.is_some() || self.start.is_some() || self.end.is_some();
        match self.keys.take() {
            Some(_) if ranged => {
                return Err(Error::query_parse("`keys` is incompatible with `key`, `start_key` and `end_key`"));
            }
            Some(mut keys) => {
                if self.order == Order::Descending {
                    keys.reverse();
                }
                return Ok(Selection::Keys(keys));
            }
            None => {}
        }
        let key = self.key.take();
        let (start, end) = (self.start.take().or(key.clone()), self.end.take().or(key));
        let (least, greatest) = match self.order {
            Order::Ascending => (lower(start.as_ref(), true), upper(end.as_ref(), self.inclusive_end)),
            Order::Descending => (lower(end.as_ref(), self.inclusive_end), upper(start.as_ref(), true)),
        };
        let (Some(least), Some(greatest)) = (least, greatest) else { return Ok(Selection::Nothing(self.order)) };
        let start = first.map_or(least.clone(), |first| higher_start(least, first));
        let end = last.map_or(greatest.clone(), |last| lower_end(greatest, last));
        Ok(Selection::Range(DocRange { start, end, order: self.order }))
    }
}

fn higher_start(bound: Bound<String>, first: &str) -> Bound<String> {
    match &bound {
        Bound::Included(text) | Bound::Excluded(text) if text.as_str() >= first => bound,
        Bound::Included(_) | Bound::Excluded(_) | Bound::Unbounded => Bound::Included(first.to_owned()),
    }
}

fn lower_end(bound: Bound<String>, last: &str) -> Bound<String> {
    match &bound {
        Bound::Included(text) | Bound::Excluded(text) if text.as_str() < last => bound,
        Bound::Included(_) | Bound::Excluded(_) | Bound::Unbounded => Bound::Excluded(last.to_owned()),
    }
}

/// Where ids not below this key begin: null, booleans and numbers are below every string, arrays and objects above.
fn lower(key: Option<&Value>, inclusive: bool) -> Option<Bound<String>> {
    match key {
        Some(Value::String(text)) if inclusive => Some(Bound::Included(text.clone())),
        Some(Value::String(text)) => Some(Bound::Excluded(text.clone())),
        Some(Value::Array(_) | Value::Object(_)) => None,
        Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => Some(Bound::Unbounded),
    }
}

fn upper(key: Option<&Value>, inclusive: bool) -> Option<Bound<String>> {
    match key {
        Some(Value::String(text)) if inclusive => Some(Bound::Included(text.clone())),
        Some(Value::String(text)) => Some(Bound::Excluded(text.clone())),
        Some(Value::Null | Value::Bool(_) | Value::Number(_)) => None,
        Some(Value::Array(_) | Value::Object(_)) | None => Some(Bound::Unbounded),
    }
}

/// Keys are JSON; the rest is plain text.
fn parse_value(name: &str, text: &str) -> Result<Value, Error> {
    match name {
        "key" | "keys" | "startkey" | "start_key" | "endkey" | "end_key" => {
            serde_json::from_str(text).map_err(|_invalid| Error::bad_request("invalid UTF-8 JSON"))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn flag(value: &Value) -> Result<bool, Error> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Err(Error::query_parse(format!("Invalid boolean parameter: {value}")))
        }
    }
}

fn count(value: &Value) -> Result<usize, Error> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let number = number.ok_or_else(|| Error::query_parse(format!("Invalid value for integer: {value}")))?;
    usize::try_from(number)
        .map_err(|_invalid| Error::query_parse(format!("Invalid value for positive integer: {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: &str) {
        let mut params = Params::of_query(&Query::parse(Some(query)).unwrap()).unwrap();
        let shown = match params.selection(None, None).unwrap() {
            Selection::Range(DocRange { start, end, order }) => format!("{start:?} {end:?} {order:?}"),
            Selection::Keys(keys) => Value::Array(keys).to_string(),
            Selection::Nothing(_) => "nothing".to_owned(),
        };
        assert_eq!(shown, expected, "{query}");
    }

    #[test]
    fn keys_bound_the_range() {
        check("", "Unbounded Unbounded Ascending");
        check("startkey=%22a%22&endkey=%22b%22", r#"Included("a") Included("b") Ascending"#);
        check("start_key=%22a%22&end_key=%22b%22&inclusive_end=false", r#"Included("a") Excluded("b") Ascending"#);
        check("key=%22a%22", r#"Included("a") Included("a") Ascending"#);
        check("keys=[%22a%22,1]", r#"["a",1]"#);
        check("keys=[%22a%22,1]&descending=true", r#"[1,"a"]"#);
    }

    #[test]
    fn descending_swaps_the_ends() {
        check("startkey=%22b%22&endkey=%22a%22&descending=true", r#"Included("a") Included("b") Descending"#);
    }

    #[test]
    fn the_query_string_stands_over_the_body() {
        let mut params = Params::new();
        params.read_body(&serde_json::json!({ "limit": 2, "skip": 1 })).unwrap();
        params.read_query(&Query::parse(Some("limit=1")).unwrap()).unwrap();
        assert_eq!((params.limit, params.skip), (1, 1));
    }

    #[test]
    fn other_types_lie_below_or_above_all_ids() {
        check("startkey=null&endkey={}", "Unbounded Unbounded Ascending");
        check("startkey=[]", "nothing");
        check("endkey=3", "nothing");
    }
}
