//! Why a request is refused, in CouchDB's words.

use std::borrow::Cow;

/// Why a request is refused. `Display` is the `reason` CouchDB answers with.
///
/// A variant says what the caller can do; with which status and `error` that is told is the dialect's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Log in, or with other credentials.
    #[error("{0}")]
    Unauthorized(Cow<'static, str>),
    /// Ask somebody who may: logging in again doesn't help.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// Send something else.
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    /// There is nothing of that name that the caller may know of.
    #[error("{0}")]
    NotFound(Cow<'static, str>),
    /// The server's configuration must be mended; the caller can do nothing.
    #[error("{0}")]
    Misconfigured(Cow<'static, str>),
}

impl Error {
    pub(crate) fn unauthorized(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Unauthorized(reason.into())
    }

    pub(crate) fn forbidden(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Forbidden(reason.into())
    }

    pub(crate) fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::BadRequest(reason.into())
    }

    pub(crate) fn misconfigured(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Misconfigured(reason.into())
    }

    /// What CouchDB answers for a document that isn't there, and for one the caller may not know of.
    pub(crate) fn missing() -> Self {
        Self::NotFound("missing".into())
    }

    /// The one answer to a wrong name and to a wrong password.
    pub fn bad_credentials() -> Self {
        Self::unauthorized("Name or password is incorrect.")
    }
}
