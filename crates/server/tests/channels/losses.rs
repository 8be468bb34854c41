//! What is written after a loss is never told on a feed that is open, however the channel was lost.

use crate::{
    feeds::WebSocket,
    site::{Door, GoingOn, Site, basic},
};
use std::thread;
use tidegate_testkit::http::Stream;

const ROUNDS: usize = 30;

const SYNC: &str = "function (doc) {
    channel(doc.channels);
    access(doc.users, doc.grant);
    role(doc.nurses, 'role:nurse');
}";

/// The ways to a channel, and those by which it is lost.
const WAYS: [(&str, &str, &str); 4] = [
    ("_user/ada", r#"{"admin_channels":["x"]}"#, r#"{"admin_channels":[]}"#),
    ("_user/ada", r#"{"admin_roles":["nurse"]}"#, r#"{"admin_roles":[]}"#),
    ("granting", r#"{"users":"ada","grant":["x"]}"#, "{}"),
    ("nursing", r#"{"nurses":"ada"}"#, "{}"),
];

/// Writes a document, or a user, over what is there: the document's revision.
fn put(site: &Site, id: &str, json: &str) -> String {
    if id.starts_with('_') {
        site.administer(&format!("PUT /db/{id}"), json);
        return String::new();
    }
    let answer = site.ask(Door::Admin, Some("root:root"), &format!("GET /db/{id}"), "");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let rev = body["_rev"].as_str().unwrap_or_default();
    site.put(id, &json.replacen('{', &format!("{{\"_rev\":\"{rev}\","), 1).replace(",}", "}"))
}

/// All that a feed says until it ends.
fn follow(site: &Site, door: Door, path: &str) -> String {
    let authorization = basic("ada:ada");
    let mut stream: Stream =
        site.client(door).stream("GET", path, &[("authorization", authorization.as_str())], b"").unwrap();
    let mut told = String::new();
    while let Ok(Some(line)) = stream.next_line() {
        told.push_str(&line);
        told.push('\n');
    }
    told
}

fn listen(site: &Site) -> String {
    let mut socket = WebSocket::open(site, "ada:ada", r#"{"include_docs":true,"revocations":true}"#);
    let mut told = String::new();
    while let Some(message) = socket.next() {
        told.push_str(&message);
        told.push('\n');
    }
    told
}

/// Gives and takes the channel, and writes once it is taken: the revisions that must not be told.
fn give_and_take(site: &Site) -> Vec<String> {
    let mut after = Vec::new();
    for round in 0..ROUNDS {
        let (what, given, taken) = WAYS[round % WAYS.len()];
        put(site, what, given);
        put(site, "plan", &format!(r#"{{"channels":["x"],"n":"before {round}"}}"#));
        put(site, what, taken);
        after.push(put(site, "plan", &format!(r#"{{"channels":["x"],"n":"after {round}"}}"#)));
        after.push(put(site, &format!("secret{round}"), r#"{"channels":["x"],"n":"after"}"#));
        // Else the next grant would bring them, as it should.
        after.push(put(site, "plan", r#"{"channels":[]}"#));
        after.push(put(site, &format!("secret{round}"), r#"{"channels":[]}"#));
    }
    // Who is disabled loses everything, and its feeds end.
    put(site, "_user/ada", r#"{"admin_channels":["x"]}"#);
    put(site, "_user/ada", r#"{"admin_channels":["x"],"disabled":true}"#);
    after.push(put(site, "plan", r#"{"channels":["x"],"n":"after all"}"#));
    after
}

#[test]
fn nothing_that_is_written_after_a_loss_is_told() {
    let site = Site::start();
    site.administer_text("PUT /db/_config/sync", "application/javascript", SYNC);
    site.administer("PUT /db/_role/nurse", r#"{"admin_channels":["x"]}"#);
    site.administer("PUT /db/_user/ada", r#"{"password":"ada"}"#);
    let going_on = GoingOn::default();
    let (after, told) = thread::scope(|scope| {
        let all = "include_docs=true&heartbeat=30000";
        let feeds = [
            (Door::Gateway, format!("/db/_changes?feed=continuous&{all}")),
            (Door::Gateway, format!("/db/_changes?feed=continuous&revocations=true&{all}")),
            (Door::Gateway, format!("/db/_changes?feed=continuous&style=all_docs&{all}")),
            (Door::Couch, format!("/db/_changes?feed=continuous&{all}")),
            (Door::Couch, format!("/db/_changes?feed=eventsource&{all}")),
        ];
        let site = &site;
        let mut readers: Vec<_> =
            feeds.into_iter().map(|(door, path)| scope.spawn(move || follow(site, door, &path))).collect();
        readers.push(scope.spawn(|| listen(site)));
        // Keeps the feeds busy, so that losses fall between reading and writing.
        let busy = scope.spawn(|| {
            let mut number = 0;
            while going_on.is_so() {
                number += 1;
                site.put(&format!("busy{number}"), r#"{"channels":["x","!"]}"#);
            }
        });
        let end = going_on.end();
        let after = give_and_take(site);
        drop(end);
        busy.join().unwrap();
        (after, readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>())
    });
    for told in told {
        // Some of it came before the loss was known.
        assert!(told.contains("\"before ") && told.contains("busy"), "{told}");
        for rev in &after {
            assert!(!told.contains(rev.as_str()), "{rev} of {after:?} is told: {told}");
        }
        assert!(!told.contains("\"after") && !told.contains("secret"), "{told}");
    }
}
