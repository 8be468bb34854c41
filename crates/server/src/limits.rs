//! The limits the system sets.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that the server opens for itself: the storage's, the listeners'.
const OWN_FILES: u64 = 128;

/// Asks for as many open files as the system lets us have: each connection is one.
pub(crate) fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}

/// As many connections as may be open at a time: what is asked for, if the system lets us open as many files.
///
/// The storage must always get a file for its log: without one it would have to stop taking writes.
pub(crate) fn connections(max_connections: usize) -> usize {
    let Some(files) = getrlimit(Resource::Nofile).current else { return max_connections };
    let fitting = usize::try_from(files.saturating_sub(OWN_FILES).max(files / 4)).unwrap_or(usize::MAX);
    if fitting < max_connections {
        tracing::info!(
            files,
            connections = fitting,
            "fewer connections than max_connections: raise the limit of open files"
        );
    }
    fitting.min(max_connections)
}
