//! Whether commits come to an end, and whether the log finds space: what an operator must know before anybody writes.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::options::EmbeddedOptions;
use crate::Health;

/// Space on the disk, beyond that of the group refused last, from which on it isn't full any more.
const SPARE_BYTES: u64 = 1 << 20;

/// Watches the committer from outside.
#[derive(Debug)]
pub(crate) struct Vigil {
    folder: PathBuf,
    stall_after: Duration,
    /// Since when the committer is at its present work.
    busy_since: Mutex<Option<Instant>>,
    full: Mutex<Option<NoSpace>>,
}

/// A group for which the log had no space.
#[derive(Debug)]
struct NoSpace {
    reason: String,
    bytes: u64,
}

/// A work that is watched; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watched<'a>(&'a Vigil);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        *lock(&self.0.busy_since) = None;
    }
}

impl Vigil {
    pub(crate) fn new(options: &EmbeddedOptions) -> Self {
        Self {
            folder: options.path.clone(),
            stall_after: options.stall_after,
            busy_since: Mutex::new(None),
            full: Mutex::new(None),
        }
    }

    /// The committer begins a work.
    pub(crate) fn begin(&self) -> Watched<'_> {
        *lock(&self.busy_since) = Some(Instant::now());
        Watched(self)
    }

    /// The log had no space for a group of so many bytes.
    pub(crate) fn is_full(&self, reason: &str, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if lock(&self.full).replace(NoSpace { reason: reason.to_owned(), bytes }).is_none() {
            tracing::error!(reason, "writes find no space on the disk");
        }
    }

    /// A group was committed.
    pub(crate) fn has_space(&self) {
        if lock(&self.full).take().is_some() {
            tracing::info!("writes find space again");
        }
    }

    pub(crate) fn health(&self) -> Health {
        let since = lock(&self.busy_since).map(|since| since.elapsed());
        if let Some(since) = since.filter(|since| *since >= self.stall_after) {
            return Health::Stalled { since };
        }
        self.space()
    }

    /// Nobody may write while the server says that it can't: so the disk is asked, too.
    fn space(&self) -> Health {
        let mut full = lock(&self.full);
        let Some(NoSpace { reason, bytes }) = &*full else { return Health::Ok };
        let needed = bytes.saturating_mul(2).saturating_add(SPARE_BYTES);
        let free = rustix::fs::statvfs(&self.folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free.is_ok_and(|free| free < needed) {
            return Health::Full { reason: reason.clone() };
        }
        tracing::info!("there is space on the disk again");
        *full = None;
        Health::Ok
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
