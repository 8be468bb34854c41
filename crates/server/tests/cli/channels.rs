//! `db create --access channels`, `user --db`, `role`, `sync`, `explain`.

use crate::fixture::World;
use serde_json::json;
use std::fs;

const FIRST: &str = "function (doc) { channel(doc.ward); }\n";
const SECOND: &str = "function (doc) {\n  if (doc.bad) throw({forbidden: 'bad'});\n  channel(doc.ward, 'all');\n  access(doc.nurse, doc.ward);\n}\n";

#[test]
fn a_database_in_channels_is_looked_after() {
    let mut world = World::new();
    let server = world.server_with_channels("server");
    fs::write(world.path("first.js"), FIRST).unwrap();
    fs::write(world.path("second.js"), SECOND).unwrap();
    fs::write(world.path("broken.js"), "function (doc) {\n  channel(doc.ward;\n}\n").unwrap();
    let mut transcript = world.transcript(
        Some(&server),
        &[
            "sync check DIR/first.js",
            "sync check DIR/broken.js",
            "db create clinic --sync DIR/first.js",
            "db create clinic --access channels --sync DIR/broken.js",
            "db create clinic --access channels --sync DIR/first.js",
            "sync get --db clinic",
            "role set nurse --db clinic --channel w2",
            "user add ada --db clinic --channel w1 --role nurse < secret",
            "user add ada --db clinic < secret",
            "user add bob --db clinic --password secret",
            "user add bob --channel x --password secret",
            "user list --db clinic",
            "user channels ada --db clinic w1 w3",
            "user channels eve --db clinic w1",
            "user list --db clinic --json",
            "role list --db clinic",
            "role show nurse --db clinic",
            "role list",
        ],
    );
    let couch = server.couch().unwrap();
    let documents = [
        json!({ "_id": "a", "ward": "w1" }),
        json!({ "_id": "b", "ward": "w2", "nurse": "bob" }),
        json!({ "_id": "c", "ward": "w9", "bad": true }),
    ];
    let answer = couch.post("/clinic/_bulk_docs", &json!({ "docs": documents }).to_string()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    transcript.push_str(&world.transcript(
        Some(&server),
        &[
            "explain --db clinic --user ada --doc a",
            "explain --db clinic --user ada --doc b",
            "explain --db clinic --user bob --doc b",
            "explain --db clinic --user eve --doc b",
            "explain --db clinic --user ada --doc nothing",
            "sync dry-run DIR/second.js --db clinic",
            "sync dry-run DIR/broken.js --db clinic",
            "sync set DIR/second.js --db clinic --resync --wait",
            "explain --db clinic --user bob --doc b",
            "sync dry-run DIR/first.js --db clinic --examples 1 --json",
            "user delete bob --db clinic",
            "user delete bob --db clinic",
            "role delete nurse --db clinic",
            "user list --db clinic",
            "explain --db none --user ada --doc a",
        ],
    ));
    insta::assert_snapshot!(transcript);
    let rows = world.run(Some(&server), "sync resync --db clinic --wait --json").well().rows();
    assert_eq!(
        (&rows[0]["status"], &rows[0]["docs_changed"], &rows[0]["docs_processed"]),
        (&json!("completed"), &json!(0), &json!(3))
    );
}
