//! What every back end does the same. Written against the interface; `suite!` runs it on one back end.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod fixture;

use std::{
    collections::BTreeSet,
    ops::{Bound, ControlFlow},
    time::Duration,
};

use bytes::Bytes;
use fixture::{Folder, Place};
use tidegate_kv::{Commit, Direction, Error, Health, KeyRange, Kv, Snapshot};

macro_rules! suite {
    ($place:ty: $($check:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                check::$check(&<$place>::new()).await;
            }
        )*
    };
}

suite! {
    Folder:
    a_commit_is_visible_whole_and_a_dropped_transaction_never_was
    a_snapshot_stays_as_it_was
    a_transaction_reads_the_state_before_it
    the_last_write_of_a_key_counts
    scans_go_both_ways_with_all_bounds
    a_scope_has_one_writer_and_others_do_not_wait
    a_dropped_wait_takes_no_turn
    watchers_wake_when_the_commit_is_visible
    positions_grow_and_go_on
    too_much_in_one_transaction_has_its_error
    too_many_transactions_have_their_error
    writers_of_many_scopes_lose_nothing
    large_values_and_empty_ones_read_back
    a_closed_store_says_so
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn put(kv: &Kv, scope: &str, rows: &[(&str, &str)]) -> Commit {
    let mut transaction = kv.begin(scope.as_bytes()).await.unwrap();
    for (key, value) in rows {
        transaction.put((*key).to_owned(), (*value).to_owned());
    }
    transaction.commit().await.unwrap()
}

async fn keys(snapshot: &Snapshot, range: KeyRange, direction: Direction, limit: usize) -> String {
    let rows = snapshot.scan(range, direction, limit).await.unwrap();
    rows.iter().map(|(key, _)| text(key)).collect::<Vec<_>>().join(" ")
}

async fn all(kv: &Kv) -> String {
    keys(&kv.snapshot().unwrap(), KeyRange::all(), Direction::Forward, usize::MAX).await
}

mod check {
    use super::*;

    pub(super) async fn a_commit_is_visible_whole_and_a_dropped_transaction_never_was(place: &impl Place) {
        let kv = place.open().await;
        put(&kv, "s", &[("a", "1"), ("b", "2")]).await;
        let mut dropped = kv.begin(b"s").await.unwrap();
        dropped.put("c", "3");
        drop(dropped);
        let snapshot = kv.snapshot().unwrap();
        assert_eq!(snapshot.get(b"a").await.unwrap().unwrap(), "1");
        let many = snapshot.get_many(&["b", "c", "a", "b"]).await.unwrap();
        let expected = ["2", "", "1", "2"].map(|value| (!value.is_empty()).then(|| Bytes::from(value)));
        assert_eq!(many, expected);
        kv.close().await.unwrap();
        let kv = place.open().await;
        assert_eq!(all(&kv).await, "a b");
        kv.close().await.unwrap();
    }

    pub(super) async fn a_snapshot_stays_as_it_was(place: &impl Place) {
        let kv = place.open().await;
        let mut held = Vec::new();
        for number in 0..60 {
            held.push((number, kv.snapshot().unwrap()));
            put(&kv, "s", &[(&format!("k{number:03}"), &"x".repeat(900)), ("same", &number.to_string())]).await;
        }
        for (number, snapshot) in held {
            let expected = (number > 0).then(|| (number - 1).to_string().into());
            assert_eq!(snapshot.get(b"same").await.unwrap(), expected);
            let rows = snapshot.scan(KeyRange::prefix("k"), Direction::Forward, 1000).await.unwrap();
            assert_eq!(rows.len(), number);
        }
        kv.close().await.unwrap();
    }

    pub(super) async fn a_transaction_reads_the_state_before_it(place: &impl Place) {
        let kv = place.open().await;
        put(&kv, "s", &[("a", "1")]).await;
        let mut transaction = kv.begin(b"s").await.unwrap();
        transaction.put("a", "2");
        transaction.put("b", "2");
        assert_eq!(transaction.get(b"a").await.unwrap().unwrap(), "1");
        assert_eq!(transaction.get_many(&["b"]).await.unwrap(), [None]);
        assert_eq!(transaction.scan(KeyRange::all(), Direction::Forward, 9).await.unwrap().len(), 1);
        let mut seen = 0;
        let count = |_: &[u8], _: &[u8]| {
            seen += 1;
            ControlFlow::Continue(())
        };
        transaction.scan_with(KeyRange::all(), Direction::Forward, 9, count).await.unwrap();
        assert_eq!(seen, 1);
        transaction.commit().await.unwrap();
        assert_eq!(kv.snapshot().unwrap().get(b"a").await.unwrap().unwrap(), "2");
        kv.close().await.unwrap();
    }

    pub(super) async fn the_last_write_of_a_key_counts(place: &impl Place) {
        let kv = place.open().await;
        put(&kv, "s", &[("a", "0"), ("b", "0"), ("c", "0"), ("d", "0")]).await;
        let mut transaction = kv.begin(b"s").await.unwrap();
        transaction.put("a", "1");
        transaction.put("a", "2");
        transaction.delete("b");
        transaction.put("b", "3");
        transaction.put("c", "4");
        transaction.delete("c");
        transaction.put("e", "5");
        transaction.delete_range(KeyRange::from("d".."z"));
        transaction.put("f", "6");
        transaction.delete_range(KeyRange::from("z".."a"));
        transaction.delete("none");
        transaction.commit().await.unwrap();
        let rows = kv.snapshot().unwrap().scan(KeyRange::all(), Direction::Forward, 9).await.unwrap();
        let rows: Vec<_> = rows.iter().map(|(key, value)| text(key) + &text(value)).collect();
        assert_eq!(rows, ["a2", "b3", "f6"]);
        kv.close().await.unwrap();
    }

    pub(super) async fn scans_go_both_ways_with_all_bounds(place: &impl Place) {
        let kv = place.open().await;
        put(&kv, "s", &[("a", ""), ("b", ""), ("ba", ""), ("bb", ""), ("c", "")]).await;
        let snapshot = kv.snapshot().unwrap();
        let (open, from, after) =
            (|| Bound::Unbounded, |key: &str| Bound::Included(key.into()), |key: &str| Bound::Excluded(key.into()));
        let cases = [
            (open(), open(), "a b ba bb c"),
            (from("b"), from("bb"), "b ba bb"),
            (after("b"), after("bb"), "ba"),
            (from("aa"), open(), "b ba bb c"),
            (open(), after("b"), "a"),
            (after("c"), open(), ""),
            (from("b"), from("b"), "b"),
            (after("b"), from("b"), ""),
            (from("c"), from("a"), ""),
        ];
        for (start, end, expected) in cases {
            let range = KeyRange { start, end };
            let forward = keys(&snapshot, range.clone(), Direction::Forward, 99).await;
            assert_eq!(forward, expected, "{range:?}");
            let backward = keys(&snapshot, range.clone(), Direction::Backward, 99).await;
            assert_eq!(backward.split(' ').rev().collect::<Vec<_>>().join(" "), expected, "{range:?}");
        }
        assert_eq!(keys(&snapshot, KeyRange::prefix("b"), Direction::Backward, 2).await, "bb ba");
        assert_eq!(keys(&snapshot, KeyRange::prefix("b").after("b"), Direction::Forward, 1).await, "ba");
        assert_eq!(keys(&snapshot, KeyRange::prefix("b").before("bb"), Direction::Backward, 1).await, "ba");
        assert_eq!(keys(&snapshot, KeyRange::all(), Direction::Forward, 0).await, "");
        let mut seen = Vec::new();
        let visit = |key: &[u8], _: &[u8]| {
            seen.push(key.to_vec());
            if key == b"ba" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        snapshot.scan_with(KeyRange::all(), Direction::Forward, 99, visit).await.unwrap();
        assert_eq!(seen.concat(), b"abba");
        drop(snapshot);
        kv.close().await.unwrap();
    }

    pub(super) async fn a_scope_has_one_writer_and_others_do_not_wait(place: &impl Place) {
        let kv = place.open().await;
        let counter = |kv: Kv, scope: &'static str| async move {
            for _ in 0..40 {
                let mut transaction = kv.begin(scope.as_bytes()).await.unwrap();
                let before = transaction.get(scope.as_bytes()).await.unwrap();
                let number = before.map_or(0, |value| text(&value).parse::<u32>().unwrap());
                tokio::task::yield_now().await;
                transaction.put(scope, (number + 1).to_string());
                transaction.commit().await.unwrap();
            }
        };
        let mut held = kv.begin(b"held").await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for scope in ["one", "one", "one", "two", "two"] {
            tasks.spawn(counter(kv.clone(), scope));
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        held.put("held", "");
        held.commit().await.unwrap();
        let counts = kv.snapshot().unwrap().get_many(&["one", "two"]).await.unwrap();
        assert_eq!(counts, [Some("120".into()), Some("80".into())]);
        kv.close().await.unwrap();
    }

    pub(super) async fn a_dropped_wait_takes_no_turn(place: &impl Place) {
        let kv = place.open().await;
        let held = kv.begin(b"s").await.unwrap();
        tokio::time::timeout(Duration::from_millis(5), kv.begin(b"s")).await.unwrap_err();
        assert_eq!(kv.stats().transactions_open, 1);
        drop(held);
        put(&kv, "s", &[("a", "")]).await;
        // A caller who stopped waiting for its commit: the scope is free again when it is done.
        let mut left = kv.begin(b"s").await.unwrap();
        left.put("b", "");
        drop(tokio::time::timeout(Duration::ZERO, left.commit()).await);
        put(&kv, "s", &[("c", "")]).await;
        assert!(["a b c", "a c"].contains(&all(&kv).await.as_str()));
        kv.close().await.unwrap();
    }

    pub(super) async fn watchers_wake_when_the_commit_is_visible(place: &impl Place) {
        let kv = place.open().await;
        let (mut one, other) = (kv.watch(b"one"), kv.watch(b"other"));
        for number in 0..20 {
            let key = format!("k{number}");
            let mut writer = tokio::task::JoinSet::new();
            let (writing, written) = (kv.clone(), key.clone());
            writer.spawn(async move { put(&writing, "one", &[(&written, "")]).await });
            one.changed().await.unwrap();
            let seen = *one.borrow_and_update();
            let snapshot = kv.snapshot().unwrap();
            assert!(snapshot.get(key.as_bytes()).await.unwrap().is_some() && snapshot.position() >= seen);
            assert_eq!(writer.join_next().await.unwrap().unwrap().position, seen);
        }
        assert!(!other.has_changed().unwrap());
        kv.close().await.unwrap();
    }

    pub(super) async fn positions_grow_and_go_on(place: &impl Place) {
        let mut last = 0;
        for _ in 0..3 {
            let kv = place.open().await;
            assert_eq!(kv.snapshot().unwrap().position(), last);
            for _ in 0..5 {
                let now = put(&kv, "s", &[("a", "")]).await.position;
                assert!(now > last && kv.snapshot().unwrap().position() >= now);
                last = now;
            }
            let nothing = kv.begin(b"s").await.unwrap().commit().await.unwrap();
            assert_eq!(nothing.position, last);
            kv.close().await.unwrap();
        }
    }

    pub(super) async fn too_much_in_one_transaction_has_its_error(place: &impl Place) {
        let kv = place.open().await;
        let refused = async |change: &dyn Fn(&mut tidegate_kv::Transaction)| {
            let mut transaction = kv.begin(b"s").await.unwrap();
            transaction.put("fine", "");
            change(&mut transaction);
            transaction.commit().await.unwrap_err()
        };
        let long = Bytes::from(vec![b'k'; 4097]);
        assert!(matches!(refused(&|t| t.put(long.clone(), "")).await, Error::KeyTooLong { bytes: 4097, limit: 4096 }));
        assert!(matches!(refused(&|t| t.delete(long.clone())).await, Error::KeyTooLong { .. }));
        assert!(matches!(kv.begin(&long).await.unwrap_err(), Error::KeyTooLong { .. }));
        let large = refused(&|t| t.put("k", vec![0; (256 << 10) + 1])).await;
        assert!(matches!(large, Error::ValueTooLarge { limit: 262_144, .. }));
        let many = refused(&|t| (0..5u8).for_each(|key| t.put(vec![key], vec![0; 256 << 10]))).await;
        assert!(matches!(many, Error::TransactionTooLarge { limit: 1_048_576, .. }));
        assert_eq!(all(&kv).await, "");
        kv.close().await.unwrap();
    }

    pub(super) async fn too_many_transactions_have_their_error(place: &impl Place) {
        let kv = place.open().await;
        let mut open = Vec::new();
        for number in 0..64u8 {
            open.push(kv.begin(&[number]).await.unwrap());
        }
        assert!(matches!(kv.begin(b"one more").await.unwrap_err(), Error::Busy { limit: 64 }));
        drop(open);
        put(&kv, "s", &[("a", "")]).await;
        assert_eq!(kv.health(), Health::Ok);
        kv.close().await.unwrap();
    }

    pub(super) async fn writers_of_many_scopes_lose_nothing(place: &impl Place) {
        let kv = place.open().await;
        let mut tasks = tokio::task::JoinSet::new();
        for scope in 0..16u8 {
            let kv = kv.clone();
            tasks.spawn(async move {
                for number in 0..30u8 {
                    let mut transaction = kv.begin(&[scope]).await.unwrap();
                    transaction.put(vec![scope, number], vec![number; 500]);
                    transaction.commit().await.unwrap();
                    assert!(kv.snapshot().unwrap().get(&[scope, number]).await.unwrap().is_some());
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let stats = kv.stats();
        assert_eq!((stats.commits, stats.transactions_open), (480, 0));
        kv.close().await.unwrap();
        let kv = place.open().await;
        let rows = kv.snapshot().unwrap().scan(KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
        assert!(rows.iter().all(|(key, value)| value.len() == 500 && value[0] == key[1]));
        assert_eq!(rows.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len(), 480);
        kv.close().await.unwrap();
    }

    pub(super) async fn large_values_and_empty_ones_read_back(place: &impl Place) {
        let kv = place.open().await;
        let lengths = [0, 1, 511, 512, 4095, 4096, 65_536, 256 << 10];
        for (key, length) in (0u8..).zip(lengths) {
            let mut transaction = kv.begin(b"s").await.unwrap();
            transaction.put(vec![key; usize::from(key)], vec![key; length]);
            transaction.commit().await.unwrap();
        }
        kv.close().await.unwrap();
        let kv = place.open().await;
        let snapshot = kv.snapshot().unwrap();
        for (key, length) in (0u8..).zip(lengths) {
            assert_eq!(snapshot.get(&vec![key; usize::from(key)]).await.unwrap().unwrap(), vec![key; length]);
        }
        drop(snapshot);
        kv.close().await.unwrap();
    }

    pub(super) async fn a_closed_store_says_so(place: &impl Place) {
        let kv = place.open().await;
        put(&kv, "s", &[("a", "1")]).await;
        let (other, mut transaction) = (kv.clone(), kv.begin(b"s").await.unwrap());
        kv.close().await.unwrap();
        transaction.put("b", "");
        assert!(matches!(transaction.commit().await.unwrap_err(), Error::Closed));
        assert!(matches!(other.snapshot().unwrap_err(), Error::Closed));
        assert!(matches!(other.begin(b"s").await.unwrap_err(), Error::Closed));
        assert!(matches!(other.close().await.unwrap_err(), Error::Closed));
        let kv = place.open().await;
        assert_eq!(all(&kv).await, "a");
        kv.close().await.unwrap();
    }
}
