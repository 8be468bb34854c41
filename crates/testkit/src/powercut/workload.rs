//! The workload: a process that opens the embedded store in a folder, and commits numbered transactions in several
//! lanes at once.
//!
//! It goes on from whatever the store holds, so a process can be killed, or its machine cut off, and be run again.
//! Segments and checkpoints are made small, so that many changes of both happen in a short run.

use std::ops::{Bound, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tidegate_kv::{EmbeddedOptions, KeyRange, Kv, Transaction};

use super::access;
use super::history::{self, LANES, Operation};
use super::mark::Marks;
use super::random::Random;

/// How long a dropped store may take to let go of its folder.
const UNLOCK_DEADLINE: Duration = Duration::from_secs(10);

/// What a workload process is told to do; goes over its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The recorded folder; the store is in a folder below it.
    pub root: PathBuf,
    /// Decides what is written.
    pub seed: u64,
    /// Transactions for each lane.
    pub transactions: u64,
    /// How often the store is opened; the transactions are spread over the times.
    pub openings: u64,
    /// When transactions are marked as acknowledged.
    pub acknowledge: Acknowledge,
}

/// When a workload says that a transaction is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// When the store has said so.
    AfterCommit,
    /// At once: a lie, to prove that lies are found out.
    BeforeCommit,
}

/// Why a workload gave up. Its process should fail with this.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The command line makes no sense.
    #[error("usage: FOLDER SEED TRANSACTIONS OPENINGS after-commit|before-commit")]
    Usage,
    /// The store refused something.
    #[error("the store failed: {0:?}")]
    Store(#[from] tidegate_kv::Error),
    /// The store of documents refused something.
    #[error("the store of documents failed: {0:?}")]
    Documents(#[from] tidegate_store::Error),
    /// No threads to run on.
    #[error("cannot start")]
    Runtime(#[from] std::io::Error),
    /// The store holds something else than what was just committed, without any power cut.
    #[error("the lanes stand at {found:?} instead of {expected:?} after opening again")]
    Wrong {
        /// What was committed in each.
        expected: Vec<u64>,
        /// What is there.
        found: Vec<u64>,
    },
    /// A lane's task died.
    #[error("a lane died")]
    Lane(#[from] tokio::task::JoinError),
}

/// The folder of the store in a recorded folder; those above it are the store's to make.
#[must_use]
pub fn store_folder(root: &Path) -> PathBuf {
    root.join("data").join("store")
}

/// How the store is opened, here and by the check: everything small, so that everything happens.
pub(super) fn options(root: &Path) -> EmbeddedOptions {
    let mut options = EmbeddedOptions::new(store_folder(root));
    options.cache_bytes = 4 << 20;
    options.checkpoint_log_bytes = 192 << 10;
    options.checkpoint_interval = Duration::from_millis(60);
    options.segment_bytes = 96 << 10;
    options
}

impl Workload {
    /// As command-line arguments.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let acknowledge = match self.acknowledge {
            Acknowledge::AfterCommit => "after-commit",
            Acknowledge::BeforeCommit => "before-commit",
        };
        let numbers = [self.seed, self.transactions, self.openings].map(|number| number.to_string());
        let mut args = vec![self.root.to_string_lossy().into_owned()];
        args.extend(numbers);
        args.push(acknowledge.to_owned());
        args
    }

    /// From command-line arguments.
    ///
    /// # Errors
    /// [`WorkloadError::Usage`].
    pub fn parse(args: &[String]) -> Result<Self, WorkloadError> {
        let [root, seed, transactions, openings, acknowledge] = args else { return Err(WorkloadError::Usage) };
        let number = |text: &String| text.parse().map_err(|_not_a_number| WorkloadError::Usage);
        let acknowledge = match acknowledge.as_str() {
            "after-commit" => Acknowledge::AfterCommit,
            "before-commit" => Acknowledge::BeforeCommit,
            _ => return Err(WorkloadError::Usage),
        };
        Ok(Self {
            root: root.into(),
            seed: number(seed)?,
            transactions: number(transactions)?,
            openings: number(openings)?.max(1),
            acknowledge,
        })
    }

    /// Runs it in this process.
    ///
    /// # Errors
    /// When the store refuses anything, or shows something else than what it holds.
    pub fn run(&self) -> Result<(), WorkloadError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(self.run_all())
    }

    async fn run_all(&self) -> Result<(), WorkloadError> {
        let marks = Marks::new(&self.root);
        let each = self.transactions / self.openings;
        let mut expected: Option<Vec<u64>> = None;
        for opening in 0..self.openings {
            let kv = open(&self.root).await?;
            let (_store, database) = access::open(&kv).await?;
            let mut found = look_at_lanes(&kv, &marks).await?;
            found.push(access::latest(&database));
            marks.seen(access::LANE, access::latest(&database));
            if let Some(expected) = expected.filter(|expected| *expected != found) {
                return Err(WorkloadError::Wrong { expected, found });
            }
            marks.opened();
            let (plan, own_marks) = (access::Plan { seed: self.seed }, marks.clone());
            let granting = access::write(plan, &database, &own_marks, each, self.acknowledge);
            let (lanes, granted) = tokio::join!(self.commit_in_all_lanes(&kv, &marks, &found, each), granting);
            lanes?;
            granted?;
            expected = Some(found.iter().map(|number| number + each).collect());
            if opening % 2 == 0 {
                kv.close().await?;
            }
        }
        Ok(())
    }

    async fn commit_in_all_lanes(&self, kv: &Kv, marks: &Marks, found: &[u64], each: u64) -> Result<(), WorkloadError> {
        let mut lanes = tokio::task::JoinSet::new();
        for (lane, number) in (0..LANES).zip(found) {
            let numbers = number + 1..=number + each;
            lanes.spawn(commit_in_lane(self.clone(), kv.clone(), marks.clone(), lane, numbers));
        }
        while let Some(ended) = lanes.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Opens the store; one that was dropped without being closed keeps its folder for a moment.
async fn open(root: &Path) -> Result<Kv, WorkloadError> {
    let begin = Instant::now();
    loop {
        match Kv::open_embedded(options(root)).await {
            Err(tidegate_kv::Error::Locked { .. }) if begin.elapsed() < UNLOCK_DEADLINE => {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            opened => return Ok(opened?),
        }
    }
}

async fn commit_in_lane(
    workload: Workload,
    kv: Kv,
    marks: Marks,
    lane: u32,
    numbers: RangeInclusive<u64>,
) -> Result<(), WorkloadError> {
    let scope = history::scope(lane);
    let mut random = Random::of(&[workload.seed, u64::from(lane), *numbers.start()]);
    for number in numbers {
        let mut transaction = kv.begin(&scope).await?;
        fill(&mut transaction, history::transaction(workload.seed, lane, number));
        marks.begin(lane, number);
        if workload.acknowledge == Acknowledge::BeforeCommit {
            marks.acknowledge(lane, number);
        }
        transaction.commit().await?;
        marks.acknowledge(lane, number);
        if random.one_in(10) {
            // A lull, in which a checkpoint falls due and groups are small.
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    }
    Ok(())
}

fn fill(transaction: &mut Transaction, operations: Vec<Operation>) {
    for operation in operations {
        match operation {
            Operation::Put { key, value } => transaction.put(key, value.to_bytes()),
            Operation::Delete { key } => transaction.delete(key),
            Operation::DeleteRange { from, to } => {
                transaction.delete_range(KeyRange { start: Bound::Included(from), end: Bound::Excluded(to) });
            }
        }
    }
}

/// Reads, and marks as seen, how far each lane is.
async fn look_at_lanes(kv: &Kv, marks: &Marks) -> Result<Vec<u64>, WorkloadError> {
    let keys: Vec<Vec<u8>> = (0..LANES).map(history::number_key).collect();
    let values = kv.snapshot()?.get_many(&keys).await?;
    let numbers = values.iter().map(|value| value.as_deref().and_then(history::parse_number).unwrap_or(0));
    let numbers: Vec<u64> = numbers.collect();
    for (lane, number) in (0..LANES).zip(&numbers) {
        marks.seen(lane, *number);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_read_back() {
        for acknowledge in [Acknowledge::AfterCommit, Acknowledge::BeforeCommit] {
            let workload =
                Workload { root: "/some/folder".into(), seed: 7, transactions: 40, openings: 3, acknowledge };
            assert_eq!(Workload::parse(&workload.to_args()).unwrap(), workload);
        }
        assert!(matches!(Workload::parse(&["one".to_owned()]), Err(WorkloadError::Usage)));
    }
}
