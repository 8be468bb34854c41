//! One connection: HTTP/1.1 or HTTP/2 by hyper, and feeds without it.
//!
//! When a response is a [feed](crate::feed) and the request was HTTP/1.1, hyper writes the response's head; then the
//! socket is taken out, hyper and its buffers go, and the feed runs on the bare socket. At its end the connection goes
//! back to a new hyper, with what the client sent meanwhile, or is closed where that isn't safe. Below hyper, `wire`
//! mends request targets it would refuse and words its refusals. A connection under TLS is served by hyper throughout.

mod desk;
mod heads;
mod wire;

pub(crate) use wire::Intake;

use crate::{
    feed::Line,
    respond::{Aborted, Body},
    upgrade::Running,
};
use bytes::Bytes;
use desk::{Desk, Handed, Stage};
use heads::Framing;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use wire::{Wire, wire_text};

/// Words a refusal of what isn't HTTP, for the status that fits: 400, 414 or 431; 503 where there is no place. A whole response.
pub type Refusal = fn(StatusCode) -> Response<Body>;

/// How connections are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// The longest a client may take to send a request's head.
    pub header_timeout: Duration,
    /// The largest head, in bytes.
    pub head_bytes_max: usize,
    /// Requests under way on one HTTP/2 connection.
    pub streams_max: u32,
    /// When cancelled, requests under way are answered and no others.
    pub draining: CancellationToken,
    /// What is answered instead of hyper's bare refusals.
    pub refusal: Refusal,
}

/// Why a connection ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The socket failed.
    #[error("the socket failed")]
    Socket(#[source] std::io::Error),
    /// What came isn't HTTP, or the client went in the middle.
    #[error("HTTP failed")]
    Http(#[source] hyper::Error),
    /// The client said nothing for too long.
    #[error("the client sent nothing")]
    Silent,
}

/// What the first bytes of an HTTP/2 connection are.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a connection until it ends.
///
/// # Errors
/// It ended badly; nothing is left to do about it.
pub async fn serve<A, F>(mut stream: TcpStream, options: Arc<Options>, answer: A) -> Result<(), ConnectionError>
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    // Boxed, as all that follows: what is gone must not take up room while a feed waits.
    let Some((first, length)) = Box::pin(read_first(&mut stream, &options)).await? else { return Ok(()) };
    let first = first.get(..length).unwrap_or_default();
    if first == HTTP2_PREFACE {
        return Box::pin(run_http2((stream, Intake::untouched(first)), &options, answer)).await;
    }
    let mut line = Line { stream, intake: Intake::new(first) };
    loop {
        let Line { stream, intake } = line;
        // Each of the two is gone while the other runs.
        let running = run_http1((stream, intake), &options, (answer.clone(), Feeds::Leave));
        let left = match Box::pin(running).await? {
            None => return Ok(()),
            Some(Left::Upgraded(running)) => {
                running.await;
                return Ok(());
            }
            Some(Left::Fed(left)) => left,
        };
        let Some(running) = left.handed.feed.run(Line { stream: left.stream, intake: left.intake }) else {
            return Ok(());
        };
        match running.await {
            Some(back) if left.goes_on && !options.draining.is_cancelled() => line = back,
            Some(_) | None => return Ok(()),
        }
    }
}

/// Serves a connection of another kind, as one under TLS: feeds, too, stay where the others are.
///
/// # Errors
/// As [`serve`].
pub async fn serve_whole<S, A, F>(mut stream: S, options: Arc<Options>, answer: A) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let Some((first, length)) = Box::pin(read_first(&mut stream, &options)).await? else { return Ok(()) };
    let first = first.get(..length).unwrap_or_default();
    if first == HTTP2_PREFACE {
        return Box::pin(run_http2((stream, Intake::untouched(first)), &options, answer)).await;
    }
    let running = run_http1((stream, Intake::new(first)), &options, (answer, Feeds::Stay));
    if let Some(Left::Upgraded(running)) = Box::pin(running).await? {
        running.await;
    }
    Ok(())
}

/// Answers the first request with a refusal, whatever it asks, and ends the connection.
///
/// # Errors
/// The client was silent for too long, or went.
pub async fn refuse<S>(mut stream: S, options: &Options, status: StatusCode) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let refusing = async {
        let mut buffer = [0; 4 << 10];
        // An answer before the request would be lost on clients that don't expect one.
        if stream.read(&mut buffer).await? == 0 {
            return Ok(());
        }
        stream.write_all(&wire_text((options.refusal)(status))).await?;
        stream.shutdown().await?;
        // What is still unread when a socket is closed resets it, and the answer with it.
        let mut left = REFUSED_BYTES_MAX;
        while left > 0 {
            match stream.read(&mut buffer).await? {
                0 => break,
                length => left = left.saturating_sub(length),
            }
        }
        Ok(())
    };
    timeout(options.header_timeout.min(REFUSAL_TIMEOUT), refusing)
        .await
        .map_err(|_elapsed| ConnectionError::Silent)?
        .map_err(ConnectionError::Socket)
}

/// For a refusal to be taken.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// What a refused client may send on meanwhile.
const REFUSED_BYTES_MAX: usize = 64 << 10;

/// Whether feeds leave hyper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feeds {
    Leave,
    Stay,
}

/// What was read first, and how much of it.
type First = ([u8; HTTP2_PREFACE.len()], usize);

/// Reads until it is clear whether this is HTTP/2; `None` if the server drains before.
async fn read_first<S>(stream: &mut S, options: &Options) -> Result<Option<First>, ConnectionError>
where
    S: AsyncRead + Unpin,
{
    let mut first = [0; HTTP2_PREFACE.len()];
    let reading = timeout(options.header_timeout, read_preface(stream, &mut first));
    let length = tokio::select! {
        read = reading => read.map_err(|_elapsed| ConnectionError::Silent)?.map_err(ConnectionError::Socket)?,
        () = options.draining.cancelled() => return Ok(None),
    };
    Ok(Some((first, length)))
}

/// Reads as long as it is the beginning of an HTTP/2 connection. How many bytes.
async fn read_preface<S: AsyncRead + Unpin>(stream: &mut S, first: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < first.len() {
        let length = stream.read(first.get_mut(read..).unwrap_or_default()).await?;
        read += length;
        if length == 0 || first.get(..read) != HTTP2_PREFACE.get(..read) {
            break;
        }
    }
    Ok(read)
}

async fn run_http2<S, A, F>((stream, intake): (S, Intake), options: &Options, answer: A) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let desk = Arc::new(Desk::new());
    // Nothing it writes is to be read as HTTP/1.1.
    desk.enter(Stage::Answering);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).max_concurrent_streams(options.streams_max);
    builder.max_header_list_size(u32::try_from(options.head_bytes_max).unwrap_or(u32::MAX));
    let wire = Wire::new(stream, intake, Arc::clone(&desk), options.refusal);
    let service = hyper::service::service_fn(move |request| {
        let method = request.method().clone();
        let answered = answer(request);
        async move {
            let answered = answered.await;
            Ok::<_, Infallible>(if method == Method::HEAD { head_of(answered) } else { answered })
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(wire), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = options.draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(ConnectionError::Http)
}

/// What answers `HEAD`: the same head, its length included, and no body. hyper does so by itself on HTTP/1.1 alone; on
/// HTTP/2 a client takes a body for a breach of the protocol.
fn head_of(answered: Response<Body>) -> Response<Body> {
    let (mut parts, body) = answered.into_parts();
    if let (Some(length), false) = (body.size_hint().exact(), body.is_end_stream()) {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    Response::from_parts(parts, Body::Empty)
}

/// A connection that left hyper.
enum Left<S> {
    Fed(Fed<S>),
    /// It isn't HTTP any more.
    Upgraded(Running),
}

/// A connection on which a feed goes on.
struct Fed<S> {
    stream: S,
    intake: Intake,
    handed: Handed,
    /// Whether it may go back.
    goes_on: bool,
}

async fn run_http1<S, A, F>(
    (stream, intake): (S, Intake),
    options: &Options,
    (answer, feeds): (A, Feeds),
) -> Result<Option<Left<S>>, ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let desk = Arc::new(Desk::new());
    let wire = Wire::new(stream, intake, Arc::clone(&desk), options.refusal);
    let service = Front { answer, feeds, desk: Arc::clone(&desk) };
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(options.header_timeout).max_buf_size(options.head_bytes_max);
    let mut connection = builder.serve_connection(TokioIo::new(wire), service);
    let mut draining = pin!(options.draining.cancelled());
    let mut is_draining = false;
    let ended = poll_fn(|cx| {
        if !is_draining && draining.as_mut().poll(cx).is_ready() {
            is_draining = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if desk.stage() == Stage::Handed => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    if let Some(ended) = ended.await {
        ended.map_err(ConnectionError::Http)?;
        let Some(takeover) = desk.take_takeover() else { return Ok(None) };
        let parts = connection.into_parts();
        let (stream, mut intake) = parts.io.into_inner().into_parts();
        intake.take_back(&parts.read_buf, &desk);
        return Ok(takeover.run(stream, intake.into_unread()).map(Left::Upgraded));
    }
    let parts = connection.into_parts();
    let Some(handed) = desk.take_handed() else { return Ok(None) };
    let (stream, mut intake) = parts.io.into_inner().into_parts();
    let goes_on = intake.take_back(&parts.read_buf, &desk) && handed.keeps_alive;
    Ok(Some(Left::Fed(Fed { stream, intake, handed, goes_on })))
}

/// The service above hyper.
struct Front<A> {
    answer: A,
    feeds: Feeds,
    desk: Arc<Desk>,
}

impl<A, F> Service<Request<Incoming>> for Front<A>
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    type Response = Response<Outgoing>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Outgoing>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.desk.enter(Stage::Answering);
        self.desk.understood(framing_of(request.body()));
        let may_leave =
            self.feeds == Feeds::Leave && request.version() == Version::HTTP_11 && request.method() != Method::HEAD;
        let keeps_alive = !says_close(request.headers());
        let (answered, desk) = ((self.answer)(request), Arc::clone(&self.desk));
        Box::pin(async move {
            Ok(answered.await.map(|body| {
                let body = match body {
                    Body::Feed(feed) if may_leave => {
                        desk.hand(Handed { feed, keeps_alive });
                        None
                    }
                    Body::Upgrade(mut takeover) => {
                        desk.hand_over(takeover.take());
                        Some(Body::Empty)
                    }
                    Body::Empty | Body::Full(_) | Body::Stream(_) | Body::Pulled(_) | Body::Feed(_) => Some(body),
                };
                Outgoing { body, desk }
            }))
        })
    }
}

fn framing_of(body: &Incoming) -> Framing {
    match (body.is_end_stream(), body.size_hint().exact()) {
        (true, _) => Framing::Sized(0),
        (false, Some(length)) => Framing::Sized(length),
        (false, None) => Framing::Chunked,
    }
}

fn says_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("close"))
}

/// A response's body on its way out.
struct Outgoing {
    /// None where a feed is to follow.
    body: Option<Body>,
    desk: Arc<Desk>,
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => {
                if self.desk.stage() == Stage::Answering {
                    self.desk.enter(Stage::Handing);
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.desk.enter(Stage::Answered);
    }
}
