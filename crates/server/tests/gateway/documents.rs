//! Documents, their attachments, and many of them at once.

use super::with_database;

#[test]
fn as_version_2_has_them() {
    let mut t = with_database("2");
    t.put("/db/a", r#"{"_rev":"","channels":["x"],"b":1,"Z":2,"_foo":3}"#);
    let first = t.last_rev();
    t.get("/db/a");
    t.put("/db/a", r#"{"_rev":"","b":2}"#);
    t.put("/db/a", r#"{"_rev":"1-abc","b":2}"#);
    t.put("/db/a", &format!(r#"{{"_rev":"{first}","b":2}}"#));
    let second = t.last_rev();
    t.get(&format!("/db/a?rev={first}"));
    t.delete(&format!("/db/a?rev={first}"));
    t.delete(&format!("/db/a?rev={second}"));
    t.delete(&format!("/db/a?rev={second}"));
    t.delete("/db/a");
    t.delete("/db/none");
    t.get("/db/a");
    t.put("/db/a", "{}");
    t.get("/db/a?revs=true");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn as_version_4_has_them() {
    let mut t = with_database("4");
    t.put("/db/a", "{}");
    t.get("/db/a");
    t.put("/db/a", r#"{"b":1}"#);
    t.request("PUT", "/db/a", &[("if-match", "\"1-ca9ad22802b66f662ff171f226211d5c\"")], r#"{"b":1}"#);
    let rev = t.last_rev();
    t.request("GET", "/db/a", &[("if-none-match", &format!("\"{rev}\""))], "");
    t.request("HEAD", "/db/a", &[], "");
    t.get("/db/a?revs=true&revs_limit=1");
    t.get("/db/a?revs=true&revs_limit=0");
    t.request("POST", "/db/", &[("content-type", "application/json")], r#"{"_id":"posted"}"#);
    t.delete("/db/a");
    t.delete("/db/none");
    t.get("/db/none");
    t.get("/db/a%2Fb");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn a_version_names_a_revision() {
    let mut t = with_database("4");
    t.put("/db/a", r#"{"b":1}"#);
    let version = t.last_version();
    t.get(&format!("/db/a?rev={version}"));
    t.put("/db/a", &format!(r#"{{"b":2,"_cv":"{version}"}}"#));
    t.put("/db/a", &format!(r#"{{"b":3,"_cv":"{version}"}}"#));
    t.get(&format!("/db/a?rev={version}"));
    t.get("/db/a?rev=1@nowhere");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn what_is_refused() {
    let mut t = with_database("4");
    t.put("/db/a", "[]");
    t.put("/db/a", "\"x\"");
    t.put("/db/a", "");
    t.put("/db/a", r#"{"_sync":{}}"#);
    t.put("/db/a", r#"{"_purged":true}"#);
    t.put("/db/a", r#"{"_removed":true}"#);
    t.put("/db/a", r#"{"_id":"b"}"#);
    t.put("/db/a", r#"{"_rev":1}"#);
    t.put("/db/a?new_edits=false", "{}");
    t.put("/db/a", r#"{"_revisions":{"start":9,"ids":["x"]}}"#);
    t.get("/db/_strange");
    t.put("/db/_strange", "{}");
    t.post("/db/", "null");
    t.request("GET", "/db/a", &[("accept", "text/plain")], "");
    t.request("PUT", "/db/x", &[("content-type", "text/plain")], "{}");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn many_at_once() {
    let mut t = with_database("4");
    t.post("/db/_bulk_docs", "{}");
    t.post("/db/_bulk_docs", r#"{"docs":[]}"#);
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"_local/q","n":1},{"_id":"a","n":1},{"_id":"_x"},{"_id":"b"}]}"#);
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"a","n":2}]}"#);
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"c","_rev":"1-123"},{"_id":"c","_rev":"1-789"},{"_id":"c","_rev":"1-456"}],"new_edits":false}"#);
    t.get("/db/c");
    t.request("GET", "/db/c?open_revs=all", &[("accept", "application/json")], "");
    t.get("/db/c?open_revs=[%221-123%22,%222-x%22]");
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"c","_rev":"1-789","_deleted":true}]}"#);
    t.get("/db/c");
    t.request("GET", "/db/c?open_revs=all", &[("accept", "application/json")], "");
    t.post("/db/_revs_diff", r#"{"c":["1-123","2-y"],"none":["1-a"],"a":["1-zzz"]}"#);
    t.get("/db/_all_docs");
    t.get("/db/_all_docs?include_docs=true&update_seq=true&limit=2");
    t.get("/db/_all_docs?startkey=%22b%22");
    t.post("/db/_all_docs", r#"{"keys":["b","none"]}"#);
    t.post("/db/_purge", r#"{"c":["1-123"]}"#);
    t.post("/db/_purge", r#"{"c":["*"],"none":["*"]}"#);
    t.get("/db/c");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn many_read_at_once() {
    let mut t = with_database("2");
    t.put("/db/a", r#"{"_attachments":{"x.txt":{"content_type":"text/plain","data":"aGVsbG8="}}}"#);
    t.post("/db/_bulk_get", "[[null,null]]");
    t.post("/db/_bulk_get", "{}");
    t.post("/db/_bulk_get", r#"{"docs":[{"id":"a"},{"id":"none"}]}"#);
    let json = [("accept", "application/json"), ("content-type", "application/json")];
    t.request("POST", "/db/_bulk_get?revs=true", &json, r#"{"docs":[{"id":"a"},{"id":"none"},{}]}"#);
    t.request("POST", "/db/_bulk_get", &[("accept", "text/html")], r#"{"docs":[]}"#);
    insta::assert_snapshot!(t.finish());
}

#[test]
fn what_was_decided_on_them() {
    let mut t = with_database("4");
    let source =
        r#"{"sync":"function(doc){channel(doc.channels);access(doc.to,doc.channels);role(doc.to,'role:r');}"}"#;
    t.put("/db/_config", source);
    t.put("/db/a", r#"{"channels":["x","y"],"to":"al"}"#);
    t.put("/db/b", r#"{"channels":["<b>"]}"#);
    t.get("/db/_all_docs?channels=true&access=true");
    t.get("/db/_raw/a");
    t.get("/db/_dumpchannel/x");
    t.get("/db/_dumpchannel/%3Cb%3E");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn documents_that_expire() {
    let mut t = with_database("2");
    t.put("/db/a", r#"{"_exp":"2099-01-02T03:04:05Z","n":1}"#);
    t.get("/db/a");
    t.get("/db/a?show_exp=true");
    t.put("/db/b", r#"{"_exp":"nonsense"}"#);
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"c","_exp":4070908800},{"_id":"d","_exp":"x"}]}"#);
    t.get("/db/c?show_exp=true");
    let json = [("accept", "application/json"), ("content-type", "application/json")];
    t.request("POST", "/db/_bulk_get?show_exp=true", &json, r#"{"docs":[{"id":"c"}]}"#);
    insta::assert_snapshot!(t.finish());
}

#[test]
fn attachments() {
    let mut t = with_database("2");
    t.request("PUT", "/db/a/x.txt", &[("content-type", "application/octet-stream")], "hello world");
    let rev = t.last_rev();
    t.get("/db/a");
    t.get("/db/a/x.txt");
    t.request("GET", "/db/a/x.txt", &[("range", "bytes=0-4")], "");
    t.request("GET", "/db/a/x.txt", &[("range", "bytes=100-")], "");
    t.get("/db/a/x.txt?meta=true");
    t.get("/db/a/none");
    t.request("PUT", "/db/a/y.txt", &[], "hello");
    t.get("/db/a?attachments=true");
    t.request("GET", "/db/a?attachments=true", &[("accept", "multipart/related")], "");
    t.delete("/db/a/x.txt");
    t.delete(&format!("/db/a/x.txt?rev={rev}"));
    t.get("/db/a");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn local_documents_and_what_is_behind_others() {
    let mut t = with_database("2");
    t.get("/db/_local/x");
    t.put("/db/_local/x", r#"{"n":1}"#);
    t.put("/db/_local/x", r#"{"n":2}"#);
    t.put("/db/_local/x", r#"{"n":2,"_rev":"0-1"}"#);
    t.get("/db/_local/x");
    t.delete("/db/_local/x?rev=0-1");
    t.delete("/db/_local/x?rev=0-2");
    t.post("/db/_bulk_docs", r#"{"docs":[{"_id":"c","_revisions":{"start":2,"ids":["b","a"]},"n":1},{"_id":"c","_rev":"1-z","_deleted":true}],"new_edits":false}"#);
    t.get("/db/_raw/c");
    t.get("/db/_raw/none");
    t.get("/db/_revtree/c");
    insta::assert_snapshot!(t.finish());
}

#[test]
fn ranges_of_attachments_however_they_are_stored() {
    let mut t = with_database("4");
    let text = "aGVsbG8gd29ybGQ=";
    let attachment = |kind: &str| format!(r#"{{"content_type":"{kind}","data":"{text}"}}"#);
    let both = format!(r#"{{"text":{},"bytes":{}}}"#, attachment("text/plain"), attachment("application/octet-stream"));
    t.put("/db/a", &format!(r#"{{"_attachments":{both}}}"#));
    for name in ["text", "bytes"] {
        let path = format!("/db/a/{name}");
        t.request("GET", &path, &[("range", "bytes=6-8")], "");
        t.request("GET", &path, &[("range", "bytes=-3")], "");
        t.request("GET", &path, &[("range", "bytes=20-")], "");
    }
    insta::assert_snapshot!(t.finish());
}
