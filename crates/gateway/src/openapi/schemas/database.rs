//! Databases, their configurations, and looking after them.

use super::access::{RoleSettings, UserSettings};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A database.
#[derive(ToSchema)]
#[schema(example = json!({"db_name":"notes","update_seq":7,"committed_update_seq":7,
    "instance_start_time":1_795_288_079_000_000_u64,"compact_running":false,"purge_seq":0,"disk_format_version":0,
    "state":"Online"}))]
pub(in crate::openapi) struct DatabaseInfo {
    db_name: String,
    /// The latest sequence.
    update_seq: u64,
    /// The same: what is answered is durable.
    committed_update_seq: u64,
    /// When it was made, in microseconds since 1970.
    instance_start_time: u64,
    compact_running: bool,
    purge_seq: u64,
    disk_format_version: u64,
    /// `Online` or `Offline`.
    state: String,
}

/// Writes are durable before they are answered.
#[derive(ToSchema)]
pub(in crate::openapi) struct FullCommit {
    /// When the database was made, in microseconds since 1970.
    instance_start_time: u64,
    ok: bool,
}

/// How a database behaves. All of Sync Gateway's settings are taken and given back; those that aren't listed here change
/// nothing.
#[derive(ToSchema)]
#[schema(example = json!({"sync":"function (doc) { channel(doc.channels); }","revs_limit":50,
    "users":{"ada":{"password":"secret","admin_channels":["notes"]}}}))]
pub(in crate::openapi) struct DatabaseConfig {
    /// The database's name.
    #[serde(default)]
    name: String,
    /// The function that puts documents into channels, as JavaScript. Without one, `channels` of each document.
    #[serde(default)]
    sync: String,
    /// Collections besides, in one scope: `{scope: {"collections": {name: {"sync": …}}}}`.
    #[serde(default)]
    #[schema(value_type = Object)]
    scopes: Value,
    /// How many revisions of a document's history are remembered.
    #[serde(default)]
    revs_limit: u64,
    /// Whether revisions that another one follows already are kept, beside it; `true` if nothing is said.
    #[serde(default)]
    allow_conflicts: bool,
    /// Whether what is about documents is answered with 503.
    #[serde(default)]
    offline: bool,
    /// Whether documents that a user may not see are missing for them, instead of forbidden.
    #[serde(default)]
    hide_existence: bool,
    /// Whether `_all_docs` is closed on the public port.
    #[serde(default)]
    disable_public_all_docs: bool,
    /// Days after which deleted documents are forgotten; 0 for never.
    #[serde(default)]
    tombstone_lifetime_days: u64,
    /// What is to be imported; kept, as there is nothing to import.
    #[serde(default)]
    import_filter: String,
    /// Whoever doesn't log in.
    #[serde(default)]
    guest: UserSettings,
    /// Users to be written, by name. Their passwords aren't given back.
    #[serde(default)]
    users: BTreeMap<String, UserSettings>,
    /// Roles to be written, by name.
    #[serde(default)]
    roles: BTreeMap<String, RoleSettings>,
    /// Whether users may be without a password.
    #[serde(default)]
    allow_empty_password: bool,
    /// Whether users can't log in by a password.
    #[serde(default)]
    disable_password_auth: bool,
    /// Identity providers: `providers`, by name, and `default_provider`.
    #[serde(default)]
    #[schema(value_type = Object)]
    oidc: Value,
    /// Which web pages may call: `origin`, `login_origin`, `headers`, `max_age`.
    #[serde(default)]
    #[schema(value_type = Object)]
    cors: Value,
    /// Keys of tokens that are trusted, by name.
    #[serde(default)]
    #[schema(value_type = Object)]
    local_jwt: Value,
    /// The proxy whose word on who somebody is counts.
    #[serde(default)]
    #[schema(value_type = Object)]
    remote_user: Value,
    #[serde(default)]
    session_cookie_name: String,
    #[serde(default)]
    session_cookie_secure: bool,
    #[serde(default)]
    session_cookie_http_only: bool,
    /// `Strict`, `Lax` or `None`.
    #[serde(default)]
    session_cookie_same_site: String,
}

/// When a database is to be in use again.
#[derive(ToSchema)]
#[schema(example = json!({"delay":10}))]
pub(in crate::openapi) struct Delay {
    /// In seconds; at most a day.
    #[serde(default)]
    delay: u64,
}

/// Which collections are decided on again.
#[derive(ToSchema)]
#[schema(example = json!({"scopes":{"_default":["_default"]}}))]
pub(in crate::openapi) struct ResyncScopes {
    /// Collections by their scopes.
    #[serde(default)]
    scopes: BTreeMap<String, Vec<String>>,
}

/// How far deciding again has got.
#[derive(ToSchema)]
pub(in crate::openapi) struct Resync {
    /// `running`, `stopping`, `stopped`, `completed` or `error`.
    status: String,
    start_time: String,
    last_error: String,
    resync_id: String,
    /// Documents on which something else was decided.
    docs_changed: u64,
    docs_processed: u64,
    /// Documents that the function refused, or failed on.
    docs_errored: u64,
    docs_targeted: u64,
    /// Collections that are decided on again, by their scopes.
    #[serde(default)]
    collections_processing: BTreeMap<String, Vec<String>>,
}

/// How far compaction has got.
#[derive(ToSchema)]
pub(in crate::openapi) struct Compaction {
    /// `running` or `completed`.
    status: String,
    start_time: String,
    last_error: String,
    /// Tombstones that are forgotten, as text.
    docs_purged: String,
}

/// What was taken away.
#[derive(ToSchema)]
#[schema(example = json!({"purged":{"note":["*"]}}))]
pub(in crate::openapi) struct Purged {
    /// By a document's id: always `["*"]`, for all of it.
    purged: BTreeMap<String, Vec<String>>,
}
