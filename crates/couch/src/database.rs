//! Endpoints of a database as a whole.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    route::NODE,
    sequence::WireSeq,
};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tidegate_engine::{Database, DatabaseInfo, Layout, Position};
use tidegate_http::{Body, path::encode_segment};
use tidegate_types::{DbName, Seq};

/// Keys, record and row of a document with a short history.
const DOCUMENT_OVERHEAD_BYTES: u64 = 256;
/// A database with nothing in it.
const DATABASE_OVERHEAD_BYTES: u64 = 4_096;

pub(crate) async fn create(cx: &Context, name: &DbName) -> Answer {
    let layout = match cx.query()?.get("partitioned") {
        None | Some("" | "false") => Layout::Whole,
        Some("true") => Layout::Partitioned,
        Some(_) => return Err(Error::bad_request("Invalid `partitioned` parameter")),
    };
    match (cx.query()?.get("access"), layout) {
        (None | Some("database"), layout) => cx.engine.create_database(&cx.caller, name, layout).await?,
        (Some("channels"), Layout::Whole) => cx.engine.create_database_in_channels(&cx.caller, name).await?,
        (Some("channels"), Layout::Partitioned) => {
            return Err(Error::bad_request("A database whose documents are in channels can't be partitioned"));
        }
        (Some(_), _) => return Err(Error::bad_request("Invalid `access` parameter: it is `database` or `channels`")),
    }
    cx.shared.replication.databases_changed();
    let mut response = json_value(StatusCode::CREATED, &json!({ "ok": true }));
    let location = format!("{}/{}", cx.base_url(), encode_segment(name.as_str()));
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(crate) async fn delete(cx: &Context, name: &DbName) -> Answer {
    if cx.query()?.get("rev").is_some() {
        let reason =
            "You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?";
        return Err(Error::bad_request(reason));
    }
    cx.engine.delete_database(&cx.caller, name).await?;
    Ok(json_value(StatusCode::OK, &json!({ "ok": true })))
}

pub(crate) async fn info(db: &Database) -> Answer {
    Ok(json_value(StatusCode::OK, &info_json(db).await?))
}

pub(crate) async fn info_json(db: &Database) -> Result<Value, Error> {
    let info = db.info().await?;
    let mut told = json!({
        "instance_start_time": info.created_s.to_string(),
        "db_name": db.name().as_str(),
        "purge_seq": wire_seq(db, Seq::new(info.purge_seq)).to_string(),
        "update_seq": wire_seq(db, info.update_seq).to_string(),
        "sizes": { "file": file_bytes(&info), "external": info.stored_bytes, "active": info.stored_bytes },
        "props": props(db),
        "doc_del_count": info.doc_del_count,
        "doc_count": info.doc_count,
        "disk_format_version": 8,
        "compact_running": info.compacting,
        "cluster": { "q": 1, "n": 1, "w": 1, "r": 1 },
    });
    // How much there is that its reader may not see is nobody's business.
    if let Some(told) = told.as_object_mut().filter(|_| db.is_seen_by_channels()) {
        told.retain(|name, _| !["sizes", "doc_count", "doc_del_count"].contains(&name.as_str()));
    }
    Ok(told)
}

fn props(db: &Database) -> Value {
    match db.layout() {
        Layout::Whole => json!({}),
        Layout::Partitioned => json!({ "partitioned": true }),
    }
}

/// Who may use the database, in the words it was set in.
pub(crate) fn security(db: &Database) -> Response<Body> {
    crate::context::json(StatusCode::OK, format!("{}\n", db.security()))
}

pub(crate) async fn set_security(cx: &Context, db: &Database, body: Incoming) -> Answer {
    db.set_security(&cx.read(body).await?).await?;
    Ok(json_value(StatusCode::OK, &json!({ "ok": true })))
}

/// One shard, on the one node.
pub(crate) fn shards() -> Response<Body> {
    json_value(StatusCode::OK, &json!({ "shards": { "00000000-ffffffff": [NODE] } }))
}

/// There is nothing to synchronise: one node has it all.
pub(crate) fn sync_shards(cx: &Context) -> Answer {
    cx.engine.check_admin(&cx.caller)?;
    Ok(json_value(StatusCode::ACCEPTED, &json!({ "ok": true })))
}

/// Takes away what was left of views that no design document has any more. There are none yet.
pub(crate) fn view_cleanup(cx: &Context, db: &Database) -> Answer {
    cx.check_json_content_type()?;
    db.check_upkeep()?;
    Ok(json_value(StatusCode::ACCEPTED, &json!({ "ok": true })))
}

/// What a database takes on the disk, roughly: beside its bodies and attachments each document has a record and a row.
fn file_bytes(info: &DatabaseInfo) -> u64 {
    let documents = info.doc_count + info.doc_del_count;
    info.stored_bytes + documents.saturating_mul(DOCUMENT_OVERHEAD_BYTES) + DATABASE_OVERHEAD_BYTES
}

pub(crate) fn compact(cx: &Context, db: &Database) -> Answer {
    cx.check_json_content_type()?;
    db.compact()?;
    Ok(json_value(StatusCode::ACCEPTED, &json!({ "ok": true })))
}

/// Every write is durable before it is answered: there is nothing left to commit.
pub(crate) async fn ensure_full_commit(cx: &Context, db: &Database) -> Answer {
    cx.check_json_content_type()?;
    let created_s = db.info().await?.created_s;
    Ok(json_value(StatusCode::CREATED, &json!({ "ok": true, "instance_start_time": created_s.to_string() })))
}

/// A sequence as clients see it.
pub(crate) fn wire_seq(db: &Database, seq: Seq) -> WireSeq {
    wire_position(db, Position::at(seq))
}

/// Where a feed is, as clients see it.
pub(crate) fn wire_position(db: &Database, position: Position) -> WireSeq {
    WireSeq { position, database: Some(db.uuid()) }
}
