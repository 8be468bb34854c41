//! Reading and writing `multipart/*` bodies, in bounded memory whatever their size.
//!
//! - [`Scanner`] is the pure core: bytes in, [`Event`]s out, however the bytes were cut.
//! - [`Multipart`] drives it from a request's body.
//! - [`Writer`] makes the bytes around parts, [`Layout`] computes them all beforehand with their total length.
//!
//! Lines end in CRLF, as in CouchDB (`couch_httpd:parse_multipart_request`); only the preamble may have bare line feeds.
//! A text before the first delimiter and after the last is skipped.

mod boundary;
mod head;
mod reader;
mod scanner;
mod writer;

use crate::body::BodyError;

pub use boundary::Boundary;
pub use head::{Disposition, PartHead, disposition};
pub use reader::Multipart;
pub use scanner::{Event, HEAD_BYTES_MAX, Scanner};
pub use writer::{Layout, Writer};

/// Why a multipart body can't be read.
#[derive(Debug, thiserror::Error)]
pub enum MultipartError {
    /// The `Content-Type` is not `multipart/*`.
    #[error("the Content-Type is not multipart")]
    NotMultipart,
    /// The `Content-Type` has no boundary.
    #[error("the multipart Content-Type has no boundary")]
    NoBoundary,
    /// The boundary is empty, longer than 70 characters, or has characters a boundary can't have.
    #[error("the multipart boundary is invalid")]
    BadBoundary,
    /// The body ended before the closing delimiter.
    #[error("the multipart body has no closing delimiter")]
    Unclosed,
    /// The headers of a part are longer than [`HEAD_BYTES_MAX`].
    #[error("the headers of a part are longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// The headers of a part are not headers.
    #[error("the headers of a part are malformed")]
    BadHead,
    /// The body itself could not be read.
    #[error("the multipart body could not be read")]
    Body(#[from] BodyError),
}

#[cfg(test)]
mod tests;
