//! Many documents in one request.

use super::document::Document;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Which documents are listed.
#[derive(ToSchema)]
#[schema(example = json!({"keys":["note","list"]}))]
pub(in crate::openapi) struct Keys {
    #[serde(default)]
    keys: Vec<String>,
}

/// A list of documents.
#[derive(ToSchema)]
pub(in crate::openapi) struct AllDocs {
    rows: Vec<ListedDocument>,
    /// The number of rows.
    total_rows: u64,
    /// The database's latest sequence when the list began.
    update_seq: u64,
}

/// A document in a list, or that there is none of this id.
#[derive(ToSchema)]
pub(in crate::openapi) struct ListedDocument {
    key: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    value: ListedValue,
    #[serde(default)]
    doc: Document,
    /// The sequence of its latest change.
    #[serde(default)]
    update_seq: u64,
    #[serde(default)]
    error: String,
    #[serde(default)]
    status: u16,
}

/// What a list tells of a document.
#[derive(ToSchema)]
pub(in crate::openapi) struct ListedValue {
    rev: String,
    /// The revision as a version.
    cv: String,
    /// Its channels.
    #[serde(default)]
    channels: Vec<String>,
    /// The channels that it grants, with its sequence, by user or `role:` and a role.
    #[serde(default)]
    access: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Documents to be written.
#[derive(ToSchema)]
#[schema(example = json!({"docs":[{"_id":"note","text":"hello","channels":["notes"]}]}))]
pub(in crate::openapi) struct BulkDocs {
    docs: Vec<Document>,
    /// `false` for revisions that were made elsewhere: they come with their paths, and are merged.
    #[serde(default)]
    new_edits: bool,
}

/// What became of a document.
#[derive(ToSchema)]
pub(in crate::openapi) struct BulkDocsRow {
    id: String,
    #[serde(default)]
    rev: String,
    /// The revision as a version.
    #[serde(default)]
    cv: String,
    /// Why it wasn't written, in a word: `conflict`, `forbidden` …
    #[serde(default)]
    error: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    status: u16,
}

/// Revisions that are wanted.
#[derive(ToSchema)]
#[schema(example = json!({"docs":[{"id":"note"}]}))]
pub(in crate::openapi) struct BulkGet {
    docs: Vec<WantedRevision>,
}

/// A revision that is wanted.
#[derive(ToSchema)]
pub(in crate::openapi) struct WantedRevision {
    id: String,
    /// Without it, the winner.
    #[serde(default)]
    rev: String,
    /// Revisions whose attachments the client has.
    #[serde(default)]
    atts_since: Vec<String>,
    #[serde(default)]
    revs_limit: u64,
}

/// Revisions that were asked for.
#[derive(ToSchema)]
pub(in crate::openapi) struct BulkGot {
    results: Vec<GotDocument>,
}

/// What there is of a document.
#[derive(ToSchema)]
pub(in crate::openapi) struct GotDocument {
    id: String,
    docs: Vec<GotRevision>,
}

/// A revision, or why there is none.
#[derive(ToSchema)]
pub(in crate::openapi) struct GotRevision {
    #[serde(default)]
    ok: Document,
    #[serde(default)]
    #[schema(value_type = Object)]
    error: Value,
}

/// Of a document, what the server hasn't got.
#[derive(ToSchema)]
pub(in crate::openapi) struct MissingRevs {
    missing: Vec<String>,
    /// What it has that might be before.
    #[serde(default)]
    possible_ancestors: Vec<String>,
}
