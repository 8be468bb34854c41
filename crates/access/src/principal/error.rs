//! What is wrong with a user, a role, or what is said of them.

use std::borrow::Cow;
use tidegate_types::PrincipalNameError;

/// Why a user or role can't be as it is to be. `Display` is Sync Gateway's reason, without what it says before it in
/// some of its versions (`Error creating user: `).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The body isn't an object with members of the right kinds.
    #[error("Bad JSON: {0}")]
    BadJson(Cow<'static, str>),
    /// The name in the body isn't that of the path.
    #[error("Name mismatch (can't change name)")]
    NameMismatch,
    /// A user needs a password.
    #[error("Empty passwords are not allowed ")]
    EmptyPassword,
    /// Fewer than three characters.
    #[error("Passwords must be at least three 3 characters")]
    ShortPassword,
    /// More than bcrypt reads.
    #[error("Passwords must be at most 72 bytes")]
    LongPassword,
    /// The hash of a password from elsewhere can't be used.
    #[error("not a bcrypt hash of cost 4 to 14")]
    BadHash,
    /// No role or user can have this name.
    #[error("invalid name: {0}")]
    BadName(PrincipalNameError),
    /// No channel can have this name.
    #[error("Illegal channel name {0:?}")]
    BadChannel(String),
    /// What follows from the rest can't be set.
    #[error("{0} is read-only")]
    ReadOnly(&'static str),
    /// There is no such collection to give access to.
    #[error("keyspace specified in collection_access ({0}) not found")]
    NoKeyspace(String),
    /// A stored record that no version of this program wrote.
    #[error("the stored record of {0} is unreadable")]
    Corrupt(&'static str),
}

impl Error {
    pub(crate) fn bad_json(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::BadJson(reason.into())
    }
}
