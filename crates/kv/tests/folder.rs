//! What only the embedded back end has: its folder, crashes, and backups.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod fixture;

use std::{
    fs,
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use fixture::{Folder, Place};
use tidegate_kv::{Direction, EmbeddedOptions, Error, KeyRange, Kv};

/// Commits `number` as the latest of its scope, with rows that all change together.
async fn commit(kv: &Kv, scope: u8, number: u64) {
    let mut transaction = kv.begin(&[scope]).await.unwrap();
    for row in 0..5u8 {
        transaction.put(vec![scope, row], number.to_be_bytes().to_vec());
    }
    transaction.put([&[scope, 9][..], &number.to_be_bytes()].concat(), vec![scope; 700]);
    transaction.commit().await.unwrap();
}

/// Commits `numbers` in a task of its own.
fn write_all(kv: &Kv, numbers: std::ops::RangeInclusive<u64>) -> tokio::task::JoinSet<()> {
    let (mut writer, kv) = (tokio::task::JoinSet::new(), kv.clone());
    writer.spawn(async move {
        for number in numbers {
            commit(&kv, 1, number).await;
        }
    });
    writer
}

/// The number of the last commit of `scope`; its rows must be whole.
async fn last(kv: &Kv, scope: u8) -> u64 {
    let snapshot = kv.snapshot().unwrap();
    let numbers = snapshot.get_many(&[0u8, 1, 2, 3, 4].map(|row| [scope, row])).await.unwrap();
    assert!(numbers.windows(2).all(|pair| pair[0] == pair[1]), "a transaction is there in part");
    let number = numbers[0].as_ref().map_or(0, |bytes| u64::from_be_bytes(bytes[..].try_into().unwrap()));
    let mut rows = 0;
    let mut count = |_: &[u8], value: &[u8]| {
        assert_eq!(value, vec![scope; 700]);
        rows += 1;
        ControlFlow::Continue(())
    };
    snapshot.scan_with(KeyRange::prefix([scope, 9]), Direction::Forward, usize::MAX, &mut count).await.unwrap();
    assert_eq!(rows, number, "a commit before the last one is missing");
    number
}

#[tokio::test]
async fn a_store_is_open_once() {
    let place = Folder::new();
    let kv = place.open().await;
    let refused = Kv::open_embedded(place.options()).await.unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }) && refused.to_string().contains("in use"), "{refused}");
    kv.close().await.unwrap();
    place.open().await.close().await.unwrap();
}

#[tokio::test]
async fn a_dropped_store_closes_in_the_background() {
    let place = Folder::new();
    let kv = place.open().await;
    commit(&kv, 1, 1).await;
    drop(kv);
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    let reopened = loop {
        match Kv::open_embedded(place.options()).await {
            Ok(kv) => break kv,
            Err(Error::Locked { .. }) => drop(looks.tick().await),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((last(&reopened, 1).await, reopened.stats().replayed_groups), (1, 0));
    reopened.close().await.unwrap();
}

#[tokio::test]
async fn a_foreign_folder_is_left_alone() {
    let place = Folder::new();
    let path = place.options().path;
    fs::create_dir(&path).unwrap();
    fs::write(path.join("letter.txt"), "dear").unwrap();
    assert!(matches!(Kv::open_embedded(place.options()).await, Err(Error::NotAStore { .. })));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
}

#[tokio::test]
async fn damage_is_named() {
    let place = Folder::new();
    place.open().await.close().await.unwrap();
    let log = place.options().path.join("log");
    let segment = fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, vec![0; whole.len()]).unwrap();
    let refused = Kv::open_embedded(place.options()).await.unwrap_err();
    assert!(matches!(&refused, Error::Corrupt { file, .. } if *file == segment), "{refused}");
    fs::write(&segment, whole).unwrap();
    place.open().await.close().await.unwrap();
    let tree = place.options().path.join("tree.redb");
    fs::write(&tree, vec![7; 8192]).unwrap();
    Kv::open_embedded(place.options()).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_while_writing_is_one_commit() {
    let place = Folder::new();
    let kv = place.open().await;
    for number in 1..=50 {
        commit(&kv, 1, number).await;
    }
    let writer = write_all(&kv, 51..=150);
    let dest = place.0.path().join("backups/first");
    let mut steps = Vec::new();
    let summary = kv.backup(&dest, |step| steps.push(step)).await.unwrap();
    writer.join_all().await;
    let end = steps.last().unwrap();
    assert_eq!((end.rows, end.rows_total, end.bytes), (summary.rows, summary.rows, summary.bytes));
    assert!(matches!(kv.backup(&dest, |_| ()).await, Err(Error::Exists { .. })));
    kv.close().await.unwrap();
    let copy = Kv::open_embedded(EmbeddedOptions::new(&dest)).await.unwrap();
    let number = last(&copy, 1).await;
    assert!((50..=150).contains(&number) && summary.rows == number + 5, "{number} {summary:?}");
    commit(&copy, 1, number + 1).await;
    copy.close().await.unwrap();
}

#[tokio::test]
async fn a_backup_of_an_empty_store_opens() {
    let place = Folder::new();
    let kv = place.open().await;
    let dest = place.0.path().join("copy");
    assert_eq!(kv.backup(&dest, |_| ()).await.unwrap().rows, 0);
    kv.close().await.unwrap();
    Kv::open_embedded(EmbeddedOptions::new(&dest)).await.unwrap().close().await.unwrap();
}

/// What a crash of the process would leave now: the log may be copied while it grows, the tree before it while it doesn't.
fn copy_store(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("log")).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    let entries = fs::read_dir(from.join("log")).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        fs::copy(&path, to.join("log").join(path.file_name().unwrap())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_at_any_moment_holds_what_was_acknowledged() {
    let place = Folder::new();
    let mut options = place.options();
    (options.checkpoint_interval, options.checkpoint_log_bytes) = (Duration::from_secs(3600), u64::MAX);
    let kv = Kv::open_embedded(options.clone()).await.unwrap();
    let mut acknowledged = kv.watch(&[1]);
    let writer = write_all(&kv, 1..=200);
    acknowledged.changed().await.unwrap();
    for number in 0..10u8 {
        let before = last(&kv, 1).await;
        let mut copied = options.clone();
        copied.path = place.0.path().join(format!("copy{number}"));
        copy_store(&options.path, &copied.path);
        let copy = Kv::open_embedded(copied).await.unwrap();
        let found = last(&copy, 1).await;
        assert!(found >= before && copy.stats().replayed_groups == found, "{found} after {before}");
        copy.close().await.unwrap();
    }
    writer.join_all().await;
    kv.close().await.unwrap();
}

const CHILD: &str = "TIDEGATE_KV_TEST_CHILD";
const SCOPES: u8 = 4;

/// Not a test by itself: the process that is killed. It says on its output what was acknowledged.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut options = Folder::new().options();
        options.path = path.into();
        let kv = Kv::open_embedded(options).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for scope in 0..SCOPES {
            let kv = kv.clone();
            let begin = last(&kv, scope).await;
            tasks.spawn(async move {
                for number in begin + 1.. {
                    commit(&kv, scope, number).await;
                    println!("ack {scope} {number}");
                }
            });
        }
        tasks.join_all().await;
    });
}

/// Lets a process write to the store at `path` until it has acknowledged so many commits, kills it, and returns the last
/// one of each scope.
fn write_and_kill(path: &Path, acknowledged: usize) -> [u64; SCOPES as usize] {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut last, mut count) = ([0; SCOPES as usize], 0);
    for line in lines {
        let line = line.unwrap();
        // The test runner's own words may stand before the first one.
        let Some((_, words)) = line.split_once("ack ") else { continue };
        let Some((scope, number)) = words.split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        last[scope.parse::<usize>().unwrap()] = number;
        count += 1;
        if count == acknowledged {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(count >= acknowledged, "the process ended by itself after {count} commits");
    last
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let place = Folder::new();
    let path = place.options().path;
    for acknowledged in [1, 40, 150, 333, 500] {
        let before = write_and_kill(&path, acknowledged);
        let kv = place.open().await;
        for scope in 0..SCOPES {
            let found = last(&kv, scope).await;
            assert!(found >= before[usize::from(scope)], "scope {scope}: {found} after {before:?}");
        }
        kv.close().await.unwrap();
    }
}
