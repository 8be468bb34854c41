//! The socket as hyper sees it: requests that it would refuse for a byte are mended, its bare refusals are worded.

use super::{
    Refusal,
    desk::{Desk, Stage},
    heads::{Heads, Next},
};
use crate::respond::Body;
use bytes::{Buf, Bytes, BytesMut};
use http::{Response, StatusCode};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket under hyper.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    intake: Intake,
    desk: Arc<Desk>,
    refusal: Refusal,
    /// What is written in place of hyper's refusal.
    worded: Option<Bytes>,
}

/// What was read of a socket and not yet understood.
#[derive(Debug)]
pub(crate) struct Intake {
    heads: Heads,
    /// Mended, and to be handed on.
    mended: BytesMut,
    /// As it came, behind `mended`.
    raw: BytesMut,
}

/// Bytes that a client may send ahead while a feed runs; the rest waits in the socket.
const AHEAD_MAX: usize = 16 << 10;

impl Intake {
    /// At the start of a connection, of which `raw` was read already.
    pub(super) fn new(raw: &[u8]) -> Self {
        Self { heads: Heads::new(), mended: BytesMut::new(), raw: BytesMut::from(raw) }
    }

    /// Hands everything on as it comes.
    pub(super) fn untouched(raw: &[u8]) -> Self {
        Self { heads: Heads::lost(), ..Self::new(raw) }
    }

    /// Takes back what hyper had read and not understood. Whether another parser may go on from there.
    pub(super) fn take_back(&mut self, unread: &[u8], desk: &Desk) -> bool {
        if let Some(framing) = desk.take_framing() {
            self.heads.frame(Some(framing));
        }
        let goes_on = self.heads.is_between(unread.len());
        let mut mended = BytesMut::with_capacity(unread.len() + self.mended.len());
        mended.extend_from_slice(unread);
        mended.extend_from_slice(&self.mended);
        self.mended = mended;
        goes_on
    }

    /// All that was read and not understood.
    pub(super) fn into_unread(mut self) -> BytesMut {
        self.mended.extend_from_slice(&self.raw);
        self.mended
    }

    /// Whether more may be read ahead.
    pub(crate) fn has_room(&self) -> bool {
        self.raw.len() < AHEAD_MAX
    }

    /// Keeps what was read ahead.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }

    fn mend(&mut self) {
        while !self.raw.is_empty() {
            match self.heads.next(&self.raw) {
                Next::Pass(length) => self.mended.extend_from_slice(&self.raw.split_to(length)),
                Next::Escape(byte) => {
                    self.raw.advance(1);
                    self.mended.extend_from_slice(&escaped(byte));
                }
                Next::Hold => return,
            }
        }
    }

    /// Whether there was something to hand on.
    fn hand_on(&mut self, into: &mut ReadBuf<'_>) -> bool {
        if self.mended.is_empty() {
            self.mend();
        }
        let length = self.mended.len().min(into.remaining());
        into.put_slice(&self.mended.split_to(length));
        if self.mended.is_empty() {
            self.mended = BytesMut::new();
        }
        length > 0
    }

    /// Takes bytes that were just read into `buffer`, behind `start`. Those to be touched are held back.
    fn look_over(&mut self, buffer: &mut ReadBuf<'_>, start: usize) {
        let new = buffer.filled().get(start..).unwrap_or_default();
        if new.is_empty() {
            return;
        }
        let passed = match self.heads.next(new) {
            Next::Pass(length) if length == new.len() => return,
            Next::Pass(length) => length,
            Next::Hold => 0,
            Next::Escape(byte) => {
                self.mended.extend_from_slice(&escaped(byte));
                self.raw.extend_from_slice(new.get(1..).unwrap_or_default());
                return buffer.set_filled(start);
            }
        };
        self.raw.extend_from_slice(new.get(passed..).unwrap_or_default());
        buffer.set_filled(start + passed);
    }
}

fn escaped(byte: u8) -> [u8; 3] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    [b'%', digit(byte >> 4), digit(byte & 15)]
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, intake: Intake, desk: Arc<Desk>, refusal: Refusal) -> Self {
        Self { stream, intake, desk, refusal, worded: None }
    }

    pub(super) fn into_parts(self) -> (S, Intake) {
        (self.stream, self.intake)
    }

    /// Whether hyper is refusing by itself; then its words are dropped for ours.
    fn is_refusal(&mut self, bytes: &[u8]) -> bool {
        if self.worded.is_some() {
            return true;
        }
        if self.desk.stage() != Stage::Idle {
            return false;
        }
        let status = bytes.strip_prefix(b"HTTP/1.1 ").or(bytes.strip_prefix(b"HTTP/1.0 "));
        let status = status.and_then(|bytes| StatusCode::from_bytes(bytes.get(..3)?).ok());
        let Some(status) = status.filter(StatusCode::is_client_error) else { return false };
        let is_in_target = status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE && self.intake.heads.is_in_target();
        let status = if is_in_target { StatusCode::URI_TOO_LONG } else { status };
        self.worded = Some(wire_text((self.refusal)(status)));
        true
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    fn poll_worded(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(worded) = &mut self.worded else { return Poll::Ready(Ok(())) };
        while !worded.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, worded))?;
            worded.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

/// A whole response as HTTP/1.1 that ends the connection.
pub(super) fn wire_text(response: Response<Body>) -> Bytes {
    let (head, body) = response.into_parts();
    let mut out = format!("HTTP/1.1 {}\r\nconnection: close\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if let Body::Full(content) = body {
        out.extend_from_slice(&content);
    }
    out.into()
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.intake.mended.is_empty() {
            this.intake.heads.frame(this.desk.take_framing());
        }
        loop {
            if this.intake.hand_on(buffer) {
                return Poll::Ready(Ok(()));
            }
            let start = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            if buffer.filled().len() == start {
                return Poll::Ready(Ok(()));
            }
            this.intake.look_over(buffer, start);
            if buffer.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_refusal(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.first().is_some_and(|first| self.is_refusal(first)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_worded(cx))?;
        self.desk.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_worded(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
