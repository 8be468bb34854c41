//! `_replicate`, `_scheduler` and the replicator's part of `_active_tasks`.
//!
//! Source: `chttpd_misc:handle_replicate_req`, `couch_replicator_httpd`.

use super::{
    Closed, Finish, Ready,
    job::Key,
    show,
    supervisor::{Answered, Cancelled, Message, Shown},
};
use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    service::Couch,
};
use http::StatusCode;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::ops::Bound;
use tidegate_engine::{DocRange, Order, Which};
use tidegate_replication::{Asked, Failure, FailureKind, Job, JobError, Reason, State};
use tidegate_types::{DbName, DocId, DocKind};

/// Rows of `_scheduler/jobs` where nobody says how many.
const JOBS_SHOWN: usize = 100;
/// Documents read at once.
const PAGE: usize = 500;
const STATES: [State; 7] = [
    State::Initializing,
    State::Error,
    State::Pending,
    State::Running,
    State::Crashing,
    State::Completed,
    State::Failed,
];

/// `POST /_replicate`.
pub(crate) async fn replicate(couch: &Couch, cx: &Context, body: Incoming) -> Answer {
    if cx.caller.context().name.is_none() && !cx.caller.is_admin() {
        return Err(Error::unauthorized("You are not an authenticated user"));
    }
    let body: Value = serde_json::from_slice(&cx.read_json(body).await?)?;
    let members = body.as_object().ok_or(Error::bad_request("Request body must be a JSON object"))?;
    check_query_params(members)?;
    match couch.parse_replication(members)? {
        Asked::Start(job) => start(couch, cx, job).await,
        Asked::Cancel(id) => cancel(couch, cx, id).await,
        Asked::CancelSame(job) => {
            let id = couch.job_id(&job, &cx.caller).await.map_err(filter_failure)?;
            cancel(couch, cx, id).await
        }
    }
}

fn check_query_params(members: &Map<String, Value>) -> Result<(), Error> {
    let params = members.get("query_params").and_then(Value::as_object).into_iter().flatten();
    match params.into_iter().find(|(_, value)| !value.is_string()) {
        Some((name, _)) => Err(Error::bad_request(format!("{name} value must be a string."))),
        None => Ok(()),
    }
}

async fn start(couch: &Couch, cx: &Context, job: Box<Job>) -> Answer {
    let id = couch.job_id(&job, &cx.caller).await.map_err(filter_failure)?;
    let ready = Ready { id, caller: cx.caller.clone() };
    match couch.replication().ask(|reply| Message::Start { ready, job, reply }).await? {
        Answered::Continuous(id) => {
            Ok(json_value(StatusCode::ACCEPTED, &json!({ "ok": true, "_local_id": id.to_string() })))
        }
        Answered::Waiting(finish) => finished(finish.await.map_err(|_dropped| Closed)?),
        Answered::NotAllowed => Err(Error::unauthorized("You are not a server admin.")),
        Answered::Full => {
            let reason = "there are too many replications";
            Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "service unavailable", reason))
        }
    }
}

fn finished(finish: Finish) -> Answer {
    match finish {
        Finish::Completed(report) => Ok(json_value(StatusCode::OK, &report.to_json())),
        Finish::Stopped => Ok(json_value(StatusCode::OK, &json!({ "ok": "stopped" }))),
        Finish::Failed(Reason { error: "unauthorized", reason }) => Err(Error::unauthorized(reason)),
        Finish::Failed(Reason { error, reason }) => Err(Error::new(StatusCode::INTERNAL_SERVER_ERROR, error, reason)),
    }
}

async fn cancel(couch: &Couch, cx: &Context, id: tidegate_replication::JobId) -> Answer {
    let (shown, caller) = (id.to_string(), cx.caller.clone());
    match couch.replication().ask(|reply| Message::Cancel { id, caller, reply }).await? {
        Cancelled::Done => Ok(json_value(StatusCode::OK, &json!({ "ok": true, "_local_id": shown }))),
        Cancelled::NotFound => Err(Error::not_found("missing")),
        Cancelled::NotAllowed => Err(Error::unauthorized("You are not a server admin.")),
    }
}

/// What the replicator is doing, for `_active_tasks`.
pub(crate) async fn tasks(cx: &Context) -> Result<Vec<Value>, Error> {
    let jobs = list(cx).await?;
    Ok(jobs.iter().filter(|job| job.is_running).map(show::task).collect())
}

async fn list(cx: &Context) -> Result<Vec<Shown>, Error> {
    Ok(cx.shared.replication.ask(|reply| Message::List { reply }).await?)
}

/// `GET /_scheduler/…`, by what follows.
pub(crate) async fn scheduler(cx: &Context, path: &[String]) -> Answer {
    cx.engine.check_admin(&cx.caller)?;
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["jobs"] => jobs(cx).await,
        ["jobs", id] => one_job(cx, id).await,
        ["docs"] => documents(cx, &DbName::replicator()).await,
        ["docs", rest @ ..] => match place(rest) {
            Some((db, None)) => documents(cx, &db).await,
            Some((db, Some(id))) => one_document(cx, &db, &id).await,
            None => Err(Error::bad_request("Invalid path")),
        },
        _ => Err(Error::not_found("missing")),
    }
}

/// A database of replications, whose name may stand in several parts of the path, and a document of it.
fn place(path: &[&str]) -> Option<(DbName, Option<String>)> {
    let is_last = |part: &&&str| **part == "_replicator" || part.ends_with("/_replicator");
    let (name, rest) = path.split_at(path.iter().position(|part| is_last(&part))?.saturating_add(1));
    let name = name.join("/").parse().ok()?;
    match rest {
        [] => Some((name, None)),
        [id] => Some((name, Some((*id).to_owned()))),
        _ => None,
    }
}

async fn jobs(cx: &Context) -> Answer {
    let query = cx.query()?;
    let (limit, skip) = (query.integer("limit")?.unwrap_or(JOBS_SHOWN), query.integer("skip")?.unwrap_or(0));
    let mut jobs = list(cx).await?;
    jobs.retain(show::is_scheduled);
    jobs.sort_by_cached_key(|job| job.id.as_ref().map(ToString::to_string));
    let rows: Vec<Value> = jobs.iter().skip(skip).take(limit).map(show::job).collect();
    let total = jobs.len();
    Ok(json_value(StatusCode::OK, &json!({ "total_rows": total, "offset": skip.min(total), "jobs": rows })))
}

async fn one_job(cx: &Context, id: &str) -> Answer {
    let id = id.replace(' ', "+");
    let jobs = list(cx).await?;
    let mut scheduled = jobs.iter().filter(|job| show::is_scheduled(job));
    let found = scheduled.find(|job| job.id.as_ref().is_some_and(|own| own.to_string() == id));
    found.map(|job| json_value(StatusCode::OK, &show::job(job))).ok_or(Error::not_found("missing"))
}

async fn one_document(cx: &Context, db: &DbName, id: &str) -> Answer {
    let key = Key::Document(db.clone(), id.to_owned());
    if let Some(job) = list(cx).await?.iter().find(|job| job.key == key) {
        return Ok(json_value(StatusCode::OK, &show::document(job)));
    }
    let doc_id: DocId = id.parse()?;
    let document = cx.database(db).await?.get(&doc_id, &Which::Winner, tidegate_engine::Detail::Plain).await?;
    Ok(json_value(StatusCode::OK, &show::ended_document(db, id, &members(&document.members)?)))
}

/// Rows in the order of the documents' ids.
async fn documents(cx: &Context, name: &DbName) -> Answer {
    let query = cx.query()?;
    let states = states(query.get("states"))?;
    let (limit, skip) = (query.integer("limit")?.unwrap_or(usize::MAX), query.integer("skip")?.unwrap_or(0));
    let order = if query.flag("descending")?.unwrap_or(false) { Order::Descending } else { Order::Ascending };
    let db = cx.database(name).await?;
    let jobs = list(cx).await?;
    let mut documents = db.list(DocRange { start: Bound::Unbounded, end: Bound::Unbounded, order }).await?;
    let (mut rows, mut total) = (Vec::new(), 0_usize);
    loop {
        let page = documents.next(PAGE).await?;
        for row in page.iter().filter(|row| row.id.kind() == DocKind::Plain) {
            let is_of = |job: &&Shown| job.key.document() == Some((name, row.id.as_str()));
            let shown = match jobs.iter().find(is_of) {
                Some(job) => show::document(job),
                None => show::ended_document(name, row.id.as_str(), &members(&documents.document(row).await?.members)?),
            };
            let state = shown.get("state").and_then(Value::as_str).unwrap_or_default();
            if !states.is_empty() && !states.iter().any(|wanted| wanted == state) {
                continue;
            }
            if total >= skip && rows.len() < limit {
                rows.push(shown);
            }
            total = total.saturating_add(1);
        }
        if page.is_empty() {
            break;
        }
    }
    Ok(json_value(StatusCode::OK, &json!({ "total_rows": total, "offset": skip.min(total), "docs": rows })))
}

fn states(wanted: Option<&str>) -> Result<Vec<String>, Error> {
    let wanted = wanted.unwrap_or_default().split(',').filter(|state| !state.is_empty());
    let wanted: Vec<String> = wanted.map(str::to_ascii_lowercase).collect();
    let unknown = wanted.iter().find(|state| !STATES.iter().any(|known| known.as_str() == **state));
    match unknown {
        Some(state) => {
            let known = STATES.map(State::as_str).join(",");
            Err(Error::query_parse(format!("Unknown states {state}. Choose from: {known}")))
        }
        None => Ok(wanted),
    }
}

fn members(text: &[u8]) -> Result<Map<String, Value>, Error> {
    Ok(serde_json::from_slice(&[b"{", text, b"}"].concat())?)
}

fn filter_failure(Failure { kind, reason, .. }: Failure) -> Error {
    match kind {
        FailureKind::Refused => Error::new(StatusCode::BAD_REQUEST, "invalid_replication", reason),
        FailureKind::NotFound
        | FailureKind::Transient
        | FailureKind::Unauthorized
        | FailureKind::Forbidden
        | FailureKind::Conflict
        | FailureKind::TooLarge => Error::not_found(reason),
    }
}

impl From<Closed> for Error {
    fn from(error: Closed) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "service unavailable", error.to_string())
    }
}

impl From<JobError> for Error {
    fn from(error: JobError) -> Self {
        match error {
            JobError::BadRequest(reason) => Self::bad_request(reason),
            JobError::BadDocument(reason) if reason == "endpoint has an invalid url" => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_replication", reason)
            }
            JobError::BadDocument(reason) => Self::new(StatusCode::BAD_REQUEST, "bad_rep_doc", reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_may_stand_in_several_parts() {
        let check = |path: &[&str], expected: Option<(&str, Option<&str>)>| {
            let found = place(path);
            let found = found.as_ref().map(|(db, id)| (db.as_str(), id.as_deref()));
            assert_eq!(found, expected, "{path:?}");
        };
        check(&["_replicator"], Some(("_replicator", None)));
        check(&["_replicator", "a"], Some(("_replicator", Some("a"))));
        check(&["x/_replicator", "a"], Some(("x/_replicator", Some("a"))));
        check(&["x", "y", "_replicator", "a"], Some(("x/y/_replicator", Some("a"))));
        check(&["_replicator", "a", "b"], None);
        check(&["db"], None);
        check(&[], None);
    }

    #[test]
    fn states_are_chosen_by_name() {
        assert_eq!(states(Some("Running,failed")).unwrap(), ["running", "failed"]);
        assert!(states(None).unwrap().is_empty());
        assert!(states(Some("walking")).is_err());
    }
}
