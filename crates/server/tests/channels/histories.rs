//! Random histories over HTTP: writers of documents, channels, grants, roles and losses side by side, and devices that are
//! cut off after any row. In the end each holds what its user may see.

use crate::{
    feeds::{Device, END, Shape},
    site::{Door, Site},
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, thread};

const USERS: [&str; 2] = ["ada", "bob"];
const WRITERS: u64 = 3;
const STEPS: usize = 60;

const SYNC: &str = "function (doc) {
    channel(doc.channels);
    access(doc.users, doc.grant);
    access('role:nurse', doc.role_grant);
    role(doc.nurses, 'role:nurse');
}";

const fn gateway(feed: &'static str, more: &'static str) -> Shape {
    Shape { door: Door::Gateway, feed, more }
}

const fn couch(feed: &'static str, more: &'static str) -> Shape {
    Shape { door: Door::Couch, feed, more }
}

const SHAPES: [Shape; 20] = [
    gateway("normal", "revocations=true"),
    gateway("normal", "revocations=true&include_docs=true&limit=3"),
    gateway("normal", "include_docs=true&limit=1"),
    gateway("normal", "active_only=true&revocations=true"),
    gateway("longpoll", "revocations=true"),
    gateway("longpoll", "revocations=true&include_docs=true&limit=2&style=all_docs"),
    gateway("longpoll", "limit=5"),
    gateway("continuous", "revocations=true&include_docs=true"),
    gateway("continuous", "revocations=true"),
    gateway("continuous", "active_only=true&include_docs=true"),
    gateway("websocket", "revocations=true"),
    gateway("websocket", "revocations=true&include_docs=true&limit=4"),
    gateway("websocket", "include_docs=true"),
    couch("normal", "limit=2"),
    couch("normal", "include_docs=true&style=all_docs"),
    couch("longpoll", "include_docs=true&limit=3"),
    couch("longpoll", ""),
    couch("continuous", "include_docs=true"),
    couch("continuous", "style=all_docs&conflicts=true"),
    couch("eventsource", "include_docs=true"),
];

/// Some channels of a few, as JSON.
fn channels(random: &mut StdRng) -> String {
    let some: Vec<&str> = ["a", "b", "c", "!"].into_iter().filter(|_| random.random_bool(0.35)).collect();
    serde_json::to_string(&some).unwrap()
}

fn document(random: &mut StdRng, id: &str, number: u64) -> String {
    let user = USERS[random.random_range(0..USERS.len())];
    let one_of = |random: &mut StdRng| if random.random_bool(0.25) { channels(random) } else { "[]".to_owned() };
    let channels = if id.starts_with("never") { "[\"never\"]".to_owned() } else { channels(random) };
    let (grant, role_grant) = (one_of(random), one_of(random));
    let nurses = if random.random_bool(0.15) { format!("\"{user}\"") } else { "null".to_owned() };
    format!(
        r#""n":{number},"channels":{channels},"users":"{user}","grant":{grant},"role_grant":{role_grant},"nurses":{nurses}"#
    )
}

/// One write of an administrator. Where another was faster, it is refused, which is well.
fn step(site: &Site, random: &mut StdRng, number: u64) {
    let ask = |line: &str, body: &str| {
        let answer = site.ask(Door::Admin, Some("root:root"), line, body);
        assert!(matches!(answer.status, 200 | 201 | 404 | 409), "{line} {body}: {}", answer.text());
        answer
    };
    let id = match random.random_range(0..8) {
        7 => "never".to_owned(),
        other => format!("d{other}"),
    };
    let rev = || {
        let answer = ask(&format!("GET /db/{id}"), "");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        body["_rev"].as_str().unwrap_or_default().to_owned()
    };
    match random.random_range(0..20) {
        0..=10 => {
            let (rev, body) = (rev(), document(random, &id, number));
            ask(&format!("PUT /db/{id}"), &format!(r#"{{"_rev":"{rev}",{body}}}"#));
        }
        11 | 12 => {
            let rev = rev();
            ask(&format!("DELETE /db/{id}?rev={rev}"), "");
        }
        // A branch from elsewhere.
        13 => {
            let digest = format!("{:032x}", random.next_u64());
            let body = document(random, &id, number);
            let branch = format!(r#"{{"_id":"{id}","_revisions":{{"start":1,"ids":["{digest}"]}},{body}}}"#);
            ask("POST /db/_bulk_docs", &format!(r#"{{"new_edits":false,"docs":[{branch}]}}"#));
        }
        14..=16 => {
            let (user, roles) = (USERS[random.random_range(0..USERS.len())], random.random_bool(0.5));
            let roles = if roles { "[\"nurse\"]" } else { "[]" };
            let body = format!(r#"{{"admin_channels":{},"admin_roles":{roles}}}"#, channels(random));
            ask(&format!("PUT /db/_user/{user}"), &body);
        }
        17 | 18 => {
            ask("PUT /db/_role/nurse", &format!(r#"{{"admin_channels":{}}}"#, channels(random)));
        }
        _ => {
            ask("DELETE /db/_role/nurse", "");
        }
    }
}

/// What a user sees by listing.
fn listed(site: &Site, user: &str) -> BTreeMap<String, String> {
    let answer = site.ask(Door::Gateway, Some(&format!("{user}:{user}")), "GET /db/_all_docs", "");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let rows = body["rows"].as_array().unwrap().iter().map(|row| (text(&row["id"]), text(&row["value"]["rev"])));
    rows.filter(|(id, _)| id != END).collect()
}

fn history(seed: u64) {
    let site = Site::start();
    site.administer_text("PUT /db/_config/sync", "application/javascript", SYNC);
    for user in USERS {
        site.administer(&format!("PUT /db/_user/{user}"), &format!(r#"{{"password":"{user}"}}"#));
    }
    thread::scope(|scope| {
        let devices: Vec<_> = SHAPES
            .into_iter()
            .enumerate()
            .map(|(place, shape)| {
                let device = Device::new(&site, USERS[place % USERS.len()], shape);
                let mut random = StdRng::seed_from_u64(seed ^ (place as u64 + 100));
                scope.spawn(move || device.run(|| random.random_range(1..12)))
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (site, mut random) = (&site, StdRng::seed_from_u64(seed ^ writer));
                scope.spawn(move || (0..STEPS).for_each(|number| step(site, &mut random, number as u64)))
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        site.put(END, r#"{"channels":["!"]}"#);
        for device in devices {
            let device = device.join().unwrap();
            let expected = listed(&site, device.user);
            let held: BTreeMap<String, String> = if device.shape.tells_losses() {
                device.holds.clone()
            } else {
                // It may keep what it lost.
                device.holds.clone().into_iter().filter(|(id, _)| expected.contains_key(id)).collect()
            };
            assert_eq!(held, expected, "seed {seed}: {device:?}");
        }
    });
}

#[test]
fn devices_hold_in_the_end_what_their_users_may_see() {
    for _ in 0..4 {
        let seed = rand::random();
        println_seed(seed);
        history(seed);
    }
}

#[expect(clippy::print_stderr, reason = "shown only by a test that fails")]
fn println_seed(seed: u64) {
    eprintln!("the history's seed is {seed}");
}
