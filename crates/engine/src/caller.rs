//! Who asks.

use crate::Error;
use std::sync::Arc;
use tidegate_access::UserCtx;
use tidegate_types::PrincipalName;

/// Who asks for an operation. Only [`Engine`](crate::Engine) makes one, from credentials that it has checked: whoever
/// holds a `Caller` can't have made it up. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    context: Arc<UserCtx>,
    capacity: Capacity,
}

/// As what a caller asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Capacity {
    /// As itself.
    Person,
    /// As the part of the server that keeps replications' documents.
    Replicator,
    /// As a user of one database, which is nobody anywhere else.
    User {
        /// Its uuid.
        database: [u8; 8],
        name: PrincipalName,
    },
}

impl Caller {
    pub(crate) fn new(context: UserCtx) -> Self {
        Self { context: Arc::new(context), capacity: Capacity::Person }
    }

    /// The part of the server that keeps replications' documents.
    pub(crate) fn replicator() -> Self {
        Self { context: Arc::new(UserCtx::nameless_admin()), capacity: Capacity::Replicator }
    }

    /// A user of this database, who was recognised there.
    pub(crate) fn user(context: UserCtx, database: [u8; 8], name: PrincipalName) -> Self {
        Self { context: Arc::new(context), capacity: Capacity::User { database, name } }
    }

    /// The user of this database that the caller is, if it is one.
    pub(crate) fn user_of(&self, database: [u8; 8]) -> Option<&PrincipalName> {
        match &self.capacity {
            Capacity::User { database: own, name } => Some(name).filter(|_| *own == database),
            Capacity::Person | Capacity::Replicator => None,
        }
    }

    /// Whether the caller is a user of some database.
    pub(crate) fn is_database_user(&self) -> bool {
        matches!(self.capacity, Capacity::User { .. })
    }

    /// Whether the caller is anybody: a user, a database's guest, an administrator.
    pub fn is_somebody(&self) -> bool {
        self.is_database_user() || self.context.name.is_some() || self.is_admin()
    }

    /// The user of a database that the caller is; the guest is one. `None` for callers whom the server knows.
    pub fn database_user(&self) -> Option<&PrincipalName> {
        match &self.capacity {
            Capacity::User { name, .. } => Some(name),
            Capacity::Person | Capacity::Replicator => None,
        }
    }

    pub(crate) fn is_replicator(&self) -> bool {
        self.capacity == Capacity::Replicator
    }

    /// The name and the roles.
    pub fn context(&self) -> &UserCtx {
        &self.context
    }

    /// Checks that the caller has said who it is.
    ///
    /// # Errors
    /// [`Error::Access`].
    pub fn check_somebody(&self) -> Result<(), Error> {
        Ok(self.context.check_somebody()?)
    }

    /// Whether the caller administers the server.
    pub fn is_admin(&self) -> bool {
        self.context.is_admin()
    }
}
