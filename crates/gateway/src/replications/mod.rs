//! `_replication` and `_replicationStatus`: replications with other servers, configured on the admin port.
//!
//! [`config`] is what may be asked for, [`record`] how it is kept and handed to the server's replicator, [`status`] what
//! is told of it. Replications speak CouchDB's protocol over HTTP, which both dialects answer; Sync Gateway's own speak
//! BLIP. Source: `spec/gateway.md` 2.6.

mod config;
mod record;
mod status;

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
};
use config::{Begins, Config};
use http::StatusCode;
use hyper::body::Incoming;
use record::{Record, Records};
use serde_json::{Map, Value};
use status::Told;
use tidegate_engine::{Database, RunningReplication};
use tidegate_http::respond;
use tidegate_types::DbName;

pub(crate) async fn list(cx: &Context, db: &Database) -> Answer {
    let records = Records::of(cx, db).await?.list().await?;
    let shown = |record: Record| (record.config.id().to_owned(), Value::Object(record.config.shown()));
    Ok(json_value(StatusCode::OK, &Value::Object(records.into_iter().map(shown).collect())))
}

pub(crate) async fn get(cx: &Context, db: &Database, id: &str) -> Answer {
    let record = load(&Records::of(cx, db).await?, id).await?;
    Ok(json_value(StatusCode::OK, &Value::Object(record.config.shown())))
}

/// `POST`, and `PUT` with the name in the path.
pub(crate) async fn put(cx: &Context, db: &Database, id: Option<&str>, body: Incoming) -> Answer {
    check_owner(cx)?;
    let mut members: Map<String, Value> = serde_json::from_slice(&cx.read_json(body).await?)?;
    let id = name(id, &mut members)?;
    let records = Records::of(cx, db).await?;
    let old = records.get(&id).await?;
    let config = Config::parse(members, old.as_ref().map(|old| &old.config))?;
    let status = if old.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let record = match old {
        Some(old) => Record { config, ..old },
        None => {
            let is_stopped = config.begins()? == Begins::Stopped;
            Record::new(config, is_stopped)
        }
    };
    records.put(&record).await?;
    Ok(respond::empty(status))
}

/// A replication works on behalf of who configured it, whenever it runs.
fn check_owner(cx: &Context) -> Result<(), Error> {
    if cx.caller.context().name.is_some() || cx.engine.is_open() {
        return Ok(());
    }
    let reason = "a replication works for an administrator: say which one, with a name and a password";
    Err(Error::new(StatusCode::FORBIDDEN, reason))
}

/// The name of a replication that the path or the body tells; a new one where neither does.
fn name(in_path: Option<&str>, members: &mut Map<String, Value>) -> Result<String, Error> {
    let in_body = members.get("replication_id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
    let name = match (in_path, in_body) {
        (Some(path), Some(body)) if path != body => {
            return Err(Error::bad_request("Replication ID in body does not match request URL"));
        }
        (Some(path), _) => path.to_owned(),
        (None, Some(body)) => body,
        (None, None) => format!("{:032x}", rand::random::<u128>()),
    };
    members.insert("replication_id".to_owned(), name.as_str().into());
    Ok(name)
}

pub(crate) async fn delete(cx: &Context, db: &Database, id: &str) -> Answer {
    let records = Records::of(cx, db).await?;
    records.remove(&load(&records, id).await?).await?;
    Ok(respond::empty(StatusCode::OK))
}

/// Takes away the replications of all databases that had this name: of one that is to be deleted, or is to come.
pub(crate) async fn delete_all(cx: &Context, name: &DbName) -> Result<(), Error> {
    Records::clear(cx, name).await
}

/// Hands the replications of a database to the one that has taken its place.
pub(crate) async fn hand_over(cx: &Context, old: &Database, new: &Database) -> Result<(), Error> {
    let (Some(old), Some(new)) = (Records::find(cx, old).await?, Records::find(cx, new).await?) else { return Ok(()) };
    for record in old.list().await? {
        new.put(&record).await?;
    }
    Ok(())
}

pub(crate) async fn statuses(cx: &Context, db: &Database) -> Answer {
    let is_active_only = cx.query()?.get("activeOnly") == Some("true");
    let (records, running, told) = (Records::of(cx, db).await?.list().await?, running(cx).await?, told(cx)?);
    let all = records.iter().map(|record| status::of(record, &running, told));
    let asked = all.filter(|(status, _)| status.is_active() || !is_active_only).map(|(_, body)| body);
    Ok(json_value(StatusCode::OK, &asked.collect()))
}

pub(crate) async fn status(cx: &Context, db: &Database, id: &str) -> Answer {
    let record = load(&Records::of(cx, db).await?, id).await?;
    Ok(json_value(StatusCode::OK, &status::of(&record, &running(cx).await?, told(cx)?).1))
}

/// `?action=start|stop|reset`
pub(crate) async fn act(cx: &Context, db: &Database, id: &str) -> Answer {
    let records = Records::of(cx, db).await?;
    let (mut record, running) = (load(&records, id).await?, running(cx).await?);
    for kept in record.ways.values_mut() {
        kept.counts = status::counts(kept, &running);
    }
    match cx.query()?.get("action") {
        Some("start") => {
            check_owner(cx)?;
            record.is_stopped = false;
        }
        Some("stop") => record.is_stopped = true,
        Some("reset") if !record.is_stopped && status::of(&record, &running, Told::Status).0.is_active() => {
            return Err(Error::bad_request("a replication is reset when it is stopped"));
        }
        Some("reset") => {
            record.is_stopped = true;
            record.begin_anew();
        }
        action => {
            let action = action.unwrap_or_default();
            let reason = format!("Unrecognized action \"{action}\". Valid values are start/stop/reset.");
            return Err(Error::bad_request(reason));
        }
    }
    records.put(&record).await?;
    let record = load(&records, id).await?;
    Ok(json_value(StatusCode::OK, &status::of(&record, &running, told(cx)?).1))
}

async fn load(records: &Records, id: &str) -> Result<Record, Error> {
    records.get(id).await?.ok_or_else(|| Error::not_found("missing"))
}

async fn running(cx: &Context) -> Result<Vec<RunningReplication>, Error> {
    Ok(cx.engine.replications(&cx.caller).await?)
}

fn told(cx: &Context) -> Result<Told, Error> {
    let is_asked = cx.query()?.get("includeConfig") == Some("true");
    Ok(if is_asked { Told::StatusAndConfig } else { Told::Status })
}
