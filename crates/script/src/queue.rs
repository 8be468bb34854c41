//! The bounded queue before the threads of a pool.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::Error;

/// What waits for a thread, first come first served.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    /// Told of each thing that comes, and of the stop.
    is_changed: Condvar,
    waiting_max: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// Why nothing is let in.
    refusal: Option<Error>,
}

impl<T> Queue<T> {
    pub(crate) fn new(waiting_max: usize) -> Self {
        let state = State { waiting: VecDeque::new(), refusal: None };
        Self { state: Mutex::new(state), is_changed: Condvar::new(), waiting_max }
    }

    /// # Errors
    /// [`Error::Overloaded`] when it is full or closed, [`Error::Stopped`] after the stop.
    pub(crate) fn push(&self, each: T) -> Result<(), Error> {
        let mut state = self.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if state.waiting.len() >= self.waiting_max {
            return Err(Error::Overloaded);
        }
        state.waiting.push_back(each);
        drop(state);
        self.is_changed.notify_one();
        Ok(())
    }

    /// Waits for the next; `None` after the stop.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(each) = state.waiting.pop_front() {
                return Some(each);
            }
            if state.refusal == Some(Error::Stopped) {
                return None;
            }
            state = self.is_changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops what waits and lets nothing in any more.
    pub(crate) fn stop(&self) {
        drop(self.refuse(Error::Stopped));
    }

    /// Takes out what waits and lets nothing in until it is opened.
    pub(crate) fn close(&self) -> VecDeque<T> {
        self.refuse(Error::Overloaded)
    }

    /// Lets things in again, but not after a stop.
    pub(crate) fn open(&self) {
        self.lock().refusal.take_if(|refusal| *refusal == Error::Overloaded);
    }

    fn refuse(&self, refusal: Error) -> VecDeque<T> {
        let mut state = self.lock();
        if state.refusal != Some(Error::Stopped) {
            state.refusal = Some(refusal);
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.is_changed.notify_all();
        waiting
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
