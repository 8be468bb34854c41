//! The embedded back end: a folder with a commit log and a tree.
//!
//! # Files
//! `FORMAT` (the version), `lock`, `tree.redb`, `large.redb` once there is a [large] value, [checksums](summed_file) of both
//! in `tree.sums` and `large.sums`, and `log/NNNNNNNNNNNNNNNN.log`, the segments of the log.
//!
//! # Life of a commit
//! A dedicated thread, the [committer], takes all waiting transactions as one group and writes them as one
//! [record] to the [log]. While another thread [syncs](syncer) it, the group is applied in an open
//! transaction of the [tree]. When the sync has returned, the tree's transaction is committed in memory, the new
//! snapshot is published, the callers are answered and the watchers woken. Some time later a *checkpoint* makes the tree
//! durable, with the place in the log up to which it holds everything; older segments are used again.
//!
//! [Recovery](recovery) reads the log from that place on. What it relies on: the next record is written only when the
//! one before it is on the disk, so only the last one can be torn.

mod backup;
mod committer;
mod damage;
mod folder;
mod gate;
mod large;
mod log;
mod log_file;
mod op;
mod options;
mod points;
mod queue;
mod record;
mod recovery;
mod scopes;
mod segment;
mod shared;
mod store;
mod summed_file;
mod sums;
mod syncer;
mod tree;
mod tree_file;
mod upgrade;
mod view;
mod vigil;

#[cfg(test)]
mod tests;

pub use backup::{BackupProgress, BackupSummary};
pub use damage::panics_on_damage;
pub use options::EmbeddedOptions;

pub(crate) use backup::build;
pub(crate) use op::Op;
pub(crate) use store::{Store, Turn};
pub(crate) use view::View;
