//! Every failure as Sync Gateway words it: the one mapping from errors to statuses and reasons.
//!
//! The word of an error follows from its status alone; it is another one in rows of bulk answers.
//! Source: `spec/gateway.md` 2.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use std::borrow::Cow;
use tidegate_documents::Fault;
use tidegate_engine::{
    Absence, AccessError, Refusal, ScriptError, oidc::Error as OidcError, principal::Error as PrincipalError,
};
use tidegate_http::{
    Body, BodyError, multipart::MultipartError, path::PathError, query::QueryError, range::content_range_unsatisfied,
    respond,
};
use tidegate_json::write_string;
use tidegate_types::{DocIdError, RevError};

/// A refusal on its way to the client.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) status: StatusCode,
    pub(crate) reason: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Error {
    pub(crate) fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into(), headers: Vec::new() }
    }

    pub(crate) fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) fn bad_json(cause: impl std::fmt::Display) -> Self {
        Self::bad_request(format!("Bad JSON: {cause}"))
    }

    pub(crate) fn not_found(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    pub(crate) fn unknown_url() -> Self {
        Self::not_found("unknown URL")
    }

    pub(crate) fn no_database(name: &str) -> Self {
        Self::not_found(format!("no such database \"{name}\""))
    }

    pub(crate) fn login_required() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Login required")
    }

    pub(crate) fn invalid_login() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Invalid login")
    }

    pub(crate) fn conflict(reason: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, reason)
    }

    /// Tidegate doesn't do it yet.
    pub(crate) fn not_implemented() -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not implemented in this version of Tidegate")
    }

    pub(crate) fn method_not_allowed(allowed: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "").with_header(header::ALLOW, allowed)
    }

    /// The same with one more header, if the value can be one.
    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::try_from(value).map(|value| (name, value)));
        self
    }

    /// The word in an answer that is this error.
    fn word(&self) -> &'static str {
        match self.status {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::CONFLICT => "conflict",
            status => status.canonical_reason().unwrap_or("error"),
        }
    }

    /// The word in a row of an answer that has other rows.
    pub(crate) fn row_word(&self) -> &'static str {
        match self.status {
            StatusCode::BAD_REQUEST => "bad_request",
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::NOT_ACCEPTABLE => "not_acceptable",
            StatusCode::CONFLICT => "conflict",
            StatusCode::PRECONDITION_FAILED => "file_exists",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "bad_content_type",
            status => status.canonical_reason().unwrap_or("error"),
        }
    }

    fn to_json(&self) -> Bytes {
        let mut out = b"{\"error\":".to_vec();
        write_string(&mut out, self.word());
        out.extend_from_slice(b",\"reason\":");
        write_string(&mut out, &self.reason);
        out.push(b'}');
        out.into()
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = respond::json(self.status, self.to_json());
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// What a client gets whose request isn't HTTP, or for whom there is no place, under the status that fits.
pub fn refusal(status: StatusCode) -> Response<Body> {
    let reason = match status {
        StatusCode::URI_TOO_LONG => "The URI is too long.",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "The request's head is too large.",
        StatusCode::SERVICE_UNAVAILABLE => "The server has as many connections as it may (max_connections).",
        _ => "The request is not valid HTTP.",
    };
    let mut error = Error::new(status, reason);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        error = error.with_header(header::RETRY_AFTER, "2");
    }
    error.into_response()
}

const SEE_LOG: &str = "Internal error: see the server's log";

/// A failure of the server's own: the chain goes to the log, never to the client.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Error {
    tracing::error!(error, "a request failed");
    Error::new(StatusCode::INTERNAL_SERVER_ERROR, SEE_LOG)
}

impl From<tidegate_engine::Error> for Error {
    fn from(error: tidegate_engine::Error) -> Self {
        use tidegate_engine::Error as E;
        match error {
            E::BadCredentials => Self::invalid_login(),
            E::Access(error) => error.into(),
            E::Principal(PrincipalError::Corrupt(_)) => internal(&error),
            E::Vouching(OidcError::Misconfigured(_)) => Self::bad_request(error.to_string()),
            E::Principal(PrincipalError::NoKeyspace(_)) => Self::not_found(error.to_string()),
            E::Principal(_) => Self::bad_request(error.to_string()),
            E::PrincipalExists(_) => Self::conflict("Already exists"),
            E::NoPrincipal(_) => Self::not_found("missing"),
            E::Vouching(OidcError::NoProvider(_) | OidcError::Callback(_)) => Self::bad_request(error.to_string()),
            E::Vouching(OidcError::Token(why)) => {
                tracing::info!(%why, "a token proves nothing");
                Self::invalid_login()
            }
            E::Vouching(_) | E::Unreachable(_) => Self::new(StatusCode::BAD_GATEWAY, error.to_string()),
            E::Refused(Refusal::Forbidden) => Self::new(StatusCode::FORBIDDEN, error.to_string()),
            E::Refused(_) | E::IllegalDocId(_) | E::InvalidDesign(_) | E::IllegalPartition(_) | E::NotPartitioned => {
                Self::bad_request(error.to_string())
            }
            E::UnknownLanguage(language) => Self::bad_request(format!("unknown query language: {language}")),
            E::Script(error) => error.into(),
            E::NoDatabase(name) => Self::no_database(name.as_str()),
            E::NoCollection(name) => Self::not_found(format!("keyspace {name} not found")),
            E::DatabaseExists(name) => {
                Self::new(StatusCode::PRECONDITION_FAILED, format!("Duplicate database name \"{name}\""))
            }
            E::TooManyDatabases(_) => Self::new(StatusCode::FORBIDDEN, error.to_string()),
            E::NotFound(Absence::Missing) => Self::not_found("missing"),
            E::NotFound(Absence::Deleted) => Self::not_found("deleted"),
            E::NotFound(Absence::Attachment) => Self::not_found("missing attachment"),
            E::Conflict => Self::conflict("Document revision conflict"),
            E::MissingStub { name, .. } => Self::bad_request(format!("Missing digest in stub attachment \"{name}\"")),
            E::DocumentTooLarge { .. } | E::PartitionFull { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Document too large!")
            }
            E::AttachmentTooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Attachment too large"),
            E::BadGzip { .. } => Self::bad_request(error.to_string()),
            E::Overloaded | E::ReadOnly { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            E::StorageFull => Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
            E::Store(_) | E::Config(_) => internal(&error),
        }
    }
}

impl From<tidegate_documents::Error> for Error {
    fn from(error: tidegate_documents::Error) -> Self {
        use tidegate_documents::Error as E;
        match error {
            E::Engine(error) => error.into(),
            E::Json(error) => error.into(),
            E::Body(error) => error.into(),
            E::Multipart(error) => error.into(),
            E::Rev(error) => error.into(),
            E::DocId(error) => error.into(),
            E::Refused { fault, reason } => match fault {
                Fault::Request | Fault::DocId | Fault::Special | Fault::Digest => Self::bad_request(reason),
                Fault::Inaccessible => Self::not_found(reason),
                Fault::MediaType => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason),
            },
            E::Unsatisfiable { length } => {
                Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "Requested range not satisfiable")
                    .with_header(header::CONTENT_RANGE, &content_range_unsatisfied(length))
            }
            E::Internal => Self::new(StatusCode::INTERNAL_SERVER_ERROR, SEE_LOG),
        }
    }
}

impl From<ScriptError> for Error {
    fn from(error: ScriptError) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        match error {
            ScriptError::Compile { message, .. } => Self::bad_request(message),
            ScriptError::Thrown { reason, .. } => {
                tracing::info!(reason, "a function threw");
                Self::new(status, "Exception in JS sync function")
            }
            ScriptError::Timeout => Self::new(status, "JS sync function timed out"),
            ScriptError::Memory | ScriptError::Stack => Self::new(status, error.to_string()),
            ScriptError::Overloaded => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            ScriptError::Input | ScriptError::Stopped | ScriptError::Internal(_) => internal(&error),
        }
    }
}

impl From<AccessError> for Error {
    fn from(error: AccessError) -> Self {
        match error {
            // What isn't a constant of ours is what a sync function said.
            AccessError::Unauthorized(Cow::Owned(reason)) => Self::new(StatusCode::UNAUTHORIZED, reason),
            AccessError::Unauthorized(Cow::Borrowed(_)) => Self::login_required(),
            AccessError::Forbidden(reason) => Self::new(StatusCode::FORBIDDEN, reason),
            AccessError::BadRequest(reason) => Self::bad_request(reason),
            AccessError::NotFound(reason) => Self::not_found(reason),
            AccessError::Misconfigured(_) => internal(&error),
        }
    }
}

impl From<tidegate_json::Error> for Error {
    fn from(error: tidegate_json::Error) -> Self {
        Self::bad_json(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::bad_json(error)
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        Self::bad_request(match error {
            QueryError::BadValue { parameter, .. } => format!("Bad value for query parameter {parameter:?}"),
            QueryError::NotUtf8 => error.to_string(),
        })
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<DocIdError> for Error {
    fn from(_: DocIdError) -> Self {
        Self::bad_request("Invalid doc ID")
    }
}

impl From<RevError> for Error {
    fn from(_: RevError) -> Self {
        Self::bad_request("Invalid revision ID format")
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Document too large!"),
            BodyError::Timeout { .. } | BodyError::TooSlow { .. } => {
                Self::new(StatusCode::REQUEST_TIMEOUT, error.to_string())
            }
            BodyError::UnknownEncoding { .. } => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Content-Encoding; use gzip")
            }
            BodyError::Truncated | BodyError::BadEncoding(_) | BodyError::Transport(_) => {
                Self::bad_request(error.to_string())
            }
        }
    }
}

impl From<MultipartError> for Error {
    fn from(error: MultipartError) -> Self {
        if let MultipartError::Body(error) = error {
            return error.into();
        }
        Self::bad_request(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_follows_from_the_status() {
        let check = |status: u16, word: &str, row_word: &str| {
            let error = Error::new(StatusCode::from_u16(status).unwrap(), "why \"so\"");
            assert_eq!(error.to_json(), format!("{{\"error\":\"{word}\",\"reason\":\"why \\\"so\\\"\"}}"));
            assert_eq!(error.row_word(), row_word);
        };
        check(400, "Bad Request", "bad_request");
        check(401, "Unauthorized", "unauthorized");
        check(403, "Forbidden", "forbidden");
        check(404, "not_found", "not_found");
        check(406, "Not Acceptable", "not_acceptable");
        check(409, "conflict", "conflict");
        check(412, "Precondition Failed", "file_exists");
        check(415, "Unsupported Media Type", "bad_content_type");
        check(503, "Service Unavailable", "Service Unavailable");
    }
}
