//! A response body with attachments in it: text that is ready, and content that is read while it is sent.
//!
//! Small ones are sent whole; others are streamed by a task of their own, in bounded memory. The length is known in either
//! case.

use crate::Error;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use std::{ops::Range, time::Duration};
use tidegate_engine::{Attachment, AttachmentReader, Database, Encoding};
use tidegate_http::{
    Body,
    gzip::{Decoder, GzipError},
    respond::{self, ClientGone, Sender},
};
use tokio_util::task::TaskTracker;

/// The longest body with attachments that is read whole before it is sent.
const WHOLE_BYTES_MAX: u64 = 64 << 10;
/// Chunks under way to a client; each is 1 MiB at most.
pub(crate) const CHUNKS_MAX: usize = 2;

/// How an attachment's content is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is stored.
    Stored,
    /// These of the bytes as they are stored.
    Part(Range<u64>),
    /// Unpacked.
    Unpacked,
    /// These of the bytes, unpacked.
    UnpackedPart(Range<u64>),
    /// Unpacked, in base64.
    Base64,
}

/// How answers get to the client.
pub struct Delivery<'r> {
    /// The request's method: a `HEAD` gets no body.
    pub method: &'r Method,
    /// Where streamed responses run.
    pub tasks: &'r TaskTracker,
    /// After how long a client that takes nothing counts as gone.
    pub deadline: Duration,
}

/// A body in the making.
#[derive(Debug, Default)]
pub struct Pieces {
    ready: Vec<Piece>,
    ready_length: u64,
    text: Vec<u8>,
}

#[derive(Debug)]
enum Piece {
    Text(Bytes),
    Content(Box<Attachment>, Form),
}

/// Why a stream ends before its end.
#[derive(Debug)]
pub(crate) enum Cut {
    /// Nobody reads it, or not fast enough.
    ClientGone,
    /// It can't be made; the log says why.
    Failed,
}

impl Pieces {
    /// Where text is written to.
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Adds an attachment's content behind the text.
    pub fn content(&mut self, attachment: &Attachment, form: Form) {
        self.settle();
        self.ready_length += content_length(attachment, &form);
        self.ready.push(Piece::Content(Box::new(attachment.clone()), form));
    }

    /// Bytes of the whole.
    pub fn length(&self) -> u64 {
        self.ready_length + self.text.len() as u64
    }

    /// Appends the whole.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn read_into(mut self, db: &Database, out: &mut Vec<u8>) -> Result<(), Error> {
        self.settle();
        for piece in self.ready {
            match piece {
                Piece::Text(text) => out.extend_from_slice(&text),
                Piece::Content(attachment, form) => {
                    let mut content = Content::open(db, &attachment, form).await?;
                    while let Some(chunk) = content.next().await? {
                        out.extend_from_slice(&chunk);
                    }
                }
            }
        }
        Ok(())
    }

    /// The response: whole if it is small, streamed if it isn't.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn respond(
        mut self,
        delivery: &Delivery<'_>,
        db: &Database,
        status: StatusCode,
        content_type: HeaderValue,
    ) -> Result<Response<Body>, Error> {
        let length = self.length();
        if self.ready.is_empty() {
            return Ok(respond::bytes(status, content_type, self.text.into()));
        }
        if *delivery.method == Method::HEAD {
            return Ok(with_length(respond::stream(status, content_type, Body::Empty), length));
        }
        if length <= WHOLE_BYTES_MAX {
            let mut out = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
            self.read_into(db, &mut out).await?;
            return Ok(respond::bytes(status, content_type, out.into()));
        }
        self.settle();
        let (sender, body) = respond::channel(CHUNKS_MAX);
        let (db, deadline) = (db.clone(), delivery.deadline);
        delivery.tasks.spawn(async move {
            match self.stream(&db, &sender, deadline).await {
                Ok(()) => drop(sender.finish().await),
                Err(Cut::ClientGone | Cut::Failed) => sender.abort(),
            }
        });
        Ok(with_length(respond::stream(status, content_type, body), length))
    }

    /// Sends the whole. A client that takes nothing for `deadline` counts as gone.
    pub(crate) async fn stream(mut self, db: &Database, sender: &Sender, deadline: Duration) -> Result<(), Cut> {
        self.settle();
        for piece in self.ready {
            match piece {
                Piece::Text(text) => send(sender, text, deadline).await?,
                Piece::Content(attachment, form) => {
                    let mut content = Content::open(db, &attachment, form).await?;
                    while let Some(chunk) = content.next().await? {
                        send(sender, chunk, deadline).await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self) {
        if !self.text.is_empty() {
            self.ready_length += self.text.len() as u64;
            self.ready.push(Piece::Text(std::mem::take(&mut self.text).into()));
        }
    }
}

async fn send(sender: &Sender, chunk: Bytes, deadline: Duration) -> Result<(), Cut> {
    match tokio::time::timeout(deadline, sender.send(chunk)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ClientGone)) | Err(_) => Err(Cut::ClientGone),
    }
}

fn with_length(mut response: Response<Body>, length: u64) -> Response<Body> {
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn content_length(attachment: &Attachment, form: &Form) -> u64 {
    match form {
        Form::Stored => attachment.stored_length,
        Form::Part(range) | Form::UnpackedPart(range) => range.end.saturating_sub(range.start),
        Form::Unpacked => attachment.length,
        Form::Base64 => attachment.length.div_ceil(3) * 4,
    }
}

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        tracing::warn!(%error, "a response was cut");
        Self::Failed
    }
}

/// An attachment's content being read.
struct Content {
    reader: AttachmentReader,
    decoder: Option<Decoder>,
    /// What was read and isn't decoded yet.
    packed: Bytes,
    /// What isn't a whole group of three yet, where base64 is made.
    base64: Option<Vec<u8>>,
    /// What is wanted of the unpacked bytes that are still to come.
    wanted: Range<u64>,
}

impl Content {
    async fn open(db: &Database, attachment: &Attachment, form: Form) -> Result<Self, Error> {
        let packed = attachment.encoding == Encoding::Gzip;
        let all = 0..u64::MAX;
        let (unpack, base64, range, wanted) = match form {
            Form::Stored => (false, None, None, all),
            Form::Part(range) => (false, None, Some(range), all),
            Form::UnpackedPart(range) if packed => (true, None, None, range),
            Form::UnpackedPart(range) => (false, None, Some(range), all),
            Form::Unpacked => (packed, None, None, all),
            Form::Base64 => (packed, Some(Vec::new()), None, all),
        };
        let reader = db.attachment(attachment, range).await?;
        Ok(Self { reader, decoder: unpack.then(Decoder::default), packed: Bytes::new(), base64, wanted })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(mut group) = self.base64.take() else { return self.next_wanted().await };
        while let Some(chunk) = self.next_plain().await? {
            group.extend_from_slice(&chunk);
            let rest = group.split_off(group.len() - group.len() % 3);
            if group.is_empty() {
                group = rest;
                continue;
            }
            self.base64 = Some(rest);
            return Ok(Some(BASE64_STANDARD.encode(group).into()));
        }
        self.base64 = Some(Vec::new());
        Ok((!group.is_empty()).then(|| BASE64_STANDARD.encode(group).into()))
    }

    async fn next_wanted(&mut self) -> Result<Option<Bytes>, Error> {
        while !self.wanted.is_empty() {
            let Some(chunk) = self.next_plain().await? else { return Ok(None) };
            let wanted = cut(chunk, &mut self.wanted);
            if !wanted.is_empty() {
                return Ok(Some(wanted));
            }
        }
        Ok(None)
    }

    async fn next_plain(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(decoder) = &mut self.decoder
                && let Some(piece) = decoder.next(&mut self.packed).map_err(damaged)?
            {
                return Ok(Some(piece));
            }
            match self.reader.next().await? {
                Some(chunk) if self.decoder.is_some() => self.packed = chunk,
                Some(chunk) => return Ok(Some(chunk)),
                None => {
                    let Some(decoder) = self.decoder.take() else { return Ok(None) };
                    let rest = decoder.finish().map_err(damaged)?;
                    return Ok((!rest.is_empty()).then_some(rest));
                }
            }
        }
    }
}

/// What is wanted of a chunk; behind it, what is wanted of the rest.
fn cut(mut chunk: Bytes, wanted: &mut Range<u64>) -> Bytes {
    let length = chunk.len();
    let end = usize::try_from(wanted.end).unwrap_or(usize::MAX).min(length);
    let start = usize::try_from(wanted.start).unwrap_or(usize::MAX).min(end);
    *wanted = wanted.start.saturating_sub(length as u64)..wanted.end.saturating_sub(length as u64);
    chunk.truncate(end);
    chunk.split_off(start)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn damaged(error: GzipError) -> Error {
    Error::internal(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_out_of_chunks() {
        for (range, expected) in
            [(0..9, "abcdefghi"), (2..4, "cd"), (3..7, "defg"), (8..9, "i"), (0..u64::MAX, "abcdefghi")]
        {
            let mut wanted = range.clone();
            let mut found = Vec::new();
            for chunk in ["abc", "def", "ghi"] {
                found.extend_from_slice(&cut(Bytes::from_static(chunk.as_bytes()), &mut wanted));
            }
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{range:?}");
        }
    }
}
