//! What administrators set of a database.

use super::with_database;

#[test]
fn of_a_database() {
    let mut t = with_database("4");
    t.get("/db/_config");
    let etag = t.last_header("etag");
    t.request("POST", "/db/_config", &[("if-match", "\"other\"")], "{}");
    t.request(
        "POST",
        "/db/_config",
        &[("if-match", &etag)],
        r#"{"revs_limit":20,"users":{"al":{"password":"secret"}}}"#,
    );
    t.get("/db/_config");
    t.put("/db/_config", r#"{"sync":"function(doc){throw({forbidden:\"no\"});}"}"#);
    t.get("/db/_config");
    t.get("/db/_config?include_javascript=false");
    t.put("/db/a", "{}");
    t.put("/db/_config", r#"{"sync":"function("}"#);
    t.put("/db/_config", r#"{"nonsense":1}"#);
    t.get("/db/_user/al");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn the_sync_function_by_itself() {
    let mut t = with_database("4");
    let javascript = [("content-type", "application/javascript")];
    t.get("/db/_config/sync");
    t.put("/db/_config/sync", "function(doc){}");
    t.request("PUT", "/db/_config/sync", &javascript, "function(doc){ channel('x'); }");
    t.get("/db/_config/sync");
    t.put("/db/a", "{}");
    t.get("/db/_changes?filter=sync_gateway/bychannel&channels=x");
    t.delete("/db/_config/sync");
    t.get("/db/_config/sync");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn out_of_use() {
    let mut t = with_database("4");
    t.post("/db/_offline", "");
    t.get("/db/");
    t.get("/db/a");
    t.put("/db/a", "{}");
    t.get("/db/_config");
    t.post("/db/_online", "{\"delay\":\"x\"}");
    t.post("/db/_online", "");
    t.get("/db/");
    t.get("/db/a");
    t.get("/db/_compact");
    t.post("/db/_repair", "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn without_conflicts() {
    let mut t = with_database("4");
    t.put("/db/_config", r#"{"allow_conflicts":false}"#);
    t.put("/db/_config", r#"{"allow_conflicts":"no"}"#);
    let replicated = |id: &str, path: &str, members: &str| {
        let digests: Vec<String> = path.split(',').map(|digest| format!("\"{digest}\"")).collect();
        let (start, ids) = (digests.len(), digests.join(","));
        let doc = format!(r#"{{"_id":"{id}","_revisions":{{"start":{start},"ids":[{ids}]}}{members}}}"#);
        format!(r#"{{"new_edits":false,"docs":[{doc}]}}"#)
    };
    t.post("/db/_bulk_docs", &replicated("a", "b,a", ""));
    t.post("/db/_bulk_docs", &replicated("a", "c,a", ""));
    t.put("/db/a?new_edits=false", r#"{"_revisions":{"start":1,"ids":["x"]}}"#);
    t.post("/db/_bulk_docs", &replicated("a", "c,b,a", ""));
    t.post("/db/_bulk_docs", &replicated("a", "d,c,b,a", r#","_deleted":true"#));
    t.post("/db/_bulk_docs", &replicated("a", "e", ""));
    t.request("GET", "/db/a?open_revs=all", &[("accept", "application/json")], "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn flushed() {
    let mut t = with_database("4");
    t.put("/db/_config", r#"{"sync":"function(doc){channel('y');}","revs_limit":20,"guest":{"disabled":false}}"#);
    t.put("/db/_user/al", r#"{"password":"secret"}"#);
    t.put("/db/a", "{}");
    t.post("/db/_flush", "");
    t.get("/db/_all_docs");
    t.get("/db/_user/");
    t.get("/db/_config?include_runtime=true");
    t.public(None, "GET", "/db/_session", "");
    t.put("/db/b", "{}");
    t.get("/db/_changes?filter=sync_gateway/bychannel&channels=y");
    t.post("/none/_flush", "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn resyncs() {
    let mut t = with_database("4");
    t.put("/db/a", r#"{"channels":["x"]}"#);
    t.get("/db/_resync");
    t.put("/db/_config", r#"{"sync":"function(doc){channel('y');}"}"#);
    t.post("/db/_resync?action=nonsense", "");
    t.start_resync();
    t.get("/db/_changes?filter=sync_gateway/bychannel&channels=y");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn design_documents() {
    for profile in ["2", "4"] {
        let mut t = with_database(profile);
        t.get("/db/_design/d");
        t.put("/db/_design/d", "{}");
        t.put("/db/_design/d", r#"{"views":{"v":{"map":"function(doc,meta){emit(meta.id);}"}}}"#);
        t.get("/db/_design/d");
        t.get("/db/_design/d/_view/none");
        t.get("/db/_design/none/_view/v");
        t.get("/db/_all_docs");
        t.delete("/db/_design/d");
        t.delete("/db/_design/d");
        insta::assert_snapshot!(format!("design_documents_{profile}"), t.finish());
    }
}

#[test]
fn what_a_function_says_is_told() {
    let mut t = with_database("4");
    t.put("/db/_config", r#"{"sync":"function(doc){throw(doc.with);}"}"#);
    t.put("/db/a", r#"{"with":{"forbidden":"not that"}}"#);
    t.put("/db/a", r#"{"with":{"unauthorized":"not you"}}"#);
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"a","with":{"unauthorized":"not you"}}]}"#);
    insta::assert_snapshot!(t.finish());
}

#[test]
fn no_password_is_asked_for() {
    let mut t = with_database("4");
    t.public(None, "GET", "/db/", "");
    t.put("/db/_config", r#"{"send_www_authenticate_header":false}"#);
    t.public(None, "GET", "/db/", "");
    t.public(Some("al:secret"), "GET", "/db/", "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn design_documents_are_in_no_feed() {
    let mut t = with_database("4");
    t.put("/db/_design/d", r#"{"views":{}}"#);
    t.put("/db/a", "{}");
    t.put("/db/_design/e", r#"{"views":{}}"#);
    t.get("/db/_changes");
    t.get("/db/_changes?limit=1");
    t.get("/db/_changes?feed=longpoll&since=2&timeout=10");
    insta::assert_snapshot!(t.finish());
}
