//! The loop of a feed: read, write, wait.

use super::{
    frame::Frame,
    params::{FeedKind, Params, Style, Wait},
};
use crate::{context::Context, database::wire_seq, document::render::render, error::Error};
use std::time::Duration;
use tidegate_engine::{Change, Database, Feed, Order};
use tidegate_http::respond::Sender;
use tidegate_json::write_string;
use tidegate_types::{Rev, Seq};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Changes read at once.
const PAGE: usize = 1_000;
/// The longest a client may take to read what it was sent before the feed gives it up.
const SEND_TIMEOUT: Duration = Duration::from_secs(120);

/// A feed under way.
pub(crate) struct Run {
    db: Database,
    params: Params,
    frame: Frame,
    feed: Feed,
    /// Up to where the changes that were there at the beginning go.
    until: Seq,
    /// The sequence to go on from.
    last: Seq,
    rows: usize,
    head: Vec<u8>,
    draining: CancellationToken,
}

/// What a wait came to.
enum Waited {
    Changed,
    Heartbeat,
    Over,
}

impl Run {
    pub(crate) fn new(cx: &Context, db: &Database, params: Params) -> Self {
        let frame = Frame::of(params.feed);
        let feed = db.follow(params.since);
        let (until, last) = (db.update_seq(), params.since);
        let (db, head, draining) = (db.clone(), frame.head().to_vec(), cx.draining.clone());
        Self { db, params, frame, feed, until, last, rows: 0, head, draining }
    }

    /// What was written before the loop began.
    pub(crate) fn with_head(self, head: Vec<u8>) -> Self {
        Self { head, ..self }
    }

    /// Writes the next changes of those there at the beginning. Whether there are more.
    pub(crate) async fn page(&mut self, out: &mut Vec<u8>) -> Result<bool, Error> {
        if self.is_full() || self.last >= self.until && self.params.order == Order::Ascending {
            return Ok(false);
        }
        let (after, until) = match self.params.order {
            Order::Ascending => (self.last, self.until),
            Order::Descending => (Seq::ZERO, self.until),
        };
        let changes = self.db.changes(after, until, self.params.order, PAGE).await?;
        for change in &changes {
            if self.is_full() {
                return Ok(false);
            }
            self.write_change(change, out).await?;
        }
        let more = changes.len() == PAGE;
        match (self.params.order, changes.last()) {
            (Order::Descending, Some(last)) => self.until = Seq::new(last.seq.get().saturating_sub(1)),
            (Order::Ascending, _) if !more && !self.is_full() => self.last = self.until,
            (Order::Ascending | Order::Descending, _) => {}
        }
        Ok(more && !self.is_full())
    }

    /// Runs until the client goes, the feed's end is reached, or the server drains.
    pub(crate) async fn run(mut self, sender: Sender) {
        match self.run_to_end(&sender).await {
            Ok(()) => drop(timeout(SEND_TIMEOUT, sender.finish()).await),
            Err(Ended::ClientGone) => {}
            // The response is cut: a client must not take it for whole.
            Err(Ended::Failed(Error(error))) => tracing::error!(%error, "a changes feed failed"),
        }
    }

    async fn run_to_end(&mut self, sender: &Sender) -> Result<(), Ended> {
        let mut out = std::mem::take(&mut self.head);
        while self.page(&mut out).await? {
            send(sender, &mut out).await?;
        }
        send(sender, &mut out).await?;
        let mut deadline = Instant::now();
        while self.goes_on() {
            deadline = match self.wait(sender, deadline).await? {
                Waited::Changed => {
                    self.follow(&mut out).await?;
                    send(sender, &mut out).await?;
                    Instant::now()
                }
                Waited::Heartbeat => {
                    out.extend_from_slice(self.frame.heartbeat());
                    send(sender, &mut out).await?;
                    Instant::now()
                }
                Waited::Over => break,
            };
        }
        self.write_end(&mut out).await?;
        send(sender, &mut out).await
    }

    /// Whether there is something to wait for.
    fn goes_on(&self) -> bool {
        match self.params.feed {
            FeedKind::Normal => false,
            FeedKind::Longpoll => self.rows == 0 && !self.is_full(),
            FeedKind::Continuous | FeedKind::EventSource => !self.is_full(),
        }
    }

    fn is_full(&self) -> bool {
        self.rows >= self.params.limit
    }

    /// Waits for a change, at the longest until the timeout or heartbeat counted from `since`.
    async fn wait(&mut self, sender: &Sender, since: Instant) -> Result<Waited, Ended> {
        let (period, over) = match self.params.wait {
            Wait::Timeout(period) => (period, Waited::Over),
            Wait::Heartbeat(period) => (period, Waited::Heartbeat),
        };
        if self.feed.since() < self.last {
            self.feed = self.db.follow(self.last);
        }
        tokio::select! {
            changed = self.feed.changed() => Ok(changed.map_or(Waited::Over, |()| Waited::Changed)),
            () = tokio::time::sleep_until(since + period) => Ok(over),
            () = self.draining.cancelled() => Ok(Waited::Over),
            () = sender.closed() => Err(Ended::ClientGone),
        }
    }

    /// Writes what has changed since.
    async fn follow(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        for change in self.feed.next(PAGE).await? {
            if self.is_full() {
                return Ok(());
            }
            self.write_change(&change, out).await?;
        }
        self.last = self.feed.since();
        Ok(())
    }

    /// Writes a change, if it passes the filter.
    async fn write_change(&mut self, change: &Change, out: &mut Vec<u8>) -> Result<(), Error> {
        self.last = change.seq;
        if !self.params.filter.passes(change) {
            return Ok(());
        }
        if self.rows > 0 {
            out.extend_from_slice(self.frame.separator());
        }
        let seq = format!("\"{}\"", wire_seq(&self.db, change.seq));
        let silent = !self.rows.is_multiple_of(self.params.seq_interval);
        self.rows += 1;
        out.extend_from_slice(self.frame.row_start());
        out.extend_from_slice(b"{\"seq\":");
        out.extend_from_slice(if silent { b"null" } else { seq.as_bytes() });
        write_row(change, self.params.style, out);
        if self.params.docs.include {
            out.extend_from_slice(b",\"doc\":");
            match self.db.changed_document(change, self.params.docs.options.detail()).await? {
                Some(document) => render(&self.db, &document, &self.params.docs.options, out).await?,
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
        self.frame.row_end(&seq, out);
        Ok(())
    }

    pub(crate) async fn write_end(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let pending = match self.db.pending(self.last).await {
            Err(tidegate_engine::Error::NoDatabase(_)) => 0,
            pending => pending?,
        };
        self.frame.end(wire_seq(&self.db, self.last), pending, out);
        Ok(())
    }
}

/// What a row says after its sequence.
fn write_row(change: &Change, style: Style, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"id\":");
    write_string(out, change.id.as_str());
    out.extend_from_slice(b",\"changes\":[");
    write_rev(&change.winner, out);
    let others = match style {
        Style::MainOnly => &[],
        Style::AllDocs => change.others.as_slice(),
    };
    for rev in others {
        out.push(b',');
        write_rev(rev, out);
    }
    out.push(b']');
    if change.deleted {
        out.extend_from_slice(b",\"deleted\":true");
    }
}

fn write_rev(rev: &Rev, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"rev\":\"");
    out.extend_from_slice(rev.to_string().as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Why a feed stopped in the middle.
enum Ended {
    ClientGone,
    Failed(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<tidegate_engine::Error> for Ended {
    fn from(error: tidegate_engine::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Sends what was written. A client that doesn't read for long is given up.
async fn send(sender: &Sender, out: &mut Vec<u8>) -> Result<(), Ended> {
    if out.is_empty() {
        return Ok(());
    }
    match timeout(SEND_TIMEOUT, sender.send(std::mem::take(out).into())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Ended::ClientGone),
    }
}
