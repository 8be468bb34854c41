//! What can go wrong, by what the caller can do about it.

use std::{io, path::PathBuf};

/// Why an operation on the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process, or another handle in this one, has the folder open.
    #[error("the store {} is in use: it is open already, in another process or in this one", path.display())]
    Locked {
        /// The store's folder.
        path: PathBuf,
    },
    /// The folder holds something, but no store.
    #[error("{} is not a Tidegate store: it holds other files and no FORMAT", path.display())]
    NotAStore {
        /// The folder that was to be opened.
        path: PathBuf,
    },
    /// There is something already where a new store (a backup) was to be made.
    #[error("{} exists already", path.display())]
    Exists {
        /// The folder that was to be made.
        path: PathBuf,
    },
    /// A newer version of this program wrote the store.
    #[error("the store {} has format {found}; this version reads formats up to {supported}", path.display())]
    NewerFormat {
        /// The store's folder.
        path: PathBuf,
        /// The format the store declares.
        found: u32,
        /// The newest format this version reads.
        supported: u32,
    },
    /// What is on disk was damaged after it had been written and acknowledged. Restore a backup.
    #[error("{} is damaged at byte {offset}: {detail}", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where in the file; 0 where the place isn't known.
        offset: u64,
        /// What was found there.
        detail: String,
    },
    /// A write or a sync failed, so nothing more is accepted until the store is opened again. Reads go on.
    ///
    /// The transaction that gets this error may turn out to be committed when the store is opened again.
    #[error("the store is read-only: {reason}")]
    ReadOnly {
        /// The failure that made it so.
        reason: String,
    },
    /// There is no space for this transaction. It is not committed; try again when there is.
    #[error("the disk is full: {reason}")]
    Full {
        /// What the system said.
        reason: String,
    },
    /// Too many transactions are open or waiting. Try again later.
    #[error("too many transactions at once: the limit `transactions` is {limit}")]
    Busy {
        /// [`Limits::transactions`](crate::Limits::transactions).
        limit: usize,
    },
    /// A key, or a scope's name, is too long.
    #[error("a key of {bytes} bytes is over the limit `key_bytes` of {limit}")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// [`Limits::key_bytes`](crate::Limits::key_bytes).
        limit: usize,
    },
    /// A value is too large.
    #[error("a value of {bytes} bytes is over the limit `value_bytes` of {limit}")]
    ValueTooLarge {
        /// Its length.
        bytes: usize,
        /// [`Limits::value_bytes`](crate::Limits::value_bytes).
        limit: usize,
    },
    /// The keys and values of one transaction are too large together.
    #[error("a transaction of {bytes} bytes is over the limit `transaction_bytes` of {limit}")]
    TransactionTooLarge {
        /// Its keys and values.
        bytes: usize,
        /// [`Limits::transaction_bytes`](crate::Limits::transaction_bytes).
        limit: usize,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The system refused an operation on a file.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The tree refused an operation.
    #[error("the tree could not {action}")]
    Tree {
        /// What was tried.
        action: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Names the action and the file of an I/O error: `file.sync_data().at("sync", path)?`.
pub(crate) trait IoContext<T> {
    /// The same result, the error saying what was tried on which file.
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, Error>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io { action, path: path.to_owned(), source })
    }
}

/// Whether the system said that there is no space left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An error and its causes in one line, for reasons that must be kept as text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
