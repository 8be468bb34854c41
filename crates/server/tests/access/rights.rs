//! Rights that are taken away while a request goes on.

use crate::site::{Site, Who};
use std::time::Duration;
use tidegate_testkit::http::Connection;

const WITHOUT_ADA: &str = r#"{"admins":{"names":["keeper"]},"members":{"names":["somebody"]}}"#;

#[test]
fn a_feed_ends_for_who_is_no_member_any_more() {
    for query in ["feed=continuous", "feed=eventsource", "feed=continuous&include_docs=true"] {
        let site = Site::start("");
        assert_eq!(site.ask(Who::Keeper, "PUT /db/before", "{}").status, 201);
        let path = format!("/db/_changes?{query}&heartbeat=50");
        // The first who rests makes the circle that the others join: she mustn't stay in another's.
        let mut begun = [Who::Keeper, Who::Ada].map(|who| {
            let mut feed = site.follow(who, &path);
            assert!(feed.next_row().unwrap().unwrap_or_default().contains("before"));
            while !feed.next_line().unwrap().unwrap().is_empty() {}
            assert!(feed.next_line().unwrap().is_some(), "a heartbeat: it rests");
            feed
        });
        let [keepers, adas] = &mut begun;
        assert_eq!(site.ask(Who::Keeper, "PUT /db/_security", WITHOUT_ADA).status, 200);
        assert_eq!(site.ask(Who::Keeper, "PUT /db/after", "{}").status, 201);
        let mut rest = String::new();
        adas.set_silence(Duration::from_secs(10)).unwrap();
        while let Ok(Some(line)) = adas.next_line() {
            rest.push_str(&line);
            assert!(!rest.contains("after"), "{query}: {rest}");
        }
        let seen = std::iter::from_fn(|| keepers.next_row().unwrap()).find(|line| line.contains("\"after\""));
        assert!(seen.is_some(), "{query}");
        // Those who may stay go on in company.
        assert_eq!(site.ask(Who::Keeper, "PUT /db/later", "{}").status, 201);
        let seen = std::iter::from_fn(|| keepers.next_row().unwrap()).find(|line| line.contains("\"later\""));
        assert!(seen.is_some(), "{query}");
    }
}

/// Sends a request but its last byte, does something, and sends that.
fn slowly(site: &Site, line: &str, body: &str, meanwhile: impl FnOnce()) -> u16 {
    let mut connection = Connection::open(site.client.address()).unwrap();
    let (begin, end) = body.split_at(body.len() - 1);
    let authorization = Who::Ada.authorization().unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    connection.send_raw(head.as_bytes()).unwrap();
    // The server asks for the body when it has let the request in.
    connection.wait_for_continue().unwrap();
    connection.send_raw(begin.as_bytes()).unwrap();
    meanwhile();
    connection.send_raw(end.as_bytes()).unwrap();
    connection.answer(line.split(' ').next().unwrap()).unwrap().status
}

#[test]
fn a_slow_upload_is_judged_when_it_is_written() {
    for (line, body) in [
        ("PUT /db/a", "{}"),
        ("POST /db/_bulk_docs", r#"{"docs":[{"_id":"a"}]}"#),
        ("PUT /db/_local/a", "{}"),
        ("PUT /db/a/att", "{}"),
    ] {
        let site = Site::start("");
        let revoke = || assert_eq!(site.ask(Who::Keeper, "PUT /db/_security", WITHOUT_ADA).status, 200);
        assert_eq!(slowly(&site, line, body, revoke), 403, "{line}");
        assert_eq!(site.ask(Who::Keeper, "GET /db/a", "").status, 404);
    }
    let site = Site::start("");
    let guard = r#"{"validate_doc_update":"function (doc) { if (doc.bad) throw({forbidden: 'bad'}); }"}"#;
    let install = || assert_eq!(site.ask(Who::Keeper, "PUT /db/_design/guard", guard).status, 201);
    assert_eq!(slowly(&site, "PUT /db/a", r#"{"bad":true}"#, install), 403);
}

#[test]
fn content_of_what_is_refused_is_let_go_of() {
    let site = Site::start("");
    let guard = r#"{"validate_doc_update":"function (doc) { if (doc._attachments) throw({forbidden: 'no files'}); }"}"#;
    assert_eq!(site.ask(Who::Keeper, "PUT /db/_design/guard", guard).status, 201);
    let content = "x".repeat(2 << 20);
    let length = || std::fs::metadata(site.folder().join("data/large.redb")).unwrap().len();
    for round in 0..24 {
        let answer = site.ask_with(Who::Ada, &format!("PUT /db/a{round}/file"), &[], &content);
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    assert!(length() < 24 << 20, "{} bytes", length());
}
