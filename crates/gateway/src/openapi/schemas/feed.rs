//! Feeds of changes.

use super::document::Document;
use serde_json::Value;
use utoipa::ToSchema;

/// What a feed is asked for. Parameters of the query come before these.
#[derive(ToSchema)]
#[schema(example = json!({"feed":"normal","since":0,"limit":100,"include_docs":true}))]
pub(in crate::openapi) struct FeedOptions {
    /// `normal`, `longpoll` or `continuous`.
    #[serde(default)]
    feed: String,
    /// A number, or a text where the feed has told one.
    #[serde(default)]
    since: Value,
    #[serde(default)]
    limit: u64,
    #[serde(default)]
    style: String,
    #[serde(default)]
    active_only: bool,
    #[serde(default)]
    include_docs: bool,
    #[serde(default)]
    revocations: bool,
    /// `sync_gateway/bychannel` or `_doc_ids`.
    #[serde(default)]
    filter: String,
    /// Names with commas between, or an array.
    #[serde(default)]
    channels: Value,
    /// Ids with commas between, or an array.
    #[serde(default)]
    doc_ids: Value,
    /// In milliseconds.
    #[serde(default)]
    heartbeat: u64,
    /// In milliseconds.
    #[serde(default)]
    timeout: u64,
    /// `rev` or `cv`.
    #[serde(default)]
    version_type: String,
}

/// Changes, in their order.
#[derive(ToSchema)]
#[schema(example = json!({"results":[{"seq":2,"id":"note",
    "changes":[{"rev":"1-9af8362a1d70822632752c71b4e6bb49"}]}],"last_seq":"2"}))]
pub(in crate::openapi) struct Changes {
    results: Vec<Change>,
    /// Where to go on: `since` of the next request.
    last_seq: String,
}

/// A change.
#[derive(ToSchema)]
pub(in crate::openapi) struct Change {
    /// A number; a text in the middle of what a grant brings.
    seq: Value,
    id: String,
    #[serde(default)]
    deleted: bool,
    /// The channels that the document has left.
    #[serde(default)]
    removed: Vec<String>,
    /// Whether the user has lost it.
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    doc: Document,
    changes: Vec<ChangedRevision>,
}

/// A leaf of a changed document: by its revision or, if asked for so, by its version.
#[derive(ToSchema)]
pub(in crate::openapi) struct ChangedRevision {
    #[serde(default)]
    rev: String,
    #[serde(default)]
    cv: String,
}
