//! The streaming reader: one frame at a time, each under the limits.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::{BodyError, BodyLimits, BoxError, ContentCoding};
use crate::gzip::Decoder;

/// The most memory reserved on the word of a client that declares a length.
const CAPACITY_MAX: u64 = 1 << 20;

/// Reads a body chunk by chunk, in bounded memory.
#[derive(Debug)]
pub struct BodyReader<B> {
    body: B,
    limits: BodyLimits,
    /// The length the client declared, if it did.
    declared: Option<u64>,
    received: u64,
    produced: u64,
    /// For how long it waited for the client.
    waited: Duration,
    /// What was received and isn't decoded yet; always empty without a decoder.
    encoded: Bytes,
    decoder: Option<Decoder>,
    trailers: Option<HeaderMap>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

impl<B> BodyReader<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// A reader that decodes `coding`; pass [`ContentCoding::Identity`] to get the bytes as sent.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] from the declared length, before anything is read.
    pub fn new(body: B, coding: ContentCoding, limits: BodyLimits) -> Result<Self, BodyError> {
        let declared = body.size_hint().exact();
        if body.size_hint().lower() > limits.bytes_max {
            return Err(BodyError::TooLarge { bytes_max: limits.bytes_max });
        }
        let decoder = match coding {
            ContentCoding::Identity => None,
            ContentCoding::Gzip => Some(Decoder::default()),
        };
        let (received, produced, waited, encoded) = (0, 0, Duration::ZERO, Bytes::new());
        let (trailers, state) = (None, State::Reading);
        Ok(Self { body, limits, declared, received, produced, waited, encoded, decoder, trailers, state })
    }

    /// The next chunk, never empty; `None` at the end, and again when asked again. After an error only errors follow.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        let chunk = match self.state {
            State::Reading => self.next_chunk().await,
            State::Ended => return Ok(None),
            State::Failed => return Err(BodyError::Truncated),
        };
        if chunk.is_err() {
            self.state = State::Failed;
        }
        chunk
    }

    /// The length the client declared, as sent; `None` for a chunked body.
    pub fn declared_length(&self) -> Option<u64> {
        self.declared
    }

    /// Bytes received up to now, as sent.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The trailers, once the end was reached and if there were any.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// What to reserve for the whole body: the declared length, up to a bound.
    pub(super) fn capacity_hint(&self) -> usize {
        let bytes = self.declared.unwrap_or(0).min(CAPACITY_MAX);
        usize::try_from(bytes).unwrap_or(0)
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            if let Some(piece) = self.decode_piece()? {
                return self.produce(piece).map(Some);
            }
            let Some(data) = self.receive().await? else { return self.end() };
            match &self.decoder {
                None if data.is_empty() => {}
                None => return self.produce(data).map(Some),
                Some(_) => self.encoded = data,
            }
        }
    }

    fn decode_piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        match &mut self.decoder {
            None => Ok(None),
            Some(decoder) => decoder.next(&mut self.encoded).map_err(BodyError::BadEncoding),
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.declared.is_some_and(|declared| self.received < declared) {
            return Err(BodyError::Truncated);
        }
        self.state = State::Ended;
        match self.decoder.take() {
            None => Ok(None),
            Some(decoder) => {
                let rest = decoder.finish().map_err(BodyError::BadEncoding)?;
                if rest.is_empty() { Ok(None) } else { self.produce(rest).map(Some) }
            }
        }
    }

    /// Counts a chunk against the limit. Without a decoder this is the limit on what is received as well.
    fn produce(&mut self, chunk: Bytes) -> Result<Bytes, BodyError> {
        self.produced += chunk.len() as u64;
        self.check_size(self.produced).map(|()| chunk)
    }

    fn check_size(&self, bytes: u64) -> Result<(), BodyError> {
        let bytes_max = self.limits.bytes_max;
        if bytes > bytes_max { Err(BodyError::TooLarge { bytes_max }) } else { Ok(()) }
    }

    /// How long the client may still take, for what it has sent.
    fn patience(&self) -> Duration {
        let earned = self.received.saturating_mul(1_000).checked_div(self.limits.rate_min);
        let allowed =
            earned.and_then(|earned_ms| self.limits.frame_timeout.checked_add(Duration::from_millis(earned_ms)));
        allowed.map_or(Duration::MAX, |allowed| allowed.saturating_sub(self.waited))
    }

    /// The next data frame, as sent.
    async fn receive(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let BodyLimits { frame_timeout, rate_min, .. } = self.limits;
            let patience = self.patience();
            // Only the client's time counts: what we take for a chunk isn't its fault.
            let started = Instant::now();
            let frame = tokio::time::timeout(patience.min(frame_timeout), self.body.frame()).await;
            self.waited += started.elapsed();
            let frame = match frame {
                Err(_elapsed) if patience < frame_timeout => return Err(BodyError::TooSlow { rate_min }),
                Err(_elapsed) => return Err(BodyError::Timeout { frame_timeout }),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(classify(error.into())),
                Ok(Some(Ok(frame))) => frame,
            };
            match frame.into_data() {
                Ok(data) => {
                    self.received += data.len() as u64;
                    self.check_size(self.received)?;
                    return Ok(Some(data));
                }
                Err(frame) => self.trailers = frame.into_trailers().ok().or(self.trailers.take()),
            }
        }
    }
}

/// Tells a client that went away from other failures.
fn classify(error: BoxError) -> BodyError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error.as_ref());
    while let Some(current) = cause {
        if went_away(current) {
            return BodyError::Truncated;
        }
        cause = current.source();
    }
    BodyError::Transport(error)
}

fn went_away(error: &(dyn StdError + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    }
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe))
}
