//! What a feed is asked for.

use super::filter::Filter;
use crate::{context::Context, error::Error, list::Docs, sequence::WireSeq};
use http::header::HeaderName;
use serde_json::Value;
use std::time::Duration;
use tidegate_engine::{Database, Order, Position};
use tidegate_http::query::Query;

/// A heartbeat without a number, and the longest wait without one, in milliseconds.
const HEARTBEAT_MS: u64 = 60_000;
/// The shortest time between two heartbeats.
const HEARTBEAT_MIN: Duration = Duration::from_millis(10);

/// The parameters of a feed.
#[derive(Debug)]
pub(crate) struct Params {
    pub(crate) feed: FeedKind,
    pub(crate) since: Position,
    pub(crate) limit: usize,
    pub(crate) order: Order,
    pub(crate) style: Style,
    pub(crate) filter: Filter,
    pub(crate) wait: Wait,
    pub(crate) docs: Docs,
    pub(crate) rows: RowKind,
    /// Only each n-th row carries its sequence.
    pub(crate) seq_interval: usize,
}

/// What the rows tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// Which documents changed.
    Changes,
    /// What happened to databases: the database is `_global_changes`.
    DbUpdates,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedKind {
    Normal,
    Longpoll,
    Continuous,
    EventSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Style {
    MainOnly,
    AllDocs,
}

/// What happens while nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The feed ends after this time.
    Timeout(Duration),
    /// A sign of life is sent as often as this, for ever.
    Heartbeat(Duration),
}

impl Params {
    /// Those of `_db_updates`. Source: `global_changes_httpd:parse_global_changes_query`.
    pub(crate) fn parse_db_updates(cx: &Context, db: &Database) -> Result<Self, Error> {
        let query = cx.query()?;
        let feed = match query.get("feed") {
            None | Some("normal") => FeedKind::Normal,
            Some("longpoll") => FeedKind::Longpoll,
            Some("continuous") => FeedKind::Continuous,
            Some("eventsource") => FeedKind::EventSource,
            Some(_) => {
                return Err(Error::bad_request("Supported `feed` types: normal, continuous, longpoll, eventsource"));
            }
        };
        let limit = match query.get("limit").map(str::parse) {
            None => usize::MAX,
            Some(Ok(limit)) => limit,
            Some(Err(_)) => return Err(Error::bad_request("invalid_integer")),
        };
        Ok(Self {
            feed,
            since: since(cx, db, &query)?,
            limit,
            order: if query.get("descending") == Some("true") { Order::Descending } else { Order::Ascending },
            style: Style::MainOnly,
            filter: Filter::None,
            wait: wait(&query, cx.live.changes_timeout)?,
            docs: Docs::default(),
            rows: RowKind::DbUpdates,
            seq_interval: 1,
        })
    }

    /// From the query string and, for a POST, the body.
    pub(crate) fn parse(cx: &Context, db: &Database, body: &Value) -> Result<Self, Error> {
        let query = cx.query()?;
        let feed = match query.get("feed") {
            None | Some("normal") => FeedKind::Normal,
            Some("longpoll") => FeedKind::Longpoll,
            Some("continuous" | "live") => FeedKind::Continuous,
            Some("eventsource") => FeedKind::EventSource,
            Some(_) => {
                return Err(Error::bad_request(
                    "Supported `feed` types: normal, continuous, live, longpoll, eventsource",
                ));
            }
        };
        let flag = |name: &str| Ok::<_, Error>(query.flag(name)?.unwrap_or(false));
        let mut docs = Docs::default();
        for (name, _) in query.iter() {
            docs.read(name, || flag(name))?;
        }
        Ok(Self {
            feed,
            since: since(cx, db, &query)?,
            limit: query.integer("limit")?.unwrap_or(usize::MAX),
            order: if flag("descending")? { Order::Descending } else { Order::Ascending },
            style: if query.get("style") == Some("all_docs") { Style::AllDocs } else { Style::MainOnly },
            filter: Filter::parse(&query, body)?,
            wait: wait(&query, cx.live.changes_timeout)?,
            docs,
            rows: RowKind::Changes,
            seq_interval: query.integer("seq_interval")?.unwrap_or(1).max(1),
        })
    }
}

fn since(cx: &Context, db: &Database, query: &Query<'_>) -> Result<Position, Error> {
    let header = cx.header(HeaderName::from_static("last-event-id"));
    let parameter = query.get("last-event-id").or(query.get("since"));
    match header.or(parameter) {
        None | Some("0") => Ok(Position::START),
        Some("now") => Ok(Position::at(db.update_seq())),
        Some(text) => Ok(text.parse::<WireSeq>()?.resolve(db.uuid(), db.update_seq())),
    }
}

fn parse_heartbeat(text: &str) -> Result<u64, Error> {
    let number: i64 = text.parse().map_err(|_not_a_number| {
        Error::bad_request("Invalid heartbeat value. Expecting a positive integer value (in milliseconds).")
    })?;
    let positive = u64::try_from(number).ok().filter(|heartbeat_ms| *heartbeat_ms > 0);
    positive.ok_or(Error::bad_request("The heartbeat value should be a positive integer (in milliseconds)."))
}

fn wait(query: &Query<'_>, timeout_max: Duration) -> Result<Wait, Error> {
    let heartbeat = match query.get("heartbeat") {
        None | Some("false") => None,
        Some("true") => Some(HEARTBEAT_MS),
        Some(text) => Some(parse_heartbeat(text)?),
    };
    Ok(match heartbeat {
        Some(heartbeat_ms) => Wait::Heartbeat(Duration::from_millis(heartbeat_ms).max(HEARTBEAT_MIN)),
        None => Wait::Timeout(query.integer("timeout")?.map_or(timeout_max, Duration::from_millis).min(timeout_max)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Result<Wait, &str>) {
        let query = Query::parse(Some(query)).unwrap();
        let found = wait(&query, Duration::from_secs(60)).map_err(|Error(error)| error.reason.into_owned());
        assert_eq!(found, expected.map_err(str::to_owned), "{query:?}");
    }

    #[test]
    fn how_a_feed_waits() {
        let heartbeat = |ms| Ok(Wait::Heartbeat(Duration::from_millis(ms)));
        let timeout = |ms| Ok(Wait::Timeout(Duration::from_millis(ms)));
        let not_positive = "The heartbeat value should be a positive integer (in milliseconds).";
        let no_number = "Invalid heartbeat value. Expecting a positive integer value (in milliseconds).";
        check("", timeout(60_000));
        check("timeout=90000", timeout(60_000));
        check("timeout=5&heartbeat=false", timeout(5));
        check("heartbeat=true&timeout=5", heartbeat(60_000));
        check("heartbeat=1", heartbeat(10));
        check("heartbeat=2500", heartbeat(2_500));
        check("heartbeat=0", Err(not_positive));
        check("heartbeat=-1000", Err(not_positive));
        check("heartbeat=a1000", Err(no_number));
        check("heartbeat=", Err(no_number));
    }
}
