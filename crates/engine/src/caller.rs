//! Who asks.

use crate::Error;
use std::sync::Arc;
use tidegate_access::UserCtx;

/// Who asks for an operation. Only [`Engine`](crate::Engine) makes one, from credentials that it has checked: whoever
/// holds a `Caller` can't have made it up. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(Arc<UserCtx>);

impl Caller {
    pub(crate) fn new(context: UserCtx) -> Self {
        Self(Arc::new(context))
    }

    /// The name and the roles.
    pub fn context(&self) -> &UserCtx {
        &self.0
    }

    /// Checks that the caller has said who it is.
    ///
    /// # Errors
    /// [`Error::Access`].
    pub fn check_somebody(&self) -> Result<(), Error> {
        Ok(self.0.check_somebody()?)
    }

    /// Whether the caller administers the server.
    pub fn is_admin(&self) -> bool {
        self.0.is_admin()
    }
}
