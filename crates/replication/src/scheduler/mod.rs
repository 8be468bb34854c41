//! Which jobs run when: so many at a time, each its turn, and one that crashes waits.
//!
//! A value like the session: `handle_*` in, [`Scheduler::poll`] out. `K` is the shell's name for a job: the document it
//! stands in, or its replication id. Source of the rules: `couch_replicator_scheduler`.

mod entry;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

pub use entry::{Event, Past, State, Summary};

use self::entry::{Entry, Phase};
use crate::{Timestamp, preparation_wait};

/// Every job, and what is to happen to it.
#[derive(Debug)]
pub struct Scheduler<K> {
    limits: Limits,
    jobs: BTreeMap<K, Entry>,
    orders: VecDeque<Order<K>>,
    next_round: Timestamp,
}

/// How many, how long. [`Default`] has CouchDB's (`[replicator]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Jobs that run at a time.
    pub max_jobs: usize,
    /// Jobs that are stopped in one round to let others run.
    pub max_churn: usize,
    /// Events remembered of each job.
    pub max_history: usize,
    /// Between two rounds.
    pub interval: Duration,
    /// A job that ran so long before it crashed was healthy: crashes are counted anew.
    pub health_threshold: Duration,
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order<K> {
    /// Make a job of a document, fetch its filter: then [`Scheduler::handle_prepared`] or
    /// [`Scheduler::handle_preparation_failed`].
    Prepare(K),
    /// Start a session: then one of [`Scheduler::handle_completed`], [`Scheduler::handle_crashed`],
    /// [`Scheduler::handle_failed`].
    Start(K),
    /// Stop the session or the preparation: then [`Scheduler::handle_stopped`], unless it ended by itself before.
    Stop(K),
}

/// What the scheduler needs to know of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Whether it ever ends.
    pub kind: Kind,
    /// Who asked for it.
    pub origin: Origin,
    /// Whether it can be started as it is.
    pub preparation: Preparation,
}

/// Whether a job ever ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It ends by itself, and is never stopped to let others run.
    OneShot,
    /// It does not, and is.
    Continuous,
}

/// Who asked for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `_replicate`: forgotten when it ends or crashes.
    Request,
    /// A document of `_replicator`: started again when it crashes, kept until the document goes.
    Document,
}

/// Whether a job can be started as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// It has first to be made of a document.
    Needed,
    /// It can.
    Done,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_jobs: 500,
            max_churn: 20,
            max_history: 20,
            interval: Duration::from_secs(60),
            health_threshold: Duration::from_secs(120),
        }
    }
}

impl<K: Ord + Clone> Scheduler<K> {
    /// A scheduler without jobs.
    pub fn new(limits: Limits, now: Timestamp) -> Self {
        let next_round = now.after(limits.interval);
        Self { limits, jobs: BTreeMap::new(), orders: VecDeque::new(), next_round }
    }

    /// The next thing to do; to be called until it is `None`. Orders about one job are to be carried out in order.
    pub fn poll(&mut self) -> Option<Order<K>> {
        self.orders.pop_front()
    }

    /// When [`Scheduler::handle_timeout`] is to be called.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let waits = self.jobs.values().filter_map(|job| job.ready_at(&self.limits));
        let has_room = self.slots_taken() < self.limits.max_jobs;
        let first = waits.min().filter(|_| has_room).or_else(|| self.first_preparation());
        (!self.jobs.is_empty()).then(|| first.map_or(self.next_round, |first| first.min(self.next_round)))
    }

    fn first_preparation(&self) -> Option<Timestamp> {
        self.jobs.values().filter_map(Entry::preparation_at).min()
    }

    /// [`Scheduler::wake_at`] has come. Harmless at any time.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.prepare_due(now);
        if now >= self.next_round {
            self.next_round = now.after(self.limits.interval);
            let stopped = self.stop_excess(now);
            self.rotate(stopped, now);
        }
        self.start_pending(now);
    }

    /// Other limits from now on; jobs beyond them are stopped in the next round.
    pub fn handle_limits(&mut self, limits: Limits, now: Timestamp) {
        self.limits = limits;
        self.start_pending(now);
    }

    /// A job is asked for. `false` if there is one by that name already, which then stays.
    pub fn handle_added(&mut self, key: K, newcomer: Newcomer, now: Timestamp) -> bool {
        if let Some(job) = self.jobs.get_mut(&key) {
            return job.succeed(newcomer);
        }
        self.admit(key, newcomer, now);
        true
    }

    fn admit(&mut self, key: K, newcomer: Newcomer, now: Timestamp) {
        let job = Entry::new(newcomer, now);
        if newcomer.preparation == Preparation::Needed {
            self.orders.push_back(Order::Prepare(key.clone()));
        }
        self.jobs.insert(key, job);
        self.start_pending(now);
    }

    /// A job was made of its document.
    pub fn handle_prepared(&mut self, key: &K, now: Timestamp) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        if job.phase == Phase::Initializing {
            job.phase = Phase::Pending;
            self.start_pending(now);
        }
    }

    /// No job could be made of its document for now; it is tried again, later. `random` may be any number.
    pub fn handle_preparation_failed(&mut self, key: &K, reason: &str, random: u64, now: Timestamp) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        if job.phase == Phase::Initializing {
            job.preparation_failures = job.preparation_failures.saturating_add(1);
            let again = now.after(preparation_wait(job.preparation_failures, random));
            job.reason = Some(reason.to_owned());
            job.phase = Phase::Error { again };
        }
    }

    /// A job isn't wanted any more: it is stopped if it runs, and forgotten. `false` if there was none.
    pub fn handle_removed(&mut self, key: &K, now: Timestamp) -> bool {
        let Some(job) = self.jobs.get_mut(key).filter(|job| !job.is_removed) else { return false };
        match job.phase {
            Phase::Running | Phase::Initializing => {
                job.is_removed = true;
                job.phase = Phase::Stopping;
                self.orders.push_back(Order::Stop(key.clone()));
            }
            Phase::Stopping => job.is_removed = true,
            Phase::Pending | Phase::Error { .. } | Phase::Completed | Phase::Failed => {
                self.jobs.remove(key);
                self.start_pending(now);
            }
        }
        true
    }

    /// A session or preparation stopped, as ordered.
    pub fn handle_stopped(&mut self, key: &K, now: Timestamp) {
        self.leave(key, Event::Stopped, now);
    }

    /// A session copied everything.
    pub fn handle_completed(&mut self, key: &K, now: Timestamp) {
        self.leave(key, Event::Completed, now);
    }

    /// A session ended for a reason that may go away.
    pub fn handle_crashed(&mut self, key: &K, reason: &str, now: Timestamp) {
        self.leave(key, Event::Crashed(reason.to_owned()), now);
    }

    /// A session or preparation ended for a reason that stays.
    pub fn handle_failed(&mut self, key: &K, reason: &str, now: Timestamp) {
        self.leave(key, Event::Failed(reason.to_owned()), now);
    }

    /// The job's state, for people.
    pub fn summary(&self, key: &K) -> Option<Summary> {
        self.jobs.get(key).filter(|job| !job.is_removed).map(|job| job.summary(self.limits.health_threshold))
    }

    /// The job's events, the newest first.
    pub fn history(&self, key: &K) -> impl Iterator<Item = &Past> {
        self.jobs.get(key).into_iter().flat_map(|job| &job.history)
    }

    /// Every job's name.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.jobs.iter().filter(|(_, job)| !job.is_removed).map(|(key, _)| key)
    }

    /// The session or preparation of a job is over.
    fn leave(&mut self, key: &K, event: Event, now: Timestamp) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        if !job.handle_end(event, now, self.limits.max_history) {
            return;
        }
        if job.is_removed || (job.newcomer.origin == Origin::Request && job.phase != Phase::Pending) {
            let successor = job.successor;
            self.jobs.remove(key);
            if let Some(successor) = successor {
                self.admit(key.clone(), successor, now);
            }
        }
        self.start_pending(now);
    }

    fn prepare_due(&mut self, now: Timestamp) {
        for (key, job) in &mut self.jobs {
            if job.preparation_at().is_some_and(|again| again <= now) {
                job.phase = Phase::Initializing;
                self.orders.push_back(Order::Prepare(key.clone()));
            }
        }
    }

    /// Jobs whose sessions are there, also those that are being stopped.
    fn slots_taken(&self) -> usize {
        self.jobs.values().filter(|job| job.has_slot()).count()
    }

    fn running(&self) -> usize {
        self.jobs.values().filter(|job| job.phase == Phase::Running).count()
    }

    /// Starts those that waited longest since they ran last.
    fn start_pending(&mut self, now: Timestamp) {
        let room = self.limits.max_jobs.saturating_sub(self.slots_taken());
        if room == 0 {
            return;
        }
        let is_ready = |job: &Entry| job.ready_at(&self.limits).is_some_and(|ready| ready <= now);
        let ready = self.jobs.iter().filter(|(_, job)| is_ready(job));
        let mut ready: Vec<_> = ready.map(|(key, job)| (job.last_started(), key.clone())).collect();
        ready.sort();
        for (_, key) in ready.into_iter().take(room) {
            let Some(job) = self.jobs.get_mut(&key) else { continue };
            job.phase = Phase::Running;
            job.note(Event::Started, now, self.limits.max_history);
            self.orders.push_back(Order::Start(key));
        }
    }

    /// Stops what is beyond the limit: continuous jobs first, as others end by themselves.
    fn stop_excess(&mut self, _now: Timestamp) -> usize {
        let excess = self.running().saturating_sub(self.limits.max_jobs);
        let stopped = self.stop(excess, Kind::Continuous);
        stopped.saturating_add(self.stop(excess.saturating_sub(stopped), Kind::OneShot))
    }

    /// Stops those that run longest, for those that wait.
    fn rotate(&mut self, stopped: usize, now: Timestamp) {
        let is_ready = |job: &&Entry| job.ready_at(&self.limits).is_some_and(|ready| ready <= now);
        let waiting = self.jobs.values().filter(is_ready).count();
        let free = self.limits.max_jobs.saturating_sub(self.slots_taken());
        let churn = self.limits.max_churn.saturating_sub(stopped);
        self.stop(waiting.saturating_sub(free).min(churn), Kind::Continuous);
    }

    fn stop(&mut self, count: usize, kind: Kind) -> usize {
        let is_meant = |job: &Entry| job.phase == Phase::Running && job.newcomer.kind == kind;
        let running = self.jobs.iter().filter(|(_, job)| is_meant(job));
        let mut running: Vec<_> = running.map(|(key, job)| (job.last_started(), key.clone())).collect();
        running.sort();
        running.truncate(count);
        for (_, key) in &running {
            let Some(job) = self.jobs.get_mut(key) else { continue };
            job.phase = Phase::Stopping;
            self.orders.push_back(Order::Stop(key.clone()));
        }
        running.len()
    }
}
