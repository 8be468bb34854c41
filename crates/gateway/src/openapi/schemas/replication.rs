//! Replications with other servers.

use serde_json::Value;
use utoipa::ToSchema;

/// What is replicated with which server. What isn't said of one that is there stays as it was.
#[derive(ToSchema)]
#[schema(example = json!({"replication_id":"from-head-office","remote":"https://sync.example.com/notes",
    "direction":"pull","continuous":true,"remote_username":"ada","remote_password":"secret"}))]
pub(in crate::openapi) struct Replication {
    /// Its name; where none is said, one is made.
    #[serde(default)]
    replication_id: String,
    /// The URL of the other server's database.
    #[serde(default)]
    remote: String,
    /// `push`, `pull` or `pushAndPull`.
    #[serde(default)]
    direction: String,
    #[serde(default)]
    continuous: bool,
    #[serde(default)]
    remote_username: String,
    /// Told as `xxxxx`.
    #[serde(default)]
    remote_password: String,
    /// An older name of `remote_username`.
    #[serde(default)]
    username: String,
    /// An older name of `remote_password`.
    #[serde(default)]
    password: String,
    /// `sync_gateway/bychannel`, for pulls.
    #[serde(default)]
    filter: String,
    /// `{"channels":["notes"]}`, or the array by itself.
    #[serde(default)]
    query_params: Value,
    /// 1 to 10000.
    #[serde(default)]
    batch_size: u64,
    /// `running` or `stopped`.
    #[serde(default)]
    initial_state: String,
    /// `default`: both revisions of a conflict are kept.
    #[serde(default)]
    conflict_resolution_type: String,
    /// Kept, and changes nothing.
    #[serde(default)]
    max_backoff_time: u64,
}

/// What a replication is doing. There are figures for each of its ways.
#[derive(ToSchema)]
#[schema(example = json!({"replication_id":"from-head-office","status":"running","docs_read":12,"last_seq_pull":"12"}))]
pub(in crate::openapi) struct ReplicationStatus {
    replication_id: String,
    /// `stopped`, `starting`, `running`, `reconnecting` or `error`.
    status: String,
    #[serde(default)]
    config: Replication,
    #[serde(default)]
    error_message: String,
    /// Revisions that were looked at, to be pushed.
    #[serde(default)]
    docs_checked_push: u64,
    /// Revisions that were pushed.
    #[serde(default)]
    docs_written: u64,
    /// Revisions that the other side refused.
    #[serde(default)]
    doc_write_failures: u64,
    #[serde(default)]
    last_seq_push: String,
    /// Revisions that were looked at, to be pulled.
    #[serde(default)]
    docs_checked_pull: u64,
    /// Revisions that were pulled.
    #[serde(default)]
    docs_read: u64,
    /// Revisions that this side refused.
    #[serde(default)]
    rejected_by_local: u64,
    #[serde(default)]
    last_seq_pull: String,
}
