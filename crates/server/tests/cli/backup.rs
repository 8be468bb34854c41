//! `backup`, `restore`.

use crate::fixture::{World, everything, exists, fill, get, login, noise};
use serde_json::{Value, json};
use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use tidegate_testkit::http::{Client, Connection};

/// Writes `w0`, `w1` … into `a` and `b` by turns, each with an update of `counter`, until told to stop.
fn write_on(client: &Client, stop: &AtomicBool) {
    let mut connection = Connection::open(client.address()).unwrap();
    let mut rev = String::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        for db in ["a", "b"] {
            let json = [("content-type", "application/json")];
            let put = connection.request("PUT", &format!("/{db}/w{number}"), &json, b"{}").unwrap();
            assert_eq!(put.status, 201);
        }
        let text = json!({ "number": number, "pad": "x".repeat(500) }).to_string();
        let path = format!("/a/counter?rev={rev}");
        let json = [("content-type", "application/json")];
        let put = connection.request("PUT", path.trim_end_matches("?rev="), &json, text.as_bytes()).unwrap();
        rev = serde_json::from_slice::<Value>(&put.body).unwrap()["rev"].as_str().unwrap().to_owned();
    }
}

/// How many of `w0`, `w1` … there are: no hole among them.
fn written(client: &Client, db: &str) -> usize {
    let rows = get(client, &format!("/{db}/_all_docs?start_key=%22w%22&end_key=%22x%22"))["rows"].clone();
    let mut numbers: Vec<usize> =
        rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()[1..].parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..numbers.len()).collect::<Vec<_>>());
    numbers.len()
}

#[test]
fn a_backup_under_writes_is_one_moment_and_restores_whole() {
    let mut world = World::new();
    let server = world.server("server");
    let client = server.couch().unwrap();
    fill(&client, "notes");
    world.run_with(Some(&server), "user add ada --role staff", "secret").well();
    let security = r#"{"members":{"roles":["staff"]}}"#;
    world.run_with(Some(&server), "db security set notes", security).well();
    for db in ["a", "b", "c/d"] {
        world.run(Some(&server), &format!("db create {db}")).well();
    }
    let stop = AtomicBool::new(false);
    let (before, after) = thread::scope(|scope| {
        let writer = scope.spawn(|| write_on(&client, &stop));
        while client.get("/b/w20").unwrap().status != 200 {}
        let before = written(&client, "b");
        world.run(Some(&server), "backup -o DIR/one.backup").well();
        let after = written(&client, "a");
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        (before, after)
    });
    let old_seq = get(&client, "/notes")["update_seq"].as_str().unwrap().to_owned();

    world.run(None, "restore DIR/one.backup --data DIR/copy").well();
    world.run(None, "doctor --data DIR/copy").well();
    let copy = world.server("copy");
    let restored = copy.couch().unwrap();
    assert_eq!(get(&restored, "/_all_dbs"), get(&client, "/_all_dbs"));
    for db in ["notes", "_users", "c/d"] {
        assert_eq!(everything(&world, &copy, db), everything(&world, &server, db), "{db}");
    }
    assert_eq!(get(&restored, "/notes/_local/mine")["v"], 1);
    assert_eq!(get(&restored, "/notes/_security"), get(&client, "/notes/_security"));
    assert_eq!((login(&restored, "ada", "secret"), login(&restored, "ada", "x")), (200, 401));
    assert_eq!(get(&restored, "/")["uuid"], get(&client, "/")["uuid"]);
    // One moment: what was acknowledged before is in it, and nothing is without what came before it.
    let (a, b) = (written(&restored, "a"), written(&restored, "b"));
    assert!(before <= b && a <= after + 1, "{before} {a} {b} {after}");
    assert!(a == b || a == b + 1, "{a} {b}");
    let counter = get(&restored, "/a/counter")["number"].as_u64().unwrap();
    assert!((b as u64 - 2..b as u64).contains(&counter), "{b} {counter}");
    // Sequences of the old server are no places in the new one.
    let changes = get(&restored, &format!("/notes/_changes?since={old_seq}"));
    assert_eq!(changes["results"].as_array().unwrap().len(), 10);
    assert_eq!(get(&client, &format!("/notes/_changes?since={old_seq}"))["results"], json!([]));
}

#[test]
fn what_is_there_is_never_overwritten() {
    let mut world = World::new();
    let mut server = world.server("server");
    fs::write(world.path("taken"), "mine").unwrap();
    fs::create_dir(world.path("full")).unwrap();
    fs::write(world.path("full/file"), "mine").unwrap();
    let mut transcript = world.transcript(
        Some(&server),
        &[
            "backup -o DIR/taken",
            "backup",
            "backup -o DIR/nowhere/file",
            "backup -o DIR/file --data DIR/server",
            "backup -o DIR/file --data DIR/nowhere",
            "backup -o DIR/file --url http://127.0.0.1:9",
        ],
    );
    assert_eq!(fs::read_to_string(world.path("taken")).unwrap(), "mine");
    assert!(!exists(&world.path("file")));
    server.stop().unwrap();
    world.run(None, "backup -o DIR/file --data DIR/server").well();
    transcript
        .push_str(&world.transcript(None, &["restore DIR/file --data DIR/full", "restore DIR/nothing --data DIR/new"]));
    insta::assert_snapshot!(transcript);
    assert_eq!(fs::read_to_string(world.path("full/file")).unwrap(), "mine");
    // Nothing is left of what failed.
    let mut names: Vec<_> = fs::read_dir(world.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["file", "full", "server", "taken"]);
}

#[test]
fn only_administrators_get_a_backup() {
    let mut world = World::new();
    let server = world.server("server");
    world.run_with(Some(&server), "admin add root", "secret").well();
    let refused = world.run(Some(&server), "backup -o DIR/file");
    assert!(refused.code == 1 && refused.err.contains("401") && refused.err.contains("--url"), "{refused:?}");
    let url = format!("http://root:secret@{}", server.address("couch").unwrap());
    world.run(None, &format!("backup -o DIR/file --url {url}")).well();
    // Administrators made at run time come along.
    world.run(None, "restore DIR/file --data DIR/copy").well();
    let copy = world.server("copy");
    assert_eq!(copy.couch().unwrap().put("/db", "").unwrap().status, 401);
    assert_eq!(login(&copy.couch().unwrap(), "root", "secret"), 200);
}

#[test]
fn there_is_a_limit_on_backups_at_the_same_time() {
    let mut world = World::new();
    let server = world.server("server");
    let client = server.couch().unwrap();
    client.put("/db", "").unwrap();
    // More than sockets hold.
    let content = noise(32 << 20);
    let put = client.request("PUT", "/db/a/att", &[("content-type", "image/png")], &content).unwrap();
    assert_eq!(put.status, 201);
    let begin = || client.stream("GET", "/_node/_local/_backup", &[], b"").unwrap();
    let (first, second) = (begin(), begin());
    assert_eq!((first.status, second.status), (200, 200));
    let refused = world.run(Some(&server), "backup -o DIR/file");
    assert!(refused.code == 1 && refused.err.contains("2 backups are running"), "{refused:?}");
    drop(first);
    while begin().status != 200 {}
    drop(second);
    while world.run(Some(&server), "backup -o DIR/file").code != 0 {}
}

#[test]
fn a_damaged_backup_is_refused() {
    let mut world = World::new();
    let server = world.server("server");
    fill(&server.couch().unwrap(), "notes");
    world.run(Some(&server), "backup -o DIR/good").well();
    let verified = world.run(None, "backup verify DIR/good --json").well();
    assert_eq!(verified.rows()[0]["ok"], true);
    let good = fs::read(world.path("good")).unwrap();
    fs::write(world.path("cut"), &good[..good.len() - 10]).unwrap();
    let mut altered = good;
    altered[500] ^= 1;
    fs::write(world.path("altered"), altered).unwrap();
    fs::write(world.path("other"), "PK").unwrap();
    for name in ["cut", "altered", "other"] {
        let verified = world.run(None, &format!("backup verify DIR/{name} --json"));
        assert_eq!((verified.code, &verified.rows()[0]["ok"]), (3, &Value::Bool(false)), "{name}");
        assert_eq!(world.run(None, &format!("restore DIR/{name} --data DIR/new")).code, 1, "{name}");
        assert!(!exists(&world.path("new")));
    }
    insta::assert_snapshot!(world.transcript(
        None,
        &["backup verify DIR/altered", "backup verify DIR/other", "restore DIR/altered --data DIR/new",]
    ));
    assert_eq!(fs::read_dir(world.folder.path()).unwrap().count(), 5);
}
