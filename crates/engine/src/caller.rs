//! Who asks.

use std::sync::Arc;

/// Who asks for an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody who gave no credentials.
    Anonymous,
    /// Everybody, where `tidegate dev` has made everybody an administrator.
    OpenAdmin,
    /// An administrator of the server, by name.
    Admin(Arc<str>),
}

impl Caller {
    /// Whether the caller may do everything.
    pub fn is_admin(&self) -> bool {
        match self {
            Self::Anonymous => false,
            Self::OpenAdmin | Self::Admin(_) => true,
        }
    }
}
