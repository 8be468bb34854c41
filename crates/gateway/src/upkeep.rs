//! Looking after a database: in and out of use, and its files. Source: `spec/gateway.md` 2.2.

use crate::{
    config,
    context::{Answer, Context, json_value},
    error::Error,
    replications,
};
use http::StatusCode;
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::time::Duration;
use tidegate_documents::to_its_end;
use tidegate_engine::{Database, Service};
use tidegate_http::respond;

/// The longest a database may be asked to wait before it is in use again.
const DELAY_MAX_S: u64 = 24 * 60 * 60;

/// Refuses what is about documents while the database isn't in use.
pub(crate) fn check_service(db: &Database) -> Result<(), Error> {
    match db.service() {
        Service::Online => Ok(()),
        Service::Offline => Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "DB is currently under maintenance")),
    }
}

/// The state as clients are told.
pub(crate) fn state(db: &Database) -> &'static str {
    match db.service() {
        Service::Online => "Online",
        Service::Offline => "Offline",
    }
}

/// Into use again, at once or after the `delay` of the body.
pub(crate) async fn online(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let body: Value = if text.is_empty() { Value::Null } else { serde_json::from_slice(&text)? };
    let delay = match body.get("delay") {
        None | Some(Value::Null) => 0,
        Some(delay) => delay.as_u64().ok_or_else(|| Error::bad_json("delay must be a number of seconds"))?,
    };
    if delay == 0 {
        db.set_service(Service::Online).await?;
        return Ok(respond::empty(StatusCode::OK));
    }
    let (db, draining) = (db.clone(), cx.draining.clone());
    let delay = Duration::from_secs(delay.min(DELAY_MAX_S));
    cx.tasks.spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = draining.cancelled() => return,
        }
        if let Err(error) = db.set_service(Service::Online).await {
            tracing::warn!(%error, "a database could not be brought online");
        }
    });
    Ok(respond::empty(StatusCode::OK))
}

pub(crate) async fn offline(db: &Database) -> Answer {
    db.set_service(Service::Offline).await?;
    Ok(respond::empty(StatusCode::OK))
}

/// Lets go of the bodies of revisions that were edited since, in the background, and of tombstones that are old enough.
pub(crate) async fn compact(cx: &Context, db: &Database) -> Answer {
    if cx.query()?.get("type") == Some("attachment") {
        return Ok(json_value(StatusCode::OK, &nothing_to_collect()));
    }
    let mut purged = 0;
    if cx.request.method == http::Method::POST {
        if cx.query()?.get("action") == Some("stop") {
            return Err(Error::bad_request("a compaction can't be stopped"));
        }
        if db.info().await?.compacting {
            return Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "Process already running"));
        }
        db.compact()?;
        let db = db.clone();
        let forgotten = async move { Ok::<_, Error>(db.compact_tombstones().await?) };
        purged = to_its_end(&cx.tasks, forgotten).await?;
    }
    let status = if db.info().await?.compacting { "running" } else { "completed" };
    let body = json!({ "status": status, "start_time": "", "last_error": "", "docs_purged": purged.to_string() });
    Ok(json_value(StatusCode::OK, &body))
}

/// Attachments go with the last revision that has them: there is nothing to be marked, or left.
fn nothing_to_collect() -> Value {
    json!({
        "status": "completed", "start_time": "", "last_error": "", "marked_attachments": "0", "purged_attachments": "0",
        "compact_id": "", "phase": "",
    })
}

/// Lets go of everything in the database: documents, users, sessions. Its configuration stays.
pub(crate) async fn flush(cx: &Context, db: &Database) -> Answer {
    let (task_cx, db) = (cx.clone(), db.clone());
    let flushed = async move {
        let engine = &task_cx.engine;
        let new = engine.prepare_successor(&db).await?;
        let ready = match config::put_principals_of(new.database()).await {
            Ok(()) => replications::hand_over(&task_cx, &db, new.database()).await,
            refused => refused,
        };
        match ready {
            Ok(()) => Ok(engine.replace_database(new).await?),
            Err(error) => {
                engine.discard_database(new);
                Err(error)
            }
        }
    };
    to_its_end(&cx.tasks, flushed).await?;
    Ok(json_value(StatusCode::OK, &json!({})))
}

/// There is nothing to repair that isn't found by `tidegate doctor`.
pub(crate) fn repair() -> Answer {
    Err(Error::new(StatusCode::INTERNAL_SERVER_ERROR, "_repair is disabled"))
}
