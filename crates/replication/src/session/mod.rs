//! One run of one replication: from reading the checkpoints to writing the last one.
//!
//! ```text
//! start:   create target → both infos → both checkpoints → where to go on
//! copy:    feed → batches → _revs_diff → _bulk_get or transfers → _bulk_docs      (several batches at a time)
//! commit:  _ensure_full_commit on both → checkpoint to the source → to the target  (beside the copying)
//! ```
//!
//! The session asks with [`Session::poll`], is answered with [`Session::handle_response`], and is told of time with
//! [`Session::handle_timeout`]. It keeps what it needs to ask again: a shell that loses an answer reports a failure.

mod calls;
mod commit;
mod copy;
mod options;
mod request;
mod run;
mod start;
mod window;

#[cfg(test)]
mod pair;
#[cfg(test)]
mod tests;

use std::fmt;

pub use options::Options;
pub use request::{
    ChangesRequest, Doc, Got, Info, Leaves, Missing, Moved, Page, Request, RequestId, Response, Row, Side,
    StoredCheckpoint, Transfer, Transferred, Wait, Wanted, WriteFailure,
};

use self::{
    calls::{Call, Calls, Owner},
    run::Run,
    start::Start,
};
use crate::{
    Failure, FailureKind, Progress, Report, SourceSeq, Stats, Timestamp,
    backoff::{Jitter, request_wait_asked},
};

/// A session of a replication. `D` is the shell's own form of a revision's content.
#[derive(Debug)]
pub struct Session<D> {
    options: Options,
    calls: Calls<D>,
    stage: Stage<D>,
    stats: Stats,
    jitter: Jitter,
    started: Timestamp,
    restarts: u32,
    outcome: Option<Outcome>,
    /// How far it got, once it is over.
    last: Option<Progress>,
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<D> {
    /// Ask a database, and hand the answer to [`Session::handle_response`].
    Send(RequestId, Request<D>),
    /// Nobody waits for this answer any more: let go of it. It is ignored if it comes.
    Abandon(RequestId),
    /// The session is over; it comes last, and once.
    End(Outcome),
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Everything is copied.
    Completed(Report),
    /// It was told to stop, and wrote a checkpoint if it could.
    Stopped,
    /// Something failed that may go away: start the job again, later.
    Crashed(Reason),
    /// Somebody has to change something first.
    Failed(Reason),
}

/// Why a session ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// CouchDB's word for it.
    pub error: &'static str,
    /// What happened, for people; no credentials in it.
    pub reason: String,
}

#[derive(Debug)]
enum Stage<D> {
    Starting(Box<Start>),
    Running(Box<Run<D>>),
    Ended,
}

/// A value for each side.
#[derive(Clone, Debug, Default)]
struct Both<T> {
    source: T,
    target: T,
}

impl<T> Both<T> {
    fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        }
    }
}

impl fmt::Display for Reason {
    /// As `_scheduler` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.reason)
    }
}

/// How often databases may change under a session before it crashes and the scheduler slows it down.
const RESTARTS_MAX: u32 = 3;

impl<D: Clone> Session<D> {
    /// A session that begins `now`.
    pub fn new(options: Options, now: Timestamp) -> Self {
        let mut session = Self {
            calls: Calls::new(),
            stage: Stage::Starting(Box::default()),
            stats: options.stats,
            jitter: Jitter::new(options.jitter_seed),
            started: now,
            restarts: 0,
            outcome: None,
            last: None,
            options,
        };
        session.begin_start();
        session
    }

    /// The next thing to do; `None` until something happens. To be called until it is `None`.
    pub fn poll(&mut self) -> Option<Action<D>> {
        if let Some(id) = self.calls.pop_abandoned() {
            return Some(Action::Abandon(id));
        }
        let held = match &self.stage {
            Stage::Running(run) => run.held_bytes,
            Stage::Starting(_) | Stage::Ended => 0,
        };
        let may_fetch = held == 0 || held < self.options.bytes_max;
        match self.calls.pop(self.options.tuning.http_connections, may_fetch) {
            Some((id, request)) => Some(Action::Send(id, request)),
            None => self.outcome.take().map(Action::End),
        }
    }

    /// A request was answered, or failed. Answers to what nobody waits for are ignored.
    pub fn handle_response(&mut self, id: RequestId, answer: Result<Response<D>, Failure>, now: Timestamp) {
        let Some(call) = self.calls.take(id) else { return };
        match answer {
            Ok(response) => self.on_response(&call, response, now),
            Err(_) if matches!(call.request, Request::Pending(_)) => self.on_pending(None),
            Err(failure) if failure.kind == FailureKind::Transient => self.retry(call, &failure, now),
            Err(failure) => self.on_refusal(call, failure, now),
        }
        self.advance(now);
    }

    /// [`Session::wake_at`] has come. Harmless at any time.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.calls.wake(now);
        self.advance(now);
    }

    /// To end early: writes a checkpoint if one is due to be written, gives up all else, ends as [`Outcome::Stopped`].
    pub fn handle_stop(&mut self, now: Timestamp) {
        match &mut self.stage {
            Stage::Starting(_) => self.end(Outcome::Stopped),
            Stage::Running(run) => {
                run.is_stopping = true;
                self.calls.abandon(|request| request.name() == COMMIT || matches!(request, Request::LoadCheckpoint(_)));
                self.advance(now);
            }
            Stage::Ended => {}
        }
    }

    /// When [`Session::handle_timeout`] is to be called.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let commit = match &self.stage {
            Stage::Running(run) => run.commit_at(),
            Stage::Starting(_) | Stage::Ended => None,
        };
        [self.calls.wake_at(), commit].into_iter().flatten().min()
    }

    /// What to tell people of the session; when it is over, how far it got.
    pub fn progress(&self) -> Progress {
        if let Some(last) = &self.last {
            return last.clone();
        }
        let Stage::Running(run) = &self.stage else {
            let zero = SourceSeq::zero;
            let (checkpointed, through, source) = (zero(), zero(), zero());
            return Progress { stats: self.stats, changes_pending: None, checkpointed, through, source };
        };
        Progress {
            stats: self.stats,
            changes_pending: run.feed.pending,
            checkpointed: run.committed.clone(),
            through: run.window.through().clone(),
            source: run.feed.since.clone(),
        }
    }

    /// Whether [`Session::poll`] has nothing more to say, ever.
    pub fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended) && self.outcome.is_none()
    }

    fn on_response(&mut self, call: &Call<D>, response: Response<D>, now: Timestamp) {
        if !call.request.is_answered_by(&response) {
            // The shell's fault: nothing can be trusted that follows.
            return self.crash(call.request.name(), "the answer belongs to another request");
        }
        match response {
            Response::Created => self.on_created(None),
            Response::Info(info) => self.on_info(call, info),
            Response::Checkpoint(stored) => self.on_checkpoint(call, stored, now),
            Response::Changes(page) => self.on_changes(page),
            Response::Pending(pending) => self.on_pending(pending),
            Response::Missing(missing) => self.on_missing(call, &missing),
            Response::Fetched(got) => self.on_fetched(call, got),
            Response::Transferred(moved) => self.on_transferred(call, moved, now),
            Response::Written(failures) => self.on_written(call, &failures, now),
            Response::Committed(started) => self.on_committed(call, started, now),
            Response::Stored(rev) => self.on_stored(call, rev, now),
        }
    }

    /// Sends the call again, later; ends the session if it failed too often.
    fn retry(&mut self, mut call: Call<D>, failure: &Failure, now: Timestamp) {
        call.failures = call.failures.saturating_add(1);
        if call.failures > self.options.tuning.retries_per_request {
            let error = call.request.name();
            let place = self.place(call.request.side());
            return self.end(Outcome::Crashed(Reason { error, reason: format!("{place}: {}", failure.reason) }));
        }
        let wait = request_wait_asked(call.failures, failure.retry_after, self.jitter.next());
        self.ask_at(now.after(wait), call);
    }

    /// A failure that stays.
    fn on_refusal(&mut self, call: Call<D>, failure: Failure, now: Timestamp) {
        match (&call.request, failure.kind) {
            (Request::CreateTarget(_), _) => self.on_created(Some(failure)),
            (Request::LoadCheckpoint(_), FailureKind::NotFound) => self.on_checkpoint(&call, None, now),
            (Request::BulkGet(_), kind) if kind != FailureKind::Unauthorized && kind != FailureKind::Forbidden => {
                self.on_bulk_get_refused(&call);
            }
            (Request::Transfer(_), FailureKind::NotFound) => self.on_transferred(&call, Vec::new(), now),
            (Request::BulkDocs(_), FailureKind::TooLarge) => self.on_too_large(call),
            (Request::StoreCheckpoint { .. }, FailureKind::Conflict) => self.on_checkpoint_conflict(&call),
            (_, kind) if kind.is_permanent() => {
                let reason = self.permanent(&call.request, &failure);
                self.end(Outcome::Failed(reason));
            }
            _ => {
                let place = self.place(call.request.side());
                let reason = format!("{place}: {}", failure.reason);
                self.end(Outcome::Crashed(Reason { error: call.request.name(), reason }));
            }
        }
    }

    fn permanent(&self, request: &Request<D>, failure: &Failure) -> Reason {
        let place = self.place(request.side());
        if failure.kind == FailureKind::NotFound && !self.was_creation_refused(request.side()) {
            return Reason { error: "db_not_found", reason: format!("could not open {place}") };
        }
        Reason { error: "unauthorized", reason: format!("unauthorized to access or create database {place}") }
    }

    fn place(&self, side: Side) -> &str {
        match side {
            Side::Source => &self.options.source,
            Side::Target => &self.options.target,
        }
    }

    fn ask(&mut self, owner: Owner, request: Request<D>) {
        if !matches!(self.stage, Stage::Ended) {
            self.calls.push(Call::new(owner, request));
        }
    }

    fn ask_at(&mut self, when: Timestamp, call: Call<D>) {
        if !matches!(self.stage, Stage::Ended) {
            self.calls.push_at(when, call);
        }
    }

    fn crash(&mut self, error: &'static str, reason: impl Into<String>) {
        self.end(Outcome::Crashed(Reason { error, reason: reason.into() }));
    }

    fn end(&mut self, outcome: Outcome) {
        // Whoever stops a session does not want to hear why its last checkpoint could not be written.
        let is_stopping = matches!(&self.stage, Stage::Running(run) if run.is_stopping);
        let outcome = if is_stopping { Outcome::Stopped } else { outcome };
        self.calls.abandon(|_| false);
        self.last = Some(self.progress());
        self.stage = Stage::Ended;
        self.outcome = Some(outcome);
    }
}

const COMMIT: &str = "checkpoint_commit_failure";
