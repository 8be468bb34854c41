//! `db`, `doc`, `changes`, `export`.

use crate::fixture::{World, fill, get};
use std::{
    io::{BufRead, BufReader},
    process::Child,
};

#[test]
fn databases() {
    let mut world = World::new();
    let server = world.server("server");
    let transcript = world.transcript(
        Some(&server),
        &[
            "db create notes",
            "db create notes",
            "db create Notes",
            "db list",
            "db list --json",
            "db security set notes < {\"members\":{\"roles\":[\"staff\"]}}",
            "db security get notes --json",
            "db security set notes < nonsense",
            "db compact notes --wait",
            "db info nope",
            "db info nope --json",
            "db delete notes",
            "db delete notes --yes --json",
            "db list",
            "db list --url http://127.0.0.1:9",
            "db list --url localhost",
        ],
    );
    insta::assert_snapshot!(transcript);
    let info = world.run(Some(&server), "db info _users --json").well();
    assert_eq!(info.rows()[0]["db_name"], "_users");
}

#[test]
fn documents() {
    let mut world = World::new();
    let server = world.server("server");
    std::fs::write(world.path("note.json"), r#"{"text":"from a file"}"#).unwrap();
    let transcript = world.transcript(
        Some(&server),
        &[
            "db create notes",
            "doc put notes a < {\"text\":\"hello\",\"n\":1.0}",
            "doc put notes a DIR/note.json",
            "doc put notes a DIR/note.json --replace --json",
            "doc get notes a",
            "doc get notes a --revs --conflicts --json",
            "doc put notes b < [1]",
            "doc put notes b < {",
            "doc put notes _design/d < {}",
            "doc put notes c --replace < {}",
            "doc list notes",
            "doc list notes --prefix _design --json",
            "doc list notes --limit 1 --include-docs",
            "doc delete notes a",
            "doc delete notes a",
            "doc get notes a",
            "doc get notes ..",
            "changes notes",
            "changes notes --limit 1 --json",
            "changes nope",
        ],
    );
    insta::assert_snapshot!(transcript);
    assert_eq!(world.run(Some(&server), "doc get notes ").code, 2);
}

#[test]
fn conflicts_and_attachments_are_shown() {
    let mut world = World::new();
    let server = world.server("server");
    fill(&server.couch().unwrap(), "notes");
    let transcript = world.transcript(
        Some(&server),
        &[
            "doc list notes --conflicts",
            "doc get notes conflicted --conflicts --json",
            "doc delete notes conflicted --rev 2-e",
            "doc list notes --conflicts",
            "doc get notes emptied --attachments --json",
            "doc get notes a/b --json",
            "export notes",
        ],
    );
    insta::assert_snapshot!(transcript);
    let text = world.run(Some(&server), "doc get notes texted --attachment one/name").well();
    assert_eq!(text.out, "words ".repeat(30_000));
}

/// More than a page.
#[test]
fn long_lists_are_whole() {
    let mut world = World::new();
    let server = world.server("server");
    let client = server.couch().unwrap();
    client.put("/many", "").unwrap();
    let docs: Vec<String> = (0..1_205).map(|number| format!("{{\"_id\":\"d{number:04}\"}}")).collect();
    let body = format!("{{\"docs\":[{}]}}", docs.join(","));
    assert_eq!(client.post("/many/_bulk_docs", &body).unwrap().status, 201);
    let lines = |line: &str| world.run(Some(&server), line).well().out.lines().count();
    assert_eq!(lines("doc list many"), 1_205);
    assert_eq!(lines("doc list many --prefix d1"), 205);
    assert_eq!(lines("doc list many --limit 1100"), 1_100);
    assert_eq!(lines("changes many"), 1_205);
    assert_eq!(lines("changes many --limit 1001"), 1_001);
    assert_eq!(lines("export many"), 1_205);
}

/// A command that is killed at the end of its test.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_feed_is_followed_across_a_restart() {
    let mut world = World::new();
    let mut server = world.server("server");
    let put = |server: &tidegate_testkit::server::Server, id: &str| {
        assert_eq!(server.couch().unwrap().put(&format!("/notes/{id}"), "{}").unwrap().status, 201);
    };
    server.couch().unwrap().put("/notes", "").unwrap();
    put(&server, "a");
    let mut child = world.start(&server, "changes notes --follow --include-docs --json --limit 3");
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut following = Following(child);
    let mut ids = lines.map(|line| {
        let row: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(row["doc"]["_id"], row["id"]);
        row["id"].as_str().unwrap().to_owned()
    });
    assert_eq!(ids.next().unwrap(), "a");
    put(&server, "b");
    assert_eq!(ids.next().unwrap(), "b");
    server.restart().unwrap();
    put(&server, "c");
    assert_eq!(ids.next().unwrap(), "c");
    assert_eq!(ids.next(), None);
    assert!(following.0.wait().unwrap().success());
    assert_eq!(get(&server.couch().unwrap(), "/notes")["doc_count"], 3);
}
