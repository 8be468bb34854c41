//! Who asks.

use crate::Error;
use std::sync::Arc;
use tidegate_access::UserCtx;

/// Who asks for an operation. Only [`Engine`](crate::Engine) makes one, from credentials that it has checked: whoever
/// holds a `Caller` can't have made it up. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    context: Arc<UserCtx>,
    capacity: Capacity,
}

/// As what a caller asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Capacity {
    /// As itself.
    Person,
    /// As the part of the server that keeps replications' documents.
    Replicator,
}

impl Caller {
    pub(crate) fn new(context: UserCtx) -> Self {
        Self { context: Arc::new(context), capacity: Capacity::Person }
    }

    /// The part of the server that keeps replications' documents.
    pub(crate) fn replicator() -> Self {
        Self { context: Arc::new(UserCtx::nameless_admin()), capacity: Capacity::Replicator }
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
