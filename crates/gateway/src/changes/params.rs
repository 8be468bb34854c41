//! What a feed is asked for: by the query, and by the body where the query is silent.

use super::position;
use crate::{
    context::Context,
    document::render::{Options, Version},
    error::Error,
};
use serde_json::Value;
use std::{borrow::Cow, time::Duration};
use tidegate_engine::{Change, Position};
use tidegate_http::query::Query;
use tidegate_types::{Channel, DocId, DocKind};

/// The least and the greatest time between two heartbeats.
const HEARTBEAT_MIN: Duration = Duration::from_millis(25_000);
const HEARTBEAT_MAX: Duration = Duration::from_millis(3_600_000);
/// How long a feed waits that has no heartbeat, if it doesn't say, and at the most.
const TIMEOUT: Duration = Duration::from_millis(300_000);
const TIMEOUT_MAX: Duration = Duration::from_millis(900_000);

/// The parameters of a feed.
#[derive(Clone, Debug)]
pub(super) struct Params {
    pub(super) since: Position,
    pub(super) limit: usize,
    pub(super) style: Style,
    pub(super) deleted: Deleted,
    pub(super) filter: Filter,
    pub(super) wait: Wait,
    pub(super) docs: Option<Options>,
    pub(super) names: Names,
    pub(super) revocations: Revocations,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FeedKind {
    Normal,
    Longpoll,
    Continuous,
    WebSocket,
}

/// Which revisions a row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Style {
    Winner,
    AllDocs,
}

/// Whether rows of deleted documents come, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Deleted {
    Told,
    LeftOut,
}

impl Deleted {
    /// Whether a change is told at all. Design documents are the server's own, not for devices.
    pub(super) fn tells(self, change: &Change) -> bool {
        change.id.kind() != DocKind::Design && !(self == Self::LeftOut && change.deleted)
    }
}

/// As what rows name revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Names {
    Revs,
    Versions,
}

/// Whether rows tell what a user has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revocations {
    Told,
    LeftOut,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    None,
    DocIds(Vec<DocId>),
    Channels(Vec<Channel>),
}

/// What happens while nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The feed ends after this time.
    Timeout(Duration),
    /// A sign of life is sent as often as this, for ever.
    Heartbeat(Duration),
}

/// A parameter as text: of the query, or of the body.
fn text<'p>(query: &'p Query<'_>, body: &'p Value, name: &str) -> Option<Cow<'p, str>> {
    if let Some(text) = query.get(name) {
        return Some(Cow::Borrowed(text));
    }
    match body.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(Cow::Borrowed(text)),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            Some(Cow::Owned(value.to_string()))
        }
    }
}

impl FeedKind {
    pub(super) fn parse(query: &Query<'_>, body: &Value) -> Result<Self, Error> {
        match text(query, body, "feed").as_deref() {
            None | Some("" | "normal") => Ok(Self::Normal),
            Some("longpoll") => Ok(Self::Longpoll),
            Some("continuous") => Ok(Self::Continuous),
            Some("websocket") => Ok(Self::WebSocket),
            Some(_) => Err(Error::bad_request("Unknown feed type")),
        }
    }
}

impl Params {
    /// # Errors
    /// A parameter isn't what it must be.
    pub(super) fn parse(cx: &Context, query: &Query<'_>, body: &Value) -> Result<Self, Error> {
        let text = |name: &str| text(query, body, name);
        let flag = |name: &str| text(name).as_deref() == Some("true");
        let number = |name: &str| -> Result<Option<u64>, Error> {
            let Some(text) = text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
            let bad = || Error::bad_request(format!("Bad value for query parameter {name:?}"));
            Ok(Some(text.parse().map_err(|_invalid| bad())?))
        };
        let limit = number("limit")?.filter(|limit| *limit > 0);
        let docs = flag("include_docs").then(|| Options { version: Version::of(cx), ..Options::default() });
        Ok(Self {
            since: text("since").map_or(Ok(Position::START), |text| position::parse(&text))?,
            limit: limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            style: if text("style").as_deref() == Some("all_docs") { Style::AllDocs } else { Style::Winner },
            deleted: if flag("active_only") { Deleted::LeftOut } else { Deleted::Told },
            filter: Filter::parse(&text)?,
            wait: wait(number("heartbeat")?, number("timeout")?),
            docs,
            names: names(text("version_type").as_deref())?,
            revocations: if flag("revocations") { Revocations::Told } else { Revocations::LeftOut },
        })
    }
}

fn names(version_type: Option<&str>) -> Result<Names, Error> {
    match version_type {
        None | Some("" | "rev") => Ok(Names::Revs),
        Some("cv") => Ok(Names::Versions),
        Some(_) => Err(Error::bad_request("Unknown version_type; try rev or cv")),
    }
}

fn wait(heartbeat_ms: Option<u64>, timeout_ms: Option<u64>) -> Wait {
    if let Some(heartbeat) = heartbeat_ms.filter(|ms| *ms > 0) {
        return Wait::Heartbeat(Duration::from_millis(heartbeat).clamp(HEARTBEAT_MIN, HEARTBEAT_MAX));
    }
    let timeout = timeout_ms.filter(|ms| *ms > 0).map_or(TIMEOUT, Duration::from_millis);
    Wait::Timeout(timeout.min(TIMEOUT_MAX))
}

impl Filter {
    fn parse<'p>(text: &impl Fn(&str) -> Option<Cow<'p, str>>) -> Result<Self, Error> {
        match text("filter").as_deref() {
            None | Some("") => Ok(Self::None),
            Some("sync_gateway/bychannel") => {
                let channels = text("channels").ok_or(Error::bad_request("Missing 'channels' filter parameter"))?;
                let channels: Vec<Channel> = list(&channels).iter().filter_map(|name| name.parse().ok()).collect();
                if channels.is_empty() {
                    return Err(Error::bad_request("Empty channel list"));
                }
                Ok(Self::Channels(channels))
            }
            Some("_doc_ids") => {
                let ids = text("doc_ids").ok_or(Error::bad_request("Missing 'doc_ids' filter parameter"))?;
                Ok(Self::DocIds(list(&ids).into_iter().filter_map(|id| id.parse().ok()).collect()))
            }
            Some(_) => Err(Error::bad_request("Unknown filter; try sync_gateway/bychannel or _doc_ids")),
        }
    }
}

/// A JSON array of strings, or texts between commas.
fn list(text: &str) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(text) {
        return list;
    }
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filter(query: &str, body: &Value) -> Result<Filter, String> {
        let query = Query::parse(Some(query)).unwrap();
        Filter::parse(&|name| text(&query, body, name)).map_err(|error| error.reason.into_owned())
    }

    #[test]
    fn filters() {
        let ids = |ids: &[&str]| Ok(Filter::DocIds(ids.iter().map(|id| id.parse().unwrap()).collect()));
        assert_eq!(filter("", &json!({})), Ok(Filter::None));
        assert_eq!(filter("filter=_doc_ids&doc_ids=a,b", &json!({})), ids(&["a", "b"]));
        assert_eq!(filter("filter=_doc_ids&doc_ids=[%22a,b%22]", &json!({})), ids(&["a,b"]));
        assert_eq!(filter("", &json!({ "filter": "_doc_ids", "doc_ids": ["a"] })), ids(&["a"]));
        let channels = Ok(Filter::Channels(vec!["x".parse().unwrap(), "y".parse().unwrap()]));
        assert_eq!(filter("filter=sync_gateway/bychannel&channels=x,y", &json!({})), channels);
        let refused = |query| filter(query, &json!({})).unwrap_err();
        assert_eq!(refused("filter=x/y"), "Unknown filter; try sync_gateway/bychannel or _doc_ids");
        assert_eq!(refused("filter=sync_gateway/bychannel"), "Missing 'channels' filter parameter");
        assert_eq!(refused("filter=sync_gateway/bychannel&channels="), "Empty channel list");
    }

    #[test]
    fn the_query_stands_over_the_body() {
        let query = Query::parse(Some("feed=longpoll")).unwrap();
        let body = json!({ "feed": "continuous", "since": 3, "heartbeat": null });
        assert_eq!(FeedKind::parse(&query, &body).unwrap(), FeedKind::Longpoll);
        assert_eq!(text(&query, &body, "since").as_deref(), Some("3"));
        assert_eq!(text(&query, &body, "heartbeat"), None);
        let unknown = Query::parse(Some("feed=x")).unwrap();
        assert_eq!(FeedKind::parse(&unknown, &body).unwrap_err().reason, "Unknown feed type");
    }

    #[test]
    fn waits_have_bounds() {
        let ms = Duration::from_millis;
        assert_eq!(wait(None, None), Wait::Timeout(ms(300_000)));
        assert_eq!(wait(Some(0), Some(0)), Wait::Timeout(ms(300_000)));
        assert_eq!(wait(None, Some(1)), Wait::Timeout(ms(1)));
        assert_eq!(wait(None, Some(u64::MAX)), Wait::Timeout(ms(900_000)));
        assert_eq!(wait(Some(1), Some(1)), Wait::Heartbeat(ms(25_000)));
        assert_eq!(wait(Some(u64::MAX), None), Wait::Heartbeat(ms(3_600_000)));
    }
}
