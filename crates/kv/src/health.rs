//! Whether the store accepts writes, and what it has done so far.

use std::time::Duration;

/// Whether the store accepts writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes.
    Ok,
    /// Reads only, until there is space on the disk.
    Full {
        /// Why, in words for an operator.
        reason: String,
    },
    /// Reads only, until the store is opened again.
    ReadOnly {
        /// Why, in words for an operator.
        reason: String,
    },
    /// Writes are taken and wait: the disk has let a commit or a checkpoint wait for too long, and still does.
    Stalled {
        /// For how long.
        since: Duration,
    },
}

/// What the store has done since it was opened. Counters only grow.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Transactions committed.
    pub commits: u64,
    /// Groups they were committed in.
    pub groups: u64,
    /// Times the log was synced.
    pub log_syncs: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Checkpoints made: commits of the tree that reached the disk.
    pub checkpoints: u64,
    /// Time spent in checkpoints, during which no group is committed.
    pub checkpoint_time: Duration,
    /// The longest checkpoint.
    pub checkpoint_time_max: Duration,
    /// Groups read again from the log when the store was opened.
    pub replayed_groups: u64,
    /// Transactions refused because the disk was full.
    pub refused_full: u64,
    /// The position of the latest commit. Unlike the counters, it goes on from where the store was closed.
    pub position: u64,
    /// Transactions open or waiting now.
    pub transactions_open: usize,
    /// The length of the tree's file now.
    pub tree_bytes: u64,
    /// Whether it is [`Health::Full`]: what finds room is still taken.
    pub full: bool,
    /// Why it is [`Health::ReadOnly`], if it is.
    pub read_only: Option<String>,
    /// Whether it is [`Health::Stalled`].
    pub stalled: bool,
}
