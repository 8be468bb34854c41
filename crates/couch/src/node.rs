//! `/_node/…`, and what else CouchDB tells of a cluster: this one has one node.
//!
//! Source: `chttpd_node`, `spec/couch.md` 2.

use crate::{
    backup,
    context::{Answer, Context, json_value},
    error::Error,
    figures::Figures,
    route::{NODE, NodeRoute},
};
use http::{HeaderName, HeaderValue, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use tidegate_engine::Persistence;
use tidegate_http::respond;

const PERSIST: HeaderName = HeaderName::from_static("x-couch-persist");

pub(crate) async fn answer(cx: &Context, route: NodeRoute, body: Incoming) -> Answer {
    match (&route, cx.request.method.as_str()) {
        (NodeRoute::Stats(_) | NodeRoute::System | NodeRoute::Prometheus, "GET" | "HEAD") => figures(cx, &route),
        (_, method) => {
            cx.engine.check_admin(&cx.caller)?;
            match (&route, method) {
                (NodeRoute::NoSuchNode(name), _) => Err(Error::not_found(format!("no such node: {name}"))),
                (NodeRoute::Unknown, _) => Err(Error::not_found("missing")),
                (NodeRoute::Name, "GET" | "HEAD") => Ok(json_value(StatusCode::OK, &json!({ "name": NODE }))),
                (NodeRoute::Versions, "GET" | "HEAD") => Ok(versions()),
                (NodeRoute::Smoosh, "GET" | "HEAD") => Ok(json_value(StatusCode::OK, &json!({ "channels": {} }))),
                (NodeRoute::Backup, "GET") => backup::get(cx).await,
                (NodeRoute::Backup, _) => Err(Error::method_not_allowed("GET")),
                (NodeRoute::Restart, "POST") => Err(Error::not_implemented()),
                (NodeRoute::Restart, _) => Err(Error::method_not_allowed("POST")),
                (
                    NodeRoute::Config
                    | NodeRoute::ConfigReload
                    | NodeRoute::ConfigSection(_)
                    | NodeRoute::ConfigKey(..),
                    _,
                ) => config(cx, &route, body).await,
                _ => Err(Error::method_not_allowed("GET,HEAD")),
            }
        }
    }
}

async fn config(cx: &Context, route: &NodeRoute, body: Incoming) -> Answer {
    let sections = cx.engine.config(&cx.caller).await?;
    let shown = |section: &str| -> Map<String, Value> {
        sections.section(section).map(|(key, value)| (key.to_owned(), value.into())).collect()
    };
    let value = match (route, cx.request.method.as_str()) {
        (NodeRoute::Config, "GET" | "HEAD") => {
            Value::Object(sections.names().map(|name| (name.to_owned(), shown(name).into())).collect())
        }
        (NodeRoute::ConfigSection(section), "GET" | "HEAD") => Value::Object(shown(section)),
        (NodeRoute::ConfigKey(section, key), "GET" | "HEAD") => {
            Value::from(sections.get(section, key).ok_or(Error::not_found("unknown_config_value"))?)
        }
        (NodeRoute::ConfigKey(section, key), "PUT") => {
            let value: Value = serde_json::from_slice(&cx.read(body).await?)?;
            let value = value.as_str().ok_or(Error::bad_request("a JSON string expected"))?;
            let before = cx.engine.set_config(&cx.caller, (section, key), Some(value.trim()), persistence(cx)).await?;
            Value::from(before.unwrap_or_default())
        }
        (NodeRoute::ConfigKey(section, key), "DELETE") => {
            if sections.get(section, key).is_none() {
                return Err(Error::not_found("unknown_config_value"));
            }
            let before = cx.engine.set_config(&cx.caller, (section, key), None, persistence(cx)).await?;
            Value::from(before.unwrap_or_default())
        }
        (NodeRoute::ConfigReload, "POST") => {
            cx.engine.reload_config(&cx.caller).await?;
            json!({ "ok": true })
        }
        (NodeRoute::ConfigReload, _) => return Err(Error::method_not_allowed("POST")),
        (NodeRoute::ConfigKey(..), _) => return Err(Error::method_not_allowed("GET,PUT,DELETE")),
        _ => return Err(Error::method_not_allowed("GET")),
    };
    Ok(json_value(StatusCode::OK, &value))
}

fn persistence(cx: &Context) -> Persistence {
    if cx.header(PERSIST) == Some("false") { Persistence::Volatile } else { Persistence::Kept }
}

fn figures(cx: &Context, route: &NodeRoute) -> Answer {
    cx.engine.check_metrics(&cx.caller)?;
    let observed = (cx.shared.settings.observe.0)();
    match route {
        NodeRoute::Stats(path) => stats(&Figures::of(cx, &observed), path),
        NodeRoute::Prometheus => {
            let content_type = HeaderValue::from_static("text/plain; version=2.0");
            let text = Figures::of(cx, &observed).lines() + &observed.prometheus;
            Ok(respond::bytes(StatusCode::OK, content_type, text.into()))
        }
        NodeRoute::System
        | NodeRoute::Name
        | NodeRoute::Config
        | NodeRoute::ConfigReload
        | NodeRoute::ConfigSection(_)
        | NodeRoute::ConfigKey(..)
        | NodeRoute::Versions
        | NodeRoute::Smoosh
        | NodeRoute::Restart
        | NodeRoute::Backup
        | NodeRoute::NoSuchNode(_)
        | NodeRoute::Unknown => Ok(json_value(
            StatusCode::OK,
            &json!({
                "uptime": observed.uptime_s,
                "memory": { "processes": observed.resident_bytes, "other": 0 },
                "process_count": observed.threads,
                "os_proc_count": 0,
                "message_queues": {},
                "internal_replication_jobs": 0,
            }),
        )),
    }
}

fn stats(figures: &Figures, path: &[String]) -> Answer {
    let all = figures.tree();
    let found = path.iter().try_fold(&all, |value, name| value.get(name));
    let found = found.ok_or(Error::not_found("missing"))?;
    Ok(json_value(StatusCode::OK, found))
}

fn versions() -> http::Response<tidegate_http::Body> {
    let engine = json!({ "name": "quickjs", "version": "2025-09-13" });
    json_value(
        StatusCode::OK,
        &json!({
            "tidegate": env!("CARGO_PKG_VERSION"),
            "javascript_engine": engine,
            "collation_driver": { "name": "icu4x" },
        }),
    )
}

/// Every node that there is.
pub(crate) fn membership(cx: &Context) -> Answer {
    cx.engine.check_admin(&cx.caller)?;
    Ok(json_value(StatusCode::OK, &json!({ "all_nodes": [NODE], "cluster_nodes": [NODE] })))
}

/// There is no cluster to set up: a single node, which is ready.
pub(crate) async fn cluster_setup(cx: &Context, body: Incoming) -> Answer {
    cx.engine.check_admin(&cx.caller)?;
    if matches!(cx.request.method.as_str(), "GET" | "HEAD") {
        return Ok(json_value(StatusCode::OK, &json!({ "state": "single_node_enabled" })));
    }
    let request: Value = serde_json::from_slice(&cx.read_json(body).await?)?;
    match request.get("action").and_then(Value::as_str) {
        Some("enable_single_node" | "finish_cluster") => {
            if let (Some(name), Some(password)) =
                (request.get("username").and_then(Value::as_str), request.get("password").and_then(Value::as_str))
            {
                let key = ("admins", name);
                cx.engine.set_config(&cx.caller, key, Some(password), Persistence::Kept).await?;
            }
            Ok(json_value(StatusCode::CREATED, &json!({ "ok": true })))
        }
        Some(_) => {
            Err(Error::bad_request("There is one node: only `enable_single_node` and `finish_cluster` can be done"))
        }
        None => Err(Error::bad_request("Invalid Action'")),
    }
}
