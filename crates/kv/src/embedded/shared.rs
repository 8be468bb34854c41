//! What the handles, the committer and the tree's file have in common.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{View, damage::Damage, gate::Gate, options::EmbeddedOptions, queue::Queue, scopes::Scopes, vigil::Vigil};
use crate::{Error, Health, Limits, Snapshot, Stats};

/// The state of an open store that is used by more than one thread.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) scopes: Scopes,
    pub(crate) gate: Arc<Gate>,
    pub(crate) counters: Counters,
    pub(crate) limits: Limits,
    pub(crate) vigil: Vigil,
    pub(crate) damage: Arc<Damage>,
    published: RwLock<Option<Arc<View>>>,
    #[cfg(test)]
    pub(crate) faults: Arc<super::log_file::Faults>,
}

/// Counters for [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) log_syncs: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) checkpoint_nanos: AtomicU64,
    pub(crate) checkpoint_nanos_max: AtomicU64,
    pub(crate) replayed_groups: AtomicU64,
    pub(crate) tree_bytes: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Shared {
    pub(crate) fn new(options: &EmbeddedOptions) -> Self {
        let limits = options.limits.clone();
        Self {
            queue: Queue::default(),
            scopes: Scopes::default(),
            gate: Arc::new(Gate::new(limits.transactions)),
            counters: Counters::default(),
            limits,
            vigil: Vigil::new(options),
            damage: Arc::default(),
            published: RwLock::new(None),
            #[cfg(test)]
            faults: Arc::clone(&options.faults),
        }
    }

    /// The latest published state.
    pub(crate) fn view(&self) -> Result<Arc<View>, Error> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        published.as_ref().map(Arc::clone).ok_or(Error::Closed)
    }

    /// The latest published state, for callers.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        self.view().map(Snapshot::new)
    }

    /// Shows `view` to every snapshot from now on; none when the store closes.
    pub(crate) fn publish(&self, view: Option<Arc<View>>) {
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *published, view);
        drop(published);
        drop(old);
    }

    /// Whether the store is open: what it holds was read, and it isn't closed.
    pub(crate) fn is_published(&self) -> bool {
        self.published.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The position of the latest published commit.
    pub(crate) fn position(&self) -> u64 {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        published.as_ref().map_or(0, |view| view.position())
    }

    /// Whether writes are accepted, and come to an end.
    pub(crate) fn health(&self) -> Health {
        match self.gate.health() {
            Health::Ok => self.vigil.health(),
            trouble @ (Health::Full { .. } | Health::ReadOnly { .. } | Health::Stalled { .. }) => trouble,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let health = self.health();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters {
            commits,
            groups,
            log_syncs,
            log_bytes,
            checkpoints,
            checkpoint_nanos,
            checkpoint_nanos_max,
            replayed_groups,
            tree_bytes,
        } = &self.counters;
        Stats {
            commits: get(commits),
            groups: get(groups),
            log_syncs: get(log_syncs),
            log_bytes: get(log_bytes),
            checkpoints: get(checkpoints),
            checkpoint_time: Duration::from_nanos(get(checkpoint_nanos)),
            checkpoint_time_max: Duration::from_nanos(get(checkpoint_nanos_max)),
            replayed_groups: get(replayed_groups),
            refused_full: self.gate.refused_full(),
            position: self.position(),
            transactions_open: self.gate.open(),
            tree_bytes: get(tree_bytes),
            stalled: matches!(health, Health::Stalled { .. }),
            full: matches!(health, Health::Full { .. }),
            read_only: match health {
                Health::Ok | Health::Stalled { .. } | Health::Full { .. } => None,
                Health::ReadOnly { reason } => Some(reason),
            },
        }
    }
}
