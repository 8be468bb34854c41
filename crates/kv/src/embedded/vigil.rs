//! Whether commits come to an end, and whether the log finds space: what an operator must know before anybody writes.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::options::EmbeddedOptions;
use crate::Health;

/// Space on the disk, beyond twice that of the group refused, from which on it isn't full any more.
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

/// What the log had no space for: the smallest group of those refused since there was some.
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
        let mut full = lock(&self.full);
        match &mut *full {
            Some(known) => known.bytes = known.bytes.min(bytes),
            None => {
                tracing::error!(reason, "writes find no space on the disk");
                *full = Some(NoSpace { reason: reason.to_owned(), bytes });
            }
        }
    }

    /// A group of so many bytes was committed. One smaller than those refused says nothing: the log has some space ahead.
    pub(crate) fn has_space(&self, bytes: usize) {
        let mut full = lock(&self.full);
        if full.as_ref().is_some_and(|known| u64::try_from(bytes).is_ok_and(|bytes| bytes >= known.bytes)) {
            tracing::info!("writes find space again");
            *full = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_write_does_not_end_being_full() {
        // More than any disk has.
        let (huge, small) = (usize::MAX / 4, 10);
        let folder = tempfile::tempdir().unwrap();
        let vigil = Vigil::new(&EmbeddedOptions::new(folder.path()));
        vigil.is_full("no space", huge);
        assert_eq!(vigil.health(), Health::Full { reason: "no space".to_owned() });
        vigil.has_space(small);
        assert!(matches!(vigil.health(), Health::Full { .. }));
        vigil.has_space(huge);
        assert_eq!(vigil.health(), Health::Ok);
        // The disk itself has space for this.
        vigil.is_full("no space", small);
        assert_eq!(vigil.health(), Health::Ok);
    }
}
