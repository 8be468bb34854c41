//! Around every request: an id, a log line, a count.

use crate::metrics::Metrics;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use tidegate_http::Body;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-couch-request-id");

/// Observes the requests of one listener.
#[derive(Clone)]
pub(crate) struct Observer {
    metrics: Metrics,
    next: Arc<AtomicU64>,
}

/// The client's, or ten hexadecimal digits, as CouchDB's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RequestId {
    Given(HeaderValue),
    Made(u64),
}

/// The longest id that is taken from a client: that of a UUID.
const GIVEN_BYTES_MAX: usize = 36;

impl RequestId {
    /// The id a request brings along, if it can stand in a log. Source: `chttpd:nonce`.
    fn given(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(REQUEST_ID).filter(|value| value.len() <= GIVEN_BYTES_MAX)?;
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        value.as_bytes().iter().all(is_plain).then(|| Self::Given(value.clone()))
    }

    fn into_header(self) -> Option<HeaderValue> {
        match self {
            Self::Given(value) => Some(value),
            Self::Made(_) => HeaderValue::try_from(self.to_string()).ok(),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(value) => f.write_str(value.to_str().unwrap_or_default()),
            Self::Made(number) => write!(f, "{:010x}", number & 0xff_ffff_ffff),
        }
    }
}

impl Observer {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, next: Arc::new(AtomicU64::new(rand::random())) }
    }

    /// Has a request answered by `answer`, and sees what comes of it.
    pub(crate) async fn call<A, F>(self, answer: A, request: Request<Incoming>) -> Response<Body>
    where
        A: FnOnce(Request<Incoming>) -> F,
        F: Future<Output = Response<Body>>,
    {
        let started = Instant::now();
        let id = RequestId::given(request.headers());
        let id = id.unwrap_or_else(|| RequestId::Made(self.next.fetch_add(1, Ordering::Relaxed)));
        let method = request.method().clone();
        let span = tracing::info_span!("request", %id, %method, path = request.uri().path());
        let mut response = answer(request).instrument(span.clone()).await;
        let (status, took) = (response.status(), started.elapsed());
        self.metrics.count(&method, status, took);
        let took_us = took.as_micros();
        if status.is_server_error() && status != http::StatusCode::NOT_IMPLEMENTED {
            tracing::warn!(parent: &span, status = status.as_u16(), took_us, "answered");
        } else {
            tracing::debug!(parent: &span, status = status.as_u16(), took_us, "answered");
        }
        if let Some(id) = id.into_header() {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sent: &str, taken: bool) {
        let value = HeaderValue::try_from(sent).unwrap();
        let headers = HeaderMap::from_iter([(REQUEST_ID, value.clone())]);
        assert_eq!(RequestId::given(&headers), taken.then_some(RequestId::Given(value)), "{sent}");
    }

    #[test]
    fn a_client_may_name_its_request() {
        check("E7498DE1-B661-42FA-943D-17F890143068", true);
        check("a_b", true);
        check(&"x".repeat(37), false);
        check("a b", false);
        check("a\"b", false);
        assert_eq!(RequestId::given(&HeaderMap::new()), None);
        assert_eq!(RequestId::Made(0xff_1234).to_string(), "0000ff1234");
    }
}
