//! What can be wrong with a login by an identity provider.

use std::borrow::Cow;

/// Why somebody isn't recognised by a token of an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The database's configuration must be mended.
    #[error("{0}")]
    Misconfigured(Cow<'static, str>),
    /// There is no such provider.
    #[error("OpenID Connect not configured for database {0}")]
    NoProvider(String),
    /// The token proves nothing. The caller is told `Invalid login`; the log, why.
    #[error("{0}")]
    Token(Cow<'static, str>),
    /// The provider answers with what can't be used.
    #[error("{0}")]
    Provider(Cow<'static, str>),
    /// The provider refuses what it was asked: its error, and what it says of it.
    #[error("OpenID Connect error: {description} ({kind})")]
    Refused {
        /// Its code, such as `invalid_grant`.
        kind: String,
        /// What it says of it.
        description: String,
    },
    /// What the browser brings isn't what it left with.
    #[error("{0}")]
    Callback(Cow<'static, str>),
}

impl Error {
    pub(crate) fn misconfigured(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Misconfigured(reason.into())
    }

    pub(crate) fn token(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Token(reason.into())
    }

    pub(crate) fn provider(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Provider(reason.into())
    }

    pub(crate) fn callback(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Callback(reason.into())
    }
}
