//! Endpoints of the server as a whole.

use crate::{
    context::{Answer, Context, Head, json_value},
    error::Error,
    keyspace::is_system,
    service::{Port, Profile},
};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use std::net::IpAddr;
use tidegate_http::{Body, respond};

/// The version whose answers a profile gives.
const fn version(profile: Profile) -> &'static str {
    match profile {
        Profile::Two => "2.5.0",
        Profile::Four => "4.2.0",
    }
}

/// What clients look at to learn what the server can do.
pub(crate) fn header(profile: Profile) -> HeaderValue {
    match profile {
        Profile::Two => HeaderValue::from_static("Couchbase Sync Gateway/2.5.0 CE"),
        Profile::Four => HeaderValue::from_static("Couchbase Sync Gateway/4.2.0 CE"),
    }
}

pub(crate) fn full_version(profile: Profile) -> String {
    format!("Couchbase Sync Gateway/{}(Tidegate {}) CE", version(profile), env!("CARGO_PKG_VERSION"))
}

pub(crate) fn vendor(profile: Profile) -> Value {
    let version = match profile {
        Profile::Two => "2.5",
        Profile::Four => "4.2",
    };
    json!({ "name": "Couchbase Sync Gateway", "version": version })
}

pub(crate) fn welcome(cx: &Context) -> Response<Body> {
    let profile = cx.shared.settings.profile;
    let mut body = json!({ "couchdb": "Welcome", "vendor": vendor(profile), "version": full_version(profile) });
    let mut set = |name: &str, value: Value| drop(body.as_object_mut().map(|body| body.insert(name.to_owned(), value)));
    if cx.shared.port == Port::Admin {
        set("ADMIN", true.into());
    }
    if profile == Profile::Four {
        set("persistent_config", true.into());
        set("node_uid", cx.engine.identity().uuid.clone().into());
        set("cluster_compat_version", "4.2".into());
    }
    json_value(StatusCode::OK, &body)
}

pub(crate) fn ping() -> Response<Body> {
    respond::bytes(StatusCode::OK, HeaderValue::from_static("text/plain; charset=utf-8"), "OK".into())
}

pub(crate) async fn all_dbs(cx: &Context) -> Answer {
    let names = cx.engine.database_names(&cx.caller).await?;
    let names = names.iter().filter(|name| !is_system(name));
    if cx.query()?.get("verbose") != Some("true") {
        return Ok(json_value(StatusCode::OK, &names.map(|name| Value::from(name.as_str())).collect()));
    }
    let row = |name| json!({ "db_name": name, "bucket": name, "state": "Online" });
    Ok(json_value(StatusCode::OK, &names.map(|name| row(name.as_str())).collect()))
}

/// What the server was started with, as far as this dialect has names for it.
pub(crate) fn config(cx: &Context) -> Answer {
    if cx.request.method == http::Method::PUT {
        return Err(Error::not_implemented());
    }
    let profile = match cx.shared.settings.profile {
        Profile::Two => 2,
        Profile::Four => 4,
    };
    let body = json!({
        "api": { "hide_product_version": false },
        "logging": {},
        "unsupported": { "tidegate": { "profile": profile } },
    });
    Ok(json_value(StatusCode::OK, &body))
}

/// What is logged is told at the start: there are no keys of the console's log.
pub(crate) fn logging(cx: &Context) -> Answer {
    let is_read = cx.request.method == http::Method::GET || cx.request.method == http::Method::HEAD;
    if is_read { Ok(json_value(StatusCode::OK, &json!({}))) } else { Err(Error::not_implemented()) }
}

/// Refuses what a web page of somewhere else makes a browser on this machine ask: behind an open door stands everything.
///
/// # Errors
/// The request names another host than this one, or comes from a page of another.
pub(crate) fn check_local(request: &Head) -> Result<(), Error> {
    let named = request.header(header::HOST).or(request.uri.authority().map(http::uri::Authority::as_str));
    let origin = request.header(header::ORIGIN).filter(|origin| *origin != "null");
    let origin_host = origin.map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    let is_local = [named, origin_host].into_iter().flatten().all(is_loopback);
    if is_local && request.header(header::ORIGIN) != Some("null") {
        return Ok(());
    }
    Err(Error::new(StatusCode::FORBIDDEN, "the open admin port answers requests to and from this machine only"))
}

/// Whether a host, with its port or without, is this machine.
fn is_loopback(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) | None => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine() {
        for local in ["localhost", "LOCALHOST:4985", "127.0.0.1:4985", "127.1.2.3", "[::1]:4985", "[::1]"] {
            assert!(is_loopback(local), "{local}");
        }
        for other in ["example.com", "localhost.example.com:4985", "10.0.0.1:4985", "localhost:x", ""] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
