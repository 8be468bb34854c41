//! What replications are doing, in Sync Gateway's words. Source: `spec/gateway.md` 2.6.

use super::{
    config::Way,
    record::{Kept, Record},
};
use serde_json::{Map, Value, json};
use tidegate_engine::{ReplicationState as State, RunningReplication};
use tidegate_types::{DbName, DocId};

/// The state of a replication. Of two ways, the greater one is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Stopped,
    Starting,
    Running,
    Reconnecting,
    Error,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Reconnecting => "reconnecting",
            Self::Error => "error",
        }
    }

    pub(super) fn is_active(self) -> bool {
        self > Self::Stopped
    }

    fn of(state: State) -> Self {
        match state {
            State::Initializing | State::Pending => Self::Starting,
            State::Running => Self::Running,
            // It is tried again and again.
            State::Error | State::Crashing => Self::Reconnecting,
            State::Completed => Self::Stopped,
            State::Failed => Self::Error,
        }
    }
}

/// What one way is doing.
struct Side {
    status: Status,
    reason: Option<String>,
    counts: Value,
}

fn side(kept: &Kept, is_stopped: bool, running: &[RunningReplication]) -> Side {
    let (reason, counts) = (kept.reason.clone(), kept.counts.clone());
    let job = find(&kept.id, running);
    match (job, kept.state.as_deref()) {
        (Some(job), _) => Side {
            status: if is_stopped { Status::Stopped } else { Status::of(job.summary.state) },
            reason: job.summary.reason.clone(),
            counts: job.progress.as_ref().map_or(counts, tidegate_engine::ReplicationProgress::to_json),
        },
        (None, Some("failed")) => Side { status: Status::Error, reason, counts },
        (None, Some(_)) => Side { status: Status::Stopped, reason: None, counts },
        (None, None) if is_stopped => Side { status: Status::Stopped, reason: None, counts },
        (None, None) => Side { status: Status::Starting, reason: None, counts },
    }
}

fn find<'r>(id: &DocId, running: &'r [RunningReplication]) -> Option<&'r RunningReplication> {
    let replicator = DbName::replicator();
    running.iter().find(|job| job.database == replicator && job.document == id.as_str())
}

/// What was counted on one way so far.
pub(super) fn counts(kept: &Kept, running: &[RunningReplication]) -> Value {
    side(kept, false, running).counts
}

/// Which parts of a status are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Status,
    StatusAndConfig,
}

/// The state of a replication, and all that is told of it.
pub(super) fn of(record: &Record, running: &[RunningReplication], told: Told) -> (Status, Value) {
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    set("replication_id", record.config.id().into());
    if told == Told::StatusAndConfig {
        set("config", Value::Object(record.config.shown()));
    }
    let (mut status, mut reason) = (Status::Stopped, None);
    for (way, kept) in &record.ways {
        let side = side(kept, record.is_stopped, running);
        let count = |name: &str| side.counts.get(name).and_then(Value::as_u64).unwrap_or_default();
        let last = side.counts.get("checkpointed_source_seq").map_or_else(|| json!("0"), position);
        if *way == Way::Push.as_str() {
            set("docs_checked_push", count("revisions_checked").into());
            set("docs_written", count("docs_written").into());
            set("doc_write_failures", count("doc_write_failures").into());
            set("last_seq_push", last);
        } else {
            set("docs_checked_pull", count("revisions_checked").into());
            set("docs_read", count("docs_written").into());
            set("rejected_by_local", count("doc_write_failures").into());
            set("last_seq_pull", last);
        }
        if side.status >= status {
            (status, reason) = (side.status, side.reason.or(reason));
        }
    }
    set("status", status.as_str().into());
    if let Some(reason) = reason.filter(|_| status >= Status::Reconnecting) {
        set("error_message", reason.into());
    }
    (status, Value::Object(body))
}

/// A sequence as text, whatever kind of server told it.
fn position(seq: &Value) -> Value {
    seq.as_str().map_or_else(|| seq.to_string(), str::to_owned).into()
}
