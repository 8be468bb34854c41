//! What web pages may send to, and read from, this dialect.
//!
//! Source: `chttpd_cors`, `spec/couch.md` 3.9.

use http::{HeaderName, Method};
use std::time::Duration;
use tidegate_http::cors::{CorsOptions, Credentials, Origins};

const METHODS: [Method; 2] = [Method::PUT, Method::DELETE];

const HEADERS: [&str; 20] = [
    "accept",
    "accept-language",
    "authorization",
    "cache-control",
    "content-length",
    "content-md5",
    "content-range",
    "content-type",
    "destination",
    "expires",
    "if-match",
    "if-none-match",
    "last-event-id",
    "last-modified",
    "origin",
    "pragma",
    "range",
    "x-couch-full-commit",
    "x-http-method-override",
    "x-requested-with",
];

const EXPOSED: [&str; 8] = [
    "content-type",
    "cache-control",
    "accept-ranges",
    "etag",
    "server",
    "x-couch-request-id",
    "x-couch-update-newrev",
    "x-couchdb-body-time",
];

/// The dialect's rules for these origins. A preflight's answer holds for ten minutes.
pub fn cors(origins: Origins, credentials: Credentials) -> CorsOptions {
    let copy = Method::from_bytes(b"COPY").ok();
    CorsOptions {
        origins,
        credentials,
        methods: METHODS.into_iter().chain(copy).collect(),
        headers: HEADERS.map(HeaderName::from_static).to_vec(),
        exposed: EXPOSED.map(HeaderName::from_static).to_vec(),
        max_age: Duration::from_secs(600),
    }
}
