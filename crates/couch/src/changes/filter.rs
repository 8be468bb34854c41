//! Which changes pass a feed.
//!
//! Source: `couch_changes:configure_filter`.

use super::content::Content;
use crate::{context::Context, document::render, error::Error};
use serde_json::Value;
use std::{collections::HashSet, sync::Arc};
use tidegate_engine::{Change, Database, Detail, Program, Which};
use tidegate_http::query::Query;
use tidegate_selector::Selector;
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
    /// What a function of a design document lets through, which is yet to be read.
    Function(Function),
    /// What the documents' content decides.
    Content(Arc<Content>),
}

/// A function of a design document.
#[derive(Debug)]
pub(crate) struct Function {
    design: DocId,
    /// Where in the design document it stands.
    place: [String; 2],
    role: Role,
}

/// What a function is, and how it lets a document through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A filter: it says so.
    Filter,
    /// A map function: it emits something.
    View,
}

impl Filter {
    /// From the query string and, for a POST, the body.
    pub(crate) fn parse(query: &Query<'_>, body: &Value) -> Result<Self, Error> {
        match query.get("filter") {
            None | Some("") => Ok(Self::None),
            Some("_design") => Ok(Self::Design),
            Some("_doc_ids") => Self::doc_ids(query, body),
            Some("_selector") => Self::selector(body),
            Some("_view") => {
                let name = query.get("view").ok_or(Error::bad_request("`view` filter parameter is not provided."))?;
                Self::function(name, "`view` must be of the form `designname/viewname`", Role::View)
            }
            Some(name) if name.starts_with('_') => Err(Error::bad_request("unknown builtin filter name")),
            Some(name) => Self::function(name, "`filter` must be of the form `designname/filtername`", Role::Filter),
        }
    }

    fn function(name: &str, form: &'static str, role: Role) -> Result<Self, Error> {
        let (design, function) = name.split_once('/').ok_or(Error::bad_request(form))?;
        let section = match role {
            Role::Filter => "filters",
            Role::View => "views",
        };
        let place = [section.to_owned(), function.to_owned()];
        Ok(Self::Function(Function { design: format!("_design/{design}").parse()?, place, role }))
    }

    fn selector(body: &Value) -> Result<Self, Error> {
        let selector = body.get("selector").ok_or(Error::bad_request("Selector must be specified in POST payload"))?;
        if !selector.is_object() {
            return Err(Error::bad_request("Selector error: expected a JSON object"));
        }
        let text = serde_json::to_vec(selector)?;
        let selector = Selector::parse(&text, tidegate_selector::Limits::default());
        let selector = selector.map_err(|error| Error::bad_request(error.to_string()))?;
        Ok(Self::Content(Arc::new(Content::Selector(selector))))
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

    /// The filter with its function read, if it has one. `request` is what the function is told of the request.
    pub(crate) async fn read(self, cx: &Context, db: &Database, request: &Value) -> Result<Self, Error> {
        let Self::Function(function) = self else { return Ok(self) };
        let document = db.get(&function.design, &Which::Winner, Detail::Plain).await?;
        let mut text = Vec::new();
        render::text(&document, &render::Options::default(), &mut text);
        let source = function.source(&serde_json::from_slice(&text)?)?;
        let [section, name] = &function.place;
        let key =
            format!("{:016x}/{}@{}/{section}/{name}", u64::from_be_bytes(db.uuid()), function.design, document.rev);
        let program = Program::new(key, source, Some(text.into()));
        let scripts = cx.engine.scripts()?.clone();
        scripts.compile(&program).await?;
        let content = match function.role {
            Role::Filter => Content::Function { program, scripts, request: request.to_string().into() },
            Role::View => Content::View { program, scripts },
        };
        Ok(Self::Content(Arc::new(content)))
    }

    /// Whether a function of a design document decides.
    pub(crate) fn has_function(&self) -> bool {
        matches!(self, Self::Function(_))
    }

    /// What decides on the documents' content, if anything does.
    pub(crate) fn content(&self) -> Option<Arc<Content>> {
        match self {
            Self::Content(content) => Some(Arc::clone(content)),
            Self::None | Self::DocIds(_) | Self::Design | Self::Function(_) => None,
        }
    }

    /// Whether a change passes whose document needn't be read.
    pub(crate) fn passes(&self, change: &Change) -> bool {
        match self {
            Self::None => true,
            Self::DocIds(ids) => ids.contains(&change.id),
            Self::Design => change.id.kind() == DocKind::Design,
            Self::Function(_) | Self::Content(_) => false,
        }
    }
}

impl Function {
    /// Its text in the design document.
    fn source(&self, design: &Value) -> Result<String, Error> {
        let [section, name] = &self.place;
        let missing = |name: &str| Error::not_found(format!("missing json key: {name}"));
        let entry = design.get(section).ok_or_else(|| missing(section))?.get(name).ok_or_else(|| missing(name))?;
        let source = match self.role {
            Role::Filter => entry,
            Role::View => entry.get("map").ok_or_else(|| missing("map"))?,
        };
        let source = source.as_str().ok_or(Error::bad_request(format!("`{section}.{name}` is not a function")))?;
        Ok(source.to_owned())
    }
}
