//! The loop of a feed: read, write, wait.

use super::{
    circles::{Company, Shape},
    content::JUDGED_AT_ONCE,
    frame::Frame,
    params::{FeedKind, Params, RowKind, Wait},
    row,
};
use crate::{
    context::Context,
    database::{wire_position, wire_seq},
    document::render::render,
    error::Error,
};
use bytes::Bytes;
use tidegate_engine::{Change, ChannelFeed, Database, Feed, Interest, News, Order, Position, Told};
use tidegate_http::{
    feed::{self, Rest},
    respond::{Aborted, Source},
};
use tidegate_types::Seq;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::sync::CancellationToken;

/// Changes read at once.
const PAGE: usize = 1_000;

/// A feed under way.
pub(crate) struct Run {
    db: Database,
    params: Params,
    frame: Frame,
    feed: Feed,
    /// What its reader may see, where that isn't everything.
    seen: Option<Box<ChannelFeed>>,
    phase: Phase,
    /// Up to where the changes that were there at the beginning go.
    until: Seq,
    /// Where to go on from.
    last: Position,
    rows: usize,
    /// What is written and not yet sent.
    out: Vec<u8>,
    /// Since when nothing was sent.
    quiet_since: Instant,
    draining: CancellationToken,
    /// Those that say the same, if anybody may.
    company: Option<Company>,
    /// Its place among the feeds that may be open.
    place: Option<OwnedSemaphorePermit>,
}

/// How far a feed has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What was there at the beginning is being sent.
    Reading,
    /// It waits for changes.
    Following,
    /// Its last words are due.
    Ending,
    Ended,
}

/// What of a change is written.
enum Row {
    Skipped,
    Whole,
    /// The change with those revisions alone that pass.
    Part(Change),
}

/// What a wait came to.
enum Waited {
    Changed,
    Heartbeat,
    Over,
}

impl Source for Run {
    async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
        while self.phase != Phase::Ended {
            if let Err(Error(error)) = self.advance().await {
                // The response is cut: a client must not take it for whole.
                tracing::error!(%error, "a changes feed failed");
                return Err(Aborted);
            }
            if !self.out.is_empty() {
                self.quiet_since = Instant::now();
                return Ok(Some(std::mem::take(&mut self.out).into()));
            }
        }
        Ok(None)
    }
}

impl feed::Feed for Run {
    fn rest(&mut self) -> Option<Rest> {
        if self.phase == Phase::Reading && self.has_read_all() && self.goes_on() {
            self.phase = Phase::Following;
        }
        if self.phase != Phase::Following || !self.out.is_empty() || self.draining.is_cancelled() {
            return None;
        }
        // Whoever joins others isn't checked any more: one whose rights may have changed reads the next change alone.
        if !self.feed.database().is_current() {
            return None;
        }
        let circle = self.company.as_mut()?.circle(&self.feed, self.last.seq);
        let (Wait::Timeout(quiet_max) | Wait::Heartbeat(quiet_max)) = self.params.wait;
        Some(Rest { place: circle, position: self.last.seq.get(), quiet_since: self.quiet_since, quiet_max })
    }

    fn resume(&mut self, position: u64, sent_at: Instant) {
        self.last = Position::at(Seq::new(position));
        self.quiet_since = sent_at;
    }
}

impl Run {
    pub(crate) fn new(cx: &Context, db: &Database, params: Params) -> Result<Self, Error> {
        let frame = Frame::of(params.feed);
        let feed = db.follow(params.since.done())?;
        let seen = db
            .is_seen_by_channels()
            .then(|| db.follow_channels(params.since, Interest::default()).map(Box::new))
            .transpose()?;
        if seen.is_some() && params.order == Order::Descending {
            return Err(Error::bad_request("A feed of the documents that you may see can't be descending."));
        }
        // Who sees everything has nothing back-filled.
        let last = if seen.is_some() { params.since } else { Position::at(params.since.done()) };
        let until = db.update_seq();
        let (db, out, draining) = (db.clone(), frame.head().to_vec(), cx.draining.clone());
        let (phase, quiet_since, place) = (Phase::Reading, Instant::now(), None);
        let company = Shape::of(&params).filter(|_| seen.is_none()).map(|shape| Company::new(cx, shape));
        Ok(Self {
            db,
            params,
            frame,
            feed,
            seen,
            phase,
            until,
            last,
            rows: 0,
            out,
            quiet_since,
            draining,
            company,
            place,
        })
    }

    /// Keeps its place until it ends.
    pub(crate) fn with_place(self, place: OwnedSemaphorePermit) -> Self {
        Self { place: Some(place), ..self }
    }

    /// Reads the first page; if there is no more, the whole feed.
    pub(crate) async fn first_page(&mut self) -> Result<Option<Vec<u8>>, Error> {
        self.advance().await?;
        if self.phase != Phase::Ending {
            return Ok(None);
        }
        self.advance().await?;
        Ok(Some(std::mem::take(&mut self.out)))
    }

    /// Does the next thing: a page, a wait, or the end.
    async fn advance(&mut self) -> Result<(), Error> {
        let mut out = std::mem::take(&mut self.out);
        let advanced = self.advance_into(&mut out).await;
        self.out = out;
        advanced
    }

    async fn advance_into(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self.phase {
            Phase::Reading => {
                if !Box::pin(self.page(out)).await? {
                    self.phase = if self.goes_on() { Phase::Following } else { Phase::Ending };
                }
            }
            Phase::Following => {
                match self.wait().await {
                    // Boxed, so that little is held while it waits.
                    Waited::Changed => Box::pin(self.follow(out)).await?,
                    Waited::Heartbeat => out.extend_from_slice(self.frame.heartbeat()),
                    Waited::Over => self.phase = Phase::Ending,
                }
                if !self.goes_on() {
                    self.phase = Phase::Ending;
                }
            }
            Phase::Ending => {
                Box::pin(self.write_end(out)).await?;
                self.place = None;
                self.phase = Phase::Ended;
            }
            Phase::Ended => {}
        }
        Ok(())
    }

    /// Writes the next changes of those there at the beginning. Whether there are more.
    async fn page(&mut self, out: &mut Vec<u8>) -> Result<bool, Error> {
        if self.is_full() || self.has_read_all() {
            return Ok(false);
        }
        if self.seen.is_some() {
            return self.next_seen(out).await;
        }
        let (after, until) = match self.params.order {
            Order::Ascending => (self.last.seq, self.until),
            Order::Descending => (Seq::ZERO, self.until),
        };
        let changes = self.db.changes(after, until, self.params.order, PAGE).await?;
        let rows: Vec<_> = changes.iter().map(|change| (Position::at(change.seq), change)).collect();
        self.write_changes(&rows, out).await?;
        let more = changes.len() == PAGE;
        match (self.params.order, changes.last()) {
            (Order::Descending, Some(last)) => self.until = Seq::new(last.seq.get().saturating_sub(1)),
            (Order::Ascending, _) if !more && !self.is_full() => self.last = Position::at(self.until),
            (Order::Ascending | Order::Descending, _) => {}
        }
        Ok(more && !self.is_full())
    }

    /// Writes what comes next of what may be seen. Whether there may be more.
    async fn next_seen(&mut self, out: &mut Vec<u8>) -> Result<bool, Error> {
        let Some(mut seen) = self.seen.take() else { return Ok(false) };
        let told = seen.next(PAGE.min(self.params.limit.saturating_sub(self.rows))).await;
        let position = seen.position();
        self.seen = Some(seen);
        let told = told?;
        let rows: Vec<_> = told.iter().filter_map(row_of).collect();
        self.write_changes(&rows, out).await?;
        if !self.is_full() {
            self.last = position;
        }
        Ok(!told.is_empty() && !self.is_full())
    }

    /// Whether there is something to wait for.
    fn goes_on(&self) -> bool {
        match self.params.feed {
            FeedKind::Normal => false,
            FeedKind::Longpoll => self.rows == 0 && !self.is_full(),
            FeedKind::Continuous | FeedKind::EventSource => !self.is_full(),
        }
    }

    fn has_read_all(&self) -> bool {
        self.seen.is_none() && self.last.seq >= self.until && self.params.order == Order::Ascending
    }

    fn is_full(&self) -> bool {
        self.rows >= self.params.limit
    }

    /// Waits for a change, at the longest as long as the timeout or the heartbeat says.
    async fn wait(&mut self) -> Waited {
        let (period, over) = match self.params.wait {
            Wait::Timeout(period) => (period, Waited::Over),
            Wait::Heartbeat(period) => (period, Waited::Heartbeat),
        };
        if self.feed.since() < self.last.seq {
            self.feed.skip_to(self.last.seq);
        }
        // Boxed: few feeds are of what somebody sees, and all of them wait.
        let changed = async {
            match &mut self.seen {
                Some(seen) => Box::pin(seen.changed()).await,
                None => self.feed.changed().await,
            }
        };
        tokio::select! {
            changed = changed => changed.map_or(Waited::Over, |()| Waited::Changed),
            () = tokio::time::sleep_until(self.quiet_since + period) => over,
            () = self.draining.cancelled() => Waited::Over,
        }
    }

    /// Writes what has changed since.
    async fn follow(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.seen.is_some() {
            // A page at a time, however much was granted: the wait for the next one is over at once.
            self.next_seen(out).await?;
            return Ok(());
        }
        let changes = self.feed.next(PAGE).await?;
        let rows: Vec<_> = changes.iter().map(|change| (Position::at(change.seq), &**change)).collect();
        self.write_changes(&rows, out).await?;
        if !self.is_full() {
            self.last = Position::at(self.feed.since());
        }
        Ok(())
    }

    /// Writes those changes that pass the filter, until the feed is full.
    async fn write_changes(&mut self, changes: &[(Position, &Change)], out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(content) = self.params.filter.content() else {
            for (position, change) in changes {
                if self.is_full() {
                    break;
                }
                let row = if self.params.filter.passes(change) { Row::Whole } else { Row::Skipped };
                self.write_change((*position, change), row, out).await?;
            }
            return Ok(());
        };
        for part in changes.chunks(JUDGED_AT_ONCE) {
            let bare: Vec<&Change> = part.iter().map(|(_, change)| *change).collect();
            let judged = Box::pin(content.judge(&self.db, &bare, self.params.style)).await?;
            for ((position, change), left) in part.iter().zip(judged) {
                if self.is_full() {
                    return Ok(());
                }
                self.write_change((*position, change), left.map_or(Row::Skipped, Row::Part), out).await?;
            }
        }
        Ok(())
    }

    /// Writes of a change what passes.
    async fn write_change(
        &mut self,
        (position, change): (Position, &Change),
        row: Row,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.last = position;
        if self.params.rows == RowKind::DbUpdates {
            self.write_db_update(change, out);
            return Ok(());
        }
        let (shown, is_whole) = match &row {
            Row::Skipped => return Ok(()),
            Row::Whole => (change, true),
            Row::Part(part) => (part, false),
        };
        let document = match self.params.docs.include {
            true => self.db.changed_document(change, self.params.docs.options.detail()).await?,
            false => None,
        };
        // Its reader lost it since, or it changed again, which is told later: clients can do nothing with such a row.
        if self.seen.is_some() && self.params.docs.include && document.is_none() {
            return Ok(());
        }
        if self.rows > 0 {
            out.extend_from_slice(self.frame.separator());
        }
        let silent = !self.rows.is_multiple_of(self.params.seq_interval);
        self.rows += 1;
        out.extend_from_slice(self.frame.row_start());
        let seq = wire_position(&self.db, position);
        match self.phase {
            // Many listeners follow, each of whom gets the same row now.
            Phase::Following if is_whole && !silent => row::write_shared(seq, shown, self.params.style, out),
            Phase::Following | Phase::Reading | Phase::Ending | Phase::Ended => {
                row::write((!silent).then_some(seq), shown, self.params.style, out)
            }
        }
        if self.params.docs.include {
            out.extend_from_slice(b",\"doc\":");
            match document {
                Some(document) => render(&self.db, &document, &self.params.docs.options, out).await?,
                None => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
        self.frame.row_end(seq, out);
        Ok(())
    }

    /// Writes what happened to a database. Other documents of `_global_changes` are passed over.
    fn write_db_update(&mut self, change: &Change, out: &mut Vec<u8>) {
        let Some(update) = change.id.as_str().split_once(':') else { return };
        if self.rows > 0 {
            out.extend_from_slice(self.frame.separator());
        }
        self.rows += 1;
        out.extend_from_slice(self.frame.row_start());
        let seq = wire_seq(&self.db, change.seq);
        row::write_db_update(seq, update, out);
        out.push(b'}');
        self.frame.row_end(seq, out);
    }

    async fn write_end(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.params.rows == RowKind::DbUpdates {
            self.frame.end_of_db_updates(wire_position(&self.db, self.last), out);
            return Ok(());
        }
        let pending = match self.db.pending(self.last.seq).await {
            Err(tidegate_engine::Error::NoDatabase(_)) => 0,
            pending => pending?,
        };
        self.frame.end(wire_position(&self.db, self.last), pending, out);
        Ok(())
    }
}

/// The row of what is told. A document that left the reader's channels stays as the device has it, unless it was deleted:
/// CouchDB's protocol has no word for the rest.
fn row_of(told: &Told) -> Option<(Position, &Change)> {
    match &told.news {
        News::Changed(change) => Some((told.position, change)),
        News::Left(change, _) if change.deleted => Some((told.position, change)),
        News::Left(..) | News::Lost(_) | News::Myself => None,
    }
}
