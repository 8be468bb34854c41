//! Endpoints of a database as a whole.

use crate::{
    config,
    context::{Answer, Context, json_value},
    error::Error,
    keyspace::{Keyspace, is_system},
    replications,
    service::Port,
    upkeep,
};
use http::StatusCode;
use hyper::body::Incoming;
use serde_json::json;
use tidegate_documents::to_its_end;
use tidegate_engine::Database;
use tidegate_http::respond;
use tidegate_types::DbName;

pub(crate) async fn create(cx: &Context, keyspace: &Keyspace, body: Incoming) -> Answer {
    let name = &keyspace.text;
    if cx.shared.port == Port::Public {
        let exists = cx.engine.has_database(&keyspace.database()?).await?;
        return Err(if exists {
            Error::new(StatusCode::PRECONDITION_FAILED, "Database already exists")
        } else {
            Error::new(StatusCode::FORBIDDEN, "Creating a DB over the public API is unsupported")
        });
    }
    let text = cx.read_json(body).await?;
    let config = config::parse(&text)?;
    let parsed = name.parse::<DbName>().ok().filter(|name| !is_system(name));
    let illegal = || Error::bad_request(format!("1 errors:\n400 Illegal database name: {name}"));
    let name = parsed.ok_or_else(illegal)?;
    let task_cx = cx.clone();
    let made = async move {
        let engine = &task_cx.engine;
        let new = engine.prepare_database_in_channels(&task_cx.caller, &name).await?;
        // Replications may be left of one that was deleted in CouchDB's dialect, which knows nothing of them.
        let ready = match replications::delete_all(&task_cx, &name).await {
            Ok(()) => config::begin(new.database(), config).await,
            refused => refused,
        };
        // What can't be configured isn't there, and nobody sees what isn't configured yet.
        match ready {
            Ok(()) => Ok(engine.publish_database(new).await?),
            Err(error) => {
                engine.discard_database(new);
                Err(error)
            }
        }
    };
    to_its_end(&cx.tasks, made).await?;
    Ok(respond::empty(StatusCode::CREATED))
}

pub(crate) async fn delete(cx: &Context, name: &DbName) -> Answer {
    cx.database(name).await?;
    replications::delete_all(cx, name).await?;
    cx.engine.delete_database(&cx.caller, name).await?;
    Ok(json_value(StatusCode::OK, &json!({})))
}

pub(crate) async fn info(cx: &Context, db: &Database) -> Answer {
    let info = db.info().await?;
    let seq = info.update_seq.get();
    let body = json!({
        "db_name": db.name().as_str(),
        "update_seq": seq,
        "committed_update_seq": seq,
        "instance_start_time": cx.started_us(db).await?,
        "compact_running": info.compacting,
        "purge_seq": 0,
        "disk_format_version": 0,
        "state": upkeep::state(db),
    });
    Ok(json_value(StatusCode::OK, &body))
}

/// Every write is durable before it is answered: there is nothing left to commit.
pub(crate) async fn ensure_full_commit(cx: &Context, db: &Database) -> Answer {
    let body = json!({ "instance_start_time": cx.started_us(db).await?, "ok": true });
    Ok(json_value(StatusCode::CREATED, &body))
}
