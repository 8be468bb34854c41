//! What becomes of attachments' content in the cases that random histories rarely meet.

use crate::fixture::{Folder, attachment, census, check, compact, edit, name, read, replicated, stage, write};
use bytes::Bytes;
use tidegate_kv::Kv;
use tidegate_store::{Database, Edit, Error, Staged, Store};

const LARGE: usize = 300_000;

async fn open(folder: &Folder) -> (Store, Database) {
    let store = folder.open().await;
    let db = store.create(&name("db"), 0).await.unwrap();
    (store, db)
}

fn with(staged: Staged, edit: Edit) -> Edit {
    Edit { attachments: vec![attachment("a", staged)], ..edit }
}

/// Chunks, attachments and uploads in the storage.
async fn left(kv: &Kv) -> (usize, usize, usize) {
    let census = census(kv).await;
    let count = |kind| census.get(&kind).copied().unwrap_or(0);
    (count('c'), count('a'), count('u'))
}

#[tokio::test]
async fn content_that_comes_and_goes_in_one_group_is_gone() {
    let folder = Folder::new();
    let (store, db) = open(&folder).await;
    let staged = stage(&db, &Bytes::from_static(b"small")).await;
    // Sent before either is committed: one group.
    let put = db.edit(vec![with(staged, replicated("d", "1-a"))]);
    let purge = db.purge(vec![("d".parse().unwrap(), vec!["1-a".parse().unwrap()])]);
    let (put, purged) = tokio::join!(put, purge);
    assert!(put.unwrap()[0].is_ok());
    assert_eq!(purged.unwrap()[0].revs.len(), 1);
    assert_eq!(left(store.storage()).await, (0, 0, 0));
    check(&db).await;
}

#[tokio::test]
async fn content_of_a_revision_that_was_known_is_let_go() {
    let folder = Folder::new();
    let (store, db) = open(&folder).await;
    write(&db, replicated("d", "3-c")).await.unwrap();
    // The revision is known, its ancestors aren't: something is written, but no body.
    let staged = stage(&db, &vec![7; LARGE].into()).await;
    let written = write(&db, with(staged, replicated("d", "3-c 2-b 1-a"))).await.unwrap();
    assert!(written.seq.is_some());
    assert_eq!(left(store.storage()).await, (0, 0, 0));
    let staged = stage(&db, &vec![7; LARGE].into()).await;
    assert!(write(&db, with(staged, replicated("d", "3-c"))).await.unwrap().seq.is_none());
    let staged = stage(&db, &vec![7; LARGE].into()).await;
    assert!(matches!(write(&db, with(staged, edit("d", None, ""))).await, Err(Error::Conflict)));
    assert_eq!(left(store.storage()).await, (0, 0, 0));
}

#[tokio::test]
async fn one_upload_may_serve_two_revisions() {
    let folder = Folder::new();
    let (store, db) = open(&folder).await;
    let content = vec![7; LARGE];
    let staged = stage(&db, &content.clone().into()).await;
    let digest = staged.digest();
    let edits = vec![with(staged.clone(), edit("d", None, "")), with(staged.clone(), edit("e", None, ""))];
    assert!(db.edit(edits).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(read(&db, &digest).await, content);
    // A third is refused, and what the others refer to stays.
    assert!(write(&db, with(staged, edit("d", None, ""))).await.is_err());
    assert_eq!(read(&db, &digest).await, content);
    assert_eq!(left(store.storage()).await, (2, 1, 0));
    check(&db).await;
}

#[tokio::test]
async fn compaction_lets_go_of_what_only_old_revisions_had() {
    let folder = Folder::new();
    let (store, db) = open(&folder).await;
    let staged = stage(&db, &vec![7; LARGE].into()).await;
    let first = write(&db, with(staged, edit("d", None, ""))).await.unwrap();
    write(&db, edit("d", Some(first.rev), "\"v\":2")).await.unwrap();
    assert_eq!(left(store.storage()).await, (2, 1, 0));
    compact(&db).await;
    assert_eq!(left(store.storage()).await, (0, 0, 0));
    check(&db).await;
}

#[tokio::test]
async fn a_long_history_is_let_go_in_one_go() {
    let folder = Folder::new();
    let (store, db) = open(&folder).await;
    for _ in 0..2 {
        let edits = (1..=400).map(|generation| {
            let path = (1..=generation).rev().map(|generation| format!("{generation}-a"));
            replicated("d", &path.collect::<Vec<_>>().join(" "))
        });
        assert!(db.edit(edits.collect()).await.unwrap().iter().all(Result::is_ok));
    }
    assert_eq!(census(store.storage()).await[&'b'], 400);
    compact(&db).await;
    assert_eq!(census(store.storage()).await[&'b'], 1);
    check(&db).await;
}
