//! Documents of every kind.

use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A document. Members that don't begin with `_` are the application's own.
#[derive(ToSchema)]
#[schema(example = json!({"_id":"note","_rev":"1-9af8362a1d70822632752c71b4e6bb49","text":"hello","channels":["notes"]}))]
pub(in crate::openapi) struct Document {
    #[serde(default)]
    _id: String,
    /// The revision. In a write, the one that is edited.
    #[serde(default)]
    _rev: String,
    /// The revision as a version.
    #[serde(default)]
    _cv: String,
    #[serde(default)]
    _deleted: bool,
    /// When it is deleted by itself: seconds since 1970 or a date, in a write.
    #[serde(default)]
    _exp: Value,
    #[serde(default)]
    _attachments: BTreeMap<String, Attachment>,
    /// The path to the revision, with `new_edits=false` or where `revs=true` asks for it.
    #[serde(default)]
    _revisions: Revisions,
    /// What the application keeps.
    #[serde(flatten)]
    members: BTreeMap<String, Value>,
}

/// A path in a document's history, from the revision back to the oldest that is remembered.
#[derive(ToSchema)]
#[schema(example = json!({"start":2,"ids":["b91bb807b4685080c6a651115ff558f5","9af8362a1d70822632752c71b4e6bb49"]}))]
pub(in crate::openapi) struct Revisions {
    /// The generation of the first of the digests.
    start: u64,
    ids: Vec<String>,
}

/// What is known of an attachment; in a write, with its content or as a `stub` of what is there.
#[derive(ToSchema)]
pub(in crate::openapi) struct Attachment {
    #[serde(default)]
    content_type: String,
    /// `md5-` and the digest in base64.
    #[serde(default)]
    digest: String,
    #[serde(default)]
    length: u64,
    /// The generation in which it came.
    #[serde(default)]
    revpos: u64,
    #[serde(default)]
    stub: bool,
    /// The content in base64.
    #[serde(default)]
    data: String,
    /// In a multipart document: the content is in a part of its own.
    #[serde(default)]
    follows: bool,
    #[serde(default)]
    encoding: String,
    #[serde(default)]
    encoded_length: u64,
}

/// A write that is done.
#[derive(ToSchema)]
#[schema(example = json!({"id":"note","ok":true,"rev":"1-9af8362a1d70822632752c71b4e6bb49"}))]
pub(in crate::openapi) struct Written {
    id: String,
    ok: bool,
    rev: String,
    /// The revision as a version.
    cv: String,
}

/// A revision that was asked for: the document, or that there is none.
#[derive(ToSchema)]
pub(in crate::openapi) struct OpenRev {
    #[serde(default)]
    ok: Document,
    /// The revision that isn't there.
    #[serde(default)]
    missing: String,
}

/// A document, or several revisions of one where those are asked for.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::openapi) enum ReadDocument {
    One(Document),
    Revisions(Vec<OpenRev>),
}

/// A document that stays on this server and in no history.
#[derive(ToSchema)]
#[schema(example = json!({"_id":"_local/checkpoint","_rev":"0-1","seq":"7"}))]
pub(in crate::openapi) struct LocalDocument {
    #[serde(default)]
    _id: String,
    /// `0-` and how often it was written.
    #[serde(default)]
    _rev: String,
    #[serde(flatten)]
    members: BTreeMap<String, Value>,
}

/// A write of a local document.
#[derive(ToSchema)]
#[schema(example = json!({"id":"_local/checkpoint","ok":true,"rev":"0-1"}))]
pub(in crate::openapi) struct LocalWritten {
    id: String,
    ok: bool,
    rev: String,
}

/// A design document.
#[derive(ToSchema)]
#[schema(example = json!({"views":{"by_text":{"map":"function (doc, meta) { emit(doc.text, null); }"}}}))]
pub(in crate::openapi) struct Design {
    /// Views by name: a `map` and, where one is wanted, a `reduce`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Object>)]
    views: BTreeMap<String, Value>,
    #[serde(flatten)]
    members: BTreeMap<String, Value>,
}
