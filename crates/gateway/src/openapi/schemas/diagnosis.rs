//! Why something is as it is, and what would be if.

use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a sync function is tried out on: a document, or the id of one that is there.
#[derive(ToSchema)]
#[schema(example = json!({"doc":{"_id":"note","channels":["notes"]},"userCtx":{"name":"ada","channels":["notes"]}}))]
pub(in crate::openapi) struct TrialInput {
    #[serde(default)]
    #[schema(value_type = Object)]
    doc: Value,
    #[serde(rename = "oldDoc", default)]
    #[schema(value_type = Object)]
    old_doc: Value,
    #[serde(default)]
    doc_id: String,
    /// Instead of the database's.
    #[serde(default)]
    sync_function: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    meta: Value,
    /// As whom it is tried: `name`, `channels`, `roles`. Without it, as an administrator.
    #[serde(rename = "userCtx", default)]
    #[schema(value_type = Object)]
    user_ctx: Value,
}

/// What a sync function decides.
#[derive(ToSchema)]
pub(in crate::openapi) struct Trial {
    channels: Vec<String>,
    /// Channels that are granted, by user or `role:` and a role.
    access: BTreeMap<String, Vec<String>>,
    /// Roles that are granted, by user.
    roles: BTreeMap<String, Vec<String>>,
    logging: Logged,
    /// When the document expires: seconds from now or since 1970.
    #[serde(default)]
    expiry: u64,
    /// Why the document is refused, or what the function failed on.
    #[serde(default)]
    exception: String,
    #[serde(default)]
    exception_place: Place,
}

/// What a function said by `console`.
#[derive(ToSchema)]
pub(in crate::openapi) struct Logged {
    errors: Vec<String>,
    info: Vec<String>,
}

/// A place in a function's text.
#[derive(ToSchema)]
pub(in crate::openapi) struct Place {
    line: u64,
    column: u64,
}

/// A function to be tried out on all documents.
#[derive(ToSchema)]
#[schema(example = json!({"sync_function":"function (doc) { channel(doc.owner); }","examples":5}))]
pub(in crate::openapi) struct DryRun {
    /// Without it, the database's own.
    #[serde(default)]
    sync_function: String,
    /// How many documents that would change are told of.
    #[serde(default)]
    examples: u64,
}

/// A line of a dry run: how far it has got (`done` of `total`) or, at the end, the report.
#[derive(ToSchema)]
#[schema(example = json!({"done":500,"total":2000}))]
pub(in crate::openapi) struct DryRunLine {
    #[serde(default)]
    done: u64,
    #[serde(default)]
    total: u64,
    #[serde(default)]
    docs_processed: u64,
    /// Documents that would be in other channels, or grant something else.
    #[serde(default)]
    docs_changed: u64,
    /// Documents that the function refuses.
    #[serde(default)]
    docs_refused: u64,
    /// Some that would change: `id`, the channels `from` and `to`, what it `grants` and `withdraws`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    examples: Vec<Value>,
    /// How many documents enter and leave which channel.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Object>)]
    channels: BTreeMap<String, Value>,
    /// How many documents, and which channels, users gain and lose.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    users: Vec<Value>,
    #[serde(default)]
    users_left_out: u64,
}

/// Why a user sees a document, or doesn't.
#[derive(ToSchema)]
pub(in crate::openapi) struct Explanation {
    user: String,
    doc: String,
    /// `sees`, `stub`, `no_user`, `disabled`, `no_document`, `in_no_channel` or `no_common_channel`.
    verdict: String,
    sees: bool,
    /// The channels by which it is seen, since when, and whom the user has them from.
    #[schema(value_type = Vec<Object>)]
    ways: Vec<Value>,
    /// The document's revision, sequence, channels, and those it has left.
    #[schema(required, value_type = Option<Object>)]
    document: Option<Value>,
    /// What the user has: channels and roles, with the sequences since when.
    #[schema(required, value_type = Option<Object>)]
    has: Option<Value>,
    /// What the sync function would decide on the document now.
    #[schema(required)]
    sync_function_now: Option<Trial>,
}

/// A document with what the server knows of it.
#[derive(ToSchema)]
pub(in crate::openapi) struct Raw {
    #[serde(default)]
    #[schema(value_type = Object)]
    _xattrs: Value,
    #[serde(default)]
    #[schema(value_type = Object)]
    _sync: Value,
    #[serde(flatten)]
    members: BTreeMap<String, Value>,
}

/// Which channels a user has had.
#[derive(ToSchema)]
pub(in crate::openapi) struct UserChannels {
    /// By collection (`_default._default`), then by channel.
    all_channels: BTreeMap<String, BTreeMap<String, ChannelPeriods>>,
}

/// When a channel was had.
#[derive(ToSchema)]
pub(in crate::openapi) struct ChannelPeriods {
    /// Sequences, `from-to`; `from-0` where it isn't over.
    entries: Vec<String>,
    updated_at: u64,
}
