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

async fn put(kv: &Kv, key: &'static str) -> Result<(), Error> {
    let mut transaction = kv.begin(b"scope").await?;
    transaction.put(key, "value".repeat(200));
    transaction.commit().await.map(drop)
}

async fn keys(kv: &Kv) -> Vec<String> {
    let rows = kv.snapshot().unwrap().scan(crate::KeyRange::all(), crate::Direction::Forward, 100).await.unwrap();
    rows.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn a_failed_sync_is_final_and_reads_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (kv, faults) = open(dir.path()).await;
    put(&kv, "before").await.unwrap();
    *faults.sync.lock().unwrap() = Some(ErrorKind::Other);
    let refused = put(&kv, "during").await.unwrap_err();
    assert!(matches!(&refused, Error::ReadOnly { reason } if reason.contains("sync the log")), "{refused}");
    let syncs = faults.syncs.load(Ordering::Relaxed);
    assert!(matches!(put(&kv, "after").await, Err(Error::ReadOnly { .. })));
    assert_eq!(faults.syncs.load(Ordering::Relaxed), syncs, "a failed sync must not be tried again");
    assert!(matches!(kv.health(), Health::ReadOnly { .. }));
    assert!(kv.stats().read_only.is_some());
    assert_eq!(keys(&kv).await, ["before"]);
    assert!(kv.close().await.is_err());
    let (kv, _) = open(dir.path()).await;
    // It was written whole, and only the answer of the disk was bad: either outcome would be right.
    assert!(keys(&kv).await.contains(&"before".to_owned()));
    put(&kv, "again").await.unwrap();
    kv.close().await.unwrap();
}

#[tokio::test]
async fn a_failed_write_is_final() {
    let dir = tempfile::tempdir().unwrap();
    let (kv, faults) = open(dir.path()).await;
    put(&kv, "before").await.unwrap();
    *faults.write.lock().unwrap() = Some(ErrorKind::Other);
    assert!(matches!(put(&kv, "during").await, Err(Error::ReadOnly { .. })));
    assert!(matches!(put(&kv, "after").await, Err(Error::ReadOnly { .. })));
    drop(kv.close().await);
    let (kv, _) = open(dir.path()).await;
    assert_eq!(keys(&kv).await, ["before"]);
    kv.close().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_one_group_and_nothing_of_it_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (kv, faults) = open(dir.path()).await;
    put(&kv, "before").await.unwrap();
    *faults.write.lock().unwrap() = Some(ErrorKind::StorageFull);
    assert!(matches!(put(&kv, "during").await, Err(Error::Full { .. })));
    assert_eq!(kv.health(), Health::Ok);
    assert_eq!(keys(&kv).await, ["before"]);
    put(&kv, "after").await.unwrap();
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

#[tokio::test]
async fn an_idle_store_makes_its_checkpoint_and_settles() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = EmbeddedOptions::new(dir.path());
    options.checkpoint_interval = Duration::from_millis(5);
    let kv = Kv::open_embedded(options).await.unwrap();
    put(&kv, "one").await.unwrap();
    while kv.stats().checkpoints == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let before = kv.stats();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let after = kv.stats();
    assert_eq!((after.checkpoints, after.log_syncs), (before.checkpoints, before.log_syncs));
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
