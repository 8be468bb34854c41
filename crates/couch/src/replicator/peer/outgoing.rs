//! Bodies of requests, and whether they are still on the move.

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};
use tidegate_http::{Body, body::BoxError};

/// What is handed to the connection at a time, so that progress shows.
const FRAME_BYTES: usize = 64 << 10;

/// How often a body has moved on.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicU64>);

impl Activity {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The body of a request.
pub(super) struct Outgoing {
    content: Content,
    activity: Activity,
}

enum Content {
    Whole(Bytes),
    Stream(Body),
}

impl Outgoing {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { content: Content::Whole(bytes), activity: Activity::default() }
    }

    /// The same once more, unless it is made as it is sent.
    pub(super) fn again(&self) -> Option<Self> {
        match &self.content {
            Content::Whole(bytes) => Some(Self::whole(bytes.clone())),
            Content::Stream(_) => None,
        }
    }

    pub(super) fn stream(body: Body) -> Self {
        Self { content: Content::Stream(body), activity: Activity::default() }
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity.clone()
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.activity.0.fetch_add(1, Ordering::Relaxed);
        match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => {
                let piece = bytes.split_to(FRAME_BYTES.min(bytes.len()));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Content::Stream(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(body) => body.size_hint(),
        }
    }
}
