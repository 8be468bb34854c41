//! The limits the system sets.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Asks for as many open files as the system lets us have: each connection is one.
pub(crate) fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}
