//! Bits that a disk flipped in the files of a stopped store: what is read is right, or damage that is named.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod fixture;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use fixture::{Folder, Place};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tidegate_kv::{Direction, Error, KeyRange, Kv};

type Rows = BTreeMap<Vec<u8>, Bytes>;

/// Rows as a database has them: many small ones, in several pages with inner ones above, some of a page or more, and some
/// that lie beside the tree.
fn rows() -> Rows {
    let length = |number: u32| match number % 100 {
        0 => 150_000,
        1 => 40_000,
        2..7 => 5_000,
        _ => 90,
    };
    let value = |number: u32| Bytes::from(format!("{number:07}").repeat(length(number) / 7));
    (0..2_000u32).map(|number| (format!("row{number:06}").into_bytes(), value(number))).collect()
}

/// A store that was closed, with `rows`.
async fn closed(rows: &Rows) -> Folder {
    let folder = Folder::new();
    let kv = folder.open().await;
    for rows in rows.iter().collect::<Vec<_>>().chunks(20) {
        let mut transaction = kv.begin(b"scope").await.unwrap();
        rows.iter().for_each(|(key, value)| transaction.put((*key).clone(), (*value).clone()));
        transaction.commit().await.unwrap();
    }
    kv.close().await.unwrap();
    folder
}

/// What came of damage to one file: how often it was told.
async fn check(folder: &Folder, rows: &Rows, context: &str) -> usize {
    let kv = match Kv::open_embedded(folder.options()).await {
        Ok(kv) => kv,
        Err(error) => {
            assert!(is_damage(&error), "{context}: {error}");
            return 1;
        }
    };
    let snapshot = kv.snapshot().unwrap();
    let mut told = 0;
    for (key, value) in rows {
        match snapshot.get(key).await {
            Ok(found) => assert_eq!(found.as_ref(), Some(value), "{context}"),
            Err(error) => {
                assert!(is_damage(&error), "{context}: {error}");
                told += 1;
            }
        }
    }
    for direction in [Direction::Forward, Direction::Backward] {
        match snapshot.scan(KeyRange::all(), direction, usize::MAX).await {
            Ok(mut found) => {
                found.sort();
                assert!(found.iter().map(|(key, value)| (&key[..], value)).eq(rows.iter().map(|(k, v)| (&k[..], v))));
                assert_eq!(told, 0, "{context}: a walk doesn't see what single reads do");
            }
            Err(error) => {
                assert!(is_damage(&error), "{context}: {error}");
                told += 1;
            }
        }
    }
    drop(snapshot);
    kv.close().await.ok();
    told
}

/// The files of a folder and of those in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, paths): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let own = paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap()));
    own.chain(folders.iter().flat_map(|folder| files(folder))).collect()
}

fn restore(folder: &Path, whole: &BTreeMap<PathBuf, Vec<u8>>) {
    fs::remove_dir_all(folder).unwrap();
    fs::create_dir_all(folder.join("log")).unwrap();
    whole.iter().for_each(|(path, content)| fs::write(path, content).unwrap());
}

fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. }) && error.to_string().contains("is damaged at byte")
}

/// Flips one bit in each of some stretches of a file, one after the other. Returns how many of the flips were told.
async fn check_flips(name: &str, stretch: usize, flips: usize) -> usize {
    let rows = rows();
    let folder = closed(&rows).await;
    let whole = files(&folder.options().path);
    let path = folder.options().path.join(name);
    let content = &whole[&path];
    let mut random = SmallRng::seed_from_u64(20_261_121);
    let mut told = 0;
    let step = (content.len() / stretch).div_ceil(flips).max(1) * stretch;
    for start in (0..content.len()).step_by(step) {
        // What was never written is of no consequence.
        let used: Vec<usize> = (start..content.len().min(start + stretch)).filter(|at| content[*at] != 0).collect();
        if used.is_empty() {
            continue;
        }
        let mut bad = content.clone();
        let place = used[random.random_range(0..used.len())];
        bad[place] ^= 1 << random.random_range(0..8);
        fs::write(&path, bad).unwrap();
        told += check(&folder, &rows, &format!("{name}, byte {place}")).await.min(1);
        restore(&folder.options().path, &whole);
    }
    told
}

#[tokio::test]
async fn a_flipped_bit_in_the_tree_is_told() {
    assert!(check_flips("tree.redb", 4096, 60).await >= 20);
}

#[tokio::test]
async fn a_flipped_bit_in_large_values_is_told() {
    assert!(check_flips("large.redb", 4096, 60).await >= 20);
}

#[tokio::test]
async fn a_flipped_bit_in_a_checksum_is_told() {
    assert!(check_flips("tree.sums", 64, 20).await >= 5);
    assert!(check_flips("large.sums", 64, 20).await >= 5);
}

#[tokio::test]
async fn a_flipped_bit_in_the_head_stops_the_start() {
    let rows = rows();
    let folder = closed(&rows).await;
    let path = folder.options().path.join("tree.redb");
    let whole = fs::read(&path).unwrap();
    for place in 0..512 {
        let mut bad = whole.clone();
        bad[place] ^= 4;
        fs::write(&path, bad).unwrap();
        let refused = Kv::open_embedded(folder.options()).await.unwrap_err();
        assert!(matches!(&refused, Error::Corrupt { file, .. } if *file == path), "{place}: {refused}");
    }
    fs::write(&path, whole).unwrap();
    assert_eq!(check(&folder, &rows, "whole").await, 0);
}

#[tokio::test]
async fn lost_checksums_stop_the_start() {
    let rows = rows();
    let folder = closed(&rows).await;
    for name in ["tree.sums", "large.sums"] {
        let path = folder.options().path.join(name);
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let refused = Kv::open_embedded(folder.options()).await.unwrap_err();
        assert!(matches!(&refused, Error::Corrupt { file, .. } if *file == path), "{refused}");
        fs::write(&path, whole).unwrap();
    }
}

/// Blocks that changed places are both whole, and yet damage.
#[tokio::test]
async fn blocks_that_changed_places_are_told() {
    let rows = rows();
    let folder = closed(&rows).await;
    let path = folder.options().path.join("tree.redb");
    let whole = fs::read(&path).unwrap();
    let mut bad = whole.clone();
    let blocks: Vec<usize> = (1..whole.len() / 4096).filter(|block| whole[block * 4096] == 1).collect();
    for pair in blocks.chunks_exact(2) {
        bad[pair[0] * 4096..][..4096].copy_from_slice(&whole[pair[1] * 4096..][..4096]);
        bad[pair[1] * 4096..][..4096].copy_from_slice(&whole[pair[0] * 4096..][..4096]);
    }
    fs::write(&path, bad).unwrap();
    assert!(check(&folder, &rows, "blocks that changed places").await > 0);
}

/// A write that meets damage makes the store read-only, and says what it met.
#[tokio::test]
async fn a_write_that_meets_damage_says_so() {
    let rows = rows();
    let folder = closed(&rows).await;
    let path = folder.options().path.join("tree.redb");
    let mut bad = fs::read(&path).unwrap();
    for block in 1..bad.len() / 4096 {
        if bad[block * 4096] == 1 {
            bad[block * 4096 + 2000] ^= 1;
        }
    }
    fs::write(&path, bad).unwrap();
    let error = match Kv::open_embedded(folder.options()).await {
        Err(error) => error,
        Ok(kv) => {
            let mut transaction = kv.begin(b"scope").await.unwrap();
            transaction.put("row000500", "new");
            transaction.commit().await.unwrap_err()
        }
    };
    assert!(error.to_string().contains("is damaged at byte"), "{error}");
}

/// A store as format 1 left it: without checksums. Everything is read, and altered bits are told from then on.
#[tokio::test]
async fn format_1_is_readable() {
    let rows = rows();
    let folder = closed(&rows).await;
    let path = folder.options().path;
    make_format_1(&path);
    assert_eq!(check(&folder, &rows, "format 1").await, 0);
    assert_eq!(fs::read_to_string(path.join("FORMAT")).unwrap(), "tidegate-kv 2\n");
    assert_eq!(check(&folder, &rows, "format 2").await, 0);
    // A crash on the way leaves the old format, and something of the new one.
    make_format_1(&path);
    fs::write(path.join("tree.sums"), "half").unwrap();
    fs::write(path.join("FORMAT.new"), "tide").unwrap();
    assert_eq!(check(&folder, &rows, "format 1 again").await, 0);
    let mut bad = fs::read(path.join("tree.redb")).unwrap();
    bad[100] ^= 1;
    fs::write(path.join("tree.redb"), bad).unwrap();
    assert!(check(&folder, &rows, "damage").await > 0);
}

fn make_format_1(path: &Path) {
    for name in ["tree", "large"] {
        fs::remove_file(path.join(name).with_extension("sums")).unwrap();
        let file = path.join(name).with_extension("redb");
        let mut content = fs::read(&file).unwrap();
        content[508..512].fill(0);
        fs::write(&file, content).unwrap();
    }
    fs::write(path.join("FORMAT"), "tidegate-kv 1\n").unwrap();
}

/// Damage under a running store, which has read the inner pages before.
#[tokio::test]
async fn reads_and_copies_tell_of_damage_and_leave_the_rest() {
    let rows = rows();
    let folder = closed(&rows).await;
    let kv = Kv::open_embedded(folder.options()).await.unwrap();
    let path = folder.options().path.join("large.redb");
    let mut bad = fs::read(&path).unwrap();
    let middle = bad.len() / 2;
    (middle..bad.len()).step_by(4096).for_each(|at| bad[at + 9] ^= 1);
    fs::write(&path, bad).unwrap();
    let snapshot = kv.snapshot().unwrap();
    let mut told = 0;
    for (key, value) in &rows {
        match snapshot.get(key).await {
            Ok(found) => assert_eq!(found.as_ref(), Some(value)),
            Err(error) => {
                assert!(is_damage(&error) && error.to_string().contains("large.redb"), "{error}");
                told += 1;
            }
        }
    }
    assert!((1..=20).contains(&told), "{told}");
    let dest = folder.0.path().join("copy");
    assert!(is_damage(&kv.backup(&dest, |_| ()).await.unwrap_err()));
    assert!(!dest.exists());
    // What isn't damaged can be written, and read.
    let mut transaction = kv.begin(b"scope").await.unwrap();
    transaction.put("another", "value");
    transaction.commit().await.unwrap();
    assert_eq!(kv.snapshot().unwrap().get(b"another").await.unwrap(), Some(Bytes::from("value")));
}
