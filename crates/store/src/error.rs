//! What can go wrong, by what the caller can do about it.

use std::sync::Arc;
use tidegate_types::DbName;

/// A failed operation on the store. Nothing of it took effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no database of this name, or it was deleted while the handle was held.
    #[error("database {0} does not exist")]
    NoDatabase(DbName),
    /// The database to be made is there already.
    #[error("database {0} exists")]
    DatabaseExists(DbName),
    /// The edit isn't made on a current leaf: read again, then try again.
    #[error("document update conflict")]
    Conflict,
    /// The edit was judged by other rules than those of now: have it judged again.
    #[error("the edit was judged by rules that have changed")]
    Outdated,
    /// A stub names an attachment that the parent revision hasn't got.
    #[error("no attachment {name} to refer to")]
    MissingStub {
        /// The attachment's name.
        name: String,
    },
    /// Too many writes are waiting for this database: try again later.
    #[error("too many writes are waiting")]
    Overloaded,
    /// The store is shutting down.
    #[error("the store is shutting down")]
    Stopped,
    /// The commit that would have held the write failed, with the others in it.
    #[error("the commit failed")]
    Failed(#[source] Arc<Error>),
    /// What was read is not what was written.
    #[error("stored data is corrupt: {0}")]
    Corrupt(#[from] Corrupt),
    /// The storage failed; if it turned read-only, it says why.
    #[error("storage failed")]
    Storage(#[from] tidegate_kv::Error),
}

/// A record on disk that no version of this program wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{record} record: {what}")]
pub struct Corrupt {
    /// Which kind of record.
    pub record: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
}
