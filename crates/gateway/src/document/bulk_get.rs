//! `POST _bulk_get`: revisions of many documents. Source: `spec/gateway.md` 2.3.
//!
//! Parts as Sync Gateway sends them, or JSON as CouchDB does, for those who name it and no parts. Rows are made as they
//! are sent, so that a large answer is never in memory as a whole.

use super::{
    bulk_docs::write_failed,
    read::{JSON, Parts},
    render::{self, Options},
    request::{self, Wanted},
};
use crate::{
    context::{Answer, Context},
    error::Error,
};
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use tidegate_documents::{Error as DocumentsError, Pieces, RowSource, parse_revs, respond_rows};
use tidegate_engine::{Absence, Database, Shown, Which};
use tidegate_http::negotiate::{Accept, Via};
use tidegate_json::{Limits, Members, read_string, write_string};
use tidegate_types::{DocId, Rev};

/// One entry of the request.
struct Entry {
    /// As it was sent; empty if it wasn't.
    id: String,
    ask: Result<Ask, Error>,
}

struct Ask {
    id: DocId,
    wanted: Wanted,
    atts_since: Vec<Rev>,
    revs_limit: Option<usize>,
}

/// The rows that are left to be made.
struct Rows {
    db: Database,
    entries: std::vec::IntoIter<Entry>,
    options: Options,
    /// Whether documents tell when they expire.
    shows_expiry: bool,
    shape: Shape,
}

enum Shape {
    Parts(Box<Parts>),
    /// Whether the next row is the first.
    Json {
        first: bool,
    },
    Ended,
}

pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let query = cx.query()?;
    let options = request::options(cx, &query)?;
    let entries = parse(&cx.read_json(body).await?)?;
    let (shape, content_type) = shape(&Accept::of(&cx.request.headers), &options)?;
    let mut begun = Pieces::default();
    if let Shape::Json { .. } = shape {
        begun.text().extend_from_slice(b"{\"results\":[");
    }
    let shows_expiry = request::is_true(&query, "show_exp");
    let rows = Rows { db: db.clone(), entries: entries.into_iter(), options, shows_expiry, shape };
    Ok(respond_rows(rows, &cx.delivery(), begun, content_type).await?)
}

fn shape(accept: &Accept, options: &Options) -> Result<(Shape, HeaderValue), Error> {
    let (json, parts) = (accept.via("application/json"), accept.via("multipart/mixed"));
    if json == Some(Via::Named) && parts < Some(Via::AnySubtype) {
        return Ok((Shape::Json { first: true }, JSON));
    }
    if parts.is_none() {
        let reason = "Response is multipart";
        return Err(Error::new(StatusCode::NOT_ACCEPTABLE, reason));
    }
    let parts = Parts::new(options);
    let content_type = parts.content_type();
    Ok((Shape::Parts(Box::new(parts)), content_type))
}

fn parse(body: &[u8]) -> Result<Vec<Entry>, Error> {
    let mut entries = None;
    let mut members = Members::new(body, Limits::default())?;
    while let Some(name) = members.next_name()? {
        if name == "docs" {
            let mut found = Vec::new();
            members.elements(|entry| {
                found.push(parse_entry(entry)?);
                Ok::<_, Error>(())
            })?;
            entries = Some(found);
        }
    }
    entries.ok_or(Error::bad_request("missing 'docs' property"))
}

fn parse_entry(entry: &[u8]) -> Result<Entry, Error> {
    let (mut id, mut rev, mut since, mut revs_limit) = (None, None, None, None);
    for member in Members::new(entry, Limits::default())? {
        let (name, value) = member?;
        match &*name {
            "id" => id = Some(value),
            "rev" => rev = Some(value),
            "atts_since" => since = Some(value),
            "revs_limit" => revs_limit = Some(value),
            _ => {}
        }
    }
    let named = id.and_then(read_string).unwrap_or_default().into_owned();
    let ask = parse_ask(&named, (rev, since, revs_limit));
    Ok(Entry { id: named, ask })
}

type Field<'a> = Option<&'a [u8]>;

fn parse_ask(id: &str, (rev, since, revs_limit): (Field<'_>, Field<'_>, Field<'_>)) -> Result<Ask, Error> {
    let id = super::write::check_plain(id.parse().map_err(|_illegal| Error::bad_request("Invalid doc ID"))?)?;
    let wanted = match rev {
        None | Some(b"null" | b"\"\"") => Wanted::Winner,
        Some(rev) => Wanted::parse(&read_string(rev).ok_or(Error::bad_request("Invalid revision ID format"))?)?,
    };
    let atts_since = match since {
        None | Some(b"null") => Vec::new(),
        Some(list) => parse_revs(list)?,
    };
    let limit = |text: &[u8]| str::from_utf8(text).ok()?.parse::<usize>().ok().filter(|limit| *limit > 0);
    let bad_limit = || Error::bad_request("revs_limit must be 1 or more");
    let revs_limit = revs_limit.map(|text| limit(text).ok_or_else(bad_limit)).transpose()?;
    Ok(Ask { id, wanted, atts_since, revs_limit })
}

impl RowSource for Rows {
    fn database(&self) -> &Database {
        &self.db
    }

    async fn next(&mut self, out: &mut Pieces) -> Result<bool, DocumentsError> {
        let Some(Entry { id, ask }) = self.entries.next() else {
            match std::mem::replace(&mut self.shape, Shape::Ended) {
                Shape::Parts(parts) => parts.end(out),
                Shape::Json { .. } => out.text().extend_from_slice(b"]}"),
                Shape::Ended => {}
            }
            return Ok(false);
        };
        if let Shape::Json { first } = &mut self.shape {
            out.text().extend_from_slice(if std::mem::take(first) { b"{\"id\":" } else { b",{\"id\":" });
            write_string(out.text(), &id);
            out.text().extend_from_slice(b",\"docs\":[");
        }
        match ask {
            Ok(ask) => self.found(ask, out).await?,
            Err(error) => self.refusal(&id, &error, out),
        }
        if let Shape::Json { .. } = self.shape {
            out.text().extend_from_slice(b"]}");
        }
        Ok(true)
    }
}

impl Rows {
    async fn found(&mut self, ask: Ask, out: &mut Pieces) -> Result<(), DocumentsError> {
        let mut options = self.options.clone();
        if !ask.atts_since.is_empty() {
            options.atts_since = Some(ask.atts_since);
        }
        if let (Some(history), Some(limit)) = (&mut options.history, ask.revs_limit) {
            history.limit = limit;
        }
        let missing = tidegate_engine::Error::NotFound(Absence::Missing);
        let which = match ask.wanted.which(&self.db, &ask.id).await {
            Ok(which) => which,
            Err(error) => {
                self.refusal(ask.id.as_str(), &error, out);
                return Ok(());
            }
        };
        let document = match which {
            Some(Which::Winner) => self.db.get(&ask.id, &Which::Winner, options.detail()).await,
            Some(which) => self.db.get(&ask.id, &which, options.detail()).await,
            None => Err(missing),
        };
        if let Ok(document) = &document
            && self.shows_expiry
            && document.shown == Shown::Whole
        {
            options.expires_s = self.db.expires_s(&ask.id).await?;
        }
        match document {
            Ok(document) => match &mut self.shape {
                Shape::Parts(parts) => parts.document(&self.db, &document, &options, out),
                Shape::Json { .. } | Shape::Ended => {
                    out.text().extend_from_slice(b"{\"ok\":");
                    render::pieces(&self.db, &document, &options, out);
                    out.text().push(b'}');
                }
            },
            Err(error @ (tidegate_engine::Error::NotFound(_) | tidegate_engine::Error::Access(_))) => {
                self.refusal(ask.id.as_str(), &error.into(), out);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn refusal(&mut self, id: &str, error: &Error, out: &mut Pieces) {
        match &mut self.shape {
            Shape::Parts(parts) => {
                parts.begin_error(out);
                write_failed(out.text(), id, error);
            }
            Shape::Json { .. } | Shape::Ended => {
                out.text().extend_from_slice(b"{\"error\":");
                write_failed(out.text(), id, error);
                out.text().push(b'}');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_for_those_who_name_it_alone() {
        let check = |accept: Option<&str>, expected: Result<bool, u16>| {
            let accept = accept.map_or_else(|| Accept::of(&http::HeaderMap::new()), Accept::parse);
            let found = shape(&accept, &Options::default());
            let found =
                found.map(|(shape, _)| matches!(shape, Shape::Json { .. })).map_err(|error| error.status.as_u16());
            assert_eq!(found, expected, "{accept:?}");
        };
        check(None, Ok(false));
        check(Some("*/*"), Ok(false));
        check(Some("application/json"), Ok(true));
        check(Some("application/json, */*"), Ok(true));
        check(Some("application/json, multipart/mixed"), Ok(false));
        check(Some("multipart/mixed"), Ok(false));
        check(Some("text/plain"), Err(406));
    }

    #[test]
    fn entries() {
        let refusal = |text: &str| parse(text.as_bytes()).err().map(|error| error.reason.into_owned());
        assert_eq!(refusal("{}").as_deref(), Some("missing 'docs' property"));
        assert!(refusal("[[null,null]]").unwrap().starts_with("Bad JSON: "));
        assert!(refusal(r#"{"docs":[null]}"#).unwrap().starts_with("Bad JSON: "));
        let entries =
            parse(br#"{"docs":[{"id":"a"},{"id":1},{"id":"b","rev":"x"},{"id":"c","revs_limit":0}]}"#).unwrap();
        let reasons: Vec<_> =
            entries.iter().map(|entry| entry.ask.as_ref().err().map(|error| &*error.reason)).collect();
        let expected =
            [None, Some("Invalid doc ID"), Some("Invalid revision ID format"), Some("revs_limit must be 1 or more")];
        assert_eq!(reasons, expected);
    }
}
