//! Whole conversations with the real binary, as snapshots: status, the headers that matter, body.

mod gateway;
mod transcript;

use transcript::Transcript;

#[test]
fn server() {
    let mut t = Transcript::start();
    t.get("/");
    t.get("/_up");
    t.get("/_all_dbs");
    t.put("/b", "");
    t.put("/a%2Fc", "");
    t.get("/_all_dbs");
    t.get("/_all_dbs?startkey=%22b%22");
    t.get("/_all_dbs?descending=true&limit=1&skip=1");
    t.post("/_dbs_info", r#"{"keys":["b","none","BAD"]}"#);
    t.post("/_dbs_info", "{}");
    t.get("/_uuids?count=1001");
    t.get("/_uuids?count=x");
    t.get("/_session");
    t.get("/_node/_local/_config/couchdb/max_document_size");
    t.delete("/_up");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn databases() {
    let mut t = Transcript::start();
    t.put("/db", "");
    t.put("/db", "");
    t.put("/Bad", "");
    t.put(&format!("/{}", "x".repeat(239)), "");
    t.get("/db");
    t.get("/db/");
    t.get("/none");
    t.delete("/db?rev=1-a");
    t.get("/db/_revs_limit");
    t.put("/db/_revs_limit", "5");
    t.put("/db/_revs_limit", "0");
    t.put("/db/_revs_limit", "\"x\"");
    t.get("/db/_revs_limit");
    t.post("/db/_compact", "");
    t.request("POST", "/db/_compact", &[], "");
    t.post("/db/_ensure_full_commit", "");
    t.get("/db/_security");
    t.post("/db/_find", "{}");
    t.request("PATCH", "/db", &[], "");
    t.get("/db/_bulk_docs");
    t.delete("/db");
    t.delete("/db");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn documents() {
    let mut t = Transcript::with_database();
    t.put("/db/a", r#"{"z":1.0,"a":[1e3,123456789012345678901234567890],"é":"\u00e9"}"#);
    t.get("/db/a");
    let rev = t.last_rev();
    t.put("/db/a", r#"{"z":2}"#);
    t.put(&format!("/db/a?rev={rev}"), r#"{"z":2}"#);
    let second = t.last_rev();
    t.get(&format!("/db/a?rev={rev}"));
    t.get(&format!("/db/a?rev={rev}&latest=true"));
    t.get("/db/a?revs=true&revs_info=true&conflicts=true&local_seq=true");
    t.get("/db/a?meta=true");
    t.request("GET", "/db/a", &[("if-none-match", &format!("\"{second}\""))], "");
    t.request("HEAD", "/db/a", &[], "");
    t.request("COPY", "/db/a", &[("destination", "b")], "");
    t.delete("/db/a");
    t.delete(&format!("/db/a?rev={second}"));
    t.get("/db/a");
    t.get("/db/none");
    t.put("/db/a", r#"{"again":true}"#);
    t.get("/db/a?revs=true");
    t.request("POST", "/db", &[("content-type", "application/json")], r#"{"_id":"posted"}"#);
    t.put("/db/posted?batch=ok", r#"{}"#);
    insta::assert_snapshot!(t.finish());
}

#[test]
fn bad_documents() {
    let mut t = Transcript::with_database();
    for body in [
        "",
        "{",
        "[]",
        "1",
        r#"{"_x":1}"#,
        r#"{"_rev":"x"}"#,
        r#"{"_rev":1}"#,
        r#"{"_id":1}"#,
        r#"{"_attachments":1}"#,
        r#"{"_attachments":{"a":{"data":"%%"}}}"#,
        r#"{"_attachments":{"a":{"stub":true}}}"#,
        r#"{"_deleted":1}"#,
        r#"{"_revisions":{"start":"x","ids":[]}}"#,
        r#"{"a":1,"a":2}"#,
    ] {
        t.put(&format!("/db/{}", t.count()), body);
    }
    t.put("/db/nested", &format!("{}1{}", "[".repeat(600), "]".repeat(600)));
    t.put("/db/nested", &format!("{{\"a\":{}1{}}}", "[".repeat(600), "]".repeat(600)));
    t.request_bytes("PUT", "/db/utf8", &[], b"{\"a\":\"\xff\"}");
    t.put("/db/_reserved", "{}");
    t.put("/db/_design/", "{}");
    t.put("/db/a%00b", "{}");
    t.put("/db/a?rev=1-a", r#"{"_rev":"1-b"}"#);
    t.put("/db/a?new_edits=false", r#"{"x":1}"#);
    t.post("/db/_bulk_docs", "{}");
    t.post("/db/_bulk_docs", r#"{"docs":1}"#);
    t.post("/db/_bulk_docs", r#"{"docs":[1]}"#);
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"x","_rev":"bad"}]}"#);
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"x","a":1}],"new_edits":false}"#);
    t.request("POST", "/db/_bulk_docs", &[("content-type", "text/plain")], r#"{"docs":[]}"#);
    t.get("/db/_changes?since=garbage");
    t.get("/db/_changes?feed=unknown");
    t.get("/db/_changes?limit=x");
    t.get("/db/_all_docs?startkey=unquoted");
    t.get("/db/_all_docs?limit=-1");
    t.get("/db");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn replication() {
    let mut t = Transcript::with_database();
    let docs = r#"{"new_edits":false,"docs":[
        {"_id":"d","_rev":"2-b","_revisions":{"start":2,"ids":["b","a"]},"v":"b"},
        {"_id":"d","_rev":"2-c","_revisions":{"start":2,"ids":["c","a"]},"v":"c"},
        {"_id":"d","_rev":"3-e","_revisions":{"start":3,"ids":["e","b","a"]},"_deleted":true}]}"#;
    t.post("/db/_bulk_docs", docs);
    t.get("/db/d?conflicts=true&deleted_conflicts=true");
    t.request("GET", "/db/d?open_revs=all", &[("accept", "application/json")], "");
    t.request("GET", "/db/d?open_revs=[%222-c%22,%229-z%22]&revs=true", &[("accept", "application/json")], "");
    t.request("GET", "/db/d?open_revs=[%221-a%22]&latest=true", &[("accept", "application/json")], "");
    t.post("/db/_revs_diff", r#"{"d":["1-a","2-c","4-x"],"new":["1-q"],"none":[]}"#);
    t.post("/db/_missing_revs", r#"{"d":["1-a","4-x"]}"#);
    t.post(
        "/db/_bulk_get?revs=true",
        r#"{"docs":[{"id":"d","rev":"2-c"},{"id":"d","rev":"7-z"},{"id":"none"},{"id":"d"}]}"#,
    );
    t.get("/db/_changes?style=all_docs");
    t.put("/db/_local/check", r#"{"at":1}"#);
    t.get("/db/_local/check");
    t.put("/db/_local/check", r#"{"_rev":"0-1","at":2}"#);
    t.put("/db/_local%2Fcheck", r#"{"at":3}"#);
    t.get("/db/_local_docs?include_docs=true");
    t.delete("/db/_local/check");
    t.delete("/db/_local/check");
    t.post("/db/_purge", r#"{"d":["2-c","1-a"]}"#);
    t.post("/db/_purge", r#"{"d":["3-e"]}"#);
    t.get("/db/_purged_infos");
    t.put("/db/_purged_infos_limit", "0");
    t.put("/db/_purged_infos_limit", "1");
    t.get("/db/_purged_infos");
    t.post("/db/_purge", r#"{"none":[]}"#);
    t.get("/db/_purged_infos");
    t.post("/db/_purged_infos", "{}");
    t.get("/db/d");
    t.get("/db");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn lists_and_changes() {
    let mut t = Transcript::with_database();
    let docs = r#"{"docs":[{"_id":"a","n":1},{"_id":"b","n":2},{"_id":"c"},{"_id":"_design/d"},{"_id":"B"}]}"#;
    t.post("/db/_bulk_docs", docs);
    t.get("/db/_all_docs");
    t.get("/db/_all_docs?startkey=%22a%22&endkey=%22b%22&include_docs=true");
    t.get("/db/_all_docs?descending=true&limit=2&skip=1");
    t.get("/db/_all_docs?key=%22b%22");
    t.get("/db/_all_docs?limit=0");
    t.get("/db/_all_docs?startkey=%22z%22");
    t.get("/db/_design_docs");
    let rev = t.rev_of("/db/b");
    t.delete(&format!("/db/b?rev={rev}"));
    t.post("/db/_all_docs?include_docs=true", r#"{"keys":["c","b","none","c",1]}"#);
    t.post("/db/_all_docs/queries", r#"{"queries":[{"limit":1},{"keys":["a"]}]}"#);
    t.get("/db/_changes");
    t.get("/db/_changes?limit=2");
    t.get("/db/_changes?limit=0");
    t.get("/db/_changes?descending=true&limit=2");
    t.get("/db/_changes?filter=_design");
    t.post("/db/_changes?filter=_doc_ids&include_docs=true", r#"{"doc_ids":["a","b"]}"#);
    t.get("/db/_changes?since=now");
    t.get("/db/_changes?since=6");
    t.get("/db/_changes?since=6-00");
    t.get("/db/_changes?feed=longpoll&since=now&timeout=1");
    t.get("/db/_changes?feed=continuous&timeout=1&limit=2");
    t.get("/db/_changes?feed=eventsource&timeout=1&limit=1");
    t.get("/db/_changes?filter=none/none");
    t.get("/db/_changes?filter=_selector");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn attachments() {
    let mut t = Transcript::with_database();
    t.request("PUT", "/db/a/text.txt", &[("content-type", "text/plain")], "hello world");
    let rev = t.last_rev();
    t.get("/db/a");
    t.get("/db/a/text.txt");
    t.get("/db/a/none");
    t.request("PUT", "/db/a/bytes", &[("content-type", "application/octet-stream")], "0123456789");
    t.request("PUT", &format!("/db/a/bytes?rev={rev}"), &[("content-type", "application/octet-stream")], "0123456789");
    let rev = t.last_rev();
    t.get("/db/a/bytes");
    t.request("GET", "/db/a/bytes", &[("range", "bytes=2-4")], "");
    t.request("GET", "/db/a/bytes", &[("range", "bytes=-3")], "");
    t.request("GET", "/db/a/bytes", &[("range", "bytes=20-")], "");
    t.request("HEAD", "/db/a/bytes", &[], "");
    t.request("GET", "/db/a?attachments=true", &[("accept", "application/json")], "");
    t.get("/db/a?att_encoding_info=true");
    t.put("/db/b", r#"{"_attachments":{"x":{"content_type":"image/png","data":"AAEC"}}}"#);
    t.get("/db/b");
    t.delete(&format!("/db/a/bytes?rev={rev}"));
    t.get("/db/a");
    insta::assert_snapshot!(t.finish());
}

/// A part of a form with this head.
fn part(head: &str, content: &str) -> String {
    format!("--cut\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
}

#[test]
fn forms() {
    const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=cut");
    const PAGE: (&str, &str) = ("referer", "http://shop.example.com/order.html");
    const HOST: (&str, &str) = ("x-forwarded-host", "shop.example.com");
    let mut t = Transcript::with_database();
    t.put("/db/a", r#"{"n":1,"_attachments":{"kept":{"data":"aGk="},"old":{"data":"aGk="}}}"#);
    let rev = part("name=\"_rev\"", &t.last_rev());
    let file = part("name=\"_attachments\"; filename=\"old\"\r\nContent-Type: image/png", "new content");
    let empty = part("name=\"_attachments\"; filename=\"\"", "");
    let form = format!("{rev}{file}{empty}--cut--");
    t.request("POST", "/db/a", &[FORM], &form);
    t.request("POST", "/db/a", &[FORM, ("referer", "http://evil.example.com/"), HOST], &form);
    t.request("POST", "/db/a", &[("content-type", "application/x-www-form-urlencoded"), PAGE, HOST], "a=1");
    t.request("POST", "/db/a", &[FORM, PAGE, HOST], &form);
    t.get("/db/a");
    t.request("POST", "/db/a", &[FORM, PAGE, HOST], &form);
    t.request("POST", "/db/a", &[FORM, PAGE, HOST], &format!("{file}--cut--"));
    t.request("POST", "/db/a", &[FORM, PAGE, HOST], &rev);
    let underscore = part("name=\"_attachments\"; filename=\"_x\"", "x");
    t.request("POST", "/db/a", &[FORM, PAGE, HOST], &format!("{rev}{underscore}--cut--"));
    let document = part("name=\"_doc\"", r#"{"n":2,"_attachments":{"old":{"stub":true}}}"#);
    t.request("POST", "/db/b", &[FORM, PAGE, HOST], &format!("{document}{file}{file}--cut--"));
    t.get("/db/b");
    t.get("/db/b/old");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn conditions_on_attachments() {
    let mut t = Transcript::with_database();
    const BYTES: (&str, &str) = ("content-type", "application/octet-stream");
    t.request("PUT", "/db/a/b", &[BYTES, ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], "0123456789");
    t.request("PUT", "/db/a/b", &[BYTES, ("content-md5", "no digest")], "0123456789");
    t.get("/db/a");
    t.request("PUT", "/db/a/b", &[BYTES, ("content-md5", "eB5eJF1ptWaXm4bijSPyxw==")], "0123456789");
    t.request("GET", "/db/a/b", &[("range", "bytes=2-4"), ("if-range", "\"eB5eJF1ptWaXm4bijSPyxw==\"")], "");
    t.request("GET", "/db/a/b", &[("range", "bytes=2-4"), ("if-range", "\"another\"")], "");
    t.request("GET", "/db/a/b", &[("range", "bytes=2-4"), ("if-range", "Sat, 01 Jan 2000 00:00:00 GMT")], "");
    t.request("GET", "/db/a/b", &[("if-none-match", "\"eB5eJF1ptWaXm4bijSPyxw==\"")], "");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn writes_that_ask_for_more() {
    let mut t = Transcript::with_database();
    t.post(
        "/db/_bulk_docs",
        r#"{"all_or_nothing":true,"docs":[{"_id":"a"},{"_id":"b","_rev":"1-x"},{"_id":"_local/c"}]}"#,
    );
    t.get("/db/a");
    t.post("/db/_bulk_docs", r#"{"all_or_nothing":false,"docs":[{"_id":"a"}]}"#);
    t.put("/db/a?batch=ok", r#"{"stale":true}"#);
    t.post("/db?batch=ok", r#"{"_id":"a"}"#);
    t.put("/db/a?batch=ok", "[]");
    t.get("/db/a");
    let rev = t.last_rev();
    t.put(&format!("/db/a?rev={rev}"), "{}");
    let rev = t.last_rev();
    t.put(&format!("/db/a?rev={rev}"), "{}");
    t.put("/db/_revs_limit", "2");
    t.get("/db/a?revs=true&revs_info=true");
    t.get(&format!("/db/a?rev={rev}&revs=true"));
    t.request("PUT", "/db/through", &[("x-forwarded-host", "db.example.com"), ("x-forwarded-proto", "https")], "{}");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn parameters() {
    let mut t = Transcript::with_database();
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"a"},{"_id":"b"},{"_id":"c"}]}"#);
    t.post("/db/_all_docs?limit=1", r#"{"limit":2,"skip":1}"#);
    t.post("/db/_all_docs?descending=true", r#"{"keys":["a","none","c"],"skip":1}"#);
    t.post("/db/_all_docs", r#"{"keys":1}"#);
    t.get("/db/_changes?feed=continuous&heartbeat=-1000");
    t.get("/db/_changes?feed=continuous&heartbeat=x");
    t.post("/db/_changes?filter=_doc_ids", r#"["a"]"#);
    t.post("/db/_changes?filter=_doc_ids", r#"{"doc_ids":["a","#);
    t.put("/db/_local", "{}");
    t.put("/db/_local%2F", "{}");
    t.get("/_all_dbs/_all_docs");
    t.post("/db/_temp_view", r#"{"map":"function(doc) {}"}"#);
    t.get("/db/_all_docs?startkey=\"b\"&endkey=\"b<\"");
    t.put("/db/<a>`b\"", r#"{"quoted":"<\">"}"#);
    t.get("/db/%3Ca%3E%60b%22");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn a_full_partition_takes_only_what_makes_it_no_larger() {
    let mut t = Transcript::start();
    t.put("/db?partitioned=true", "");
    t.put("/_node/_local/_config/couchdb/max_partition_size", "\"200\"");
    let long = "x".repeat(100);
    t.put("/db/p:a", &format!(r#"{{"v":"{long}"}}"#));
    t.put("/db/p:b", &format!(r#"{{"v":"{long}"}}"#));
    t.put("/db/p:c", "{}");
    t.put("/db/p:c", "{}");
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"p:c"},{"_id":"q:c"},{"_id":"_design/d"}]}"#);
    t.post("/db/_bulk_docs", r#"{"new_edits":false,"docs":[{"_id":"p:r","_rev":"1-a"}]}"#);
    t.put(&format!("/db/p:a?rev={}", t.rev_of("/db/p:a")), &format!(r#"{{"v":"{long}y"}}"#));
    t.put(&format!("/db/p:a?rev={}", t.rev_of("/db/p:a")), &format!(r#"{{"w":"{long}"}}"#));
    t.delete(&format!("/db/p:a?rev={}", t.rev_of("/db/p:a")));
    t.put("/db/p:c", &format!(r#"{{"v":"{long}"}}"#));
    t.put("/db/p:d", "{}");
    t.post("/db/_purge", &format!(r#"{{"p:b":[{:?}]}}"#, t.rev_of("/db/p:b")));
    t.put("/db/p:d", &format!(r#"{{"v":"{long}"}}"#));
    t.put("/db/p:e", "{}");
    t.put("/_node/_local/_config/couchdb/max_partition_size", "\"0\"");
    t.put("/db/p:e", "{}");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn partitions() {
    let mut t = Transcript::start();
    t.put("/db?partitioned=true", "");
    t.put("/whole", "");
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"p:a","v":1},{"_id":"p:b"},{"_id":"q:a"},{"_id":"_design/d"}]}"#);
    t.get("/db/_partition/p");
    t.delete(&format!("/db/p:b?rev={}", t.rev_of("/db/p:b")));
    t.get("/db/_partition/p");
    t.get("/db/_partition/none");
    t.get("/db/_partition/p/_all_docs");
    t.get("/db/_all_docs?partition=q");
    t.get("/db/_partition/p/_all_docs?startkey=\"o\"&endkey=\"z\"&include_docs=true&descending=true");
    t.get("/db/_partition/p/_all_docs?startkey=\"z\"&endkey=\"o\"&descending=true");
    t.get("/db/_partition/p/_all_docs?key=\"q:a\"");
    t.post("/db/_partition/p/_all_docs", r#"{"keys":["p:a","q:a"]}"#);
    t.post("/db/_partition/p/_all_docs/queries", r#"{"queries":[{"limit":1},{"key":"p:a"}]}"#);
    for path in ["", "/", "/_x", "/a:b", "//_all_docs", "/p/_all_docs?partition=q", "/p/_find", "/p/x", "/p/_design/d"]
    {
        t.get(&format!("/db/_partition{path}"));
    }
    t.post("/db/_partition/p", "{}");
    t.get("/whole/_partition/p");
    t.get("/whole/_partition/p/_all_docs");
    t.get("/whole/_all_docs?partition=p");
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"p:c"},{"_id":"d"}]}"#);
    t.post("/db/_bulk_get", r#"{"docs":[{"id":"d"},{"id":"p:c"}]}"#);
    t.post("/db/_purge", r#"{"d":["1-a"]}"#);
    t.put("/_node/_local/_config/query_server_config/partition_query_limit", "\"1\"");
    t.get("/db/_partition/p/_all_docs?limit=2");
    t.get("/db/_all_docs?limit=2");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn design_documents() {
    let mut t = Transcript::with_database();
    t.put("/db/_design/a", r#"{"views":{"v":{"map":"function (doc) { emit("}}}"#);
    t.put("/db/_design/a", r#"{"views":{"v":{"map":"function (doc) {}","reduce":"1 +"}}}"#);
    t.put("/db/_design/a", r#"{"views":{"v":{"map":"function (doc) {}","reduce":"_mean"}}}"#);
    t.put("/db/_design/a", r#"{"views":{"v":{}}}"#);
    t.put("/db/_design/a", r#"{"filters":{"f":"not a function"}}"#);
    t.put("/db/_design/a", r#"{"validate_doc_update":"function ("}"#);
    t.put("/db/_design/a", r#"{"options":{"partitioned":"yes"}}"#);
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"_design/a","views":{"v":{"map":"("}}},{"_id":"b"}]}"#);
    let replicated = r#"{"new_edits":false,"docs":[{"_id":"_design/r","_rev":"1-r","filters":{"f":"("}},
        {"_id":"_design/s","_rev":"1-s","views":{"v":{"map":"("}}}]}"#;
    t.post("/db/_bulk_docs", replicated);
    t.get("/db/_design/r");
    t.put("/db/_design/other", r#"{"language":"erlang","views":{"v":{"map":"fun({Doc}) -> ok end."}}}"#);
    t.put(
        "/db/_design/a",
        r#"{"views":{"lib":{"m":"exports.x = 1"},"v":{"map":"function (doc) { emit(1) }","reduce":"_sum"}},
            "filters":{"f":"function (doc, req) { return true }"}}"#,
    );
    insta::assert_snapshot!(t.finish());
}

#[test]
fn what_happens_to_databases() {
    let mut t = Transcript::start();
    t.get("/_db_updates");
    t.put("/_global_changes", "");
    t.get("/_db_updates");
    t.put("/a", "");
    t.get("/_db_updates?feed=longpoll&timeout=30000");
    t.put("/a/x", "{}");
    t.get("/_db_updates?feed=continuous&since=1&limit=1");
    t.put("/_global_changes/not_an_event", "{}");
    t.delete("/a");
    t.get("/_db_updates?feed=eventsource&since=3&limit=1");
    t.get("/_db_updates");
    t.get("/_db_updates?descending=true&limit=1");
    t.get("/_db_updates?feed=live");
    t.get("/_db_updates?limit=x");
    t.post("/_db_updates", "{}");
    t.get("/_global_changes/created:a");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn settings_of_couchdb() {
    let mut t = Transcript::with_database();
    t.put("/_node/_local/_config/uuids/algorithm", "\"utc_id\"");
    t.put("/_node/_local/_config/uuids/algorithm", "\"none\"");
    t.put("/_node/_local/_config/chttpd/decode_plus_to_space", "\"false\"");
    t.put("/db/a+b", "{}");
    t.put("/_node/_local/_config/chttpd/x_forwarded_host", "\"X-Host\"");
    t.request("PUT", "/db/c", &[("x-host", "db.example.com"), ("x-forwarded-host", "other")], "{}");
    t.put("/_node/_local/_config/attachments/compression_level", "\"0\"");
    t.request("PUT", "/db/d/text", &[("content-type", "text/plain")], "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    t.get("/db/d?att_encoding_info=true");
    t.put("/_node/_local/_config/chttpd/max_uri_length", "\"60\"");
    t.get("/db/_all_docs?startkey=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"");
    insta::assert_snapshot!(t.finish());
}
