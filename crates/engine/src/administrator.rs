//! The right of the listener that is for administrators alone.

use crate::{Caller, Engine};
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_access::UserCtx;

/// What only the listener may do that lets administrators alone in, by where it listens: there is one of it.
#[derive(Clone, Debug)]
pub struct Administrator(());

/// Whether the right has been handed out.
#[derive(Debug, Default)]
pub(crate) struct Taken(AtomicBool);

impl Engine {
    /// An administrator's rights, for requests that needn't say who makes them; `None` if somebody has them already.
    pub fn take_administrator(&self) -> Option<Administrator> {
        let is_first = !self.inner.administrator_taken.0.swap(true, Ordering::Relaxed);
        is_first.then_some(Administrator(()))
    }
}

impl Administrator {
    /// Administers the server, and has no name.
    pub fn caller(&self) -> Caller {
        Caller::new(UserCtx::nameless_admin())
    }
}
