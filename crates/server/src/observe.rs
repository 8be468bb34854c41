//! Around every request: an id, a log line, a count.

use crate::metrics::Metrics;
use http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tidegate_couch::Couch;
use tidegate_http::Body;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-couch-request-id");

/// Observes the requests of one listener.
#[derive(Clone)]
pub(crate) struct Observer {
    metrics: Metrics,
    next: Arc<AtomicU64>,
}

/// Ten hexadecimal digits, as CouchDB's.
#[derive(Clone, Copy)]
struct RequestId(u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010x}", self.0 & 0xff_ffff_ffff)
    }
}

impl Observer {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, next: Arc::new(AtomicU64::new(rand::random())) }
    }

    /// Has a request answered, and sees what comes of it.
    pub(crate) async fn call(self, couch: Couch, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let method = request.method().clone();
        let span = tracing::info_span!("request", %id, %method, path = request.uri().path());
        let mut response = couch.call(request).instrument(span.clone()).await;
        let (status, took) = (response.status(), started.elapsed());
        self.metrics.count(&method, status, took);
        let took_us = took.as_micros();
        if status.is_server_error() && status != http::StatusCode::NOT_IMPLEMENTED {
            tracing::warn!(parent: &span, status = status.as_u16(), took_us, "answered");
        } else {
            tracing::debug!(parent: &span, status = status.as_u16(), took_us, "answered");
        }
        if let Ok(id) = HeaderValue::try_from(id.to_string()) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}
