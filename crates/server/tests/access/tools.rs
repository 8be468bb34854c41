//! What Fauxton and operators' scripts ask of a server.

use crate::site::{Site, Who};
use std::collections::BTreeMap;

#[test]
fn fauxton_and_dashboards_get_what_they_ask_for() {
    let site = Site::start("");
    let asked = [
        ("GET /", "", r#""partitioned""#),
        ("GET /_all_dbs", "", r#""db""#),
        ("POST /_dbs_info", r#"{"keys":["db"]}"#, r#""db_name":"db""#),
        ("GET /_active_tasks", "", "[]"),
        ("GET /_session", "", r#""name":"root""#),
        ("GET /_membership", "", r#"{"all_nodes":["node1@127.0.0.1"],"cluster_nodes":["node1@127.0.0.1"]}"#),
        ("GET /_cluster_setup?ensure_dbs_exist=%5B%22_users%22%5D", "", r#"{"state":"single_node_enabled"}"#),
        ("GET /_node/node1@127.0.0.1/_config", "", r#""chttpd_auth":{"#),
        ("PUT /_node/node1@127.0.0.1/_config/cors/origins", r#""https://a.example""#, r#""""#),
        ("GET /_node/node1@127.0.0.1/_config/cors", "", r#"{"origins":"https://a.example"}"#),
        ("GET /_node/_local/_stats/couchdb/httpd/requests", "", r#""type":"counter""#),
        ("GET /_node/_local/_stats/couchdb/open_databases/value", "", ""),
        ("GET /_node/_local/_prometheus", "", "couchdb_httpd_requests_total "),
        ("GET /_node/_local/_prometheus", "", r#"couchdb_httpd_status_codes{code="200"} "#),
        ("GET /_node/_local/_system", "", r#""uptime":"#),
        ("GET /_node/_local/_versions", "", r#""javascript_engine":{"name":"quickjs""#),
        ("GET /_scheduler/docs", "", r#""docs":[]"#),
        ("GET /_scheduler/jobs", "", r#""jobs":[]"#),
        ("GET /_replicator/_all_docs?include_docs=true", "", r#""rows":["#),
        ("GET /db/_design_docs", "", r#""rows":["#),
        ("GET /db/_all_docs?include_docs=true&limit=21&skip=0&conflicts=true", "", r#""rows":["#),
        ("GET /db/_changes?include_docs=true&limit=20&filter=_view", "", "view"),
        ("GET /db/_security", "", r#""keeper""#),
    ];
    for (line, body, part) in asked {
        let answer = site.ask(Who::Root, line, body);
        let is_asked_wrongly = line.contains("filter=_view");
        assert_eq!(answer.status, if is_asked_wrongly { 400 } else { 200 }, "{line}: {}", answer.text());
        assert!(answer.text().contains(part), "{line}: {}", answer.text());
    }
}

#[test]
fn a_method_may_be_named_in_a_header_of_a_post() {
    let site = Site::start("");
    let with = |line: &str, method: &str, body: &str| {
        let headers = [("content-type", "application/json"), ("x-http-method-override", method)];
        site.ask_with(Who::Ada, line, &headers, body)
    };
    assert_eq!(with("POST /db/a", "PUT", "{}").status, 201);
    let answer = with("POST /db/a", "GET", "");
    assert_eq!((answer.status, answer.text().contains(r#""_id":"a""#)), (200, true));
    let rev = answer.header("etag").unwrap().trim_matches('"').to_owned();
    // Only what would change something anyway may change something else.
    assert_eq!(with(&format!("GET /db/a?rev={rev}"), "DELETE", "").status, 200);
    assert_eq!(with(&format!("POST /db/a?rev={rev}"), "DELETE", "").status, 200);
    assert_eq!(site.ask(Who::Ada, "GET /db/a", "").status, 404);
}

#[test]
fn a_replication_begins_where_it_is_told_to() {
    let site = Site::start("");
    let write = |id: &str| assert_eq!(site.ask(Who::Ada, &format!("PUT /db/{id}"), "{}").status, 201);
    ["a", "b"].into_iter().for_each(write);
    let info: serde_json::Value = serde_json::from_slice(&site.ask(Who::Ada, "GET /db", "").body).unwrap();
    write("c");
    let url = |name: &str| format!("http://root:root@{}/{name}", site.client.address());
    let body = serde_json::json!({
        "source": url("db"), "target": url("copy"), "create_target": true, "since_seq": info["update_seq"],
    });
    let answer = site.ask(Who::Root, "POST /_replicate", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rows = site.ask(Who::Root, "GET /copy/_all_docs", "").text();
    let there: BTreeMap<_, _> = ["a", "b", "c"].map(|id| (id, rows.contains(&format!(r#""id":"{id}""#)))).into();
    assert_eq!(there, BTreeMap::from([("a", false), ("b", false), ("c", true)]), "{rows}");
}
