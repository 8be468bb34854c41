//! What web pages may send to, and read from, this dialect, where the configuration doesn't say.
//!
//! Source: `chttpd_cors`, `spec/couch.md` 3.9.

use tidegate_documents::PageRules;

pub(crate) const RULES: PageRules = PageRules { methods: METHODS, headers: HEADERS, exposed: EXPOSED };

const METHODS: &[&str] = &["PUT", "DELETE", "COPY"];

const HEADERS: &[&str] = &[
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

const EXPOSED: &[&str] = &[
    "content-type",
    "cache-control",
    "accept-ranges",
    "etag",
    "server",
    "x-couch-request-id",
    "x-couch-update-newrev",
    "x-couchdb-body-time",
];
