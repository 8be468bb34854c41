//! Real clients (PouchDB, RxDB, nano) end to end against the real binary: one test for each file of `e2e/`.
//!
//! The tests themselves are JavaScript, run by Node's own runner. Every file starts its own server on a folder and a port
//! of its own, so that they run in parallel. Their npm packages are fetched by `cargo xtask test`.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest run of a file; each wait inside has a shorter deadline of its own.
const FILE_MS_MAX: u32 = 300_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e")
}

/// Runs one file of `e2e/` to its end and shows all it printed if anything in it failed.
fn run(file: &str) {
    let folder = folder();
    assert!(
        folder.join("node_modules/pouchdb/package.json").exists(),
        "the npm packages of e2e/ are missing: run `cargo xtask test`, it fetches the npm packages"
    );
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec", "--test-force-exit"])
        .arg(format!("--test-timeout={FILE_MS_MAX}"))
        .arg(file)
        .env("TIDEGATE_BIN", env!("CARGO_BIN_EXE_tidegate"))
        .current_dir(&folder)
        .output()
        .expect("`node` (20.14 or newer) can be run");
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file} failed\n{printed}\n{complaints}");
}

macro_rules! files {
    ($($name:ident => $file:literal,)*) => {
        $(#[test]
        fn $name() {
            run($file);
        })*

        const FILES: &[&str] = &[$($file),*];
    };
}

files! {
    attachments => "attachments.test.mjs",
    bulk => "bulk.test.mjs",
    changes => "changes.test.mjs",
    checkpoints => "checkpoints.test.mjs",
    conflicts => "conflicts.test.mjs",
    crash => "crash.test.mjs",
    demo => "demo.test.mjs",
    filtered => "filtered.test.mjs",
    functions => "functions.test.mjs",
    nano => "nano.test.mjs",
    pouchdb => "pouchdb.test.mjs",
    replicator_peers => "replicator-peers.test.mjs",
    replicator_ways => "replicator-ways.test.mjs",
    replicator => "replicator.test.mjs",
    rxdb => "rxdb.test.mjs",
}

#[test]
fn every_file_is_run() {
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .expect("e2e/ can be listed")
        .map(|entry| entry.expect("an entry of e2e/").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".test.mjs"))
        .collect();
    found.sort();
    assert_eq!(found, FILES);
}
