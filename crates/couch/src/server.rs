//! Endpoints of the server as a whole.

use crate::{
    context::{Answer, Context, json, json_value},
    database::info_json,
    error::Error,
    replicator,
    route::NODE,
};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_engine::{Compaction, Health};
use tidegate_http::Body;
use tidegate_json::write_string;
use tidegate_types::DbName;

pub(crate) fn welcome(cx: &Context) -> Response<Body> {
    let identity = cx.engine.identity();
    let body = json!({
        "couchdb": "Welcome",
        "version": COUCHDB_VERSION,
        "git_sha": "tidegate",
        "uuid": identity.uuid,
        "features": ["partitioned", "pluggable-storage-engines", "scheduler"],
        "vendor": { "name": "Tidegate", "version": identity.version },
    });
    json_value(StatusCode::OK, &body)
}

/// The CouchDB whose dialect this is: clients look at it.
const COUCHDB_VERSION: &str = "3.5.0";

pub(crate) fn up(cx: &Context) -> Answer {
    match cx.engine.health() {
        Health::Ok => Ok(json_value(StatusCode::OK, &json!({ "status": "ok", "seeds": {} }))),
        Health::Full { reason } => Err(down(format!("the disk is full: {reason}"))),
        Health::ReadOnly { reason } => Err(down(format!("the storage takes no writes: {reason}"))),
        Health::Stalled { since } => Err(down(format!("the disk lets a write wait for {} seconds", since.as_secs()))),
    }
}

fn down(reason: String) -> Error {
    Error::new(StatusCode::SERVICE_UNAVAILABLE, "service unavailable", reason)
}

pub(crate) fn uuids(cx: &Context) -> Answer {
    let count = match cx.query()?.get("count") {
        None => 1,
        Some(text) => text.parse().map_err(|_invalid| Error::bad_request("count must be a positive integer"))?,
    };
    if count > cx.live.uuids_max {
        return Err(Error::bad_request("count parameter too large"));
    }
    let uuids: Vec<_> = (0..count).map(|_| cx.new_uuid()).collect();
    let etag = uuids.first().map(|first| format!("\"{first}\""));
    let mut response = json_value(StatusCode::OK, &json!({ "uuids": uuids }));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}

/// What runs in the background.
pub(crate) async fn active_tasks(cx: &Context) -> Answer {
    cx.engine.check_admin(&cx.caller)?;
    let now_s = cx.engine.now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let compacting = cx.engine.compactions().into_iter();
    let mut tasks: Vec<Value> = compacting.map(|compaction| compaction_json(&compaction, now_s)).collect();
    tasks.extend(replicator::handlers::tasks(cx).await?);
    Ok(json_value(StatusCode::OK, &Value::Array(tasks)))
}

fn compaction_json(compaction: &Compaction, now_s: u64) -> Value {
    let Compaction { database, started_s, done, total } = compaction;
    json!({
        "type": "database_compaction",
        "node": NODE,
        "pid": "<0.0.0>",
        "database": database.as_str(),
        "changes_done": done,
        "total_changes": total,
        "progress": done.saturating_mul(100).checked_div(*total).unwrap_or(0),
        "started_on": started_s,
        "updated_on": now_s,
    })
}

pub(crate) async fn all_dbs(cx: &Context) -> Answer {
    let names = selected_names(cx).await?;
    let mut body = vec![b'['];
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        write_string(&mut body, name.as_str());
    }
    body.extend_from_slice(b"]\n");
    Ok(json(StatusCode::OK, body))
}

/// The databases between `startkey` and `endkey`, `limit` of them after `skip`.
async fn selected_names(cx: &Context) -> Result<Vec<DbName>, Error> {
    let query = cx.query()?;
    let key = |names: [&str; 2]| -> Result<Option<String>, Error> {
        let text = names.iter().find_map(|name| query.get(name));
        text.map(|text| serde_json::from_str(text).map_err(|_invalid| Error::bad_request("invalid_json"))).transpose()
    };
    let (start, end) = (key(["startkey", "start_key"])?, key(["endkey", "end_key"])?);
    let (limit, skip) = (query.integer("limit")?.unwrap_or(usize::MAX), query.integer("skip")?.unwrap_or(0));
    let descending = query.flag("descending")?.unwrap_or(false);
    let mut names = cx.engine.database_names(&cx.caller).await?;
    let (least, greatest) = if descending { (end, start) } else { (start, end) };
    names.retain(|name| least.as_deref().is_none_or(|least| name.as_str() >= least));
    names.retain(|name| greatest.as_deref().is_none_or(|greatest| name.as_str() <= greatest));
    if descending {
        names.reverse();
    }
    Ok(names.into_iter().skip(skip).take(limit).collect())
}

pub(crate) async fn dbs_info(cx: &Context) -> Answer {
    let names = selected_names(cx).await?;
    dbs_info_json(cx, names.iter().map(DbName::as_str)).await
}

pub(crate) async fn dbs_info_of(cx: &Context, body: Incoming) -> Answer {
    #[derive(Deserialize)]
    struct Request {
        keys: Option<Vec<String>>,
    }
    let body = cx.read_json(body).await?;
    let request: Request = serde_json::from_slice(&body)?;
    let keys = request.keys.ok_or(Error::bad_request("`keys` member must exist."))?;
    if keys.len() as u64 > cx.live.dbs_info_max {
        return Err(Error::bad_request("`keys` member exceeds the max limit."));
    }
    if cx.live.admin_only_all_dbs.is_on() {
        cx.engine.check_admin(&cx.caller)?;
    }
    dbs_info_json(cx, keys.iter().map(String::as_str)).await
}

async fn dbs_info_json(cx: &Context, names: impl Iterator<Item = &str>) -> Answer {
    let mut rows = Vec::new();
    for key in names {
        let info = match key.parse::<DbName>() {
            Ok(name) => match cx.database(&name).await {
                Ok(db) => Some(info_json(&db).await?),
                Err(Error(error)) if error.status == StatusCode::NOT_FOUND => None,
                Err(error) => return Err(error),
            },
            Err(_) => None,
        };
        rows.push(info.map_or(json!({ "key": key, "error": "not_found" }), |info| json!({ "key": key, "info": info })));
    }
    Ok(json_value(StatusCode::OK, &Value::Array(rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compaction_tells_how_far_it_is() {
        let compaction = |done, total| {
            let database = "db".parse().unwrap();
            compaction_json(&Compaction { database, started_s: 10, done, total }, 12)
        };
        let expected = json!({
            "type": "database_compaction", "node": NODE, "pid": "<0.0.0>", "database": "db", "changes_done": 1,
            "total_changes": 3, "progress": 33, "started_on": 10, "updated_on": 12,
        });
        assert_eq!(compaction(1, 3), expected);
        assert_eq!(compaction(0, 0)["progress"], 0);
    }
}
