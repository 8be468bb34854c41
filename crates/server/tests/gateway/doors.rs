//! Every route for every kind of caller: the status each gets, as one table.

use super::with_database;

/// What can be asked, with a body where one is needed.
const REQUESTS: &[(&str, &str, &str)] = &[
    ("GET", "/", ""),
    ("GET", "/_ping", ""),
    ("GET", "/_all_dbs", ""),
    ("GET", "/_config", ""),
    ("GET", "/_status", ""),
    ("GET", "/_logging", ""),
    ("GET", "/_expvar", ""),
    ("GET", "/_stats", ""),
    ("GET", "/metrics", ""),
    ("GET", "/_api/", ""),
    ("GET", "/_api/openapi.json", ""),
    ("GET", "/_api/swagger-ui-bundle.js", ""),
    ("GET", "/_debug/pprof/heap", ""),
    ("GET", "/db/", ""),
    ("POST", "/db/", "{}"),
    ("PUT", "/other/", "{}"),
    ("DELETE", "/other/", ""),
    ("POST", "/db/_ensure_full_commit", ""),
    ("GET", "/db/_session", ""),
    ("GET", "/db/mine", ""),
    ("HEAD", "/db/mine", ""),
    ("GET", "/db/mine?rev=1-x", ""),
    ("GET", "/db/mine?open_revs=all", ""),
    ("GET", "/db/theirs", ""),
    ("GET", "/db/theirs?rev=1-x", ""),
    ("GET", "/db/theirs?open_revs=all", ""),
    ("GET", "/db/theirs?open_revs=[%221-x%22]", ""),
    ("GET", "/db/theirs/file", ""),
    ("GET", "/db/none", ""),
    ("PUT", "/db/new", "{}"),
    ("DELETE", "/db/theirs?rev=1-x", ""),
    ("GET", "/db/_local/x", ""),
    ("PUT", "/db/_local/x", "{}"),
    ("DELETE", "/db/_local/x?rev=0-1", ""),
    ("GET", "/db/_all_docs", ""),
    ("POST", "/db/_all_docs", r#"{"keys":["theirs"]}"#),
    ("POST", "/db/_bulk_docs", r#"{"docs":[]}"#),
    ("POST", "/db/_bulk_get", r#"{"docs":[]}"#),
    ("POST", "/db/_revs_diff", "{}"),
    ("GET", "/db/_changes", ""),
    ("POST", "/db/_changes", "{}"),
    ("GET", "/db/_design/d", ""),
    ("PUT", "/db/_design/d", "{}"),
    ("GET", "/db/_design/d/_view/v", ""),
    ("DELETE", "/db/_design/d", ""),
    ("GET", "/db/_blipsync", ""),
    ("GET", "/db/_config", ""),
    ("POST", "/db/_config", "{}"),
    ("GET", "/db/_config/sync", ""),
    ("DELETE", "/db/_config/sync", ""),
    ("GET", "/db/_config/import_filter", ""),
    ("POST", "/db/_online", ""),
    ("GET", "/db/_resync", ""),
    ("GET", "/db/_compact", ""),
    ("POST", "/db/_repair", ""),
    ("POST", "/db/_purge", "{}"),
    ("GET", "/db/_raw/theirs", ""),
    ("GET", "/db/_revtree/theirs", ""),
    ("GET", "/db/_dumpchannel/x", ""),
    ("GET", "/db/_user/", ""),
    ("GET", "/db/_user/al", ""),
    ("PUT", "/db/_user/eve", r#"{"password":"secret"}"#),
    ("DELETE", "/db/_user/eve", ""),
    ("DELETE", "/db/_user/none/_session", ""),
    ("DELETE", "/db/_user/none/_session/x", ""),
    ("GET", "/db/_role/", ""),
    ("PUT", "/db/_role/r", "{}"),
    ("GET", "/db/_role/r", ""),
    ("DELETE", "/db/_role/r", ""),
    ("GET", "/db/_session/x", ""),
    ("DELETE", "/db/_session/x", ""),
    ("GET", "/db/_user/al/_all_channels", ""),
    ("GET", "/db/_user/al/_access_history", ""),
    ("GET", "/db/_user/al?doc_id=mine", ""),
    ("GET", "/db/mine/_all_channels", ""),
    ("GET", "/db/_channel_history/mine", ""),
    ("GET", "/db/_replication/", ""),
    ("POST", "/db/_replication/", "{}"),
    ("PUT", "/db/_replication/r", r#"{"remote":"http://127.0.0.1:9/db","direction":"push","initial_state":"stopped"}"#),
    ("GET", "/db/_replication/r", ""),
    ("GET", "/db/_replicationStatus/", ""),
    ("GET", "/db/_replicationStatus/r", ""),
    ("PUT", "/db/_replicationStatus/r?action=stop", ""),
    ("DELETE", "/db/_replication/r", ""),
    ("GET", "/db.c/mine", ""),
    ("GET", "/none/doc", ""),
    ("GET", "/_users/x", ""),
    ("POST", "/db/_flush", ""),
];

#[test]
fn everybody_gets_what_they_may() {
    for profile in ["2", "4"] {
        let mut t = with_database(profile);
        t.put("/db/_user/al", r#"{"password":"secret","admin_channels":["x"]}"#);
        let revs = r#"{"docs":[{"_id":"mine","_rev":"1-x","channels":["x"]},{"_id":"theirs","_rev":"1-x","channels":["y"]}],"new_edits":false}"#;
        t.post("/db/_bulk_docs", revs);
        let mut table = String::from("admin  al     wrong  nobody\n");
        for (index, (method, path, body)) in REQUESTS.iter().enumerate() {
            // One name that fails too often is locked out.
            let wrong = format!("stranger{index}:wrong");
            let others =
                [Some("al:secret"), Some(wrong.as_str()), None].map(|user| t.status(Some(user), (method, path), body));
            // Last, as administrators change things.
            let admin = t.status(None, (method, path), body);
            let [al, wrong, nobody] = others;
            table.push_str(&format!("{admin}    {al}    {wrong}    {nobody}    {method} {path}\n"));
        }
        insta::assert_snapshot!(format!("everybody_gets_what_they_may_{profile}"), table);
    }
}
