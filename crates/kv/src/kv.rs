//! The handle on a store.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    BackupProgress, BackupSummary, EmbeddedOptions, Error, Health, Snapshot, Stats, Transaction,
    embedded::{self, Store},
};

/// A handle on an open store. Cheap to clone.
///
/// [`Self::close`] it: when the last handle is dropped instead, what is waiting is still committed, but in the background,
/// and the folder stays locked until then.
#[derive(Debug, Clone)]
pub struct Kv {
    store: Arc<Store>,
}

impl Kv {
    /// Opens the store in a folder, making it if there is none, and reads again what the log holds beyond the tree.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::NotAStore`], [`Error::NewerFormat`], [`Error::Corrupt`], [`Error::Io`],
    /// [`Error::Tree`].
    pub async fn open_embedded(options: EmbeddedOptions) -> Result<Self, Error> {
        Ok(Self { store: Arc::new(Store::open(options).await?) })
    }

    /// The state of the latest commit. Takes well under a microsecond, and never waits for a writer.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        self.store.snapshot()
    }

    /// Waits until no other transaction of `scope` is open, and begins one.
    ///
    /// There is no deadline: set one around it. Dropping the future is safe. A task that begins a second transaction of
    /// the same scope before the first has ended waits for itself.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::ReadOnly`], [`Error::Full`], [`Error::Closed`], and [`Error::KeyTooLong`] for the scope.
    pub async fn begin(&self, scope: &[u8]) -> Result<Transaction, Error> {
        Store::begin(&self.store, scope).await
    }

    /// Changes after each commit of `scope`, to the commit's position, when the commit is visible.
    pub fn watch(&self, scope: &[u8]) -> watch::Receiver<u64> {
        self.store.watch(scope)
    }

    /// Copies the present state into a new store at `dest` while writing goes on.
    ///
    /// `dest` becomes a folder that [`Self::open_embedded`] opens; it appears when it is complete. Dropping the future
    /// gives the backup up, and leaves at most a temporary folder, which the next backup to `dest` removes.
    ///
    /// # Errors
    /// [`Error::Exists`] when `dest` exists; [`Error::Io`], [`Error::Tree`], [`Error::Closed`].
    pub async fn backup(
        &self,
        dest: &Path,
        progress: impl FnMut(BackupProgress) + Send,
    ) -> Result<BackupSummary, Error> {
        self.store.backup(dest, progress).await
    }

    /// Makes a store at `dest`, not yet open, of rows in ascending order of their keys, as `next` gives them until it gives
    /// none. The folder appears when it is complete, or not at all. Blocks.
    ///
    /// # Errors
    /// What `next` failed with; [`Error::Exists`] when `dest` exists and isn't empty; [`Error::Io`], [`Error::Tree`].
    pub fn build<E: From<Error>>(
        dest: &Path,
        next: impl FnMut() -> Result<Option<Vec<(Bytes, Bytes)>>, E>,
    ) -> Result<(), E> {
        embedded::build(dest, next)
    }

    /// Commits what is waiting, makes a last checkpoint and unlocks the folder. Other handles then get
    /// [`Error::Closed`].
    ///
    /// # Errors
    /// What kept the last checkpoint from being made. Nothing that was acknowledged is lost then: the log has it.
    pub async fn close(self) -> Result<(), Error> {
        self.store.close().await
    }

    /// What the store has done since it was opened.
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// Whether the store accepts writes.
    pub fn health(&self) -> Health {
        self.store.health()
    }
}
