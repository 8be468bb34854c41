//! Ordered, transactional key-value storage: bytes to bytes, in key order, with snapshots.
//!
//! One back end so far, *embedded*: a folder with a commit log of our own in front of a `redb` tree. The interface is made
//! for a second one on PostgreSQL: it is asynchronous, reads are batched, and a transaction holds its *scope* (a
//! database), of which it is the only writer anywhere.
//!
//! # Guarantees
//! - **Durable**: [`Transaction::commit`] returns after the commit has reached the disk (`fdatasync`).
//! - **Atomic**: a transaction is visible, and survives a crash, whole or not at all.
//! - **Ordered**: commits become visible in the order of their [positions](Commit::position); a snapshot that shows one
//!   commit shows every earlier one.
//! - **Snapshots never block writers**, nor the reverse.
//! - **Nothing is skipped**: a torn tail of the log is the group in flight and is cut; damage before it is
//!   [`Error::Corrupt`], naming the file and the offset.
//!
//! # What callers promise
//! Keys of different scopes don't overlap. The store doesn't check it: two transactions of different scopes that write
//! one key are both committed, in either order.
//!
//! # Cost
//! Reads of the embedded back end run inline, in the calling task: they take microseconds, from the tree's cache or the
//! page cache, and more when the disk must be read.

mod embedded;
mod error;
mod health;
mod kv;
mod limits;
mod range;
mod snapshot;
mod transaction;

pub use embedded::{BackupProgress, BackupSummary, EmbeddedOptions, panics_on_damage};
pub use error::Error;
pub use health::{Health, Stats};
pub use kv::Kv;
pub use limits::Limits;
pub use range::{Direction, KeyRange};
pub use snapshot::Snapshot;
pub use transaction::{Commit, Transaction};
