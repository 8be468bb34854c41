//! What a request on a document asks for: query parameters and headers. Source: `chttpd_db:parse_doc_query`.

use super::render::{Include, Options};
use crate::{context::Context, error::Error};
use http::header;
use tidegate_documents::{Attachments, parse_revs};
use tidegate_engine::{OpenRevs, Which};
use tidegate_http::{conditional::ETag, query::Query};
use tidegate_types::Rev;

/// A request to read a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadRequest {
    pub(super) which: Which,
    /// Several revisions, instead of that one.
    pub(super) open_revs: Option<OpenRevs>,
    pub(super) options: Options,
}

impl ReadRequest {
    /// # Errors
    /// A revision isn't one.
    pub(super) fn parse(query: &Query<'_>) -> Result<Self, Error> {
        let mut options = options(query);
        if let Some(since) = query.get("atts_since") {
            options.atts_since = Some(parse_revs(since.as_bytes())?);
            options.attachments = Attachments::Inline;
        }
        let latest = is_true(query, "latest");
        let which = match query.get("rev").map(str::parse::<Rev>).transpose()? {
            None => Which::Winner,
            Some(rev) if latest => Which::LatestOf(rev),
            Some(rev) => Which::Rev(rev),
        };
        let open_revs = match query.get("open_revs") {
            None => None,
            Some("all") => Some(OpenRevs::All),
            Some(list) => match parse_revs(list.as_bytes())? {
                // CouchDB takes no revisions for no parameter.
                revs if revs.is_empty() => None,
                revs if latest => Some(OpenRevs::LatestOf(revs)),
                revs => Some(OpenRevs::These(revs)),
            },
        };
        Ok(Self { which, open_revs, options })
    }
}

/// What is to be told of a document.
pub(super) fn options(query: &Query<'_>) -> Options {
    let meta = Include::REVS_INFO.with(Include::CONFLICTS).with(Include::DELETED_CONFLICTS);
    let parameters = [
        ("revs", Include::REVS),
        ("revs_info", Include::REVS_INFO),
        ("conflicts", Include::CONFLICTS),
        ("deleted_conflicts", Include::DELETED_CONFLICTS),
        ("local_seq", Include::LOCAL_SEQ),
        ("meta", meta),
        ("att_encoding_info", Include::ATT_ENCODING_INFO),
    ];
    let mut options = Options::default();
    if query.is_empty() {
        return options;
    }
    for (parameter, include) in parameters {
        if is_true(query, parameter) {
            options.include = options.include.with(include);
        }
    }
    if is_true(query, "attachments") {
        options.attachments = Attachments::Inline;
    }
    options
}

/// Other values than `true` are ignored, as CouchDB does.
pub(super) fn is_true(query: &Query<'_>, parameter: &str) -> bool {
    query.get(parameter) == Some("true")
}

/// The revision a request edits, as its body, its query and its `If-Match` say; all that speak must agree.
///
/// # Errors
/// One isn't a revision, or two differ.
pub(super) fn edited_rev(cx: &Context, query: &Query<'_>, in_body: Option<&Rev>) -> Result<Option<Rev>, Error> {
    let in_query = query.get("rev").map(str::parse::<Rev>).transpose()?;
    let in_header = cx.header(header::IF_MATCH).map(parse_if_match).transpose()?;
    agree(in_body.cloned(), in_query, in_header)
}

fn parse_if_match(value: &str) -> Result<Rev, Error> {
    let tag = ETag::parse(value).ok_or(Error::bad_request("Invalid rev format"))?;
    Ok(tag.text().parse()?)
}

fn agree(in_body: Option<Rev>, in_query: Option<Rev>, in_header: Option<Rev>) -> Result<Option<Rev>, Error> {
    if let (Some(in_body), Some(in_query)) = (&in_body, &in_query)
        && in_body != in_query
    {
        return Err(Error::bad_request("Document rev from request body and query string have different values"));
    }
    let explicit = in_body.or(in_query);
    if let (Some(explicit), Some(in_header)) = (&explicit, &in_header)
        && explicit != in_header
    {
        return Err(Error::bad_request("Document rev and etag have different values"));
    }
    Ok(explicit.or(in_header))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str) -> ReadRequest {
        ReadRequest::parse(&Query::parse(Some(query)).unwrap()).unwrap()
    }

    fn rev(text: &str) -> Rev {
        text.parse().unwrap()
    }

    #[test]
    fn which_revision() {
        assert_eq!(request("").which, Which::Winner);
        assert_eq!(request("latest=true").which, Which::Winner);
        assert_eq!(request("rev=1-a").which, Which::Rev(rev("1-a")));
        assert_eq!(request("rev=1-a&latest=true").which, Which::LatestOf(rev("1-a")));
        assert!(ReadRequest::parse(&Query::parse(Some("rev=")).unwrap()).is_err());
    }

    #[test]
    fn which_revisions() {
        assert_eq!(request("open_revs=all&latest=true").open_revs, Some(OpenRevs::All));
        assert_eq!(request("open_revs=[]").open_revs, None);
        assert_eq!(request("open_revs=[%221-a%22]").open_revs, Some(OpenRevs::These(vec![rev("1-a")])));
        assert_eq!(request("open_revs=[%221-a%22]&latest=true").open_revs, Some(OpenRevs::LatestOf(vec![rev("1-a")])));
        for bad in ["open_revs=1-a", "open_revs=[1]", "open_revs={}", "open_revs=["] {
            assert!(ReadRequest::parse(&Query::parse(Some(bad)).unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_told() {
        let include = |query| request(query).options.include;
        assert_eq!(include("revs=true&local_seq=false&conflicts=1"), Include::REVS);
        let meta = Include::REVS_INFO.with(Include::CONFLICTS).with(Include::DELETED_CONFLICTS);
        assert_eq!(include("meta=true"), meta);
        assert_eq!(request("attachments=true").options.attachments, Attachments::Inline);
        let since = request("atts_since=[%221-a%22]").options;
        assert_eq!((since.attachments, since.atts_since), (Attachments::Inline, Some(vec![rev("1-a")])));
    }

    #[track_caller]
    fn check_agree(revs: [Option<&str>; 3], expected: Result<Option<&str>, &str>) {
        let [in_body, in_query, in_header] = revs.map(|text| text.map(rev));
        let agreed = agree(in_body, in_query, in_header).map_err(|Error(error)| error.reason.into_owned());
        assert_eq!(agreed, expected.map(|text| text.map(rev)).map_err(str::to_owned), "{revs:?}");
    }

    #[test]
    fn all_that_name_a_revision_must_agree() {
        check_agree([None, None, None], Ok(None));
        check_agree([Some("1-a"), None, None], Ok(Some("1-a")));
        check_agree([None, Some("1-a"), None], Ok(Some("1-a")));
        check_agree([None, None, Some("1-a")], Ok(Some("1-a")));
        check_agree([Some("1-a"), Some("1-a"), Some("1-a")], Ok(Some("1-a")));
        let body_and_query = "Document rev from request body and query string have different values";
        check_agree([Some("1-a"), Some("1-b"), None], Err(body_and_query));
        check_agree([Some("1-a"), None, Some("1-b")], Err("Document rev and etag have different values"));
        check_agree([None, Some("1-a"), Some("1-b")], Err("Document rev and etag have different values"));
    }
}
