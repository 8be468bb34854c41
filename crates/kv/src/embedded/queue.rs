//! The transactions that wait for the committer, and its other orders.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{Op, gate::Slot, scopes::Hold};
use crate::{Commit, Error};

/// A transaction that waits to be committed. Its scope and its slot are held until it is answered.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) ops: Vec<Op>,
    pub(crate) bytes: usize,
    pub(crate) hold: Hold,
    pub(crate) slot: Slot,
    pub(crate) reply: oneshot::Sender<Result<Commit, Error>>,
}

/// What the committer does next.
#[derive(Debug)]
pub(crate) enum Work {
    /// Commit these as one group.
    Group(Vec<Request>),
    /// The time given to [`Queue::take`] has come.
    Due,
    /// Nothing waits and nothing more will come.
    Close(Option<Closed>),
}

/// Told how closing went.
pub(crate) type Closed = oneshot::Sender<Result<(), Error>>;

/// The queue. It is bounded by the gate: each transaction let in waits in it at most once.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Request>,
    closing: bool,
    closed: Option<Closed>,
}

impl Queue {
    /// Adds a transaction, unless the store is closing.
    pub(crate) fn push(&self, request: Request) -> Result<(), Error> {
        let mut state = self.state();
        if state.closing {
            return Err(Error::Closed);
        }
        state.waiting.push_back(request);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Asks the committer to end when it has committed what waits. Tells `closed`, if this is the first time.
    pub(crate) fn close(&self, closed: Option<Closed>) -> Result<(), Error> {
        let mut state = self.state();
        if state.closing {
            return Err(Error::Closed);
        }
        state.closing = true;
        state.closed = closed;
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether [`Self::close`] was called.
    pub(crate) fn is_closing(&self) -> bool {
        self.state().closing
    }

    /// Waits for work, until `due` if there is nothing. A group is everything that waits, up to `bytes_max`.
    pub(crate) fn take(&self, due: Option<Instant>, bytes_max: usize) -> Work {
        let mut state = self.state();
        loop {
            if !state.waiting.is_empty() {
                return Work::Group(state.group(bytes_max));
            }
            if state.closing {
                return Work::Close(state.closed.take());
            }
            let Some(due) = due else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Work::Due;
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes everything that waits, after a while: for the committer when it can't commit.
    pub(crate) fn drain_after(&self, pause: Duration) -> Vec<Request> {
        let state = self.state();
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closing;
        let (mut state, _) =
            self.changed.wait_timeout_while(state, pause, idle).unwrap_or_else(PoisonError::into_inner);
        state.waiting.drain(..).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    /// Ends the transaction: the next one of its scope may begin, and the caller goes on.
    pub(crate) fn answer(self, result: Result<Commit, Error>) {
        let Self { hold, slot, reply, .. } = self;
        if let Ok(commit) = &result {
            hold.committed(commit.position);
        }
        drop(hold);
        drop(slot);
        // The caller may have stopped waiting.
        reply.send(result).ok();
    }
}

impl State {
    fn group(&mut self, bytes_max: usize) -> Vec<Request> {
        let mut bytes = 0usize;
        let fits = |request: &&Request| {
            bytes = bytes.saturating_add(request.bytes);
            bytes <= bytes_max
        };
        let count = self.waiting.iter().take_while(fits).count().max(1);
        self.waiting.drain(..count).collect()
    }
}
