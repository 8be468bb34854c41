//! Feeds filtered by functions, views and selectors.

use crate::site::{Site, Who};

const DESIGN: &str = r#"{
    "filters": {
        "of": "function (doc, req) { return doc.type === req.query.type; }",
        "mine": "function (doc, req) { return doc.owner === req.userCtx.name; }",
        "fails": "function (doc) { return doc.none.of.it; }",
        "loops": "function (doc) { for (;;) {} }"
    },
    "views": { "notes": { "map": "function (doc) { if (doc.type === 'note') emit(doc._id); }" } }
}"#;

fn site() -> Site {
    let site = Site::start("[config.couchdb]\nusers_db_security_editable = \"true\"\nos_process_timeout = \"400\"\n");
    assert_eq!(site.ask(Who::Keeper, "PUT /db/_design/d", DESIGN).status, 201);
    for (id, kind, owner) in [("a", "note", "ada"), ("b", "task", "ada"), ("c", "note", "kim"), ("d", "task", "kim")] {
        let json = format!(r#"{{"type":"{kind}","owner":"{owner}"}}"#);
        assert_eq!(site.ask(Who::Ada, &format!("PUT /db/{id}"), &json).status, 201);
    }
    site
}

/// The ids of the rows, in order.
fn ids(text: &str) -> Vec<&str> {
    text.split("\"id\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

const FILTERS: [(&str, &str, &[&str]); 7] = [
    ("filter=d/of&type=note", "{}", &["a", "c"]),
    ("filter=d/of&type=none", "{}", &[]),
    ("filter=d/mine", "{}", &["a", "b"]),
    ("filter=_view&view=d/notes", "{}", &["a", "c"]),
    ("filter=_selector", r#"{"selector":{"type":"task"}}"#, &["b", "d"]),
    ("filter=_selector", r#"{"selector":{"_id":{"$gt":"b"},"owner":{"$in":["kim"]}}}"#, &["c", "d"]),
    ("filter=_design", "{}", &["_design/d"]),
];

#[test]
fn every_filter_works_in_every_feed() {
    let site = site();
    for feed in ["normal", "longpoll", "continuous", "eventsource"] {
        for (query, body, expected) in FILTERS {
            let line = format!("POST /db/_changes?feed={feed}&timeout=100&{query}");
            let answer = site.ask(Who::Ada, &line, body);
            assert_eq!((answer.status, ids(&answer.text())), (200, expected.to_vec()), "{line} {body}");
        }
    }
    let whole = site.ask(Who::Ada, "GET /db/_changes?filter=d/of&type=note&include_docs=true&limit=1", "").text();
    assert_eq!(ids(&whole), ["a"]);
    assert!(whole.contains(r#""doc":{"_id":"a","_rev":"1-"#), "{whole}");
    let backwards = site.ask(Who::Ada, "GET /db/_changes?filter=d/of&type=note&descending=true&limit=1", "").text();
    assert_eq!(ids(&backwards), ["c"]);
}

#[test]
fn a_revision_passes_by_itself() {
    let site = site();
    for (rev, kind) in [("1-a", "note"), ("1-b", "task"), ("1-c", "note")] {
        let json = format!(r#"{{"_rev":"{rev}","type":"{kind}"}}"#);
        assert_eq!(site.ask(Who::Ada, "PUT /db/many?new_edits=false", &json).status, 201);
    }
    let of = |query: &str| {
        let line = format!("GET /db/_changes?filter=d/of&doc=many&since=0&{query}");
        let text = site.ask(Who::Ada, &line, "").text();
        text.lines().find(|line| line.contains("\"many\"")).map(str::to_owned).unwrap_or_default()
    };
    assert!(of("type=note&style=all_docs").contains(r#""changes":[{"rev":"1-c"},{"rev":"1-a"}]"#));
    assert!(of("type=task&style=all_docs").contains(r#""changes":[{"rev":"1-b"}]"#));
    assert!(of("type=note").contains(r#""changes":[{"rev":"1-c"}]"#));
    assert_eq!(of("type=task"), "");
}

#[test]
fn what_is_missing_is_named() {
    let site = site();
    for (query, status, reason) in [
        ("filter=d/none", 404, "missing json key: none"),
        ("filter=none/of", 404, "missing"),
        ("filter=_view&view=d/none", 404, "missing json key: none"),
        ("filter=_view", 400, "`view` filter parameter is not provided."),
        ("filter=of", 400, "`filter` must be of the form `designname/filtername`"),
        ("filter=_none", 400, "unknown builtin filter name"),
        ("filter=d/fails", 500, ""),
        ("filter=d/loops", 500, ""),
    ] {
        let answer = site.ask(Who::Ada, &format!("GET /db/_changes?{query}"), "");
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        assert!(answer.text().contains(reason), "{query}: {}", answer.text());
    }
    assert_eq!(site.ask(Who::Ada, "GET /db/_changes?filter=d/mine", "").status, 200);
    let answer = site.ask(Who::Ada, "POST /db/_changes?filter=_selector", r#"{"selector":{"a":{"$none":1}}}"#);
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[test]
fn a_running_feed_keeps_its_filter() {
    let site = site();
    let path = "/db/_changes?feed=continuous&since=now&heartbeat=50&filter=d/of&type=note";
    let mut feed = site.follow(Who::Ada, path);
    feed.next_line().unwrap();
    let design = site.ask(Who::Keeper, "GET /db/_design/d", "");
    let rev = design.header("etag").unwrap().trim_matches('"').to_owned();
    let changed = format!(r#"{{"_rev":"{rev}","filters":{{"of":"function (doc) {{ return false; }}"}}}}"#);
    assert_eq!(site.ask(Who::Keeper, "PUT /db/_design/d", &changed).status, 201);
    assert_eq!(site.ask(Who::Ada, "PUT /db/e", r#"{"type":"task"}"#).status, 201);
    assert_eq!(site.ask(Who::Ada, "PUT /db/f", r#"{"type":"note"}"#).status, 201);
    assert_eq!(ids(&feed.next_row().unwrap().unwrap()), ["f"]);
    let later = site.ask(Who::Ada, "GET /db/_changes?filter=d/of&type=note", "").text();
    assert_eq!(ids(&later), [""; 0]);
}
