//! Which changes pass a feed.
//!
//! Source: `couch_changes:configure_filter`.

use crate::error::Error;
use serde_json::Value;
use std::collections::HashSet;
use tidegate_engine::{Change, Database, Detail, Which};
use tidegate_http::query::Query;
use tidegate_types::{DocId, DocKind};

/// Ids in a `_doc_ids` filter.
const DOC_IDS_MAX: usize = 100_000;

/// What a change must be to pass.
#[derive(Debug)]
pub(crate) enum Filter {
    /// Any.
    None,
    /// Of one of these documents.
    DocIds(HashSet<DocId>),
    /// Of a design document.
    Design,
    /// What a function of a design document lets through. JavaScript isn't there yet; whether the function is, is told.
    Function {
        design: DocId,
        /// Where in the design document it stands.
        place: Vec<String>,
    },
    /// What a selector matches. It isn't there yet.
    Selector,
}

impl Filter {
    /// From the query string and, for a POST, the body.
    pub(crate) fn parse(query: &Query<'_>, body: &Value) -> Result<Self, Error> {
        match query.get("filter") {
            None | Some("") => Ok(Self::None),
            Some("_design") => Ok(Self::Design),
            Some("_doc_ids") => Self::doc_ids(query, body),
            Some("_selector") => Ok(Self::Selector),
            Some("_view") => {
                let name = query.get("view").ok_or(Error::bad_request("`view` filter parameter is not provided."))?;
                Self::function(name, "`view` must be of the form `designname/viewname`", |view| {
                    vec!["views".to_owned(), view.to_owned(), "map".to_owned()]
                })
            }
            Some(name) => {
                Self::function(name, "filter parameter must be of the form `designname/filtername`", |filter| {
                    vec!["filters".to_owned(), filter.to_owned()]
                })
            }
        }
    }

    fn function(name: &str, form: &'static str, place: impl FnOnce(&str) -> Vec<String>) -> Result<Self, Error> {
        let (design, function) = name.split_once('/').ok_or(Error::bad_request(form))?;
        Ok(Self::Function { design: format!("_design/{design}").parse()?, place: place(function) })
    }

    fn doc_ids(query: &Query<'_>, body: &Value) -> Result<Self, Error> {
        let invalid = || Error::bad_request("`doc_ids` filter parameter is not a list of doc ids.");
        let in_query = query.get("doc_ids").map(serde_json::from_str::<Value>).transpose()?;
        let ids = body.get("doc_ids").or(in_query.as_ref()).and_then(Value::as_array).ok_or_else(invalid)?;
        if ids.len() > DOC_IDS_MAX {
            return Err(Error::bad_request(format!("`doc_ids` holds more than {DOC_IDS_MAX} ids")));
        }
        let texts = ids.iter().map(|id| id.as_str().ok_or_else(invalid));
        let texts: Vec<&str> = texts.collect::<Result<_, _>>()?;
        // What can't be an id is no document's.
        Ok(Self::DocIds(texts.into_iter().filter_map(|text| text.parse().ok()).collect()))
    }

    /// Whether the filter can be had.
    pub(crate) async fn check(&self, db: &Database) -> Result<(), Error> {
        match self {
            Self::None | Self::DocIds(_) | Self::Design => Ok(()),
            Self::Function { design, place } => {
                let document = db.get(design, &Which::Winner, Detail::Plain).await?;
                let text = [b"{", document.members.as_ref(), b"}"].concat();
                find(&serde_json::from_slice(&text)?, place)?;
                Err(Error::not_implemented())
            }
            Self::Selector => Err(Error::not_implemented()),
        }
    }

    pub(crate) fn passes(&self, change: &Change) -> bool {
        match self {
            Self::None => true,
            Self::DocIds(ids) => ids.contains(&change.id),
            Self::Design => change.id.kind() == DocKind::Design,
            Self::Function { .. } | Self::Selector => false,
        }
    }
}

/// The value at a place in a design document. Source: `couch_util:get_nested_json_value`.
fn find<'v>(document: &'v Value, place: &[String]) -> Result<&'v Value, Error> {
    place.iter().try_fold(document, |value, name| {
        value.get(name).ok_or_else(|| Error::not_found(format!("missing json key: {name}")))
    })
}
