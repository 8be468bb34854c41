//! The middle: the feed comes in, batches go out, the end is noticed.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Both, ChangesRequest, Info, Leaves, Outcome, Owner, Page, Request, Row, Session, Side, Stage, StoredCheckpoint,
    Wait,
    calls::Call,
    commit::{self, Commit},
    copy::Batch,
    start::Found,
    window::Window,
};
use crate::{Checkpoint, HistoryEntry, Report, SourceSeq, Timestamp};

/// A session that knows where to go on.
#[derive(Debug)]
pub(super) struct Run<D> {
    pub(super) infos: Both<Info>,
    pub(super) revs: Both<Option<String>>,
    pub(super) entry: HistoryEntry,
    pub(super) history: Vec<HistoryEntry>,
    pub(super) feed: Feed,
    pub(super) window: Window,
    /// By their places in the window.
    pub(super) batches: BTreeMap<u64, Batch<D>>,
    /// Bytes that were read and are not yet written.
    pub(super) held_bytes: usize,
    pub(super) does_bulk_get: bool,
    pub(super) commit: Commit,
    /// Up to here both sides have a checkpoint.
    pub(super) committed: SourceSeq,
    pub(super) earlier: Option<Checkpoint>,
    /// The last one of this session.
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) is_stopping: bool,
}

/// What was read of the source's feed and is in no batch yet.
#[derive(Debug)]
pub(super) struct Feed {
    /// Up to here it was read.
    pub(super) since: SourceSeq,
    rows: VecDeque<Row>,
    /// A place behind all rows, with nothing in between.
    reached: Option<SourceSeq>,
    is_asked: bool,
    is_over: bool,
    /// Changes behind `since`, as far as the source has told.
    pub(super) pending: Option<u64>,
    /// Rows that were read since the source was asked how many are pending; `None` while it isn't asked.
    rows_since_asked: Option<u64>,
}

impl<D: Clone> Run<D> {
    pub(super) fn new(found: Found) -> Self {
        let Found { infos, revs, start, entry, history, earlier } = found;
        let feed = Feed {
            since: start.clone(),
            rows: VecDeque::new(),
            reached: None,
            is_asked: false,
            is_over: false,
            pending: None,
            rows_since_asked: None,
        };
        Self {
            infos,
            revs,
            entry,
            history,
            feed,
            window: Window::new(start.clone()),
            batches: BTreeMap::new(),
            held_bytes: 0,
            does_bulk_get: true,
            commit: Commit::default(),
            committed: start,
            earlier,
            checkpoint: None,
            is_stopping: false,
        }
    }

    /// Whether nothing more will be copied.
    fn is_through(&self) -> bool {
        let feed = &self.feed;
        self.is_stopping || (feed.is_over && feed.rows.is_empty() && feed.reached.is_none() && self.window.is_empty())
    }

    /// The rows of the next batch, at least one.
    fn take_rows(&mut self, rows_max: usize, revs_max: usize) -> Vec<Row> {
        let mut revs = 0_usize;
        let mut taken = Vec::new();
        while let Some(row) = self.feed.rows.front() {
            revs = revs.saturating_add(row.revs.len());
            let is_full = taken.len() >= rows_max || revs > revs_max;
            if is_full && !taken.is_empty() {
                break;
            }
            taken.extend(self.feed.rows.pop_front());
        }
        taken
    }
}

impl<D: Clone> Session<D> {
    /// Does all that can be done now.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let Stage::Running(run) = &self.stage else { return };
        if !run.is_stopping {
            self.begin_batches();
            self.ask_feed();
        }
        self.commit_if_due(now);
        self.end_if_done();
    }

    pub(super) fn on_checkpoint(&mut self, call: &Call<D>, stored: Option<StoredCheckpoint>, now: Timestamp) {
        let side = call.request.side();
        if matches!(self.stage, Stage::Running(_)) {
            return self.on_reread(side, stored, now);
        }
        let Some(mut run) = self.on_first_checkpoint(side, stored) else { return };
        run.does_bulk_get = self.options.tuning.fetch == crate::Fetch::Bulk;
        run.commit = Commit::due(now, &self.options);
        self.stage = Stage::Running(Box::new(run));
        self.ask_pending();
    }

    pub(super) fn on_changes(&mut self, page: Page) {
        let Stage::Running(run) = &mut self.stage else { return };
        let feed = &mut run.feed;
        feed.is_asked = false;
        feed.is_over = page.is_last && self.options.wait == Wait::Never;
        let count = page.rows.len() as u64;
        feed.rows_since_asked = feed.rows_since_asked.map(|rows| rows.saturating_add(count));
        feed.pending = page.pending.or(feed.pending.map(|pending| pending.saturating_sub(count)));
        self.stats.doc_write_failures = self.stats.doc_write_failures.saturating_add(page.unreadable);
        let last_row = page.rows.last().map(|row| row.seq.clone());
        feed.rows.extend(page.rows);
        // CouchDB's one-shot sessions end at the last row, and one without rows has nothing to write. What a filter
        // left out, or what nobody could read, is worth remembering.
        let counts = self.options.wait == Wait::Forever || !self.options.filter.takes_all() || page.unreadable > 0;
        let reached = page.last_seq.filter(|seq| *seq != feed.since && Some(seq) != last_row.as_ref());
        feed.since = reached.clone().or(last_row.clone()).unwrap_or_else(|| feed.since.clone());
        feed.reached = match reached.filter(|_| counts) {
            None if last_row.is_none() => feed.reached.take(),
            reached => reached,
        };
    }

    /// A feed that waits doesn't say how much is to come: the source is asked now and then.
    pub(super) fn ask_pending(&mut self) {
        let Stage::Running(run) = &mut self.stage else { return };
        if self.options.wait == Wait::Forever && run.feed.rows_since_asked.is_none() {
            run.feed.rows_since_asked = Some(0);
            let since = run.feed.since.clone();
            self.ask(Owner::Session, Request::Pending(since));
        }
    }

    pub(super) fn on_pending(&mut self, pending: Option<u64>) {
        let Stage::Running(run) = &mut self.stage else { return };
        let rows = run.feed.rows_since_asked.take().unwrap_or_default();
        run.feed.pending = pending.map(|pending| pending.saturating_sub(rows)).or(run.feed.pending);
    }

    fn ask_feed(&mut self) {
        let Stage::Running(run) = &mut self.stage else { return };
        let feed = &mut run.feed;
        let room = self.options.rows_max().saturating_sub(feed.rows.len());
        if feed.is_asked || feed.is_over || room == 0 {
            return;
        }
        feed.is_asked = true;
        let request = ChangesRequest {
            since: feed.since.clone(),
            rows_max: room,
            wait: self.options.wait,
            filter: self.options.filter.clone(),
            style: self.options.style,
        };
        self.ask(Owner::Session, Request::Changes(request));
    }

    fn begin_batches(&mut self) {
        let tuning = &self.options.tuning;
        let Stage::Running(run) = &mut self.stage else { return };
        while run.batches.len() < tuning.worker_processes {
            let rows = run.take_rows(tuning.worker_batch_size, self.options.batch_revs_max);
            let Some(last) = rows.last() else { break };
            let place = run.window.open(last.seq.clone());
            let rows = rows.into_iter().filter(|row| !row.revs.is_empty());
            let leaves: Vec<_> = rows.map(|row| Leaves { id: row.id, revs: row.revs }).collect();
            if leaves.is_empty() {
                run.window.close(place);
                continue;
            }
            run.batches.insert(place, Batch::new());
            self.calls.push(Call::new(Owner::Batch(place), Request::RevsDiff(leaves)));
        }
        if run.feed.rows.is_empty()
            && let Some(reached) = run.feed.reached.take()
        {
            let place = run.window.open(reached);
            run.window.close(place);
        }
    }

    fn end_if_done(&mut self) {
        let Stage::Running(run) = &mut self.stage else { return };
        if !run.is_through() || !run.commit.is_idle() {
            return;
        }
        let outcome = if run.is_stopping {
            Outcome::Stopped
        } else if self.options.tuning.checkpoint_interval.is_none() {
            Outcome::Completed(Report::WithoutCheckpoints)
        } else {
            let earlier = run.earlier.take();
            let report = run.checkpoint.take().map_or(Report::NoChanges(earlier), Report::Checkpointed);
            Outcome::Completed(report)
        };
        self.end(outcome);
    }

    fn commit_if_due(&mut self, now: Timestamp) {
        let Stage::Running(run) = &mut self.stage else { return };
        let is_due = run.is_through() || run.commit_at().is_some_and(|due| due <= now);
        if is_due && run.needs_commit() {
            run.commit = commit::begin(run.window.through().clone());
            self.ask(Owner::Session, Request::EnsureFullCommit(Side::Source));
            self.ask(Owner::Session, Request::EnsureFullCommit(Side::Target));
        }
    }
}
