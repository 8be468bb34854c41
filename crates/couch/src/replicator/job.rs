//! A job as the supervisor knows it.

use serde_json::{Map, Value};
use std::sync::Arc;
use tidegate_engine::Caller;
use tidegate_replication::{Job, JobId, Kind, Newcomer, Origin, Outcome, Preparation, Progress, Reason, Report, Wait};
use tidegate_types::DbName;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// A job's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Asked for with `_replicate`.
    Request(JobId),
    /// Asked for by a document of this database.
    Document(DbName, String),
}

impl Key {
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Request(_) => Origin::Request,
            Self::Document(..) => Origin::Document,
        }
    }

    pub(super) fn document(&self) -> Option<(&DbName, &str)> {
        match self {
            Self::Request(_) => None,
            Self::Document(db, id) => Some((db, id)),
        }
    }
}

/// How a job that somebody waits for ended.
#[derive(Clone, Debug)]
pub(super) enum Finish {
    Completed(Report),
    Stopped,
    Failed(Reason),
}

/// A job.
pub(super) struct Entry {
    pub(super) job: Arc<Job>,
    /// What the document says, without what the replicator wrote into it.
    pub(super) body: Option<Map<String, Value>>,
    /// Grows with every job of the same name: what an older one reports isn't this one's.
    pub(super) generation: u64,
    /// Once it is known.
    pub(super) ready: Option<Ready>,
    pub(super) running: Option<Running>,
    /// How far it was when it ran last.
    pub(super) progress: Option<Progress>,
    pub(super) waiters: Vec<oneshot::Sender<Finish>>,
}

/// What a job needs before it can run.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) id: JobId,
    /// On whose behalf it works.
    pub(super) caller: Caller,
}

/// A session of a job, or its preparation.
pub(super) struct Running {
    pub(super) stop: CancellationToken,
    pub(super) progress: watch::Receiver<Option<Progress>>,
}

impl Entry {
    pub(super) fn newcomer(&self, key: &Key) -> Newcomer {
        let kind = match self.job.wait {
            Wait::Forever => Kind::Continuous,
            Wait::Never => Kind::OneShot,
        };
        let preparation = if self.ready.is_some() { Preparation::Done } else { Preparation::Needed };
        Newcomer { kind, origin: key.origin(), preparation }
    }

    /// How far it is, or was.
    pub(super) fn progress(&self) -> Option<Progress> {
        let running = self.running.as_ref().and_then(|running| running.progress.borrow().clone());
        running.or_else(|| self.progress.clone())
    }

    pub(super) fn tell(&mut self, finish: &Finish) {
        for waiter in self.waiters.drain(..) {
            drop(waiter.send(finish.clone()));
        }
    }
}

impl From<Outcome> for Finish {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed(report) => Self::Completed(report),
            Outcome::Stopped => Self::Stopped,
            Outcome::Crashed(reason) | Outcome::Failed(reason) => Self::Failed(reason),
        }
    }
}
