//! A socket that is listened on, and the connections that come in.

use anyhow::{Context, Result};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::{future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use tidegate_http::{
    Arrival, Body, Transport,
    connection::{self, ConnectionError, Options, Refusal},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// After a failed accept (out of file descriptors, mostly), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client may leave unread what it was sent before the system cuts it off.
const SEND_TIMEOUT_MS: u32 = 120_000;

/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Requests under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// Connections that are told at the same time that there is no place for them. More wait to be accepted.
const REFUSALS_MAX: usize = 64;

/// What listeners share.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) tasks: TaskTracker,
    pub(crate) draining: CancellationToken,
    /// So many connections may be open.
    pub(crate) places: Arc<Semaphore>,
    /// The longest a client may take for the handshake of TLS, and to send a request's head.
    pub(crate) header_timeout: Duration,
}

/// A bound socket.
pub(crate) struct Listener {
    socket: TcpListener,
    pub(crate) address: SocketAddr,
    tls: Option<TlsAcceptor>,
    /// In its dialect's words.
    refusal: Refusal,
}

/// What becomes of a connection.
enum Seat {
    /// It is served.
    Place(OwnedSemaphorePermit),
    /// It is told to come back later.
    Refusal(OwnedSemaphorePermit),
}

type Running = Pin<Box<dyn Future<Output = Result<(), ConnectionError>> + Send>>;

impl Listener {
    pub(crate) async fn bind(address: SocketAddr, tls: Option<TlsAcceptor>, refusal: Refusal) -> Result<Self> {
        let socket = TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, tls, refusal })
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Answers requests with `answer` until the server drains. Connections end by themselves then, in their tasks.
    pub(crate) async fn run<A, F>(self, connections: Connections, answer: A)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let options = Arc::new(connections.options(self.refusal));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = connections.draining.cancelled() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(seat) = connections.seat(&refusals).await else { break };
            set_up(&stream);
            let connection = match seat {
                Seat::Place(place) => keep(self.serve((stream, peer), &options, answer.clone()), place),
                Seat::Refusal(place) => keep(self.refuse(stream, &options), place),
            };
            drop(connections.tasks.spawn(connection));
        }
    }

    /// One connection, until it ends. Boxed: a future that awaits what it was given holds it twice.
    fn serve<A, F>(&self, (stream, peer): (TcpStream, SocketAddr), options: &Arc<Options>, answer: A) -> Running
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let transport = if self.tls.is_some() { Transport::Tls } else { Transport::Plain };
        let arrival = Arrival::new(peer.ip(), transport);
        let answer = move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(arrival);
            answer(request)
        };
        let options = Arc::clone(options);
        match self.tls.clone() {
            None => Box::pin(connection::serve(stream, options, answer)),
            Some(acceptor) => Box::pin(async move {
                let stream = Box::pin(handshake(acceptor, stream, &options)).await?;
                Box::pin(connection::serve_whole(stream, options, answer)).await
            }),
        }
    }

    fn refuse(&self, stream: TcpStream, options: &Arc<Options>) -> Running {
        tracing::debug!("a connection is refused: there are max_connections");
        let (options, status) = (Arc::clone(options), StatusCode::SERVICE_UNAVAILABLE);
        match self.tls.clone() {
            None => Box::pin(async move { connection::refuse(stream, &options, status).await }),
            Some(acceptor) => Box::pin(async move {
                let stream = handshake(acceptor, stream, &options).await?;
                connection::refuse(stream, &options, status).await
            }),
        }
    }
}

impl Connections {
    fn options(&self, refusal: Refusal) -> Options {
        Options {
            header_timeout: self.header_timeout,
            head_bytes_max: HEAD_BYTES_MAX,
            streams_max: STREAMS_MAX,
            draining: self.draining.clone(),
            refusal,
        }
    }

    /// A place if there is one, else one among the refusals as soon as either is free; `None` if the server drains.
    async fn seat(&self, refusals: &Arc<Semaphore>) -> Option<Seat> {
        tokio::select! {
            biased;
            place = Arc::clone(&self.places).acquire_owned() => place.ok().map(Seat::Place),
            place = Arc::clone(refusals).acquire_owned() => place.ok().map(Seat::Refusal),
            () = self.draining.cancelled() => None,
        }
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    options: &Options,
) -> Result<TlsStream<TcpStream>, ConnectionError> {
    let accepted = tokio::select! {
        accepted = timeout(options.header_timeout, acceptor.accept(stream)) => accepted,
        () = options.draining.cancelled() => return Err(ConnectionError::Socket(io::ErrorKind::Interrupted.into())),
    };
    accepted.map_err(|_elapsed| ConnectionError::Silent)?.map_err(ConnectionError::Socket)
}

fn set_up(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    if let Err(error) = set_tcp_user_timeout(stream, SEND_TIMEOUT_MS) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT could not be set");
    }
}

/// Runs a connection, which keeps its place until it ends.
async fn keep(connection: Running, place: OwnedSemaphorePermit) {
    if let Err(error) = connection.await {
        let error = anyhow::Error::from(error);
        tracing::debug!(error = format!("{error:#}"), "a connection ended badly");
    }
    drop(place);
}
