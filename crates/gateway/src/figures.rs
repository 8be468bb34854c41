//! What the server knows of itself: `_status`, `_expvar`, `_stats`, and figures for Prometheus.
//!
//! The names are Sync Gateway's; figures that this server doesn't have aren't made up. Source: `spec/gateway.md` 1, 2.1.

use crate::{
    context::{Answer, Context, json_value},
    keyspace::is_system,
    server::{full_version, vendor},
    service::Profile,
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};
use tidegate_engine::{Caller, DatabaseInfo, Engine, Service};
use tidegate_http::{Body, observe::Observed, respond};
use tidegate_types::DbName;

/// A database's figures.
struct Figures {
    name: DbName,
    service: Service,
    info: DatabaseInfo,
}

async fn databases(engine: &Engine, caller: &Caller) -> Result<Vec<Figures>, tidegate_engine::Error> {
    let mut all = Vec::new();
    for name in engine.database_names(caller).await?.into_iter().filter(|name| !is_system(name)) {
        match engine.database(caller, &name).await {
            Ok(db) => all.push(Figures { info: db.info().await?, service: db.service(), name }),
            // Deleted meanwhile.
            Err(tidegate_engine::Error::NoDatabase(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

pub(crate) async fn status(cx: &Context) -> Answer {
    let profile = cx.shared.settings.profile;
    let uuid = cx.engine.identity().uuid.clone();
    let mut by_name = Map::new();
    for Figures { name, service, info } in databases(&cx.engine, &cx.caller).await? {
        let state = match service {
            Service::Online => "Online",
            Service::Offline => "Offline",
        };
        let status = json!({
            "seq": info.update_seq.get(),
            "server_uuid": uuid,
            "state": state,
            "require_resync": false,
            "replication_status": [],
            "cluster": { "node": {}, "replication": {} },
        });
        by_name.insert(name.to_string(), status);
    }
    let body = json!({
        "databases": by_name,
        "version": full_version(profile),
        "vendor": vendor(profile),
        "node_uid": uuid,
    });
    Ok(json_value(StatusCode::OK, &body))
}

pub(crate) async fn expvar(cx: &Context) -> Answer {
    let settings = &cx.shared.settings;
    let body = expvar_json(&cx.engine, &cx.caller, (settings.profile, &(settings.observe.0)())).await?;
    Ok(json_value(StatusCode::OK, &body))
}

/// `_expvar`, as a value.
///
/// # Errors
/// [`tidegate_engine::Error::Access`] for all but administrators, or the storage failed.
pub async fn expvar_json(
    engine: &Engine,
    caller: &Caller,
    (profile, observed): (Profile, &Observed),
) -> Result<Value, tidegate_engine::Error> {
    let mut by_name = Map::new();
    for figures in databases(engine, caller).await? {
        by_name.insert(figures.name.to_string(), of_database(&figures));
    }
    let storage = engine.storage_stats();
    let global = json!({
        "resource_utilization": {
            "process_memory_resident": observed.resident_bytes,
            "uptime": observed.uptime_s.saturating_mul(1_000_000_000),
            "num_threads": observed.threads,
            "storage_commits": storage.commits,
            "storage_syncs": storage.log_syncs,
        },
    });
    let mut body = json!({
        "cb": {},
        "cmdline": std::env::args().take(1).collect::<Vec<_>>(),
        "goblip": {},
        "mc": {},
        "memstats": memory(observed),
        "syncgateway": { "global": global, "per_db": by_name, "per_replication": {} },
    });
    if let (Profile::Two, Some(body)) = (profile, body.as_object_mut()) {
        body.insert("syncGateway_changeCache".to_owned(), json!({}));
        body.insert("syncGateway_dcp".to_owned(), json!({}));
    }
    Ok(body)
}

fn of_database(figures: &Figures) -> Value {
    let Figures { info, .. } = figures;
    json!({
        "cache": {},
        "cbl_replication_pull": {},
        "cbl_replication_push": {},
        "database": {
            "doc_count": info.doc_count,
            "doc_deleted_count": info.doc_del_count,
            "sequence_assigned_count": info.update_seq.get(),
            "high_seq_feed": info.update_seq.get(),
            "stored_bytes": info.stored_bytes,
        },
        "gsi_views": {},
        "security": {},
        "shared_bucket_import": {},
        "per_collection": {},
    })
}

fn memory(observed: &Observed) -> Value {
    json!({ "Sys": observed.resident_bytes, "HeapInuse": observed.resident_bytes })
}

pub(crate) fn stats(cx: &Context) -> Response<Body> {
    let observed = (cx.shared.settings.observe.0)();
    json_value(StatusCode::OK, &json!({ "memstats": memory(&observed) }))
}

pub(crate) async fn metrics(cx: &Context) -> Answer {
    let observed = (cx.shared.settings.observe.0)();
    let text = prometheus_text(&cx.engine, &cx.caller, &observed).await?;
    let content_type = HeaderValue::from_static("text/plain; version=1.0.0; charset=utf-8");
    Ok(respond::bytes(StatusCode::OK, content_type, Bytes::from(text)))
}

/// All figures as Prometheus reads them: those of the process, then Sync Gateway's.
///
/// # Errors
/// [`tidegate_engine::Error::Access`] for all but administrators, or the storage failed.
pub async fn prometheus_text(
    engine: &Engine,
    caller: &Caller,
    observed: &Observed,
) -> Result<String, tidegate_engine::Error> {
    let mut out = observed.prometheus.trim_end_matches("# EOF\n").to_owned();
    let mut family = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, value) in values {
            out.push_str(&format!("{name}{labels} {value}\n"));
        }
    };
    let bare = |value: u64| vec![(String::new(), value)];
    let memory = "sgw_resource_utilization_process_memory_resident";
    family(memory, "gauge", "Resident memory in bytes", &bare(observed.resident_bytes));
    let uptime = "sgw_resource_utilization_uptime";
    family(uptime, "gauge", "Nanoseconds since the start", &bare(observed.uptime_s.saturating_mul(1_000_000_000)));
    let all = databases(engine, caller).await?;
    let of = |value: fn(&DatabaseInfo) -> u64| -> Vec<(String, u64)> {
        all.iter().map(|figures| (format!("{{database=\"{}\"}}", figures.name), value(&figures.info))).collect()
    };
    let writes = "sgw_database_sequence_assigned_count";
    family(writes, "gauge", "Sequences given to changes", &of(|info| info.update_seq.get()));
    family("sgw_database_doc_count", "gauge", "Live documents", &of(|info| info.doc_count));
    family("sgw_database_doc_deleted_count", "gauge", "Deleted documents", &of(|info| info.doc_del_count));
    family("sgw_database_stored_bytes", "gauge", "Bytes of bodies and attachments", &of(|info| info.stored_bytes));
    out.push_str("# EOF\n");
    Ok(out)
}
