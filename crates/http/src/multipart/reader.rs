//! The async shell: a [`Scanner`] fed from a request's body.

use bytes::Bytes;

use super::{Boundary, Event, MultipartError, PartHead, Scanner};
use crate::body::{BodyReader, BoxError};

/// Reads the parts of a body one after the other, each chunk by chunk.
#[derive(Debug)]
pub struct Multipart<B> {
    body: BodyReader<B>,
    scanner: Scanner,
    in_part: bool,
}

impl<B> Multipart<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// A reader at the beginning of `body`.
    pub fn new(body: BodyReader<B>, boundary: &Boundary) -> Self {
        Self { body, scanner: Scanner::new(boundary), in_part: false }
    }

    /// The next part's headers; what is left of the current part is skipped. `None` once all parts were read, after
    /// which the whole body has arrived.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`MultipartError`]; only errors follow it.
    pub async fn next_part(&mut self) -> Result<Option<PartHead>, MultipartError> {
        loop {
            match self.next_event().await? {
                Event::NeedInput | Event::Data(_) => {}
                Event::PartEnd => self.in_part = false,
                Event::Part(head) => {
                    self.in_part = true;
                    return Ok(Some(head));
                }
                Event::End => {
                    while self.body.chunk().await?.is_some() {}
                    return Ok(None);
                }
            }
        }
    }

    /// The next chunk of the current part, never empty; `None` at its end, and when there is no current part.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`MultipartError`]; only errors follow it.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        while self.in_part {
            match self.next_event().await? {
                Event::Data(data) => return Ok(Some(data)),
                Event::PartEnd | Event::End => self.in_part = false,
                Event::NeedInput | Event::Part(_) => {}
            }
        }
        Ok(None)
    }

    /// The body under the parts, for its counters and trailers.
    pub fn body(&self) -> &BodyReader<B> {
        &self.body
    }

    /// The next event that isn't a wish for input.
    async fn next_event(&mut self) -> Result<Event, MultipartError> {
        loop {
            match self.scanner.next_event()? {
                Event::NeedInput => match self.body.chunk().await? {
                    Some(chunk) => self.scanner.feed(chunk),
                    None => self.scanner.close(),
                },
                event @ (Event::Part(_) | Event::Data(_) | Event::PartEnd | Event::End) => return Ok(event),
            }
        }
    }
}
