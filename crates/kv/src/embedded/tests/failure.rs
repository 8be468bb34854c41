//! Failed writes, failed syncs and full disks.

use std::{
    io::ErrorKind,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::super::log_file::Faults;
use crate::{EmbeddedOptions, Error, Health, Kv};

async fn open(path: &Path) -> (Kv, Arc<Faults>) {
    let mut options = EmbeddedOptions::new(path);
    options.checkpoint_interval = Duration::from_secs(3600);
    let faults = Arc::clone(&options.faults);
    (Kv::open_embedded(options).await.unwrap(), faults)
}

/// A short record is written by the committer, a long one by the syncer.
const LENGTHS: [usize; 2] = [1000, 100_000];

async fn put(kv: &Kv, key: &'static str, length: usize) -> Result<(), Error> {
    let mut transaction = kv.begin(b"scope").await?;
    transaction.put(key, vec![7; length]);
    transaction.commit().await.map(drop)
}

async fn keys(kv: &Kv) -> Vec<String> {
    let rows = kv.snapshot().unwrap().scan(crate::KeyRange::all(), crate::Direction::Forward, 100).await.unwrap();
    rows.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn a_failed_sync_is_final_and_reads_go_on() {
    for length in LENGTHS {
        let dir = tempfile::tempdir().unwrap();
        let (kv, faults) = open(dir.path()).await;
        put(&kv, "before", length).await.unwrap();
        *faults.sync.lock().unwrap() = Some(ErrorKind::Other);
        let refused = put(&kv, "during", length).await.unwrap_err();
        assert!(matches!(&refused, Error::ReadOnly { reason } if reason.contains("sync the log")), "{refused}");
        let syncs = faults.syncs.load(Ordering::Relaxed);
        assert!(matches!(put(&kv, "after", length).await, Err(Error::ReadOnly { .. })));
        assert_eq!(faults.syncs.load(Ordering::Relaxed), syncs, "a failed sync must not be tried again");
        assert!(matches!(kv.health(), Health::ReadOnly { .. }));
        assert!(kv.stats().read_only.is_some());
        assert_eq!(keys(&kv).await, ["before"]);
        assert!(kv.close().await.is_err());
        let (kv, _) = open(dir.path()).await;
        // It was written whole, and only the answer of the disk was bad: either outcome would be right.
        assert!(keys(&kv).await.contains(&"before".to_owned()));
        put(&kv, "again", length).await.unwrap();
        kv.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_write_is_final() {
    for length in LENGTHS {
        let dir = tempfile::tempdir().unwrap();
        let (kv, faults) = open(dir.path()).await;
        put(&kv, "before", length).await.unwrap();
        *faults.write.lock().unwrap() = Some(ErrorKind::Other);
        assert!(matches!(put(&kv, "during", length).await, Err(Error::ReadOnly { .. })));
        assert!(matches!(put(&kv, "after", length).await, Err(Error::ReadOnly { .. })));
        drop(kv.close().await);
        let (kv, _) = open(dir.path()).await;
        assert_eq!(keys(&kv).await, ["before"]);
        kv.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_one_group_and_nothing_of_it_stays() {
    for length in LENGTHS {
        let dir = tempfile::tempdir().unwrap();
        let (kv, faults) = open(dir.path()).await;
        put(&kv, "before", length).await.unwrap();
        *faults.write.lock().unwrap() = Some(ErrorKind::StorageFull);
        assert!(matches!(put(&kv, "during", length).await, Err(Error::Full { .. })));
        assert_eq!(kv.health(), Health::Ok);
        assert_eq!(keys(&kv).await, ["before"]);
        put(&kv, "after", length).await.unwrap();
        assert_eq!(kv.stats().refused_full, 1);
        // As a crash would leave it: what the log holds, without a last checkpoint.
        let copy = tempfile::tempdir().unwrap();
        copy_folder(dir.path(), copy.path());
        let (copied, _) = open(copy.path()).await;
        assert_eq!(copied.stats().replayed_groups, 2);
        assert_eq!(keys(&copied).await, ["after", "before"]);
        copied.close().await.unwrap();
        kv.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_stalled_commit_is_told_until_it_ends() {
    for length in LENGTHS {
        let dir = tempfile::tempdir().unwrap();
        let mut options = EmbeddedOptions::new(dir.path());
        options.checkpoint_interval = Duration::from_secs(3600);
        options.stall_after = Duration::from_millis(20);
        let faults = Arc::clone(&options.faults);
        let kv = Kv::open_embedded(options).await.unwrap();
        faults.slow.store(true, Ordering::Relaxed);
        let writing = put(&kv, "slow", length);
        let watching = async {
            until(|| matches!(kv.health(), Health::Stalled { .. })).await;
            assert!(kv.stats().stalled && kv.stats().read_only.is_none());
            faults.slow.store(false, Ordering::Relaxed);
        };
        let (written, ()) = tokio::join!(writing, watching);
        written.unwrap();
        until(|| kv.health() == Health::Ok).await;
        kv.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_checkpoint_waits_for_space_while_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::new(dir.path());
    options.checkpoint_interval = Duration::from_secs(3600);
    options.checkpoint_log_bytes = 150_000;
    // Pages are written early, and have to be read again from where they went.
    options.cache_bytes = 100 << 10;
    let faults = Arc::clone(&options.faults);
    let kv = Kv::open_embedded(options.clone()).await.unwrap();
    put(&kv, "a", 100_000).await.unwrap();
    faults.tree_full.store(true, Ordering::Relaxed);
    put(&kv, "b", 100_000).await.unwrap();
    until(|| kv.health() != Health::Ok).await;
    assert!(matches!(kv.health(), Health::Full { .. }));
    assert!(matches!(put(&kv, "c", 100_000).await, Err(Error::Full { .. })));
    assert_eq!(keys(&kv).await, ["a", "b"]);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), copy.path());
    faults.tree_full.store(false, Ordering::Relaxed);
    until(|| kv.health() == Health::Ok).await;
    put(&kv, "d", 100_000).await.unwrap();
    assert_eq!(keys(&kv).await, ["a", "b", "d"]);
    kv.close().await.unwrap();
    let (kv, _) = open(dir.path()).await;
    assert_eq!(keys(&kv).await, ["a", "b", "d"]);
    kv.close().await.unwrap();
    // A crash meanwhile: the log has it.
    let (copied, _) = open(copy.path()).await;
    assert_eq!(keys(&copied).await, ["a", "b"]);
    copied.close().await.unwrap();
}

#[tokio::test]
async fn the_first_large_value_is_refused_where_its_file_finds_no_space() {
    let dir = tempfile::tempdir().unwrap();
    let (kv, faults) = open(dir.path()).await;
    faults.tree_full.store(true, Ordering::Relaxed);
    assert!(matches!(put(&kv, "large", 100_000).await, Err(Error::Full { .. })));
    put(&kv, "small", 100).await.unwrap();
    assert_eq!(keys(&kv).await, ["small"]);
    faults.tree_full.store(false, Ordering::Relaxed);
    put(&kv, "large", 100_000).await.unwrap();
    assert_eq!(keys(&kv).await, ["large", "small"]);
    kv.close().await.unwrap();
}

#[tokio::test]
async fn closing_does_not_wait_for_space() {
    let dir = tempfile::tempdir().unwrap();
    let (kv, faults) = open(dir.path()).await;
    put(&kv, "a", 1000).await.unwrap();
    faults.tree_full.store(true, Ordering::Relaxed);
    kv.close().await.unwrap_err();
    let (kv, _) = open(dir.path()).await;
    assert_eq!(keys(&kv).await, ["a"]);
    kv.close().await.unwrap();
}

#[tokio::test]
async fn an_idle_store_makes_its_checkpoint_and_settles() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::new(dir.path());
    options.checkpoint_interval = Duration::from_millis(5);
    let kv = Kv::open_embedded(options).await.unwrap();
    put(&kv, "one", 10).await.unwrap();
    until(|| kv.stats().checkpoints > 0).await;
    let before = kv.stats();
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    for _ in 0..50 {
        looks.tick().await;
        let after = kv.stats();
        assert_eq!((after.checkpoints, after.log_syncs), (before.checkpoints, before.log_syncs));
    }
    kv.close().await.unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Looks again and again whether something has come about, for ten seconds at the most.
async fn until(mut come_about: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    for _ in 0..10_000 {
        if come_about() {
            return;
        }
        looks.tick().await;
    }
    panic!("it hasn't come about in time");
}
