//! A socket that is listened on, and the connections that come in.

use anyhow::{Context, Result};
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use rustix::net::sockopt::set_tcp_user_timeout;
use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tidegate_http::{Arrival, Body, Transport, target::Targets};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// After a failed accept (out of file descriptors, mostly), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client may leave unread what it was sent before the system cuts it off.
const SEND_TIMEOUT_MS: u32 = 120_000;

/// What all listeners share.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) tasks: TaskTracker,
    pub(crate) draining: CancellationToken,
    /// `max_connections`, of all listeners together.
    pub(crate) places: Arc<Semaphore>,
    /// The longest a client may take to send a request's head.
    pub(crate) header_timeout: Duration,
}

/// A bound socket.
pub(crate) struct Listener {
    socket: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Listener {
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self> {
        let socket = TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Answers requests with `answer` until the server drains; then lets running requests end.
    pub(crate) async fn run<A, F>(self, connections: Connections, answer: A)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let graceful = GracefulShutdown::new();
        loop {
            let place = tokio::select! {
                place = Arc::clone(&connections.places).acquire_owned() => place,
                () = connections.draining.cancelled() => break,
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = connections.draining.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let arrival = Arrival { peer: peer.ip(), transport: Transport::Plain };
                    let connection = serve((stream, arrival), &connections, answer.clone(), &graceful);
                    drop(connections.tasks.spawn(async move {
                        connection.await;
                        drop(place);
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        graceful.shutdown().await;
    }
}

/// One connection, until it ends.
fn serve<A, F>(
    (stream, arrival): (TcpStream, Arrival),
    connections: &Connections,
    answer: A,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<A, F>
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    if let Err(error) = set_tcp_user_timeout(&stream, SEND_TIMEOUT_MS) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT could not be set");
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(connections.header_timeout).max_buf_size(64 << 10);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(256).max_header_list_size(64 << 10);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(arrival);
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let connection = builder.serve_connection(TokioIo::new(Targets::new(stream)), service).into_owned();
    let connection = graceful.watch(connection);
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection ended badly");
        }
    }
}
