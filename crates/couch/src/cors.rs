//! What web pages may send to, and read from, this dialect.
//!
//! Source: `chttpd_cors`, `spec/couch.md` 3.9.

use http::{HeaderName, Method, header};
use tidegate_engine::CorsRules;
use tidegate_http::cors::{CorsOptions, Credentials, Origins};

const METHODS: [Method; 2] = [Method::PUT, Method::DELETE];

/// Those that browsers ask for without need.
const SIMPLE_HEADERS: [HeaderName; 3] = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::ORIGIN];

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

/// The rules that the configuration asks for, with the dialect's methods and headers where it names none.
pub(crate) fn options(rules: &CorsRules) -> CorsOptions {
    let copy = Method::from_bytes(b"COPY").ok();
    let methods = rules.methods.as_ref().map(|names| names.iter().filter_map(|name| name.parse().ok()).collect());
    let headers = rules.headers.as_ref().map(|names| {
        names.iter().filter_map(|name| name.to_ascii_lowercase().parse().ok()).chain(SIMPLE_HEADERS).collect()
    });
    CorsOptions {
        origins: Origins::parse(&rules.origins),
        credentials: if rules.credentials.is_on() { Credentials::Allowed } else { Credentials::Refused },
        methods: methods.unwrap_or_else(|| METHODS.into_iter().chain(copy).collect()),
        headers: headers.unwrap_or_else(|| HEADERS.map(HeaderName::from_static).to_vec()),
        exposed: EXPOSED.map(HeaderName::from_static).to_vec(),
        max_age: rules.max_age,
    }
}
