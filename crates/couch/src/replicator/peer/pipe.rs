//! Databases of this server as a peer: requests go through memory to the very handlers that answer the network's.
//!
//! So a local database behaves as a remote one does, filters and all, and no rule is there twice. The requests bring the
//! caller on whose behalf the replication works; a request from the network can't, as nothing of it becomes an extension.

use super::connect::Link;
use crate::service::Couch;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use tidegate_engine::Caller;
use tokio::io::DuplexStream;

/// What may be on its way at a time, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Who makes a request that comes from within: an extension of it.
#[derive(Clone)]
pub(crate) struct Trusted(pub(crate) Caller);

/// Connects to this server.
#[derive(Clone)]
pub(super) struct Pipe {
    pub(super) couch: Couch,
    pub(super) caller: Caller,
}

impl Pipe {
    /// A connection, served until its other end is dropped.
    pub(super) fn open(&self) -> Link {
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        drop(self.couch.tasks().spawn(serve(self.clone(), far)));
        Link::new(near)
    }
}

async fn serve(pipe: Pipe, stream: DuplexStream) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Trusted(pipe.caller.clone()));
        let couch = pipe.couch.clone();
        async move { Ok::<_, Infallible>(couch.call(request).await) }
    });
    let mut builder = http1::Builder::new();
    let connection = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a replication's connection within ended badly");
    }
}
