//! Every failure as CouchDB words it: the one mapping from errors to statuses, and the words used in many places.
//!
//! Source: `chttpd:error_info`, `spec/couch.md` 3.11.

use crate::sequence::WireSeqError;
use http::{HeaderValue, StatusCode, header};
use std::borrow::Cow;
use tidegate_documents::Fault;
use tidegate_engine::{
    Absence, AccessError, Refusal, ScriptError, oidc::Error as OidcError, principal::Error as PrincipalError,
};
use tidegate_http::{
    ApiError, BodyError, multipart::MultipartError, path::PathError, query::QueryError,
    range::content_range_unsatisfied,
};
use tidegate_types::{DocIdError, RevError};

/// A refusal on its way to the client.
#[derive(Debug)]
pub(crate) struct Error(pub(crate) ApiError);

impl Error {
    pub(crate) fn new(status: StatusCode, error: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(ApiError::new(status, error, reason))
    }

    pub(crate) fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", reason)
    }

    pub(crate) fn query_parse(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "query_parse_error", reason)
    }

    pub(crate) fn doc_validation(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "doc_validation", reason)
    }

    pub(crate) fn illegal_docid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "illegal_docid", reason)
    }

    pub(crate) fn not_found(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", reason)
    }

    pub(crate) fn unauthorized(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", reason)
    }

    pub(crate) fn forbidden(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", reason)
    }

    pub(crate) fn gone(reason: &'static str) -> Self {
        Self::new(StatusCode::GONE, "gone", reason)
    }

    pub(crate) fn conflict() -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Document update conflict.")
    }

    pub(crate) fn not_implemented() -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", "this feature is not yet implemented")
    }

    /// `allowed` as CouchDB lists them, such as `GET,HEAD`.
    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        let error =
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("Only {allowed} allowed"));
        Self(error.with_header(header::ALLOW, HeaderValue::from_static(allowed)))
    }

    pub(crate) fn bad_content_type(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_content_type", reason)
    }
}

/// The refusal of ranges of which nothing is there.
fn unsatisfiable(length: u64) -> Error {
    let (status, reason) = (StatusCode::RANGE_NOT_SATISFIABLE, "Requested range not satisfiable");
    let error = ApiError::new(status, "requested_range_not_satisfiable", reason);
    match HeaderValue::try_from(content_range_unsatisfied(length)) {
        Ok(value) => Error(error.with_header(header::CONTENT_RANGE, value)),
        Err(_) => Error(error),
    }
}

/// The refusal of a text that isn't one JSON object, as a document is.
pub(crate) fn not_a_document(error: tidegate_json::Error) -> Error {
    if matches!(error, tidegate_json::Error::NotAnObject { .. }) {
        return Error::bad_request("Document must be a JSON object");
    }
    error.into()
}

/// The texts of [`Error::bad_request`] that the CouchDB suites look for.
pub(crate) const INVALID_JSON: &str = "invalid UTF-8 JSON";

impl From<tidegate_engine::Error> for Error {
    fn from(error: tidegate_engine::Error) -> Self {
        use tidegate_engine::Error as E;
        match error {
            E::BadCredentials => Self::unauthorized("Name or password is incorrect."),
            E::Access(error) => error.into(),
            E::Principal(PrincipalError::Corrupt(_)) | E::Vouching(OidcError::Misconfigured(_)) => internal(&error),
            E::Principal(error) => Self::bad_request(error.to_string()),
            E::PrincipalExists(_) => Self::conflict(),
            E::NoPrincipal(_) => Self::not_found("missing"),
            E::Vouching(error) => Self::unauthorized(error.to_string()),
            E::Unreachable(_) => Self::new(StatusCode::BAD_GATEWAY, "bad_gateway", error.to_string()),
            E::Refused(Refusal::Misconfigured(error)) => Self::bad_request(error.to_string()),
            E::Refused(refusal @ Refusal::Forbidden) => Self::forbidden(refusal.to_string()),
            E::Refused(
                refusal @ (Refusal::BadValue(_)
                | Refusal::NoEffect { .. }
                | Refusal::NotListed
                | Refusal::Illegal
                | Refusal::NamelessAdmin
                | Refusal::LastAdmin),
            ) => Self::bad_request(refusal.to_string()),
            E::Script(error) => error.into(),
            E::IllegalDocId(reason) => Self::illegal_docid(reason),
            E::InvalidDesign(reason) => Self::new(StatusCode::BAD_REQUEST, "invalid_design_doc", reason),
            E::UnknownLanguage(language) => Self::new(StatusCode::BAD_REQUEST, "unknown_query_language", language),
            E::IllegalPartition(reason) => Self::new(StatusCode::BAD_REQUEST, "illegal_partition", reason),
            E::NotPartitioned => Self::bad_request("database is not partitioned"),
            E::NoDatabase(_) | E::NoCollection(_) => Self::not_found("Database does not exist."),
            E::DatabaseExists(_) => {
                let reason = "The database could not be created, the file already exists.";
                Self::new(StatusCode::PRECONDITION_FAILED, "file_exists", reason)
            }
            E::TooManyDatabases(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", error.to_string()),
            E::NotFound(Absence::Missing) => Self::not_found("missing"),
            E::NotFound(Absence::Deleted) => Self::not_found("deleted"),
            E::NotFound(Absence::Attachment) => Self::not_found("Document is missing attachment"),
            E::Conflict => Self::conflict(),
            E::MissingStub { id, name } => {
                let reason = format!("Invalid attachment stub in {id} for {name}");
                Self::new(StatusCode::PRECONDITION_FAILED, "missing_stub", reason)
            }
            E::DocumentTooLarge { id } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "document_too_large", id),
            E::PartitionFull { id } => {
                let reason = format!("Partition limit exceeded due to update on '{id}'");
                Self::new(StatusCode::FORBIDDEN, "partition_overflow", reason)
            }
            E::AttachmentTooLarge { name } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "attachment_too_large", name),
            E::BadGzip { .. } => Self::bad_request(error.to_string()),
            E::Overloaded => Self::new(StatusCode::SERVICE_UNAVAILABLE, "service unavailable", error.to_string()),
            E::ReadOnly { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, "service unavailable", error.to_string()),
            E::StorageFull => Self::new(StatusCode::INSUFFICIENT_STORAGE, "insufficient_storage", error.to_string()),
            E::Store(_) if error.is_damage() => {
                tracing::error!(error = &error as &dyn std::error::Error, "a request met damaged data");
                let reason = "stored data is damaged: see the server's log";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", reason)
            }
            E::Store(_) | E::Config(_) => internal(&error),
        }
    }
}

const SEE_LOG: &str = "see the server's log";

/// A failure of the server's own: the chain goes to the log, never to the client.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Error {
    tracing::error!(error, "a request failed");
    Error::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", SEE_LOG)
}

impl From<ScriptError> for Error {
    fn from(error: ScriptError) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        match error {
            ScriptError::Compile { message, .. } => Self::new(StatusCode::BAD_REQUEST, "compilation_error", message),
            // Its words are the function's: whoever wrote it wants them to be read.
            ScriptError::Thrown { error, reason, .. } => Self(ApiError::new(status, error, reason)),
            ScriptError::Timeout | ScriptError::Memory | ScriptError::Stack => {
                Self::new(status, "os_process_error", error.to_string())
            }
            ScriptError::Overloaded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "service unavailable", error.to_string())
            }
            ScriptError::Input | ScriptError::Stopped | ScriptError::Internal(_) => internal(&error),
        }
    }
}

impl From<AccessError> for Error {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Unauthorized(reason) => Self::unauthorized(reason),
            AccessError::Forbidden(reason) => Self::forbidden(reason),
            AccessError::BadRequest(reason) => Self::bad_request(reason),
            AccessError::NotFound(reason) => Self::not_found(reason),
            AccessError::Misconfigured(_) => internal(&error),
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
                Fault::Request => Self::bad_request(reason),
                Fault::Inaccessible => Self::not_found(reason),
                Fault::DocId => Self::illegal_docid(reason),
                Fault::Special => Self::doc_validation(reason),
                Fault::MediaType => Self::bad_content_type(reason),
                // Source: `couch_httpd:error_info(md5_mismatch)`.
                Fault::Digest => Self::new(StatusCode::BAD_REQUEST, "content_md5_mismatch", reason),
            },
            E::Unsatisfiable { length } => unsatisfiable(length),
            E::Internal => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", SEE_LOG),
        }
    }
}

impl From<tidegate_json::Error> for Error {
    fn from(error: tidegate_json::Error) -> Self {
        match error {
            tidegate_json::Error::NotAnObject { .. } => Self::bad_request("Request body must be a JSON object"),
            tidegate_json::Error::Syntax { .. }
            | tidegate_json::Error::Utf8 { .. }
            | tidegate_json::Error::TooDeep { .. }
            | tidegate_json::Error::NotAnArray { .. }
            | tidegate_json::Error::TrailingData { .. } => Self::bad_request(INVALID_JSON),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(_: serde_json::Error) -> Self {
        Self::bad_request(INVALID_JSON)
    }
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        Self::query_parse(match error {
            QueryError::BadValue { expected: "a boolean", value, .. } => {
                format!("Invalid boolean parameter: {value:?}")
            }
            QueryError::BadValue { expected: "an integer", value, .. } => {
                format!("Invalid value for integer: {value:?}")
            }
            QueryError::BadValue { .. } | QueryError::NotUtf8 => error.to_string(),
        })
    }
}

impl From<PathError> for Error {
    fn from(error: PathError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<DocIdError> for Error {
    fn from(error: DocIdError) -> Self {
        Self::illegal_docid(error.to_string())
    }
}

impl From<WireSeqError> for Error {
    fn from(error: WireSeqError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<RevError> for Error {
    fn from(error: RevError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the request entity is too large")
            }
            BodyError::Timeout { .. } | BodyError::TooSlow { .. } => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", error.to_string())
            }
            BodyError::UnknownEncoding { .. } => Self::bad_content_type(error.to_string()),
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
