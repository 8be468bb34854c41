//! `import`: a second server stands for CouchDB.

use crate::{
    fixture::{World, everything, fill, get, login},
    gate::{Gate, without_multipart},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use tidegate_testkit::{http::Client, server::Server};

/// Documents of the large database.
const MANY: usize = 6_000;
/// Of which so many more have attachments.
const BIG: u64 = 10;

fn url(server: &Server) -> String {
    server.url("couch").unwrap()
}

#[test]
fn a_couchdb_is_imported_whole() {
    let mut world = World::new();
    let (source, target) = (world.server("source"), world.server("target"));
    let client = source.couch().unwrap();
    fill(&client, "notes");
    fill(&client, "a%2Fb");
    world.run_with(Some(&source), "user add ada --role staff", "secret").well();
    let security = r#"{"members":{"roles":["staff"]}}"#;
    world.run_with(Some(&source), "db security set notes", security).well();
    let url = url(&source);
    let transcript = world.transcript(
        Some(&target),
        &[
            &format!("import couchdb {url}"),
            &format!("import couchdb {url} --db nope"),
            &format!("import couchdb {url} --all --users --security"),
            "import couchdb http://127.0.0.1:9 --all",
        ],
    );
    for db in ["notes", "a/b"] {
        assert_eq!(everything(&world, &target, db), everything(&world, &source, db));
    }
    let there = target.couch().unwrap();
    assert_eq!(get(&there, "/notes/_security"), get(&client, "/notes/_security"));
    assert_eq!((login(&there, "ada", "secret"), login(&there, "ada", "x")), (200, 401));
    // What is new comes with the next one: an edit, a deletion, a conflict.
    client.put("/notes/new", "{}").unwrap();
    let mut pictured = get(&client, "/notes/pictured");
    pictured["edited"] = true.into();
    assert_eq!(client.put("/notes/pictured", &pictured.to_string()).unwrap().status, 201);
    client.delete("/notes/conflicted?rev=3-c").unwrap();
    client.post("/notes/_bulk_docs", r#"{"new_edits":false,"docs":[{"_id":"gone","_rev":"1-z"}]}"#).unwrap();
    let rows = world.run(Some(&target), &format!("import couchdb {url} --db notes --json")).well().rows();
    let last = json!({
        "db": "notes", "revisions_checked": 19, "revisions_written": 16, "left_out": 0, "changes_pending": 0, "done": true,
    });
    assert_eq!(rows.last().unwrap(), &last);
    assert_eq!(everything(&world, &target, "notes"), everything(&world, &source, "notes"));
    insta::assert_snapshot!(transcript);
}

#[test]
fn a_partitioned_database_stays_one_and_keeps_its_limit() {
    let mut world = World::new();
    let (source, target) = (world.server("source"), world.server("target"));
    world.run(Some(&source), "db create readings --partitioned").well();
    let client = source.couch().unwrap();
    assert_eq!(client.put("/readings/_revs_limit", "5").unwrap().status, 200);
    assert_eq!(client.put("/readings/s1:a", "{}").unwrap().status, 201);
    world.run(Some(&target), &format!("import couchdb {} --db readings", url(&source))).well();
    let there = target.couch().unwrap();
    assert_eq!(get(&there, "/readings")["props"], json!({ "partitioned": true }));
    assert_eq!(get(&there, "/readings/_revs_limit"), json!(5));
    assert_eq!(get(&there, "/readings/_partition/s1")["doc_count"], json!(1));
}

/// PouchDB's servers, for one.
#[test]
fn a_source_that_knows_no_multipart_is_imported_whole() {
    let mut world = World::new();
    let (source, target) = (world.server("source"), world.server("target"));
    fill(&source.couch().unwrap(), "notes");
    let url = format!("http://{}", without_multipart(source.address("couch").unwrap()));
    world.run(Some(&target), &format!("import couchdb {url} --db notes")).well();
    assert_eq!(everything(&world, &target, "notes"), everything(&world, &source, "notes"));
}

fn fill_many(client: &Client) {
    client.put("/many", "").unwrap();
    for some in (0..MANY).collect::<Vec<_>>().chunks(1_000) {
        let docs: Vec<Value> =
            some.iter().map(|number| json!({ "_id": format!("d{number}"), "pad": "x".repeat(300) })).collect();
        assert_eq!(client.post("/many/_bulk_docs", &json!({ "docs": docs }).to_string()).unwrap().status, 201);
    }
    for number in 0..BIG {
        let path = format!("/many/big{number}/att");
        let content = crate::fixture::noise(400_000);
        assert_eq!(client.request("PUT", &path, &[("content-type", "image/png")], &content).unwrap().status, 201);
    }
}

/// Imports through the gate, which lets `bytes` pass, and is stopped by `signal` there; how it ended, and its last word.
fn interrupted(
    world: &World,
    (gate, target): (&Gate, &Server),
    (bytes, signal): (u64, Signal),
) -> (Option<i32>, Value) {
    gate.open_for(bytes);
    let mut child = world.start(target, &format!("import couchdb http://{} --db many --json", gate.address));
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut rows = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    gate.wait_until_closed();
    let written = |row: &Value| row["revisions_written"].as_u64().unwrap();
    let told = rows.by_ref().find(|row| written(row) >= 500).unwrap();
    kill_process(Pid::from_child(&child), signal).unwrap();
    gate.open_for(u64::MAX);
    (child.wait().unwrap().code(), rows.last().unwrap_or(told))
}

#[test]
fn an_interrupted_import_goes_on_where_it_was() {
    let mut world = World::new();
    let (source, target) = (world.server("source"), world.server("target"));
    fill_many(&source.couch().unwrap());
    let gate = Gate::before(source.address("couch").unwrap());
    // As a crash would: nothing is lost but what was not yet written down.
    let (code, told) = interrupted(&world, (&gate, &target), (1_500_000, Signal::KILL));
    assert_eq!(code, None, "{told}");
    let there = get(&target.couch().unwrap(), "/many")["doc_count"].as_u64().unwrap();
    assert!((500..MANY as u64).contains(&there), "{there}");
    // As somebody at a terminal would: a checkpoint is written.
    let (code, told) = interrupted(&world, (&gate, &target), (2_000_000, Signal::INT));
    assert_eq!((code, &told["done"]), (Some(130), &Value::Bool(false)), "{told}");
    let locals = get(&target.couch().unwrap(), "/many/_local_docs?include_docs=true");
    let entry = &locals["rows"][0]["doc"]["history"][0];
    let place: u64 = entry["recorded_seq"].as_str().unwrap().split_once('-').unwrap().0.parse().unwrap();
    let checked = entry["missing_checked"].as_u64().unwrap();
    assert!(place >= 500 && place < MANY as u64, "{entry}");
    // Counts go on from the checkpoint, and what it covers isn't looked at again.
    let line = format!("import couchdb http://{} --db many --json", gate.address);
    let rows = world.run(Some(&target), &line).well().rows();
    let last = rows.last().unwrap();
    assert_eq!(
        (&last["done"], &last["revisions_checked"]),
        (&Value::Bool(true), &json!(checked + BIG + MANY as u64 - place))
    );
    let all = |server: &Server| {
        let mut lines: Vec<String> =
            world.run(Some(server), "export many").well().out.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(all(&target), all(&source));
}

#[test]
fn lines_are_imported_as_they_were_exported() {
    let mut world = World::new();
    let (source, target) = (world.server("source"), world.server("target"));
    fill(&source.couch().unwrap(), "notes");
    let exported = world.run(Some(&source), "export notes --attachments").well().out;
    std::fs::write(world.path("notes.ndjson"), &exported).unwrap();
    let mut transcript = world.transcript(
        Some(&target),
        &[
            "import ndjson copy DIR/notes.ndjson",
            "import ndjson copy DIR/notes.ndjson",
            "import ndjson plain < {\"_id\":\"a\",\"n\":1.0}",
            "import ndjson plain --json < {\"_id\":\"a\"}",
            "import ndjson plain < {\"_id\":\"b\"} nonsense",
            "import ndjson plain DIR/nothing",
        ],
    );
    assert_eq!(everything(&world, &target, "copy"), everything(&world, &source, "notes"));
    let stubs = world.run(Some(&source), "export notes").well().out;
    let left_out = world.run_with(Some(&target), "import ndjson stubs", &stubs);
    assert_eq!(left_out.code, 3);
    transcript.push_str(&world.shown("import ndjson stubs", &left_out));
    insta::assert_snapshot!(transcript);
}
