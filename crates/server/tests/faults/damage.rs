//! Bytes that a disk changed: told as damage, never as documents that aren't there.

use super::BINARY;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tidegate_testkit::server::{Error, Server};

const DOCS: usize = 300;
const CONTENTS: usize = 4;

/// What lies beside the tree.
fn content(number: usize) -> String {
    format!("content {number},").repeat(20_000)
}

/// A folder with some documents, in the log alone or in the tree.
fn written(folder: &Path, stop: impl FnOnce(&mut Server)) -> PathBuf {
    let data = folder.join("data");
    let mut server = Server::start(BINARY, &data).unwrap();
    let client = server.couch().unwrap();
    assert_eq!(client.put("/db", "").unwrap().status, 201);
    for number in 0..CONTENTS {
        let headers = [("content-type", "application/octet-stream")];
        let path = format!("/db/with{number}/content");
        assert_eq!(client.request("PUT", &path, &headers, content(number).as_bytes()).unwrap().status, 201);
    }
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
    assert!(info.contains(&format!("\"doc_count\":{},", CONTENTS + DOCS - 1)), "{info}");
}

/// Reads everything from a server that starts on damaged files. Says whether the damage was told.
fn is_told(data: &Path, context: &str) -> bool {
    let server = match Server::start(BINARY, data) {
        Ok(server) => server,
        Err(Error::Misbehaved { log, .. }) => {
            assert!(log.contains("is damaged at byte"), "{context}: {log}");
            return true;
        }
        Err(other) => panic!("{context}: {other:?}"),
    };
    let client = server.couch().unwrap();
    let mut told = 0;
    let mut check = |path: String, is_right: &dyn Fn(&str) -> bool| {
        let answer = client.get(&path).unwrap();
        let (status, text) = (answer.status, answer.text());
        let is_damage = status == 500 && text.contains("damaged");
        assert!(is_damage || status == 200 && is_right(&text), "{context}: {path}: {status} {text}");
        told += usize::from(is_damage);
    };
    check("/_all_dbs".to_owned(), &|text| text.contains("\"db\""));
    for number in 0..DOCS {
        check(format!("/db/doc{number}"), &|text| text.contains(&format!("\"number\":{number},")));
    }
    for number in 0..CONTENTS {
        check(format!("/db/with{number}/content"), &|text| text == content(number));
    }
    told > 0
}

/// Lays a stopped server's files aside. A start changes them, so each trial begins with a copy.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &place);
        } else {
            fs::copy(&path, &place).unwrap();
        }
    }
}

/// Alters one file of `data` in several ways, and counts how many of them are told.
fn count_told(folder: &Path, data: &Path, name: &str, alterations: impl Iterator<Item = impl Fn(&mut [u8])>) -> usize {
    let whole = fs::read(data.join(name)).unwrap();
    let mut told = 0;
    for (number, alter) in alterations.enumerate() {
        let mut bad = whole.clone();
        alter(&mut bad);
        if bad != whole {
            let trial = folder.join(format!("{name}.{number}"));
            copy(data, &trial);
            fs::write(trial.join(name), bad).unwrap();
            told += usize::from(is_told(&trial, &format!("{name}, trial {number}")));
            fs::remove_dir_all(trial).unwrap();
        }
    }
    told
}

#[test]
fn a_lost_part_of_the_tree_is_never_a_missing_document() {
    let folder = tempfile::tempdir().unwrap();
    let data = written(folder.path(), |server| assert!(server.stop().unwrap().success()));
    let parts = (0..12).map(|part| {
        move |content: &mut [u8]| {
            let (from, to) = (content.len() * part / 12, content.len() * (part + 1) / 12);
            content[from..to].fill(0);
        }
    });
    assert!(count_told(folder.path(), &data, "tree.redb", parts) > 0);
    assert!(!is_told(&data, "whole"));
}

#[test]
fn a_flipped_bit_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = written(folder.path(), |server| assert!(server.stop().unwrap().success()));
    for name in ["tree.redb", "large.redb"] {
        let flips = (0..12).map(|part| {
            move |content: &mut [u8]| {
                let from = (content.len() * part / 12).next_multiple_of(4096).max(4096);
                let place = (from + 77..content.len()).step_by(4096).find(|at| content[*at] != 0);
                place.into_iter().for_each(|at| content[at] ^= 0x10);
            }
        });
        assert!(count_told(folder.path(), &data, name, flips) > 0, "{name}");
    }
}
