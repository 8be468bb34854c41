//! Sync Gateway's dialect, in both profiles: what a compatible server answers. Source: `spec/gateway.md`.

mod config;
mod documents;
mod doors;
mod feeds;
mod openapi;
mod trials;
mod users;

use crate::transcript::Transcript;

/// A conversation about one database.
fn with_database(profile: &str) -> Transcript {
    let mut t = Transcript::gateway(profile);
    t.put("/db/", "{}");
    t
}

#[test]
fn the_server_as_version_2() {
    let mut t = Transcript::gateway("2");
    t.get("/");
    t.public(None, "GET", "/", "");
    t.get("/_ping");
    t.get("/_all_dbs");
    t.public(None, "GET", "/_all_dbs", "");
    t.public(None, "GET", "/none/", "");
    t.public(None, "GET", "/none/_session", "");
    t.get("/none/");
    t.get("/_nothing");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn the_server_as_version_4() {
    let mut t = Transcript::gateway("4");
    t.get("/");
    t.public(None, "GET", "/", "");
    t.public(None, "GET", "/none/", "");
    t.public(Some("al:secret"), "GET", "/none/", "");
    t.put("/db/", "{}");
    t.public(None, "GET", "/db/", "");
    t.public(None, "PUT", "/db/", "{}");
    t.get("/_status");
    t.get("/_all_dbs?verbose=true");
    t.request("PATCH", "/db/doc", &[], "");
    t.request("OPTIONS", "/db/doc", &[], "");
    t.request("OPTIONS", "/db/_bulk_docs", &[], "");
    t.get("/db");
    t.get("/db/_all_docs/?limit=1");
    t.request("GET", "/_all_dbs", &[("accept", "text/plain")], "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn an_open_admin_port_is_for_this_machine() {
    let mut t = Transcript::gateway("4");
    t.request("GET", "/_all_dbs", &[("origin", "https://evil.example.com")], "");
    t.request("GET", "/_all_dbs", &[("origin", "null")], "");
    t.request("GET", "/_all_dbs", &[("origin", "http://localhost:3000")], "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn web_pages_may_call_the_public_port() {
    let mut t = with_database("4");
    let page = ("origin", "http://localhost:3000");
    t.page("GET", "/", &[page]);
    t.page("OPTIONS", "/db/a", &[page, ("access-control-request-method", "PUT")]);
    let evil = ("origin", "https://evil.example.com");
    t.page("GET", "/", &[evil]);
    t.page("POST", "/db/_session", &[page]);
    t.page("POST", "/db/_session", &[evil]);
    t.page("PUT", "/db/a", &[evil]);
    t.page("GET", "/db/_changes?feed=websocket", &[evil, ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")]);
    t.page("POST", "/db/_session", &[("origin", "null")]);
    insta::assert_snapshot!(t.finish());
}

#[test]
fn web_pages_may_call_a_database_as_it_says() {
    let mut t = with_database("4");
    t.put("/db/_config", r#"{"cors":{"origin":"*"}}"#);
    t.put(
        "/db/_config",
        r#"{"cors":{"origin":["https://app.example.com"],"login_origin":["https://in.example.com"],"max_age":5}}"#,
    );
    let (app, login) = (("origin", "https://app.example.com"), ("origin", "https://in.example.com"));
    t.page("OPTIONS", "/db/a", &[app, ("access-control-request-method", "PUT")]);
    t.page("PUT", "/db/a", &[app]);
    t.page("PUT", "/db/a", &[login]);
    t.page("POST", "/db/_session", &[app]);
    t.page("POST", "/db/_session", &[login]);
    t.page("PUT", "/db/a", &[("origin", "http://localhost:3000")]);
    t.page("GET", "/", &[app]);
    insta::assert_snapshot!(t.finish());
}

#[test]
fn databases() {
    let mut t = Transcript::gateway("4");
    t.put("/db/", "");
    t.put("/db/", "{}");
    t.put("/BAD/", "{}");
    t.put("/_system/", "{}");
    t.put("/other/", "{\"synk\":1}");
    t.put("/other/", "[]");
    t.get("/db/");
    t.get("/db.other/");
    t.get("/db._default._default/");
    t.post("/db/_ensure_full_commit", "");
    t.delete("/db/");
    t.delete("/db/");
    t.get("/_all_dbs");
    insta::assert_snapshot!(t.finish());
}
