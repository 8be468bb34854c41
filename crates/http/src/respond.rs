//! Response bodies: one type for whole, streamed and empty ones, so that the hot path boxes nothing.
//!
//! A stream that is dropped before it is [finished](Sender::finish) ends in an error, so that the connection is cut and
//! the client can tell half an answer from a whole one. There is no way to end it well by accident.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use crate::feed::{Feed, FeedBody};
use crate::upgrade::Takeover;

/// The body of every response.
#[derive(Debug, Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// Known as a whole; empty once it was handed out.
    Full(Bytes),
    /// Made while it is sent; see [`channel`].
    Stream(StreamBody),
    /// Made when the connection asks for it; see [`pulled`].
    Pulled(PulledBody),
    /// Made now and then, for hours; see [`feed`].
    Feed(FeedBody),
    /// Nothing: the connection stops being HTTP; see [`crate::upgrade`].
    Upgrade(Takeover),
}

/// Makes a body piece by piece, as fast as the client takes it: no task, no queue. Dropped when the client goes.
pub trait Source: Send + 'static {
    /// The next piece, not empty; `None` at the end. An error cuts the response.
    ///
    /// Dropped only together with the source.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Aborted>> + Send;
}

/// A body that a [`Source`] makes.
pub struct PulledBody {
    /// What makes the next piece; none behind the last.
    next: Option<Step>,
}

type Step = Pin<Box<dyn Future<Output = Stepped> + Send>>;

enum Stepped {
    Piece(Bytes, Step),
    End,
    Aborted,
}

/// The receiving end of [`channel`].
#[derive(Debug)]
pub struct StreamBody {
    items: mpsc::Receiver<Item>,
    done: bool,
}

/// The sending end of [`channel`]. Dropping it without [`finish`](Self::finish) cuts the response.
#[derive(Debug)]
pub struct Sender {
    items: mpsc::Sender<Item>,
}

#[derive(Debug)]
enum Item {
    Chunk(Bytes),
    End,
}

/// Nobody reads the response any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client is gone")]
pub struct ClientGone;

/// The response was given up in the middle, on purpose; the connection must be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response was aborted")]
pub struct Aborted;

/// A streamed body and the handle that fills it, with at most `chunks_max` (at least one) chunks under way.
pub fn channel(chunks_max: usize) -> (Sender, Body) {
    let (sender, items) = mpsc::channel(chunks_max.max(1));
    (Sender { items: sender }, Body::Stream(StreamBody { items, done: false }))
}

/// A body that `source` makes.
pub fn pulled(source: impl Source) -> Body {
    Body::Pulled(PulledBody::of(source))
}

/// A body that `feed` makes. It may leave the connection's HTTP library, see [`crate::feed`].
pub fn feed(feed: impl Feed) -> Body {
    Body::Feed(FeedBody::of(feed))
}

fn step(mut source: impl Source) -> Step {
    Box::pin(async move {
        match source.next().await {
            Ok(Some(piece)) => Stepped::Piece(piece, step(source)),
            Ok(None) => Stepped::End,
            Err(Aborted) => Stepped::Aborted,
        }
    })
}

/// A JSON response with its length.
pub fn json(status: StatusCode, json: Bytes) -> Response<Body> {
    bytes(status, HeaderValue::from_static("application/json"), json)
}

/// A response of any type, known as a whole, with its length.
pub fn bytes(status: StatusCode, content_type: HeaderValue, content: Bytes) -> Response<Body> {
    let length = HeaderValue::from(content.len());
    let mut response = with_body(status, Body::Full(content));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// A response of any type whose body is yet to come; pass the body half of [`channel`].
pub fn stream(status: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = with_body(status, body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A response without a body.
pub fn empty(status: StatusCode) -> Response<Body> {
    with_body(status, Body::Empty)
}

fn with_body(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

impl Sender {
    /// Hands on a chunk, waiting while the queue is full. An empty chunk is dropped.
    ///
    /// Cancel safe: a send that was cancelled sent nothing. Put a deadline on it; a client may stop reading for good.
    ///
    /// # Errors
    /// [`ClientGone`]: stop working for it.
    pub async fn send(&self, chunk: Bytes) -> Result<(), ClientGone> {
        if chunk.is_empty() {
            return if self.items.is_closed() { Err(ClientGone) } else { Ok(()) };
        }
        self.items.send(Item::Chunk(chunk)).await.map_err(|_returned| ClientGone)
    }

    /// Ends the response well.
    ///
    /// # Errors
    /// [`ClientGone`].
    pub async fn finish(self) -> Result<(), ClientGone> {
        self.items.send(Item::End).await.map_err(|_returned| ClientGone)
    }

    /// Cuts the response after what was already sent. The same as dropping the sender, said aloud.
    pub fn abort(self) {}

    /// Waits until the client is gone: for feeds with nothing to send.
    pub async fn closed(&self) {
        self.items.closed().await;
    }
}

impl From<Bytes> for Body {
    fn from(content: Bytes) -> Self {
        if content.is_empty() { Self::Empty } else { Self::Full(content) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match &mut *self {
            Self::Empty | Self::Upgrade(_) => Poll::Ready(None),
            Self::Full(content) => {
                let content = std::mem::take(content);
                *self = Self::Empty;
                Poll::Ready((!content.is_empty()).then(|| Ok(Frame::data(content))))
            }
            Self::Stream(stream) => stream.poll_chunk(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
            Self::Pulled(pulled) => pulled.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(Frame::data))),
            Self::Feed(feed) => {
                *self = Self::Pulled(feed.take().into_pulled());
                self.poll_frame(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Upgrade(_) => true,
            Self::Full(content) => content.is_empty(),
            Self::Stream(stream) => stream.done,
            Self::Pulled(pulled) => pulled.next.is_none(),
            Self::Feed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Upgrade(_) => SizeHint::with_exact(0),
            Self::Full(content) => SizeHint::with_exact(content.len() as u64),
            Self::Stream(_) | Self::Pulled(_) | Self::Feed(_) => SizeHint::default(),
        }
    }
}

impl StreamBody {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        if self.done {
            return Poll::Ready(None);
        }
        let item = ready!(self.items.poll_recv(cx));
        self.done = !matches!(item, Some(Item::Chunk(_)));
        Poll::Ready(match item {
            Some(Item::Chunk(chunk)) => Some(Ok(chunk)),
            Some(Item::End) => None,
            None => Some(Err(Aborted)),
        })
    }
}

impl PulledBody {
    pub(crate) fn of(source: impl Source) -> Self {
        Self { next: Some(step(source)) }
    }

    pub(crate) fn ended() -> Self {
        Self { next: None }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let stepped = ready!(next.as_mut().poll(cx));
        self.next = None;
        Poll::Ready(match stepped {
            Stepped::Piece(piece, next) => {
                self.next = Some(next);
                Some(Ok(piece))
            }
            Stepped::End => None,
            Stepped::Aborted => Some(Err(Aborted)),
        })
    }
}

impl fmt::Debug for PulledBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PulledBody").field("done", &self.next.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_finished_stream_ends_well() {
        let (sender, body) = channel(4);
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        sender.send(Bytes::new()).await.unwrap();
        sender.send(Bytes::from_static(b"b")).await.unwrap();
        sender.finish().await.unwrap();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "ab");
    }

    #[tokio::test]
    async fn an_unfinished_stream_ends_in_an_error() {
        let (sender, mut body) = channel(4);
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        sender.abort();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        assert_eq!(body.frame().await.unwrap().unwrap_err(), Aborted);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_sender_learns_that_the_client_is_gone() {
        let (sender, body) = channel(1);
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        drop(body);
        sender.closed().await;
        assert_eq!(sender.send(Bytes::from_static(b"b")).await, Err(ClientGone));
        assert_eq!(sender.send(Bytes::new()).await, Err(ClientGone));
        assert_eq!(sender.finish().await, Err(ClientGone));
    }

    struct Countdown(u8, Result<(), Aborted>);

    impl Source for Countdown {
        async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
            if self.0 == 0 {
                return self.1.map(|()| None);
            }
            self.0 -= 1;
            Ok(Some(Bytes::from(vec![b'0' + self.0])))
        }
    }

    #[tokio::test]
    async fn a_source_is_asked_until_its_end() {
        let mut body = pulled(Countdown(3, Ok(())));
        assert!(!http_body::Body::is_end_stream(&body));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "2");
        assert_eq!(body.collect().await.unwrap().to_bytes(), "10");
    }

    #[tokio::test]
    async fn a_source_that_fails_cuts_the_response() {
        let mut body = pulled(Countdown(1, Err(Aborted)));
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(body.frame().await.unwrap().unwrap_err(), Aborted);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_whole_body_knows_its_size_and_comes_once() {
        let mut body = Body::from(Bytes::from_static(b"abc"));
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(3));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
        assert!(http_body::Body::is_end_stream(&body));
        assert!(body.frame().await.is_none());
    }
}
