//! `doctor`: damage done behind the server's back is found, and repaired if it can be.

use crate::fixture::{World, everything, fill};
use std::path::Path;
use tidegate_kv::{Direction, EmbeddedOptions, KeyRange, Kv};

/// Opens a data folder and changes rows of one kind in the database with this number. Source: `keys.rs` of `store`.
fn damage(data: &Path, number: u32, kind: u8, change: impl Fn(usize, &[u8]) -> Option<Option<Vec<u8>>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let kv = Kv::open_embedded(EmbeddedOptions::new(data)).await.unwrap();
        let prefix = [b"D".as_slice(), &number.to_be_bytes(), &[kind]].concat();
        let rows = kv.snapshot().unwrap().scan(KeyRange::prefix(prefix), Direction::Forward, usize::MAX).await.unwrap();
        assert!(!rows.is_empty());
        let mut transaction = kv.begin(b"test").await.unwrap();
        for (index, (key, value)) in rows.into_iter().enumerate() {
            match change(index, &value) {
                None => {}
                Some(None) => transaction.delete(key),
                Some(Some(value)) => transaction.put(key, value),
            }
        }
        transaction.commit().await.unwrap();
        kv.close().await.unwrap();
    });
}

#[test]
fn what_follows_from_documents_is_repaired() {
    let mut world = World::new();
    let mut server = world.server("server");
    fill(&server.couch().unwrap(), "notes");
    let before = everything(&world, &server, "notes");
    let running = world.run(None, "doctor --data DIR/server");
    assert!(running.code == 1 && running.err.contains("stop the server first: "), "{running:?}");
    server.stop().unwrap();
    // The sequence index loses rows, references are miscounted, the counters are wrong.
    damage(&world.path("server"), 3, b's', |index, _| (index % 3 == 0).then_some(None));
    damage(&world.path("server"), 3, b'a', |_, value| Some(Some([&value[..value.len() - 1], &[9]].concat())));
    damage(&world.path("server"), 3, b'm', |_, value| {
        let mut value = value.to_vec();
        *value.last_mut().unwrap() = 7;
        let at = value.len() - 4;
        value[at] ^= 1;
        Some(Some(value))
    });
    let found = world.run(None, "doctor --data DIR/server --json");
    assert_eq!(found.code, 3);
    let left: Vec<usize> = found.rows().iter().map(|row| row["left"].as_array().unwrap().len()).collect();
    assert!(left[2] > 5 && left[..2] == [0, 0], "{left:?}");
    let repaired = world.run(None, "doctor --data DIR/server --repair --db notes --json");
    assert_eq!((repaired.code, &repaired.rows()[0]["left"]), (0, &serde_json::json!([])), "{repaired:?}");
    assert_eq!(repaired.rows()[0]["repaired"]["change_rows"], 4);
    insta::assert_snapshot!(world.transcript(None, &["doctor --data DIR/server"]));
    server.restart().unwrap();
    assert_eq!(everything(&world, &server, "notes"), before);
}

#[test]
fn what_is_lost_is_said_and_nothing_else_is_touched() {
    let mut world = World::new();
    let mut server = world.server("server");
    let client = server.couch().unwrap();
    client.put("/notes", "").unwrap();
    client.put("/notes/a", "{\"v\":1}").unwrap();
    client.put("/notes/b", "{\"v\":1}").unwrap();
    server.stop().unwrap();
    damage(&world.path("server"), 3, b'b', |index, _| (index == 0).then_some(None));
    insta::assert_snapshot!(world.transcript(
        None,
        &[
            "doctor --data DIR/server",
            "doctor --data DIR/server --repair",
            "doctor --data DIR/server --db nope",
            "doctor --data DIR/nowhere",
        ]
    ));
    server.restart().unwrap();
    assert_eq!(client.get("/notes/b").unwrap().status, 200);
}

#[test]
fn what_the_disk_altered_is_said() {
    let mut world = World::new();
    let mut server = world.server("server");
    fill(&server.couch().unwrap(), "notes");
    server.stop().unwrap();
    let path = world.path("server").join("tree.redb");
    let mut content = std::fs::read(&path).unwrap();
    // In each page of the tree that has something.
    (4096..content.len()).step_by(4096).filter(|at| content[*at] != 0).collect::<Vec<_>>().into_iter().for_each(|at| {
        content[at + 2000] ^= 1;
    });
    std::fs::write(&path, content).unwrap();
    for command in ["doctor --data DIR/server", "doctor --data DIR/server --repair"] {
        let said = world.run(None, command);
        let text = format!("{}{}", said.out, said.err);
        assert!(said.code != 0 && text.contains("tree.redb is damaged at byte"), "{said:?}");
        assert!(!text.contains("panicked"), "{said:?}");
    }
}
