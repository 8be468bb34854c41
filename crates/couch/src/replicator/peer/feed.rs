//! The source's feed: one response is kept open over many pages, for as long as it goes on where the session is.

use super::{
    Answer, Ask, Peer,
    control::plain,
    cut, parse,
    rows::{NoFeed, Shape, Splitter},
};
use http::Method;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tidegate_http::BodyReader;
use tidegate_replication::{ChangesRequest, Failure, FailureKind, Filter, Page, Row, SourceSeq, Style, Wait};
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long rows that are there wait for more, so that they go on together.
const LINGER: Duration = Duration::from_millis(20);
/// A source that won't hold a response open is asked no more often than this.
const RESPONSE_MIN: Duration = Duration::from_secs(1);
/// Two signs of life of the source in the time after which it counts as gone, and one to spare.
const HEARTBEATS: u32 = 3;

/// The feed of one session.
#[derive(Default)]
pub(in crate::replicator) struct Feed {
    open: Option<Open>,
    /// Whether the session has seen any row.
    has_rows: bool,
}

/// A response being read.
struct Open {
    body: BodyReader<Incoming>,
    splitter: Splitter,
    /// The place behind the last row that was handed out.
    at: SourceSeq,
    wait: Wait,
    since: Instant,
}

#[derive(Deserialize)]
struct RowAnswer {
    seq: Option<Value>,
    id: Option<String>,
    #[serde(default)]
    changes: Vec<Leaf>,
    #[serde(default)]
    deleted: bool,
    /// In the last line of a feed.
    last_seq: Option<Value>,
    pending: Option<u64>,
}

#[derive(Deserialize)]
struct Leaf {
    rev: String,
}

impl Feed {
    /// The next rows.
    ///
    /// When this is given up, the response it was reading is, too: nothing of it is lost to the next call.
    pub(in crate::replicator) async fn page(&mut self, peer: &Peer, request: &ChangesRequest) -> Result<Page, Failure> {
        let kept = self.open.take().filter(|open| open.at == request.since && open.wait == request.wait);
        let mut open = match kept {
            Some(open) => open,
            None => Open::begin(peer, request).await?,
        };
        let mut page = Page { rows: Vec::new(), last_seq: None, pending: None, is_last: false, unreadable: 0 };
        match open.fill(&mut page, request.rows_max.max(1)).await {
            Ok(Filled::More) => self.open = Some(open),
            Ok(Filled::Over) => {
                if page.is_empty() && request.wait == Wait::Forever {
                    sleep_until(open.since + RESPONSE_MIN).await;
                }
                page.finish(open)?;
            }
            // What came before it was cut is good.
            Err(_) if !page.is_empty() => {}
            Err(failure) => return Err(failure),
        }
        self.has_rows |= !page.is_empty();
        if !self.has_rows && request.wait == Wait::Never {
            // Where nothing passed, nothing has changed: there is no checkpoint, as with CouchDB.
            page.last_seq = None;
        }
        Ok(page)
    }
}

/// How reading a page ended.
enum Filled {
    More,
    Over,
}

impl Open {
    async fn begin(peer: &Peer, request: &ChangesRequest) -> Result<Self, Failure> {
        let answer = peer.send(ask(peer, request)).await?;
        let shape = match request.wait {
            Wait::Never => Shape::Whole,
            Wait::Forever => Shape::Lines,
        };
        let (body, splitter) = (stream(answer)?, Splitter::new(shape));
        Ok(Self { body, splitter, at: request.since.clone(), wait: request.wait, since: Instant::now() })
    }

    /// Reads until there are enough rows, or none come at once.
    async fn fill(&mut self, page: &mut Page, rows_max: usize) -> Result<Filled, Failure> {
        let mut linger_until = None;
        loop {
            while page.rows.len() < rows_max {
                let Some(row) = self.splitter.next_row() else { break };
                if self.take(page, &row)? {
                    return Ok(Filled::Over);
                }
            }
            if page.rows.len() >= rows_max {
                return Ok(Filled::More);
            }
            let chunk = if page.is_empty() {
                self.body.chunk().await
            } else {
                let until = *linger_until.get_or_insert_with(|| Instant::now() + LINGER);
                match timeout_at(until, self.body.chunk()).await {
                    Ok(chunk) => chunk,
                    Err(_) => return Ok(Filled::More),
                }
            };
            match chunk.map_err(|error| cut(&error))? {
                Some(chunk) => self.splitter.feed(&chunk).map_err(no_feed)?,
                None => return Ok(Filled::Over),
            }
        }
    }

    /// Takes a row into the page. Whether it was the feed's last word.
    fn take(&mut self, page: &mut Page, text: &[u8]) -> Result<bool, Failure> {
        let row: RowAnswer = parse(text)?;
        if let Some(last_seq) = row.last_seq {
            page.last_seq = Some(SourceSeq::from_json(&last_seq));
            page.pending = row.pending;
            return Ok(true);
        }
        let Some(seq) = row.seq.as_ref().map(SourceSeq::from_json) else { return Err(no_feed(NoFeed)) };
        self.at = seq.clone();
        page.last_seq = Some(seq.clone());
        let id = row.id.and_then(|id| id.parse().ok());
        let revs: Option<Vec<_>> = row.changes.iter().map(|leaf| leaf.rev.parse().ok()).collect();
        match (id, revs) {
            (Some(id), Some(revs)) => page.rows.push(Row { seq, id, revs, deleted: row.deleted }),
            _ => page.unreadable = page.unreadable.saturating_add(1),
        }
        Ok(false)
    }
}

trait Pages {
    fn is_empty(&self) -> bool;
    fn finish(&mut self, open: Open) -> Result<(), Failure>;
}

impl Pages for Page {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.unreadable == 0
    }

    /// The response is over.
    fn finish(&mut self, open: Open) -> Result<(), Failure> {
        if open.wait == Wait::Forever {
            return Ok(());
        }
        let Ok(tail) = open.splitter.finish() else {
            return if self.is_empty() { Err(no_feed(NoFeed)) } else { Ok(()) };
        };
        let end: RowAnswer = parse(&tail)?;
        self.last_seq = end.last_seq.as_ref().map(SourceSeq::from_json).or(self.last_seq.take());
        self.pending = end.pending;
        self.is_last = true;
        Ok(())
    }
}

/// No bound: a feed is read as it comes.
fn stream(answer: Answer) -> Result<BodyReader<Incoming>, Failure> {
    answer.stream(u64::MAX)
}

fn no_feed(error: NoFeed) -> Failure {
    Failure::new(FailureKind::Transient, error.to_string())
}

fn ask(peer: &Peer, request: &ChangesRequest) -> Ask {
    let body = match &request.filter {
        Filter::DocIds(ids) => Some(json!({ "doc_ids": ids.as_ref() })),
        Filter::Selector(selector) => Some(json!({ "selector": selector.as_ref() })),
        Filter::All | Filter::BuiltIn { .. } | Filter::Function { .. } => None,
    };
    let mut ask = match body {
        Some(body) => Ask::post("_changes", body.to_string()),
        None => Ask::new(Method::GET, "_changes"),
    };
    let feed = match request.wait {
        Wait::Never => "normal",
        Wait::Forever => "continuous",
    };
    let style = match request.style {
        Style::AllDocs => "all_docs",
        Style::MainOnly => "main_only",
    };
    let heartbeat = (peer.timeout / HEARTBEATS).max(Duration::from_millis(10)).as_millis();
    ask = ask.query("feed", feed).query("style", style).query("since", request.since.to_since());
    ask = ask.query("heartbeat", heartbeat.to_string());
    match &request.filter {
        Filter::All => ask,
        Filter::DocIds(_) => ask.query("filter", "_doc_ids"),
        Filter::Selector(_) => ask.query("filter", "_selector"),
        Filter::BuiltIn { name, query } => with_params(ask.query("filter", name), query),
        Filter::Function { design, name, query } => with_params(ask.query("filter", format!("{design}/{name}")), query),
    }
}

fn with_params(ask: Ask, params: &serde_json::Map<String, Value>) -> Ask {
    params.iter().fold(ask, |ask, (name, value)| ask.query(name, plain(value)))
}
