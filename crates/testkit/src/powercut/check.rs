//! Opening a rebuilt folder with the real engine, and holding what it shows against what was promised.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use bytes::Bytes;
use tidegate_kv::{Direction, KeyRange, Kv};
use tokio::runtime::Runtime;

use super::access;
use super::history::{self, History, LANES};
use super::simulator::{Promise, Simulator};
use super::workload;

/// What is wrong with a store after a power cut.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// It cannot be opened, read or closed.
    Failed {
        /// What was done.
        action: &'static str,
        /// What the engine said.
        error: String,
    },
    /// The engine panicked.
    Panicked(String),
    /// Acknowledged transactions are gone.
    Lost {
        /// Where.
        lane: u32,
        /// The last acknowledged.
        acknowledged: u64,
        /// The last found.
        found: u64,
    },
    /// A transaction is there which was never begun.
    Invented {
        /// Where.
        lane: u32,
        /// The last begun.
        begun: u64,
        /// The last found.
        found: u64,
    },
    /// The lane holds something else than what it held after the transaction found last.
    Torn {
        /// Where.
        lane: u32,
        /// The last found.
        found: u64,
        /// The first difference.
        difference: String,
    },
    /// There is a key that belongs to no lane.
    Stray {
        /// The key, as far as it is text.
        key: String,
    },
    /// Opening again shows something else.
    Unstable {
        /// The lanes at first.
        first: Vec<u64>,
        /// The lanes after opening again.
        again: Vec<u64>,
    },
}

impl Violation {
    pub(super) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Self::Panicked(text.unwrap_or_default())
    }
}

/// Checks rebuilt folders of one workload.
#[derive(Debug)]
pub(super) struct Checker {
    history: History,
    runtime: Runtime,
}

/// How thoroughly a folder is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Open, read, close.
    Once,
    /// The same again after it.
    Twice,
}

type Contents = BTreeMap<u32, BTreeMap<Bytes, Bytes>>;

impl Checker {
    pub(super) fn new(seed: u64) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { history: History::new(seed), runtime })
    }

    /// Opens the store in `root`; returns the last transaction found in each lane.
    pub(super) fn check(
        &mut self,
        root: &Path,
        simulator: &Simulator<'_>,
        depth: Depth,
    ) -> Result<Vec<u64>, Violation> {
        let promises = simulator.promises();
        let guarded = AssertUnwindSafe(|| match depth {
            Depth::Once => self.open_and_compare(root, promises),
            Depth::Twice => self.open_twice(root, promises),
        });
        panic::catch_unwind(guarded).unwrap_or_else(|payload| Err(Violation::panicked(payload.as_ref())))
    }

    fn open_twice(&mut self, root: &Path, promises: &BTreeMap<u32, Promise>) -> Result<Vec<u64>, Violation> {
        let first = self.open_and_compare(root, promises)?;
        let again = self.open_and_compare(root, promises)?;
        if first == again { Ok(again) } else { Err(Violation::Unstable { first, again }) }
    }

    fn open_and_compare(&mut self, root: &Path, promises: &BTreeMap<u32, Promise>) -> Result<Vec<u64>, Violation> {
        let access = promises.get(&access::LANE).copied().unwrap_or_default();
        let (mut contents, written) = self.runtime.block_on(read_all(root, self.history.seed(), access))?;
        let mut found = Vec::new();
        for lane in 0..LANES {
            let promise = promises.get(&lane).copied().unwrap_or_default();
            found.push(self.compare(lane, promise, &contents.remove(&lane).unwrap_or_default())?);
        }
        found.push(written);
        Ok(found)
    }

    fn compare(&mut self, lane: u32, promise: Promise, held: &BTreeMap<Bytes, Bytes>) -> Result<u64, Violation> {
        let Promise { acknowledged, begun } = promise;
        let number = held.get(history::number_key(lane).as_slice());
        let found = number.and_then(|bytes| history::parse_number(bytes)).unwrap_or(0);
        if found < acknowledged {
            return Err(Violation::Lost { lane, acknowledged, found });
        }
        if found > begun {
            return Err(Violation::Invented { lane, begun, found });
        }
        match difference(self.history.state(lane, found), held) {
            Some(difference) => Err(Violation::Torn { lane, found, difference }),
            None => Ok(found),
        }
    }
}

/// What the lanes hold; and how far the one that writes documents has got.
async fn read_all(root: &Path, seed: u64, access: Promise) -> Result<(Contents, u64), Violation> {
    let kv = Kv::open_embedded(workload::options(root)).await.map_err(failed("open"))?;
    let snapshot = kv.snapshot().map_err(failed("read"))?;
    let all = KeyRange { start: Bound::Unbounded, end: Bound::Unbounded };
    let rows = snapshot.scan(all, Direction::Forward, usize::MAX).await.map_err(failed("read"))?;
    drop(snapshot);
    let (found, difference) = access::look(access::Plan { seed }, &kv).await.map_err(failed("read documents"))?;
    kv.close().await.map_err(failed("close"))?;
    let lane = access::LANE;
    match (difference, access) {
        (_, Promise { acknowledged, .. }) if found < acknowledged => {
            return Err(Violation::Lost { lane, acknowledged, found });
        }
        (_, Promise { begun, .. }) if found > begun => return Err(Violation::Invented { lane, begun, found }),
        (Some(difference), _) => return Err(Violation::Torn { lane, found, difference }),
        (None, _) => {}
    }
    let mut contents = Contents::new();
    // Keys of the store of documents begin with letters.
    let rows = rows.into_iter().filter(|(key, _)| !key.first().is_some_and(u8::is_ascii_uppercase));
    for (key, value) in rows {
        let lane = history::lane_of(&key).filter(|lane| *lane < LANES);
        let lane = lane.ok_or_else(|| Violation::Stray { key: String::from_utf8_lossy(&key).into_owned() })?;
        contents.entry(lane).or_default().insert(key, value);
    }
    Ok((contents, found))
}

fn failed<E: std::error::Error>(action: &'static str) -> impl FnOnce(E) -> Violation {
    move |error| Violation::Failed { action, error: format!("{error}: {error:?}") }
}

fn difference(expected: &history::State, held: &BTreeMap<Bytes, Bytes>) -> Option<String> {
    for (key, value) in expected {
        let name = String::from_utf8_lossy(key);
        match held.get(key.as_slice()) {
            None => return Some(format!("{name} is missing")),
            Some(found) if *found != value.to_bytes() => return Some(format!("{name} has another value")),
            Some(_) => {}
        }
    }
    let extra = held.keys().find(|key| !expected.contains_key(key.as_ref()))?;
    Some(format!("{} shouldn't be there", String::from_utf8_lossy(extra)))
}
