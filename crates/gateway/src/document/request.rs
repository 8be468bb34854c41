//! What a request on a document asks for: query parameters and headers.

use super::{
    render::{HistoryWanted, Options, Version},
    version::{is_version, revision_of},
};
use crate::{context::Context, error::Error};
use http::header;
use tidegate_documents::{Attachments, parse_revs};
use tidegate_engine::{Database, OpenRevs, Which};
use tidegate_http::query::Query;
use tidegate_types::{DocId, Rev};

/// A request to read a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadRequest {
    pub(super) which: Wanted,
    /// Several revisions, instead of that one.
    pub(super) open_revs: Option<OpenRevs>,
    pub(super) options: Options,
}

/// Which revision is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Winner,
    Rev(Rev),
    /// By its version.
    Version(String),
}

impl Wanted {
    /// A revision as it is named: by its id or its version.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if is_version(text) { Ok(Self::Version(text.to_owned())) } else { Ok(Self::Rev(text.parse()?)) }
    }

    /// What to ask the engine for; nothing if there is no such revision.
    pub(super) async fn which(&self, db: &Database, id: &DocId) -> Result<Option<Which>, Error> {
        Ok(match self {
            Self::Winner => Some(Which::Winner),
            Self::Rev(rev) => Some(Which::Rev(rev.clone())),
            Self::Version(version) => revision_of(db, id, version).await?.map(Which::Rev),
        })
    }
}

impl ReadRequest {
    /// # Errors
    /// A parameter isn't what it must be.
    pub(super) fn parse(cx: &Context) -> Result<Self, Error> {
        let query = cx.query()?;
        let which = match query.get("rev") {
            None | Some("") => Wanted::Winner,
            Some(rev) => Wanted::parse(rev)?,
        };
        let open_revs = match query.get("open_revs") {
            None | Some("") => None,
            Some("all") => Some(OpenRevs::All),
            Some(list) => Some(OpenRevs::These(revs(list)?)),
        };
        Ok(Self { which, open_revs, options: options(cx, &query)? })
    }
}

/// What is to be told of documents.
pub(super) fn options(cx: &Context, query: &Query<'_>) -> Result<Options, Error> {
    let atts_since = query.get("atts_since").map(revs).transpose()?;
    let attachments = if is_true(query, "attachments") { Attachments::Inline } else { Attachments::Stubs };
    let limit = query.integer::<usize>("revs_limit")?;
    if limit == Some(0) {
        return Err(Error::bad_request("revs_limit must be 1 or more"));
    }
    let from = query.get("revs_from").map(revs).transpose()?.unwrap_or_default();
    let history = is_true(query, "revs").then(|| HistoryWanted { limit: limit.unwrap_or(usize::MAX), from });
    let version = match query.get("show_cv") {
        Some("true") => Version::Told,
        // Who replicates with another server tells it nothing that isn't the document's.
        Some("false") => Version::Untold,
        Some(_) | None => Version::of(cx),
    };
    Ok(Options { attachments, atts_since, history, version, expires_s: None })
}

pub(super) fn is_true(query: &Query<'_>, parameter: &str) -> bool {
    query.get(parameter) == Some("true")
}

fn revs(list: &str) -> Result<Vec<Rev>, Error> {
    parse_revs(list.as_bytes()).map_err(|_invalid| Error::bad_request(format!("Invalid list of revisions: {list}")))
}

/// The revision a request edits: as its query says, its `If-Match`, the `_cv` of its body or the `_rev`; the first that
/// speaks counts.
///
/// # Errors
/// What speaks names no revision; a version that the document hasn't got is a conflict.
pub(super) async fn edited_rev(
    cx: &Context,
    (db, id): (&Database, &DocId),
    in_body: (Option<&str>, Option<&Rev>),
) -> Result<Option<Rev>, Error> {
    let query = cx.query()?;
    let in_query = query.get("rev").filter(|rev| !rev.is_empty());
    let in_header = cx.header(header::IF_MATCH).map(|value| value.trim().trim_matches('"'));
    let (version, rev) = in_body;
    let Some(named) = in_query.or(in_header.filter(|rev| !rev.is_empty())).or(version) else {
        return Ok(rev.cloned());
    };
    match Wanted::parse(named)? {
        Wanted::Winner => Ok(None),
        Wanted::Rev(rev) => Ok(Some(rev)),
        Wanted::Version(version) => match revision_of(db, id, &version).await? {
            Some(rev) => Ok(Some(rev)),
            None => Err(Error::conflict("Document revision conflict")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_and_versions_are_told_apart() {
        assert_eq!(Wanted::parse("1-a").unwrap(), Wanted::Rev("1-a".parse().unwrap()));
        assert_eq!(Wanted::parse("18a@hL").unwrap(), Wanted::Version("18a@hL".to_owned()));
        assert_eq!(Wanted::parse("nonsense").unwrap_err().reason, "Invalid revision ID format");
        assert!(revs("[\"1-a\"]").is_ok());
        assert_eq!(revs("1-a").unwrap_err().reason, "Invalid list of revisions: 1-a");
    }
}
