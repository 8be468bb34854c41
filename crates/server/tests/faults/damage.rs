//! Bytes that a disk changed: told as damage, never as documents that aren't there.

use super::BINARY;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tidegate_testkit::server::{Error, Server};

const DOCS: usize = 300;

/// A folder with some documents, in the log alone or in the tree.
fn written(folder: &Path, stop: impl FnOnce(&mut Server)) -> PathBuf {
    let data = folder.join("data");
    let mut server = Server::start(BINARY, &data).unwrap();
    let client = server.couch().unwrap();
    assert_eq!(client.put("/db", "").unwrap().status, 201);
    for number in 0..DOCS {
        let body = format!("{{\"number\":{number},\"text\":\"{}\"}}", "y".repeat(2000));
        assert_eq!(client.put(&format!("/db/doc{number}"), &body).unwrap().status, 201);
    }
    stop(&mut server);
    data
}

fn segment(data: &Path) -> PathBuf {
    let entries = fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

fn said(data: &Path) -> String {
    match Server::start(BINARY, data) {
        Err(Error::Misbehaved { log, .. }) => log,
        other => panic!("it started: {other:?}"),
    }
}

/// Where the last thing written ends.
fn end(content: &[u8]) -> usize {
    content.len() - content.iter().rev().take_while(|byte| **byte == 0).count()
}

#[test]
fn a_bad_record_before_a_good_one_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    // A killed server has made no last checkpoint: the log is needed.
    let data = written(folder.path(), |server| server.kill().unwrap());
    let segment = segment(&data);
    let whole = fs::read(&segment).unwrap();
    let mut bad = whole.clone();
    // Behind the mark of the last checkpoint, which is a second old at the most, and before the last record.
    let place = end(&whole) - 6000;
    bad[place] ^= 0x10;
    fs::write(&segment, &bad).unwrap();
    let log = said(&data);
    assert!(log.contains("is damaged at byte") && log.contains(segment.to_str().unwrap()), "{log}");
    fs::write(&segment, whole).unwrap();
    let server = Server::start(BINARY, &data).unwrap();
    assert_eq!(server.couch().unwrap().get("/db/doc0").unwrap().status, 200);
}

#[test]
fn a_torn_tail_costs_the_last_group_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = written(folder.path(), |server| server.kill().unwrap());
    let segment = segment(&data);
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, &whole[..end(&whole) - 100]).unwrap();
    let server = Server::start(BINARY, &data).unwrap();
    let client = server.couch().unwrap();
    let status = |number: usize| client.get(&format!("/db/doc{number}")).unwrap().status;
    assert!((0..DOCS - 1).all(|number| status(number) == 200));
    // The disk said that it had it: a test may take it away, a power cut can't.
    assert_eq!(status(DOCS - 1), 404);
    let info = client.get("/db").unwrap().text();
    assert!(info.contains(&format!("\"doc_count\":{},", DOCS - 1)), "{info}");
}

#[test]
fn a_lost_page_of_the_tree_is_never_a_missing_document() {
    let folder = tempfile::tempdir().unwrap();
    let data = written(folder.path(), |server| assert!(server.stop().unwrap().success()));
    let tree = data.join("tree.redb");
    let whole = fs::read(&tree).unwrap();
    let mut told = 0;
    for part in 0..12 {
        let (from, to) = (whole.len() * part / 12, whole.len() * (part + 1) / 12);
        let mut bad = whole.clone();
        bad[from..to].fill(0);
        if bad == whole {
            continue;
        }
        fs::write(&tree, &bad).unwrap();
        let Ok(server) = Server::start(BINARY, &data) else {
            told += 1;
            continue;
        };
        let client = server.couch().unwrap();
        let list = client.get("/_all_dbs").unwrap();
        assert!(list.status == 500 || list.text().contains("\"db\""), "{from}..{to}: {}", list.text());
        for number in 0..DOCS {
            let answer = client.get(&format!("/db/doc{number}")).unwrap();
            let is_right = answer.status == 200 && answer.text().contains(&format!("\"number\":{number},"));
            told += usize::from(!is_right);
            assert!(is_right || answer.status == 500, "{from}..{to}: {} {}", answer.status, answer.text());
        }
    }
    assert!(told > 0);
}
