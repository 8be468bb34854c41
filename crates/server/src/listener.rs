//! A socket that is listened on, and the connections that come in.

use anyhow::{Context, Result};
use http::{Request, Response};
use hyper::body::Incoming;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use tidegate_couch::refusal;
use tidegate_http::{
    Arrival, Body, Transport,
    connection::{self, ConnectionError, Options},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// After a failed accept (out of file descriptors, mostly), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client may leave unread what it was sent before the system cuts it off.
const SEND_TIMEOUT_MS: u32 = 120_000;

/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Requests under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

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

    /// Answers requests with `answer` until the server drains. Connections end by themselves then, in their tasks.
    pub(crate) async fn run<A, F>(self, connections: Connections, answer: A)
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let options = Arc::new(Options {
            header_timeout: connections.header_timeout,
            head_bytes_max: HEAD_BYTES_MAX,
            streams_max: STREAMS_MAX,
            draining: connections.draining.clone(),
            refusal,
        });
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
                    let answer = answer.clone();
                    let answer = move |mut request: Request<Incoming>| {
                        request.extensions_mut().insert(arrival);
                        answer(request)
                    };
                    let connection = serve(stream, Arc::clone(&options), answer, place);
                    drop(connections.tasks.spawn(connection));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// What `max_connections` gives out.
type Place = Result<OwnedSemaphorePermit, AcquireError>;

/// One connection, until it ends, which keeps its place.
fn serve<A, F>(
    stream: TcpStream,
    options: Arc<Options>,
    answer: A,
    place: Place,
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
    // Boxed: a future that awaits what it was given holds it twice.
    keep(Box::pin(connection::serve(stream, options, answer)), place)
}

async fn keep(connection: Pin<Box<dyn Future<Output = Result<(), ConnectionError>> + Send>>, place: Place) {
    if let Err(error) = connection.await {
        let error = anyhow::Error::from(error);
        tracing::debug!(error = format!("{error:#}"), "a connection ended badly");
    }
    drop(place);
}
