//! Request bodies under limits: size, time between frames, and rate.
//!
//! A body is refused from its declared length before a byte is read, or while reading as soon as it is larger. With
//! `Content-Encoding: gzip` the limit holds for the decoded size, and a bomb is never unpacked beyond it. Each frame must
//! arrive within a deadline, and all of them at a least rate, so a client that sends nothing or drips holds nothing for long.

mod reader;

use std::error::Error as StdError;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

pub use reader::BodyReader;

/// The error of any body this crate reads, erased.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What a body may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// The largest size, in bytes, as sent and as decoded.
    pub bytes_max: u64,
    /// The longest wait for the next frame.
    pub frame_timeout: Duration,
    /// What the client must send on average, in bytes a second, beyond the first `frame_timeout`; zero for any.
    pub rate_min: u64,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCoding {
    /// As it is.
    Identity,
    /// With gzip.
    Gzip,
}

/// Why a body could not be read. After any of these the connection can't be used for another request.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than allowed.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The client went away, or ended the body before the length it declared.
    #[error("the body ended early")]
    Truncated,
    /// The client sent nothing for too long.
    #[error("no data for {} seconds", frame_timeout.as_secs_f64())]
    Timeout {
        /// The limit.
        frame_timeout: Duration,
    },
    /// The client sent too little in too long a time.
    #[error("less than {rate_min} bytes a second")]
    TooSlow {
        /// The limit.
        rate_min: u64,
    },
    /// The `Content-Encoding` is none we decode.
    #[error("unsupported Content-Encoding {name:?}")]
    UnknownEncoding {
        /// The header's value.
        name: String,
    },
    /// The body is not what its `Content-Encoding` says.
    #[error("the body does not match its Content-Encoding")]
    BadEncoding(#[source] crate::gzip::GzipError),
    /// The connection failed or the client broke the protocol.
    #[error("the body could not be received")]
    Transport(#[source] BoxError),
}

impl ContentCoding {
    /// The coding a request declares; none is [`Identity`](Self::Identity).
    ///
    /// # Errors
    /// [`BodyError::UnknownEncoding`], also for several codings on top of each other.
    pub fn of(headers: &HeaderMap) -> Result<Self, BodyError> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(value) = values.next() else { return Ok(Self::Identity) };
        let name = String::from_utf8_lossy(value.as_bytes());
        match name.trim() {
            _ if values.next().is_some() => Err(BodyError::UnknownEncoding { name: name.into_owned() }),
            "" => Ok(Self::Identity),
            coding if coding.eq_ignore_ascii_case("identity") => Ok(Self::Identity),
            coding if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") => Ok(Self::Gzip),
            _ => Err(BodyError::UnknownEncoding { name: name.into_owned() }),
        }
    }
}

/// Reads a whole body, decoded as its `Content-Encoding` says. A body of one frame is not copied.
///
/// # Errors
/// [`BodyError`].
pub async fn read_whole<B>(headers: &HeaderMap, body: B, limits: BodyLimits) -> Result<Bytes, BodyError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    BodyReader::new(body, ContentCoding::of(headers)?, limits)?.into_whole().await
}

impl<B> BodyReader<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Reads what is left of the body. A body of one chunk is not copied.
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn into_whole(mut self) -> Result<Bytes, BodyError> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut whole = BytesMut::with_capacity(self.capacity_hint().max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        drop((first, second));
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

#[cfg(test)]
mod tests;
