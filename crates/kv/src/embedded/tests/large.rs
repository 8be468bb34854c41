//! Large values beside the tree: what is there is what the tree points to, also after a crash between their checkpoints.

use std::{fs, ops::ControlFlow, path::Path, sync::Arc};

use bytes::Bytes;
use redb::ReadableTableMetadata;

use super::super::{Op, log::Mark, options::EmbeddedOptions, shared::Shared, tree::Tree};
use crate::{Direction, KeyRange};

const LARGE: usize = 200_000;

fn open(dir: &Path) -> Tree {
    let path = dir.join("tree.redb");
    let shared = Arc::new(Shared::new(&EmbeddedOptions::new(dir)));
    Tree::open(&path, 1 << 20, &shared).unwrap()
}

fn put(key: &'static str, byte: u8, length: usize) -> Op {
    Op::Put(Bytes::from(key), vec![byte; length].into())
}

fn delete(key: &'static str) -> Op {
    Op::Delete(Bytes::from(key))
}

fn commit(tree: &Tree, ops: &[Op]) {
    let mut change = tree.change().unwrap();
    change.apply(ops).unwrap();
    change.commit().unwrap();
}

fn checkpoint(tree: &Tree, position: u64) {
    tree.checkpoint(Mark { position, segment: 1, offset: 512 }).unwrap();
}

/// Each key with the first byte of its value and its length.
fn rows(tree: &Tree) -> Vec<(String, u8, usize)> {
    let mut rows = Vec::new();
    let view = tree.view(1).unwrap();
    view.scan(&KeyRange::all(), Direction::Forward, usize::MAX, |key, value| {
        rows.push((String::from_utf8(key.to_vec()).unwrap(), value.first().copied().unwrap_or(0), value.len()));
        ControlFlow::Continue(())
    })
    .unwrap();
    for (key, first, length) in &rows {
        let value = view.get(key.as_bytes()).unwrap().unwrap();
        assert_eq!((value.first().copied().unwrap_or(0), value.len()), (*first, *length), "{key}");
    }
    rows
}

/// How many pieces of values lie beside the tree.
fn pieces(tree: &Tree) -> u64 {
    tree.large().table().unwrap().map_or(0, |table| table.len().unwrap())
}

fn pieces_of(length: usize) -> u64 {
    // Keys of these tests have one letter.
    (length / (65_536 - 64 - 3) + 1) as u64
}

#[test]
fn a_file_is_made_for_the_first_large_value_and_holds_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    commit(&tree, &[put("a", 1, 60_000)]);
    assert!(!dir.path().join("large.redb").exists());
    commit(&tree, &[put("b", 2, LARGE)]);
    assert_eq!(pieces(&tree), pieces_of(LARGE));
    assert_eq!(rows(&tree), [("a".into(), 1, 60_000), ("b".into(), 2, LARGE)]);
}

#[test]
fn nothing_stays_behind_what_is_overwritten_or_removed() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    let all = || ["a", "b", "c", "d"].map(|key| put(key, 1, LARGE));
    commit(&tree, &all());
    commit(&tree, &[put("a", 2, 70_000), put("b", 2, 10), delete("c"), put("d", 2, LARGE), delete("d")]);
    assert_eq!(rows(&tree), [("a".into(), 2, 70_000), ("b".into(), 2, 10)]);
    assert_eq!(pieces(&tree), pieces_of(70_000));
    commit(&tree, &all());
    assert_eq!(pieces(&tree), 4 * pieces_of(LARGE));
    commit(&tree, &[put("c", 3, LARGE), Op::DeleteRange(KeyRange::all().after("a")), put("b", 3, LARGE)]);
    assert_eq!(rows(&tree), [("a".into(), 1, LARGE), ("b".into(), 3, LARGE)]);
    assert_eq!(pieces(&tree), 2 * pieces_of(LARGE));
}

#[test]
fn lengths_about_a_piece_and_the_marker_itself_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    let piece = 65_536 - 64 - 3;
    for length in [0, 65_535, 65_536, 2 * piece - 1, 2 * piece, 2 * piece + 1] {
        commit(&tree, &[put("k", 7, length)]);
        assert_eq!(rows(&tree), [("k".into(), if length == 0 { 0 } else { 7 }, length)]);
    }
    let marker = Bytes::from_static(b"\0value lies beside");
    commit(&tree, &[Op::Put(Bytes::from("k"), marker.clone())]);
    assert_eq!(tree.view(1).unwrap().get(b"k").unwrap(), Some(marker));
    assert_eq!(pieces(&tree), 1);
}

#[test]
fn a_crash_between_the_two_checkpoints_leaves_what_reading_the_log_again_mends() {
    let dir = tempfile::tempdir().unwrap();
    let tree = open(dir.path());
    commit(&tree, &["a", "b", "c"].map(|key| put(key, 1, LARGE)));
    checkpoint(&tree, 1);
    let log = [put("a", 2, LARGE), put("b", 2, 10), delete("c"), put("d", 2, LARGE), put("e", 2, LARGE), delete("e")];
    log.iter().for_each(|op| commit(&tree, std::slice::from_ref(op)));
    tree.large().checkpoint().unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for file in ["tree.redb", "tree.sums", "large.redb", "large.sums"] {
        fs::copy(dir.path().join(file), crashed.path().join(file)).unwrap();
    }
    let expected = rows(&tree);
    drop(tree);
    let tree = open(crashed.path());
    assert_eq!(tree.mark().unwrap().unwrap().position, 1);
    commit(&tree, &log);
    assert_eq!(rows(&tree), expected);
    assert_eq!(pieces(&tree), 2 * pieces_of(LARGE));
    // The checkpoint after it makes both durable.
    checkpoint(&tree, 2);
    tree.close().unwrap();
    let tree = open(crashed.path());
    assert_eq!(rows(&tree), expected);
}

#[test]
fn half_a_file_is_made_again_and_a_lost_one_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("large.new"), b"half").unwrap();
    let tree = open(dir.path());
    commit(&tree, &[put("a", 1, LARGE)]);
    checkpoint(&tree, 1);
    tree.close().unwrap();
    assert_eq!(rows(&open(dir.path())).len(), 1);
    fs::remove_file(dir.path().join("large.redb")).unwrap();
    let error = open(dir.path()).view(1).unwrap().get(b"a").unwrap_err();
    assert!(matches!(error, crate::Error::Corrupt { .. }), "{error}");
}
