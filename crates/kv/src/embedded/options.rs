//! How an embedded store is opened.

use std::{path::PathBuf, time::Duration};

use crate::Limits;

/// How an embedded store is opened. [`Self::new`] has the defaults; set what should differ.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmbeddedOptions {
    /// The store's folder. Made when it is missing or empty; it must not be a mount point itself.
    pub path: PathBuf,
    /// Memory for the tree's pages: 256 MiB. Half of it may hold pages that wait for the checkpoint; when
    /// `checkpoint_log_bytes` of log change more pages than that, they are written early.
    pub cache_bytes: usize,
    /// A checkpoint is made after so many bytes of log: 32 MiB. It bounds the time that opening takes after a crash.
    pub checkpoint_log_bytes: u64,
    /// A checkpoint is made so long after the first commit that the last one doesn't cover: 10 s.
    pub checkpoint_interval: Duration,
    /// The size at which a segment of the log is ended: 16 MiB. A larger group has a segment of its own.
    pub segment_bytes: u64,
    /// Waiting transactions are taken into one group up to so many bytes: 16 MiB. A larger one is a group of its own.
    pub group_bytes: usize,
    /// A commit or a checkpoint that takes longer is a stall, which [`Health`](crate::Health) tells: 10 s.
    pub stall_after: Duration,
    /// What the store accepts.
    pub limits: Limits,
    #[cfg(test)]
    pub(crate) faults: std::sync::Arc<super::log_file::Faults>,
}

impl EmbeddedOptions {
    /// The defaults, for the store in folder `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_bytes: 256 << 20,
            checkpoint_log_bytes: 32 << 20,
            checkpoint_interval: Duration::from_secs(10),
            segment_bytes: 16 << 20,
            group_bytes: 16 << 20,
            stall_after: Duration::from_secs(10),
            limits: Limits::default(),
            #[cfg(test)]
            faults: std::sync::Arc::default(),
        }
    }
}
