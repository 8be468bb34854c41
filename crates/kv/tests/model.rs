//! Random operations on a store and on a `BTreeMap` beside it. A failing case prints its seed and its steps.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;

use std::{
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
};

use fixture::{Folder, Place};
use proptest::{collection::vec, prelude::*};
use tidegate_kv::{Direction, KeyRange, Kv, Snapshot};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Debug, Clone)]
enum Write {
    Put(Vec<u8>, usize),
    Delete(Vec<u8>),
    DeleteRange(KeyRange),
}

#[derive(Debug, Clone)]
enum Step {
    /// Transactions of different scopes, committed at the same time.
    Commit(Vec<Vec<Write>>),
    /// A transaction that is dropped.
    Drop(Vec<Write>),
    /// Keeps a snapshot until the end.
    Hold,
    Get(Vec<Vec<u8>>),
    Scan(KeyRange, Direction, usize),
    Reopen,
}

/// Short keys of few letters, so that writes and ranges meet; the first letter is the scope's.
fn key(scope: impl Strategy<Value = u8>) -> impl Strategy<Value = Vec<u8>> {
    (scope, vec(0u8..4, 0..3)).prop_map(|(scope, rest)| [vec![scope], rest].concat())
}

fn bound(scope: std::ops::Range<u8>) -> impl Strategy<Value = Bound<Vec<u8>>> {
    (key(scope), any::<bool>()).prop_map(|(key, with)| if with { Bound::Included(key) } else { Bound::Excluded(key) })
}

fn range() -> impl Strategy<Value = KeyRange> {
    let end = || prop_oneof![4 => bound(0..4), 1 => Just(Bound::Unbounded)];
    (end(), end()).prop_map(|(start, end)| KeyRange { start, end })
}

fn writes(scope: u8) -> impl Strategy<Value = Vec<Write>> {
    let size = prop_oneof![4 => 0usize..64, 2 => 900usize..1100, 1 => Just(20_000usize), 2 => 65_500usize..65_600];
    let write = prop_oneof![
        6 => (key(Just(scope)), size).prop_map(|(key, bytes)| Write::Put(key, bytes)),
        2 => key(Just(scope)).prop_map(Write::Delete),
        1 => (bound(scope..scope + 1), bound(scope..scope + 1))
            .prop_map(|(start, end)| Write::DeleteRange(KeyRange { start, end })),
    ];
    vec(write, 0..8)
}

fn step() -> impl Strategy<Value = Step> {
    let direction = any::<bool>().prop_map(|back| if back { Direction::Backward } else { Direction::Forward });
    prop_oneof![
        8 => (writes(0), writes(1), writes(2)).prop_map(|(a, b, c)| Step::Commit(vec![a, b, c])),
        1 => writes(0).prop_map(Step::Drop),
        2 => Just(Step::Hold),
        3 => vec(key(0u8..4), 0..5).prop_map(Step::Get),
        4 => (range(), direction, 0usize..12).prop_map(|(range, direction, limit)| Step::Scan(range, direction, limit)),
        1 => Just(Step::Reopen),
    ]
}

fn value(number: usize, bytes: usize) -> Vec<u8> {
    vec![u8::try_from(number % 251).unwrap(); bytes]
}

fn apply(model: &mut Model, number: usize, writes: &[Write]) {
    for write in writes {
        match write {
            Write::Put(key, bytes) => drop(model.insert(key.clone(), value(number, *bytes))),
            Write::Delete(key) => drop(model.remove(key)),
            Write::DeleteRange(range) => {
                model.retain(|key, _| !(range.start.clone(), range.end.clone()).contains(key));
            }
        }
    }
}

async fn write(kv: &Kv, scope: usize, number: usize, writes: &[Write]) -> tidegate_kv::Transaction {
    let mut transaction = kv.begin(&[u8::try_from(scope).unwrap()]).await.unwrap();
    for write in writes {
        match write {
            Write::Put(key, bytes) => transaction.put(key.clone(), value(number, *bytes)),
            Write::Delete(key) => transaction.delete(key.clone()),
            Write::DeleteRange(range) => transaction.delete_range(range.clone()),
        }
    }
    transaction
}

fn expected(model: &Model, range: &KeyRange, direction: Direction, limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = model.iter().filter(|(key, _)| range.contains(key)).map(|(key, value)| (key.clone(), value.clone()));
    match direction {
        Direction::Forward => rows.take(limit).collect(),
        Direction::Backward => rows.rev().take(limit).collect(),
    }
}

async fn check_scan(snapshot: &Snapshot, model: &Model, range: &KeyRange, direction: Direction, limit: usize) {
    let rows = snapshot.scan(range.clone(), direction, limit).await.unwrap();
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    assert_eq!(rows, expected(model, range, direction, limit), "{range:?} {direction:?} {limit}");
}

/// Plays `steps` on a store and on a model, and compares.
async fn play(place: &impl Place, steps: &[Step]) {
    let (mut kv, mut model, mut held) = (place.open().await, Model::new(), Vec::new());
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Commit(scopes) => {
                let mut tasks = tokio::task::JoinSet::new();
                for (scope, writes) in scopes.iter().enumerate() {
                    tasks.spawn(write(&kv, scope, number, writes).await.commit());
                    apply(&mut model, number, writes);
                }
                tasks.join_all().await.into_iter().for_each(|commit| assert!(commit.is_ok()));
            }
            Step::Drop(writes) => drop(write(&kv, 0, number, writes).await),
            Step::Hold => held.push((kv.snapshot().unwrap(), model.clone())),
            Step::Get(keys) => {
                let found = kv.snapshot().unwrap().get_many(keys).await.unwrap();
                let found: Vec<_> = found.into_iter().map(|value| value.map(|value| value.to_vec())).collect();
                assert_eq!(found, keys.iter().map(|key| model.get(key).cloned()).collect::<Vec<_>>());
            }
            Step::Scan(range, direction, limit) => {
                check_scan(&kv.snapshot().unwrap(), &model, range, *direction, *limit).await;
            }
            Step::Reopen => {
                check_held(&held).await;
                held.clear();
                kv.close().await.unwrap();
                kv = place.open().await;
            }
        }
    }
    held.push((kv.snapshot().unwrap(), model));
    check_held(&held).await;
    drop(held);
    kv.close().await.unwrap();
}

async fn check_held(held: &[(Snapshot, Model)]) {
    for (snapshot, model) in held {
        for direction in [Direction::Forward, Direction::Backward] {
            check_scan(snapshot, model, &KeyRange::all(), direction, usize::MAX).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_folder_does_what_a_map_does(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(&Folder::new(), &steps));
    }
}
