//! What the server tells of itself.

use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What the server is.
#[derive(ToSchema)]
pub(in crate::openapi) struct Welcome {
    /// On the admin port alone.
    #[serde(rename = "ADMIN", default)]
    admin: bool,
    couchdb: String,
    vendor: Vendor,
    /// `Couchbase Sync Gateway/` and the version whose answers these are, then which Tidegate it is.
    version: String,
    persistent_config: bool,
    /// The id of this server.
    node_uid: String,
    cluster_compat_version: String,
}

/// Whose protocol is spoken.
#[derive(ToSchema)]
pub(in crate::openapi) struct Vendor {
    name: String,
    version: String,
}

/// A database, in a list of all.
#[derive(ToSchema)]
pub(in crate::openapi) struct DatabaseState {
    db_name: String,
    /// The database's name once more: there are no buckets.
    bucket: String,
    state: String,
}

/// A database's name or, asked for more, its state.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::openapi) enum NameOrState {
    Name(String),
    State(DatabaseState),
}

/// All databases, and the server.
#[derive(ToSchema)]
pub(in crate::openapi) struct Status {
    databases: BTreeMap<String, DatabaseStatus>,
    version: String,
    vendor: Vendor,
    node_uid: String,
}

/// How a database is.
#[derive(ToSchema)]
pub(in crate::openapi) struct DatabaseStatus {
    /// Its latest sequence.
    seq: u64,
    server_uuid: String,
    /// `Online` or `Offline`.
    state: String,
    require_resync: bool,
    replication_status: Vec<Value>,
    #[schema(value_type = Object)]
    cluster: Value,
}

/// Figures of the process and of each database, under Sync Gateway's names. Those that this server doesn't have are
/// missing.
#[derive(ToSchema)]
pub(in crate::openapi) struct Expvar {
    #[schema(value_type = Object)]
    cb: Value,
    cmdline: Vec<String>,
    #[schema(value_type = Object)]
    goblip: Value,
    #[schema(value_type = Object)]
    mc: Value,
    memstats: Memory,
    #[serde(rename = "syncGateway_changeCache")]
    #[schema(value_type = Object)]
    change_cache: Value,
    #[serde(rename = "syncGateway_dcp")]
    #[schema(value_type = Object)]
    dcp: Value,
    syncgateway: Figures,
}

/// What all and each have done.
#[derive(ToSchema)]
pub(in crate::openapi) struct Figures {
    #[schema(value_type = Object)]
    global: Value,
    /// By a database's name.
    #[schema(value_type = BTreeMap<String, Object>)]
    per_db: BTreeMap<String, Value>,
    #[schema(value_type = Object)]
    per_replication: Value,
}

/// Memory, in bytes.
#[derive(ToSchema)]
pub(in crate::openapi) struct Memory {
    #[serde(rename = "Sys")]
    sys: u64,
    #[serde(rename = "HeapInuse")]
    heap_inuse: u64,
}

/// Figures of the process.
#[derive(ToSchema)]
pub(in crate::openapi) struct Stats {
    memstats: Memory,
}
