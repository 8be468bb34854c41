//! Where users of Sync Gateway 4.2 lose rows, are refused for no reason or learn too much: what is so here, one rule
//! after the other. What is told after a loss, of existence, and by which feed is tried by the modules beside.

use crate::site::{Door, GoingOn, Site};
use serde_json::Value;

const ADA: Option<&str> = Some("ada:ada");

fn site(sync: Option<&str>, channels: &str) -> Site {
    let site = Site::start();
    if let Some(sync) = sync {
        site.administer_text("PUT /db/_config/sync", "application/javascript", sync);
    }
    site.administer("PUT /db/_user/ada", &format!(r#"{{"password":"ada","admin_channels":{channels}}}"#));
    site
}

fn json(site: &Site, door: Door, line: &str) -> Value {
    let answer = site.ask(door, ADA, line, "");
    assert_eq!(answer.status, 200, "{line}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// The rows of documents that ada is told of.
fn rows(site: &Site, door: Door, query: &str) -> Vec<Value> {
    let told = json(site, door, &format!("GET /db/_changes?{query}"));
    let rows = told["results"].as_array().unwrap().iter();
    rows.filter(|row| !row["id"].as_str().unwrap().starts_with('_')).cloned().collect()
}

#[test]
fn who_has_the_star_has_every_channel() {
    let sync = "function (doc) { requireAccess(doc.channels); channel(doc.channels); }";
    let site = site(Some(sync), r#"["*"]"#);
    let write = |id: &str| site.ask(Door::Gateway, ADA, &format!("PUT /db/{id}"), r#"{"channels":["x"]}"#);
    assert_eq!(write("a").status, 201);
    site.administer("PUT /db/_user/ada", r#"{"admin_channels":["y"]}"#);
    let refused = write("b");
    assert_eq!((refused.status, refused.text().contains("sg missing channel access")), (403, true));
}

#[test]
fn a_document_that_is_still_seen_is_not_removed() {
    let site = site(None, r#"["x","y"]"#);
    let first = site.put("a", r#"{"channels":["x","y"]}"#);
    let told = json(&site, Door::Gateway, "GET /db/_changes");
    let since = told["last_seq"].as_str().unwrap();
    let second = site.put("a", &format!(r#"{{"_rev":"{first}","channels":["y"]}}"#));
    let moved = rows(&site, Door::Gateway, &format!("since={since}"));
    assert_eq!((moved.len(), moved[0].get("removed")), (1, None), "{moved:?}");
    site.put("a", &format!(r#"{{"_rev":"{second}","channels":[]}}"#));
    let left = rows(&site, Door::Gateway, &format!("since={since}"));
    assert_eq!(left.last().unwrap()["removed"], serde_json::json!(["y"]), "{left:?}");
}

#[test]
fn a_refused_write_leaves_no_gap() {
    let sync =
        "function (doc) { if (doc.bad) throw({forbidden: 'bad'}); if (doc.odd) nothing(); channel(doc.channels); }";
    let site = site(Some(sync), r#"["x"]"#);
    let first = site.administer("GET /db/", "")["update_seq"].as_u64().unwrap();
    for (last, number) in (first..).zip(0..10) {
        for (body, status) in [(r#"{"bad":true}"#, 403), (r#"{"odd":true}"#, 500)] {
            assert_eq!(site.ask(Door::Gateway, ADA, &format!("PUT /db/n{number}"), body).status, status);
        }
        assert_eq!(site.ask(Door::Gateway, ADA, &format!("DELETE /db/n{number}?rev=1-a"), "").status, 404);
        site.put(&format!("a{number}"), r#"{"channels":["x"]}"#);
        let told = rows(&site, Door::Gateway, &format!("since={last}"));
        assert_eq!((told.len(), told[0]["seq"].as_u64()), (1, Some(last + 1)), "{told:?}");
    }
    assert!(!rows(&site, Door::Gateway, "").iter().any(|row| row["id"].as_str().unwrap().starts_with('n')));
}

/// A sync function may be replaced at any moment: what it refuses is refused, and nothing else suffers.
#[test]
fn a_new_sync_function_refuses_what_it_says_alone() {
    let strict = "function (doc) { if (doc.bad) throw({forbidden: 'bad'}); channel(doc.channels); }";
    let lax = "function (doc) { channel(doc.channels); }";
    let site = site(Some(strict), r#"["x"]"#);
    let going_on = GoingOn::default();
    std::thread::scope(|scope| {
        let _end = going_on.end();
        scope.spawn(|| {
            while going_on.is_so() {
                for text in [lax, strict] {
                    site.administer_text("PUT /db/_config/sync", "application/javascript", text);
                    // Nobody writes a new one so often that no judgement lasts until it is committed.
                    (0..60).for_each(|_| drop(site.administer("GET /db/", "")));
                }
            }
        });
        for (round, door) in (0..80).zip([Door::Gateway, Door::Couch].into_iter().cycle()) {
            let document =
                |n: usize| serde_json::json!({ "_id": format!("{round}-{n}"), "channels": ["x"], "bad": n == 15 });
            let docs: Vec<Value> = (0..30).map(document).collect();
            let body = serde_json::json!({ "docs": docs }).to_string();
            let answer = site.ask(door, ADA, "POST /db/_bulk_docs", &body);
            assert_eq!(answer.status, 201, "{}", answer.text());
            let rows: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
            let is_wrong = |(n, row): &(usize, &Value)| *n != 15 && row.get("rev").is_none();
            let wrong: Vec<_> = rows.iter().enumerate().filter(is_wrong).collect();
            assert!(rows.len() == 30 && wrong.is_empty(), "{wrong:?}");
        }
    });
}

#[test]
fn what_is_malformed_is_refused_as_such() {
    let site = site(None, r#"["x"]"#);
    site.put("a", r#"{"channels":["x"]}"#);
    let requests = [
        ("POST /db/", "null"),
        ("POST /db/_bulk_get", "[[null,null]]"),
        ("POST /db/_bulk_get", r#"{"docs":[null]}"#),
        ("POST /db/_bulk_docs", r#"{"docs":[null]}"#),
        ("POST /db/_revs_diff", r#"{"a":null}"#),
        ("POST /db/_revs_diff", r#"[[]]"#),
        ("POST /db/_changes", "[]"),
        ("GET /db/a?revs=true&revs_limit=0", ""),
        ("GET /db/a?revs=true&revs_limit=-1", ""),
        ("GET /db/a?open_revs=x", ""),
        ("GET /db/_changes?since=1:", ""),
    ];
    for (line, body) in requests {
        for (door, who) in [(Door::Gateway, ADA), (Door::Admin, Some("root:root"))] {
            let answer = site.ask(door, who, line, body);
            // An item of many is refused for itself.
            let is_refused = answer.status == 400 || answer.text().contains("\"status\":400");
            assert!(is_refused, "{line} {body}: {} {}", answer.status, answer.text());
        }
    }
}

/// From every sequence that was ever sent, what follows is what followed then.
#[test]
fn a_feed_goes_on_from_any_row() {
    let site = site(None, r#"["own"]"#);
    for number in 0..6 {
        site.put(&format!("x{number}"), r#"{"channels":["x"]}"#);
        site.put(&format!("o{number}"), r#"{"channels":["own"]}"#);
    }
    site.administer("PUT /db/_user/ada", r#"{"admin_channels":["own","x"]}"#);
    let since = site.administer("GET /db/", "")["update_seq"].as_u64().unwrap();
    site.administer("PUT /db/_user/ada", r#"{"admin_channels":["own"]}"#);
    site.put("later", r#"{"channels":["own"]}"#);
    let check = |door: Door, from: &str, more: &str| {
        let all = json(&site, door, &format!("GET /db/_changes?since={from}{more}"));
        let all = all["results"].as_array().unwrap();
        for (place, row) in all.iter().enumerate() {
            let seq = row["seq"].as_str().map_or_else(|| row["seq"].to_string(), str::to_owned);
            let rest = json(&site, door, &format!("GET /db/_changes?since={seq}{more}"));
            assert_eq!(rest["results"].as_array().unwrap(), &all[place + 1..], "after {row}");
            let next = json(&site, door, &format!("GET /db/_changes?since={seq}&limit=1{more}"));
            assert_eq!(next["results"].as_array().unwrap().first(), all.get(place + 1), "after {row}");
        }
        all.len()
    };
    // Six are lost, the user's own change is told, and a document.
    assert_eq!(check(Door::Gateway, &since.to_string(), "&revocations=true"), 8);
    assert_eq!(check(Door::Gateway, "0", ""), 8);
    assert_eq!(check(Door::Couch, "0", ""), 7);
    site.administer("PUT /db/_user/ada", r#"{"admin_channels":["own","x"]}"#);
    assert_eq!(check(Door::Gateway, &since.to_string(), "&revocations=true"), 8);
    assert_eq!(check(Door::Couch, "0", ""), 13);
}

/// CouchDB's dialect has no word for a revision that can't be seen any more: as one without content it would be stored.
#[test]
fn a_revision_that_left_is_not_told_as_an_empty_document() {
    let site = site(None, r#"["x"]"#);
    let first = site.put("a", r#"{"channels":["x"],"n":1}"#);
    let second = site.put("a", &format!(r#"{{"_rev":"{first}","channels":["y"],"n":2}}"#));
    let removed = json(&site, Door::Gateway, &format!("GET /db/a?rev={second}"));
    assert_eq!(removed["_removed"], true);
    assert_eq!(site.ask(Door::Couch, ADA, &format!("GET /db/a?rev={second}"), "").status, 403);
    let copy = format!("COPY /db/a?rev={second}");
    assert_eq!(site.ask_with(Door::Couch, ADA, &copy, (&[("destination", "b")], "")).status, 403);
    for parameters in ["", "?latest=true", "?revs=true&latest=true"] {
        let body = format!(r#"{{"docs":[{{"id":"a","rev":"{second}"}}]}}"#);
        let told = site.ask(Door::Couch, ADA, &format!("POST /db/_bulk_get{parameters}"), &body).text();
        assert!(told.contains("not_found") && !told.contains("\"ok\""), "{told}");
    }
    // But that it was deleted is told.
    let gone = site.administer(&format!("DELETE /db/a?rev={second}"), "")["rev"].as_str().unwrap().to_owned();
    let third = site.put("c", r#"{"channels":["x"]}"#);
    let buried = site.administer(&format!("DELETE /db/c?rev={third}"), "")["rev"].as_str().unwrap().to_owned();
    let told = rows(&site, Door::Couch, "");
    assert!(told.iter().any(|row| row["id"] == "c" && row["deleted"] == true), "{told:?}");
    assert!(!told.iter().any(|row| row["changes"][0]["rev"] == gone.as_str()), "{told:?}");
    let body = format!(r#"{{"docs":[{{"id":"c","rev":"{buried}"}}]}}"#);
    let told = site.ask(Door::Couch, ADA, "POST /db/_bulk_get?latest=true", &body).text();
    assert!(told.contains("\"ok\"") && told.contains("\"_deleted\":true"), "{told}");
}

#[test]
fn a_meaningless_deletion_leaves_no_trace() {
    let site = site(None, r#"["x"]"#);
    let before = site.administer("GET /db/", "")["update_seq"].clone();
    for door in [Door::Gateway, Door::Couch] {
        let answer = site.ask(door, ADA, "DELETE /db/none?rev=1-a", "");
        assert!(matches!(answer.status, 404 | 409), "{}", answer.text());
    }
    assert_eq!(site.administer("GET /db/", "")["update_seq"], before);
}

/// A session opens the database it was made for, as long as its user is the one it was made for, and may come in.
#[test]
fn a_session_ends_with_its_user() {
    let site = site(None, r#"["x"]"#);
    site.administer("PUT /other/", "{}");
    site.administer("PUT /other/_user/ada", r#"{"password":"ada","admin_channels":["x"]}"#);
    site.put("a", r#"{"channels":["x"]}"#);
    let session = |db: &str| {
        let made = site.administer(&format!("POST /{db}/_session"), r#"{"name":"ada"}"#);
        format!("SyncGatewaySession={}", made["session_id"].as_str().unwrap())
    };
    let is_let_in = |cookie: &str| {
        [Door::Gateway, Door::Couch].map(|door| {
            let answer = site.ask_with(door, None, "GET /db/_all_docs", (&[("cookie", cookie)], ""));
            assert!(matches!(answer.status, 200 | 401 | 403), "{}", answer.text());
            assert_eq!(answer.status == 200, answer.text().contains("\"id\":\"a\""), "{}", answer.text());
            answer.status == 200
        })
    };
    assert_eq!(is_let_in(&session("other")), [false; 2]);
    let ends = [
        ("PUT /db/_user/ada", r#"{"admin_channels":["x"],"disabled":true}"#),
        ("DELETE /db/_user/ada", ""),
        ("PUT /db/_user/ada", r#"{"password":"another","admin_channels":["x"]}"#),
    ];
    for (line, body) in ends {
        site.administer("PUT /db/_user/ada", r#"{"password":"ada","admin_channels":["x"],"disabled":false}"#);
        let cookie = session("db");
        assert_eq!(is_let_in(&cookie), [true; 2]);
        site.administer(line, body);
        assert_eq!(is_let_in(&cookie), [false; 2], "{line} {body}");
        if line.starts_with("DELETE") {
            // Who has the name now is somebody else.
            site.administer("PUT /db/_user/ada", r#"{"password":"ada","admin_channels":["x"]}"#);
            assert_eq!(is_let_in(&cookie), [false; 2]);
        }
    }
}
