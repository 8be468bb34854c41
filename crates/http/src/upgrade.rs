//! Connections that stop being HTTP once a response's head is written, as those of WebSockets do.
//!
//! The response is [`response`]; what goes on with the socket is its body. It works on HTTP/1.1 alone: whoever answers
//! with it has looked at the request's version, and at what it asks for.

use crate::respond::{self, Body};
use bytes::{Buf, BytesMut};
use http::{HeaderValue, Response, StatusCode, header};
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket of whatever kind.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A connection that was HTTP.
pub type Socket = Box<dyn Duplex>;

/// What goes on with a socket.
pub struct Takeover(Option<Box<dyn FnOnce(Socket) -> Running + Send>>);

/// Until the connection ends.
pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A response after which the connection belongs to `then`, until what that returns comes to its end.
///
/// The headers that say to which protocol it goes over are yet to be added, `Upgrade` at least.
pub fn response<F>(then: impl FnOnce(Socket) -> F + Send + 'static) -> Response<Body>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut response = respond::empty(StatusCode::SWITCHING_PROTOCOLS);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    *response.body_mut() = Body::Upgrade(Takeover(Some(Box::new(|socket| Box::pin(then(socket))))));
    response
}

impl Takeover {
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// Goes on with a socket of which these bytes were read already.
    pub(crate) fn run<S: Duplex + 'static>(self, stream: S, read: BytesMut) -> Option<Running> {
        Some(self.0?(Box::new(Rewound { read, stream })))
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takeover").finish_non_exhaustive()
    }
}

/// A socket of which something was read too early.
struct Rewound<S> {
    read: BytesMut,
    stream: S,
}

impl<S: Duplex> AsyncRead for Rewound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let length = self.read.len().min(into.remaining());
        into.put_slice(self.read.get(..length).unwrap_or_default());
        self.read.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: Duplex> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
