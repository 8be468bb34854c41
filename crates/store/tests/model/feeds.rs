//! Dense sequences, and feeds that lose and repeat nothing.

use crate::fixture::{Folder, edit, name, runtime, write};
use tidegate_store::{Database, Feed};
use tidegate_types::Seq;

const WRITERS: usize = 64;
const WRITES: usize = 20;
/// Twice what the ring of the latest changes holds.
const ALL: u64 = (WRITERS * WRITES) as u64;

/// Reads until the last sequence: each once, in order.
async fn follow(mut feed: Feed, limit: usize) {
    let mut next = feed.since().get() + 1;
    while next <= ALL {
        feed.changed().await.unwrap();
        let changes = feed.next(limit).await.unwrap();
        assert!(changes.len() <= limit);
        for change in changes {
            assert_eq!(change.seq.get(), next);
            next += 1;
        }
        assert_eq!(feed.since().get() + 1, next);
    }
    assert!(feed.next(limit).await.unwrap().is_empty());
}

/// Writes documents of its own; their sequences.
async fn write_all(db: Database, writer: usize) -> Vec<Seq> {
    let mut seqs = Vec::new();
    for number in 0..WRITES {
        let written = write(&db, edit(&format!("{writer}-{number}"), None, "")).await.unwrap();
        seqs.extend(written.seq);
        // What is acknowledged is there.
        assert!(db.update_seq() >= *seqs.last().unwrap());
    }
    assert!(seqs.is_sorted());
    seqs
}

#[test]
fn sequences_are_dense_and_a_follower_sees_each_once() {
    runtime().block_on(async {
        let folder = Folder::new();
        let store = folder.open().await;
        let db = store.create(&name("db"), 0).await.unwrap();
        let mut followers = tokio::task::JoinSet::new();
        followers.spawn(follow(db.follow(Seq::ZERO), 1_000));
        followers.spawn(follow(db.follow(Seq::ZERO), 7));
        let late = db.follow(Seq::ZERO);
        let mut writers = tokio::task::JoinSet::new();
        (0..WRITERS).for_each(|writer| drop(writers.spawn(write_all(db.clone(), writer))));
        let mut seqs = writers.join_next().await.unwrap().unwrap();
        // In the middle of it, one follower more from the beginning, and one from now.
        followers.spawn(follow(db.follow(Seq::ZERO), 100));
        followers.spawn(follow(db.follow(db.update_seq()), 100));
        seqs.extend(writers.join_all().await.into_iter().flatten());
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=ALL).map(Seq::new).collect::<Vec<_>>());
        // The ring has forgotten the first by now.
        followers.spawn(follow(late, 50));
        followers.join_all().await;
        store.close().await.unwrap();
    });
}

#[tokio::test]
async fn reading_nothing_skips_nothing() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = store.create(&name("db"), 0).await.unwrap();
    let mut feed = db.follow(Seq::ZERO);
    write(&db, edit("d", None, "")).await.unwrap();
    assert!(feed.next(0).await.unwrap().is_empty());
    assert_eq!(feed.next(1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_feed_without_followers_reads_the_storage() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = store.create(&name("db"), 0).await.unwrap();
    for number in 0..3 {
        write(&db, edit(&format!("d{number}"), None, "")).await.unwrap();
    }
    let mut feed = db.follow(Seq::new(1));
    let seqs: Vec<u64> = feed.next(10).await.unwrap().iter().map(|change| change.seq.get()).collect();
    assert_eq!(seqs, [2, 3]);
    assert!(feed.next(10).await.unwrap().is_empty());
}
