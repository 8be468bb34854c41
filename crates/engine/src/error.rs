//! What an operation can come to, by what the caller can do about it.

use crate::config::Refusal;
use std::sync::Arc;
use tidegate_types::{CollectionName, DbName};

/// A failed operation. Nothing of it took effect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is unknown or the password wrong.
    #[error("name or password is incorrect")]
    BadCredentials,
    /// The caller may not do this, or not in this way.
    #[error(transparent)]
    Access(#[from] tidegate_access::Error),
    /// A user or role can't be as it is to be.
    #[error(transparent)]
    Principal(#[from] tidegate_access::principal::Error),
    /// There is a user or role of this name already.
    #[error("Already exists")]
    PrincipalExists(String),
    /// There is no user or role of this name.
    #[error("there is no user or role {0}")]
    NoPrincipal(String),
    /// A login by somebody who vouches for users doesn't work.
    #[error(transparent)]
    Vouching(#[from] tidegate_access::oidc::Error),
    /// An identity provider can't be reached.
    #[error(transparent)]
    Unreachable(#[from] crate::FetchFailure),
    /// A setting of the server can't have this value.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A function of a design document failed, or there is no running it.
    #[error(transparent)]
    Script(#[from] tidegate_script::Error),
    /// The configuration that is kept in the storage can't be read or written.
    #[error("the stored configuration is unreadable")]
    Config(#[source] serde_json::Error),
    /// A document of this id can't stand in this database.
    #[error("{0}")]
    IllegalDocId(&'static str),
    /// A member of a design document isn't what it must be.
    #[error("{0}")]
    InvalidDesign(String),
    /// A function that judges edits is in a language that nothing here runs.
    #[error("{0}")]
    UnknownLanguage(String),
    /// No partition can have this name.
    #[error("{0}")]
    IllegalPartition(&'static str),
    /// Only databases that were made with partitions have them.
    #[error("database is not partitioned")]
    NotPartitioned,
    /// There is no database of this name.
    #[error("database {0} does not exist")]
    NoDatabase(DbName),
    /// There is no collection of this name, or it isn't in use.
    #[error("there is no collection {0}")]
    NoCollection(CollectionName),
    /// There is a database of this name already.
    #[error("database {0} exists")]
    DatabaseExists(DbName),
    /// The server holds as many databases as it may.
    #[error("no more than {0} databases are allowed")]
    TooManyDatabases(usize),
    /// The document, revision or attachment isn't there.
    #[error("not found: {0:?}")]
    NotFound(Absence),
    /// The edit isn't made on a current leaf: read again, then try again.
    #[error("document update conflict")]
    Conflict,
    /// A stub names an attachment that the parent revision hasn't got.
    #[error("document {id} has no attachment {name} to refer to")]
    MissingStub {
        /// The document's id.
        id: String,
        /// The attachment's name.
        name: String,
    },
    /// The document's own text is longer than allowed.
    #[error("document {id} is too large")]
    DocumentTooLarge {
        /// The document's id.
        id: String,
    },
    /// The document's partition is full, and the edit would make it larger.
    #[error("the partition of document {id} is full")]
    PartitionFull {
        /// The document's id.
        id: String,
    },
    /// An attachment is longer than allowed.
    #[error("attachment {name} is too large")]
    AttachmentTooLarge {
        /// The attachment's name; empty where none was named.
        name: String,
    },
    /// Content announced as gzip isn't.
    #[error("attachment {name} is not valid gzip")]
    BadGzip {
        /// The attachment's name; empty where none was named.
        name: String,
    },
    /// Too much is waiting: try again later.
    #[error("the server is overloaded")]
    Overloaded,
    /// The storage takes no more writes; the log says why. Reads go on.
    #[error("the storage takes no writes: {reason}")]
    ReadOnly {
        /// Why.
        reason: Arc<str>,
    },
    /// The disk is full. Reads go on.
    #[error("the storage is full")]
    StorageFull,
    /// The server is at fault.
    #[error("the store failed")]
    Store(#[source] tidegate_store::Error),
}

/// Why something isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// There is no such document or revision.
    Missing,
    /// The document is deleted.
    Deleted,
    /// The document is there; it has no attachment of that name.
    Attachment,
}

impl From<tidegate_store::Error> for Error {
    fn from(error: tidegate_store::Error) -> Self {
        use tidegate_store::Error as Store;
        match error {
            Store::NoDatabase(name) => Self::NoDatabase(name),
            Store::DatabaseExists(name) => Self::DatabaseExists(name),
            Store::Conflict => Self::Conflict,
            // Judged again and again, and outdated each time.
            Store::Outdated => Self::Overloaded,
            Store::MissingStub { name } => Self::MissingStub { id: String::new(), name },
            Store::Overloaded => Self::Overloaded,
            Store::Failed(error) => match &*error {
                Store::NoDatabase(name) => Self::NoDatabase(name.clone()),
                Store::Storage(storage) => Self::of_storage(storage).unwrap_or(Self::Store(Store::Failed(error))),
                Store::DatabaseExists(_)
                | Store::Conflict
                | Store::Outdated
                | Store::MissingStub { .. }
                | Store::Overloaded
                | Store::Failed(_)
                | Store::Stopped
                | Store::Corrupt(_) => Self::Store(Store::Failed(error)),
            },
            Store::Storage(ref storage) => Self::of_storage(storage).unwrap_or(Self::Store(error)),
            Store::Stopped | Store::Corrupt(_) => Self::Store(error),
        }
    }
}

impl Error {
    /// Whether what is stored was found to be damaged.
    pub fn is_damage(&self) -> bool {
        fn is_damaged(error: &tidegate_store::Error) -> bool {
            use tidegate_store::Error as Store;
            match error {
                Store::Corrupt(_) | Store::Storage(tidegate_kv::Error::Corrupt { .. }) => true,
                Store::Failed(error) => is_damaged(error),
                Store::NoDatabase(_)
                | Store::DatabaseExists(_)
                | Store::Conflict
                | Store::Outdated
                | Store::MissingStub { .. }
                | Store::Overloaded
                | Store::Stopped
                | Store::Storage(_) => false,
            }
        }
        matches!(self, Self::Store(error) if is_damaged(error))
    }

    /// What a failure of the storage means for the caller, where it isn't simply a failure.
    fn of_storage(error: &tidegate_kv::Error) -> Option<Self> {
        if let tidegate_kv::Error::ReadOnly { reason } = error {
            return Some(Self::ReadOnly { reason: reason.as_str().into() });
        }
        if matches!(error, tidegate_kv::Error::Busy { .. }) {
            return Some(Self::Overloaded);
        }
        matches!(error, tidegate_kv::Error::Full { .. }).then_some(Self::StorageFull)
    }
}
