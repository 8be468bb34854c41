//! Jobs in CouchDB's words: `_scheduler/jobs`, `_scheduler/docs`, `_active_tasks`. Passwords are never in them.
//!
//! Source: `couch_replicator_scheduler:job_ejson`, `couch_replicator_doc_processor:ejson_doc`,
//! `couch_replicator:info_from_doc`.

use super::supervisor::Shown;
use crate::route::NODE;
use serde_json::{Map, Value, json};
use tidegate_replication::{Endpoint, Event, Past, Progress, State, Wait, shown as shown_endpoint};
use tidegate_types::DbName;

/// What a job counted, and since when it was asked for.
pub(super) fn stats(progress: &Progress, started: Option<&str>) -> Value {
    let mut stats = progress.to_json();
    if let (Value::Object(members), Some(started)) = (&mut stats, started) {
        members.insert("start_time".to_owned(), started.into());
    }
    stats
}

/// Whether the scheduler has the job: its id is known.
pub(super) fn is_scheduled(job: &Shown) -> bool {
    job.id.is_some() && matches!(job.summary.state, State::Pending | State::Running | State::Crashing)
}

/// A row of `_scheduler/jobs`.
pub(super) fn job(job: &Shown) -> Value {
    let (database, doc_id) = document_of(job);
    json!({
        "database": database,
        "id": id_of(job),
        "pid": pid_of(job),
        "source": job.job.source.to_string(),
        "target": job.job.target.to_string(),
        "user": job.user,
        "doc_id": doc_id,
        "info": job.progress.as_ref().map(Progress::to_json),
        "history": job.history.iter().map(past).collect::<Value>(),
        "node": NODE,
        "start_time": job.summary.start_time.iso8601(),
    })
}

fn past(past: &Past) -> Value {
    let mut row = json!({ "timestamp": past.at.iso8601(), "type": past.event.as_str() });
    if let (Value::Object(members), Event::Crashed(reason) | Event::Failed(reason)) = (&mut row, &past.event) {
        members.insert("reason".to_owned(), reason.as_str().into());
    }
    row
}

/// A row of `_scheduler/docs` for a job that is known.
pub(super) fn document(job: &Shown) -> Value {
    let (database, doc_id) = document_of(job);
    let summary = &job.summary;
    let info = match (&summary.reason, &job.progress) {
        (Some(reason), _) => json!({ "error": reason }),
        (None, Some(progress)) => progress.to_json(),
        (None, None) => Value::Null,
    };
    json!({
        "database": database,
        "doc_id": doc_id,
        "id": id_of(job),
        "node": NODE,
        "source": job.job.source.to_string(),
        "target": job.job.target.to_string(),
        "source_proxy": proxy_of(&job.job.source),
        "target_proxy": proxy_of(&job.job.target),
        "state": summary.state.as_str(),
        "info": info,
        "error_count": summary.error_count,
        "last_updated": summary.last_updated.iso8601(),
        "start_time": summary.start_time.iso8601(),
    })
}

/// A row of `_scheduler/docs` for a document that says what became of its replication.
pub(super) fn ended_document(db: &DbName, id: &str, document: &Map<String, Value>) -> Value {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let state = text("_replication_state").filter(|state| matches!(*state, "completed" | "failed"));
    let time = text("_replication_state_time");
    let (info, errors, started) = match state {
        Some("completed") => {
            let mut stats = document.get("_replication_stats").and_then(Value::as_object).cloned().unwrap_or_default();
            let started = stats.remove("start_time");
            (Value::Object(stats), 0, started.unwrap_or(Value::Null))
        }
        Some(_) => (json!({ "error": text("_replication_state_reason") }), 1, json!(time)),
        None => (Value::Null, 0, Value::Null),
    };
    json!({
        "database": db.as_str(),
        "doc_id": id,
        "id": null,
        "node": NODE,
        "source": document.get("source").and_then(shown_endpoint),
        "target": document.get("target").and_then(shown_endpoint),
        "state": state,
        "info": info,
        "error_count": errors,
        "last_updated": time,
        "start_time": started,
    })
}

/// A task of `_active_tasks`.
pub(super) fn task(job: &Shown) -> Value {
    let (database, doc_id) = document_of(job);
    let mut task = json!({
        "type": "replication",
        "node": NODE,
        "pid": pid_of(job),
        "user": job.user,
        "replication_id": id_of(job),
        "database": database,
        "doc_id": doc_id,
        "source": job.job.source.to_string(),
        "target": job.job.target.to_string(),
        "continuous": job.job.wait == Wait::Forever,
        "checkpoint_interval": job.job.tuning.checkpoint_interval.map(|interval| interval.as_millis()),
        "started_on": started_on(job),
        "updated_on": job.summary.last_updated.millis() / 1_000,
    });
    let counts = job.progress.as_ref().map(Progress::to_json);
    if let (Value::Object(members), Some(Value::Object(counts))) = (&mut task, counts) {
        members.extend(counts);
    }
    task
}

fn started_on(job: &Shown) -> u64 {
    let started = job.history.iter().find(|past| past.event == Event::Started);
    started.map_or(job.summary.start_time, |past| past.at).millis() / 1_000
}

fn document_of(job: &Shown) -> (Option<&str>, Option<&str>) {
    job.key.document().map(|(db, id)| (db.as_str(), id)).unzip()
}

fn id_of(job: &Shown) -> Option<String> {
    job.id.as_ref().map(ToString::to_string)
}

/// There are no processes; clients only look whether there is one.
fn pid_of(job: &Shown) -> Option<&'static str> {
    job.is_running.then_some("<0.0.0>")
}

/// A proxy without its password.
fn proxy_of(endpoint: &Endpoint) -> Option<String> {
    let Endpoint::Remote(remote) = endpoint else { return None };
    let proxy = remote.proxy.as_deref()?;
    let (scheme, rest) = proxy.split_once("://")?;
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    Some(format!("{scheme}://{place}"))
}
