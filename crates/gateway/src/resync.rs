//! `_resync`: every document is decided on again. The database serves meanwhile, in use or not. Source: `spec/gateway.md`
//! 2.2, 4.6.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    session::rfc3339,
};
use http::{Method, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use tidegate_engine::{Database, JobState, ResyncFrom, ResyncStatus};
use tidegate_types::CollectionName;

pub(crate) async fn resync(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let query = cx.query()?;
    let all = collections(db, &db.collections().names()).await?;
    match (&cx.request.method, query.get("action").unwrap_or("start")) {
        (&Method::POST, "start") => {
            let wanted = wanted(&cx.read_json(body).await?)?;
            if are_under_way(&statuses(&all).await?) {
                return Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "Process already running"));
            }
            let from = if query.get("reset") == Some("true") { ResyncFrom::Beginning } else { ResyncFrom::Where };
            let wanted = if wanted.is_empty() { all.clone() } else { collections(db, &wanted).await? };
            for collection in &wanted {
                collection.start_resync(from).await?;
            }
        }
        (&Method::POST, "stop") if are_under_way(&statuses(&all).await?) => {
            for collection in &all {
                collection.stop_resync().await?;
            }
        }
        (&Method::POST, "stop") => return Err(Error::bad_request("Database is not resyncing")),
        (&Method::POST, _) => return Err(Error::bad_request("Unknown parameter for 'action'. Must be start or stop")),
        _ => {}
    }
    Ok(json_value(StatusCode::OK, &shown(&statuses(&all).await?)))
}

/// How the resyncs of these collections stand, of those that had any.
async fn statuses(collections: &[Database]) -> Result<Statuses, Error> {
    let mut statuses = Vec::new();
    for collection in collections {
        let status = collection.resync_status().await?;
        statuses.extend(status.map(|status| (collection.collection_name().clone(), status)));
    }
    Ok(statuses)
}

type Statuses = Vec<(CollectionName, ResyncStatus)>;

fn are_under_way(statuses: &Statuses) -> bool {
    statuses.iter().any(|(_, status)| is_under_way(status))
}

fn is_under_way(status: &ResyncStatus) -> bool {
    matches!(status.state, JobState::Running | JobState::Stopping)
}

async fn collections(db: &Database, names: &[CollectionName]) -> Result<Vec<Database>, Error> {
    let mut collections = Vec::with_capacity(names.len());
    for name in names {
        collections.push(db.collection(name).await?);
    }
    Ok(collections)
}

/// The collections that a body names, `{"scopes":{scope:[name]}}`.
fn wanted(text: &[u8]) -> Result<Vec<CollectionName>, Error> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let body: Value = serde_json::from_slice(text)?;
    let mut wanted = Vec::new();
    for (scope, names) in body.get("scopes").and_then(Value::as_object).into_iter().flatten() {
        for name in names.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let missing = |_| Error::not_found(format!("keyspace {scope}.{name} not found"));
            wanted.push(CollectionName::new(scope, name).map_err(missing)?);
        }
    }
    Ok(wanted)
}

/// All of them as one, as each is one of Sync Gateway's process. Where there never was one, there is nothing left to do.
fn shown(statuses: &Statuses) -> Value {
    let of = |count: fn(&ResyncStatus) -> u64| statuses.iter().map(|(_, status)| count(status)).sum::<u64>();
    let started_s = statuses.iter().map(|(_, status)| status.start_s).max();
    let latest = || statuses.iter().filter(|(_, status)| Some(status.start_s) == started_s).map(|(_, status)| status);
    let last_error = statuses.iter().map(|(_, status)| status.last_error.as_str()).find(|error| !error.is_empty());
    let mut body = json!({
        "status": state(statuses).as_str(),
        "start_time": started_s.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339),
        "last_error": last_error.unwrap_or_default(),
        "resync_id": latest().next().map(|status| status.id.as_str()).unwrap_or_default(),
        "docs_changed": of(|status| status.docs_changed),
        "docs_processed": of(|status| status.docs_processed),
        "docs_errored": of(|status| status.docs_errored),
        "docs_targeted": of(|status| status.docs_targeted),
    });
    let processing = processing(statuses);
    if let Some(body) = body.as_object_mut().filter(|_| !processing.is_empty()) {
        body.insert("collections_processing".to_owned(), processing.into());
    }
    body
}

/// Any that runs is told of before those that have come to an end, and an end that isn't a good one before others.
fn state(statuses: &Statuses) -> JobState {
    let order = [JobState::Running, JobState::Stopping, JobState::Error, JobState::Stopped];
    let is = |state: &JobState| statuses.iter().any(|(_, status)| status.state == *state);
    order.into_iter().find(is).unwrap_or(JobState::Completed)
}

/// The collections that are at it, by their scopes.
fn processing(statuses: &Statuses) -> Map<String, Value> {
    let mut scopes = Map::new();
    for (name, _) in statuses.iter().filter(|(_, status)| is_under_way(status)) {
        let names = scopes.entry(name.scope()).or_insert_with(|| Value::Array(Vec::new()));
        if let Some(names) = names.as_array_mut() {
            names.push(name.name().into());
        }
    }
    scopes
}
