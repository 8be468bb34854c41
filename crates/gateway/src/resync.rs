//! `_resync`: every document is decided on again. The database serves meanwhile, in use or not. Source: `spec/gateway.md`
//! 2.2, 4.6.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    session::rfc3339,
};
use http::{Method, StatusCode};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tidegate_engine::{Database, JobState, ResyncFrom, ResyncStatus};

pub(crate) async fn resync(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let query = cx.query()?;
    let status = match (&cx.request.method, query.get("action").unwrap_or("start")) {
        (&Method::POST, "start") => {
            check_collections(&cx.read_json(body).await?)?;
            if is_under_way(db.resync_status().await?.as_ref()) {
                return Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "Process already running"));
            }
            let from = if query.get("reset") == Some("true") { ResyncFrom::Beginning } else { ResyncFrom::Where };
            Some(db.start_resync(from).await?)
        }
        (&Method::POST, "stop") if is_under_way(db.resync_status().await?.as_ref()) => db.stop_resync().await?,
        (&Method::POST, "stop") => return Err(Error::bad_request("Database is not resyncing")),
        (&Method::POST, _) => return Err(Error::bad_request("Unknown parameter for 'action'. Must be start or stop")),
        _ => db.resync_status().await?,
    };
    Ok(json_value(StatusCode::OK, &shown(status)))
}

fn is_under_way(status: Option<&ResyncStatus>) -> bool {
    status.is_some_and(|status| matches!(status.state, JobState::Running | JobState::Stopping))
}

/// There is the default collection alone.
fn check_collections(text: &[u8]) -> Result<(), Error> {
    if text.is_empty() {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(text)?;
    let scopes = body.get("scopes").and_then(Value::as_object).into_iter().flatten();
    for (scope, collections) in scopes {
        for collection in collections.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if (scope.as_str(), collection) != ("_default", "_default") {
                return Err(Error::not_found(format!("keyspace {scope}.{collection} not found")));
            }
        }
    }
    Ok(())
}

/// Where there never was one, there is nothing left to do.
fn shown(status: Option<ResyncStatus>) -> Value {
    let Some(status) = status else {
        return json!({
            "status": "completed", "start_time": "0001-01-01T00:00:00Z", "last_error": "", "resync_id": "",
            "docs_changed": 0, "docs_processed": 0, "docs_errored": 0, "docs_targeted": 0,
        });
    };
    json!({
        "status": status.state.as_str(),
        "start_time": rfc3339(status.start_s),
        "last_error": status.last_error,
        "resync_id": status.id,
        "docs_changed": status.docs_changed,
        "docs_processed": status.docs_processed,
        "docs_errored": status.docs_errored,
        "docs_targeted": status.docs_targeted,
    })
}
