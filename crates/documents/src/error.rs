//! What is wrong with a request on documents.

use std::borrow::Cow;
use tidegate_http::{BodyError, multipart::MultipartError};
use tidegate_types::{DocIdError, RevError};

/// A request on documents that can't be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] tidegate_engine::Error),
    /// The text isn't JSON, or not of the shape it must have.
    #[error(transparent)]
    Json(#[from] tidegate_json::Error),
    /// The body could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The multipart body could not be read.
    #[error(transparent)]
    Multipart(#[from] MultipartError),
    /// No revision can have this id.
    #[error(transparent)]
    Rev(#[from] RevError),
    /// No document can have this id.
    #[error(transparent)]
    DocId(#[from] DocIdError),
    /// The client asks for what can't be.
    #[error("{reason}")]
    Refused {
        /// Which part of the request is wrong.
        fault: Fault,
        /// For people.
        reason: Cow<'static, str>,
    },
    /// None of the bytes asked for are there.
    #[error("Requested range not satisfiable")]
    Unsatisfiable {
        /// How many there are.
        length: u64,
    },
    /// The server is at fault; the log says how.
    #[error("the server failed")]
    Internal,
}

/// Which part of a request is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request as such.
    Request,
    /// A document's id.
    DocId,
    /// A `_` member of a document.
    Special,
    /// A media type, or an encoding.
    MediaType,
    /// Content has another digest than was said.
    Digest,
    /// The document says that its reader mustn't see it.
    Inaccessible,
}

impl Error {
    /// A refusal of a request.
    pub fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::refused(Fault::Request, reason)
    }

    /// A refusal for this fault.
    pub fn refused(fault: Fault, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused { fault, reason: reason.into() }
    }

    /// A failure of the server's own: its chain goes to the log.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::Internal
    }
}
