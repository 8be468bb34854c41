//! Owns all jobs: starts and stops their sessions as the scheduler says, and tells those who wait.

use super::{
    Ready, Shell,
    job::{Entry, Finish, Key, Running},
    runner::{self, Run},
    state::{self, Ending},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tidegate_engine::Caller;
use tidegate_replication::{Job, JobId, Limits, Options, Order, Outcome, Past, Progress, Scheduler, Summary, Wait};
use tidegate_types::DbName;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// Jobs that are known at a time, running or not.
const JOBS_MAX: usize = 50_000;
/// How long sessions may take to end when the server drains.
const DRAIN_MAX: Duration = Duration::from_secs(15);
/// What every job that runs already adds to the wait of one that starts with the server.
const JITTER_STEP: Duration = Duration::from_millis(100);

/// What the supervisor is told and asked.
pub(super) enum Message {
    /// `_replicate` wants this job.
    Start { ready: Ready, job: Box<Job>, reply: oneshot::Sender<Answered> },
    /// `_replicate` wants this job ended.
    Cancel { id: JobId, caller: Caller, reply: oneshot::Sender<Cancelled> },
    /// A document asks for a job.
    Document { key: Key, job: Box<Job>, body: Map<String, Value> },
    /// A document asks for none, or is gone.
    Gone { key: Key },
    /// A database is gone, and its documents with it.
    DatabaseGone { db: DbName },
    /// A document's job was made ready, or not.
    Prepared { key: Key, generation: u64, result: Result<Ready, String> },
    /// A session is over.
    Ended(Box<Ended>),
    /// Which jobs are there?
    List { reply: oneshot::Sender<Vec<Shown>> },
}

/// A session that is over.
pub(super) struct Ended {
    key: Key,
    generation: u64,
    outcome: Outcome,
    progress: Option<Progress>,
}

/// What becomes of a wish for a job.
pub(super) enum Answered {
    /// It goes on for ever.
    Continuous(JobId),
    /// It ends one day.
    Waiting(oneshot::Receiver<Finish>),
    /// It is somebody else's.
    NotAllowed,
    /// There are too many.
    Full,
}

/// What becomes of a wish for a job's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancelled {
    Done,
    NotFound,
    /// It is somebody else's.
    NotAllowed,
}

/// A job as it stands, for people.
pub(super) struct Shown {
    pub(super) key: Key,
    pub(super) id: Option<JobId>,
    pub(super) user: Option<String>,
    pub(super) job: Arc<Job>,
    pub(super) summary: Summary,
    pub(super) history: Vec<Past>,
    pub(super) progress: Option<Progress>,
    pub(super) is_running: bool,
}

/// Owns all jobs.
pub(super) struct Supervisor {
    shell: Shell,
    inbox: mpsc::Receiver<Message>,
    scheduler: Scheduler<Key>,
    limits: Limits,
    jobs: BTreeMap<Key, Entry>,
    generations: u64,
}

impl Supervisor {
    pub(super) fn new(shell: Shell, inbox: mpsc::Receiver<Message>) -> Self {
        let limits = shell.couch.engine().live().replicator.limits.clone();
        let scheduler = Scheduler::new(limits.clone(), shell.clock.now());
        Self { shell, inbox, scheduler, limits, jobs: BTreeMap::new(), generations: 0 }
    }

    /// Runs until the server drains and all sessions have ended.
    pub(super) async fn run(mut self) {
        let draining = self.shell.couch.draining().clone();
        loop {
            self.refresh_limits();
            self.carry_out();
            let wake_at = self.shell.clock.instant_or_far(self.scheduler.wake_at());
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.handle(message),
                    None => break,
                },
                () = sleep_until(wake_at) => self.scheduler.handle_timeout(self.shell.clock.now()),
                () = draining.cancelled() => break,
            }
        }
        self.drain().await;
    }

    /// Has all sessions write their last checkpoints and end.
    async fn drain(mut self) {
        for entry in self.jobs.values() {
            if let Some(running) = &entry.running {
                running.stop.cancel();
            }
        }
        let ended = async {
            while self.jobs.values().any(|entry| entry.running.is_some()) {
                let Some(message) = self.inbox.recv().await else { return };
                match message {
                    Message::Ended(ended) => self.handle_drained(*ended),
                    Message::Prepared { key, .. } => self.forget_running(&key),
                    Message::Start { .. }
                    | Message::Cancel { .. }
                    | Message::Document { .. }
                    | Message::Gone { .. }
                    | Message::DatabaseGone { .. }
                    | Message::List { .. } => {}
                }
            }
        };
        if timeout(DRAIN_MAX, ended).await.is_err() {
            tracing::warn!("some replications didn't stop in time: they begin again a little earlier");
        }
    }

    fn handle_drained(&mut self, ended: Ended) {
        self.forget_running(&ended.key);
        if let Some(entry) = self.jobs.get_mut(&ended.key).filter(|entry| entry.generation == ended.generation) {
            entry.tell(&ended.outcome.into());
        }
    }

    fn forget_running(&mut self, key: &Key) {
        if let Some(entry) = self.jobs.get_mut(key) {
            entry.running = None;
        }
    }

    /// Takes over what the configuration says by now.
    fn refresh_limits(&mut self) {
        let live = self.shell.couch.engine().live();
        if self.limits != live.replicator.limits {
            self.limits = live.replicator.limits.clone();
            self.scheduler.handle_limits(self.limits.clone(), self.shell.clock.now());
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Start { ready, job, reply } => drop(reply.send(self.start_request(ready, *job))),
            Message::Cancel { id, caller, reply } => drop(reply.send(self.cancel(&id, &caller))),
            Message::Document { key, job, body } => self.handle_document(key, *job, body),
            Message::Gone { key } => self.remove(&key),
            Message::DatabaseGone { db } => self.remove_all(&db),
            Message::Prepared { key, generation, result } => self.handle_prepared(&key, generation, result),
            Message::Ended(ended) => self.handle_ended(*ended),
            Message::List { reply } => drop(reply.send(self.list())),
        }
    }

    /// A job of this id, whoever asked for it.
    fn find(&self, id: &JobId) -> Option<&Key> {
        let is_meant = |entry: &Entry| entry.ready.as_ref().is_some_and(|ready| ready.id == *id);
        self.jobs.iter().find(|(_, entry)| is_meant(entry)).map(|(key, _)| key)
    }

    /// Starts a job, or joins one that is the same.
    fn start_request(&mut self, ready: Ready, job: Job) -> Answered {
        let (id, wait) = (ready.id.clone(), job.wait);
        let known = self.find(&id).cloned();
        let key = match known {
            Some(key) if !self.is_allowed(&key, &ready.caller) => return Answered::NotAllowed,
            Some(key) => key,
            None if self.jobs.len() >= JOBS_MAX => return Answered::Full,
            None => {
                let key = Key::Request(id.clone());
                self.add(key.clone(), job, None, Some(ready));
                key
            }
        };
        match (wait, self.jobs.get_mut(&key)) {
            (Wait::Never, Some(entry)) => {
                let (waiter, finish) = oneshot::channel();
                entry.waiters.push(waiter);
                Answered::Waiting(finish)
            }
            (Wait::Never | Wait::Forever, _) => Answered::Continuous(id),
        }
    }

    fn add(&mut self, key: Key, job: Job, body: Option<Map<String, Value>>, ready: Option<Ready>) {
        self.generations += 1;
        let generation = self.generations;
        // What runs under this name until now is stopped, and its successor waits for that.
        let running = self.jobs.remove(&key).and_then(|mut old| {
            old.tell(&Finish::Stopped);
            old.running
        });
        let job = Arc::new(job);
        let (progress, waiters) = (None, Vec::new());
        let entry = Entry { job, body, generation, ready, running, progress, waiters };
        self.scheduler.handle_added(key.clone(), entry.newcomer(&key), self.shell.clock.now());
        self.jobs.insert(key, entry);
    }

    fn cancel(&mut self, id: &JobId, caller: &Caller) -> Cancelled {
        let Some(key) = self.find(id).cloned() else { return Cancelled::NotFound };
        if !self.is_allowed(&key, caller) {
            return Cancelled::NotAllowed;
        }
        self.remove(&key);
        Cancelled::Done
    }

    /// Whether the job is the caller's. Source: `couch_replicator:check_authorization`.
    fn is_allowed(&self, key: &Key, caller: &Caller) -> bool {
        let owner = self.jobs.get(key).and_then(|entry| entry.ready.as_ref());
        let is_own = owner.is_some_and(|ready| ready.caller.context().name == caller.context().name);
        is_own || caller.is_admin()
    }

    fn handle_document(&mut self, key: Key, job: Job, body: Map<String, Value>) {
        let known = self.jobs.get(&key).and_then(|entry| entry.body.as_ref());
        if known == Some(&body) {
            return;
        }
        if known.is_none() && self.jobs.len() >= JOBS_MAX {
            tracing::error!(?key, "there are too many replications: this one isn't started");
            return;
        }
        self.scheduler.handle_removed(&key, self.shell.clock.now());
        self.add(key, job, Some(body), None);
    }

    /// Forgets a job, and stops it if it runs.
    fn remove(&mut self, key: &Key) {
        self.scheduler.handle_removed(key, self.shell.clock.now());
        if let Some(entry) = self.jobs.get_mut(key) {
            entry.tell(&Finish::Stopped);
            entry.body = None;
            entry.ready = None;
            if entry.running.is_none() {
                self.jobs.remove(key);
            }
        }
    }

    fn remove_all(&mut self, db: &DbName) {
        let is_of_db = |key: &&Key| key.document().is_some_and(|(of, _)| of == db);
        let keys: Vec<Key> = self.jobs.keys().filter(is_of_db).cloned().collect();
        for key in keys {
            self.remove(&key);
        }
    }

    /// Does what the scheduler wants done.
    fn carry_out(&mut self) {
        while let Some(order) = self.scheduler.poll() {
            match order {
                Order::Prepare(key) => self.prepare(key),
                Order::Start(key) => self.start(key),
                Order::Stop(key) => self.stop(&key),
            }
        }
    }

    fn prepare(&mut self, key: Key) {
        let Some(entry) = self.jobs.get_mut(&key) else { return };
        let (stop, progress) = (CancellationToken::new(), watch::channel(None).1);
        entry.running = Some(Running { stop: stop.clone(), progress });
        let (shell, job, generation) = (self.shell.clone(), Arc::clone(&entry.job), entry.generation);
        let preparing = async move {
            let result = tokio::select! {
                result = shell.prepare(&job) => result,
                () = stop.cancelled() => Err("stopped".to_owned()),
            };
            shell.door.report(Message::Prepared { key, generation, result }).await;
        };
        drop(self.shell.couch.tasks().spawn(preparing));
    }

    fn handle_prepared(&mut self, key: &Key, generation: u64, result: Result<Ready, String>) {
        let now = self.shell.clock.now();
        if !self.is_current(key, generation) {
            return self.scheduler.handle_stopped(key, now);
        }
        let result = result.and_then(|ready| match self.find(&ready.id) {
            Some(other) if other != key => Err(duplicate(&ready.id, other)),
            Some(_) | None => Ok(ready),
        });
        let Some(entry) = self.jobs.get_mut(key) else { return };
        entry.running = None;
        match result {
            Ok(ready) => {
                entry.ready = Some(ready);
                self.scheduler.handle_prepared(key, now);
            }
            Err(reason) => {
                tracing::warn!(?key, reason, "a replication could not be prepared");
                self.scheduler.handle_preparation_failed(key, &reason, rand::random(), now);
            }
        }
    }

    /// Whether this is the job of that name; if the one of before has gone, its place is free now.
    fn is_current(&mut self, key: &Key, generation: u64) -> bool {
        let Some(entry) = self.jobs.get_mut(key) else { return false };
        let is_removed = entry.body.is_none() && entry.ready.is_none();
        if entry.generation == generation && !is_removed {
            return true;
        }
        entry.running = None;
        if is_removed {
            self.jobs.remove(key);
        }
        false
    }

    fn start(&mut self, key: Key) {
        let delay = self.delay(&key);
        let Some(entry) = self.jobs.get_mut(&key) else { return };
        let Some(Ready { id, caller }) = entry.ready.clone() else { return };
        let (stop, (progress, seen)) = (CancellationToken::new(), watch::channel(entry.progress.clone()));
        entry.running = Some(Running { stop: stop.clone(), progress: seen.clone() });
        let mut options = Options::for_job(&entry.job, format!("{:032x}", rand::random::<u128>()), rand::random());
        options.stats = entry.progress.as_ref().map(|progress| progress.stats).unwrap_or_default();
        let peers = self.shell.couch.peers(&entry.job, &caller);
        let (shell, generation) = (self.shell.clone(), entry.generation);
        let (clock, tasks) = (shell.clock, shell.couch.tasks().clone());
        let running = async move {
            let outcome = match peers {
                Ok(peers) => runner::run(Run { id, options, peers, stop, progress, clock, tasks, delay }).await,
                Err(failure) => runner::unreachable(failure),
            };
            let progress = seen.borrow().clone();
            shell.door.report(Message::Ended(Box::new(Ended { key, generation, outcome, progress }))).await;
        };
        drop(self.shell.couch.tasks().spawn(running));
    }

    /// Jobs that start with the server don't start all at once.
    fn delay(&self, key: &Key) -> Duration {
        if key.document().is_none() {
            return Duration::ZERO;
        }
        let jitter = self.shell.couch.engine().live().replicator.startup_jitter;
        let running = self.jobs.values().filter(|entry| entry.running.is_some()).count();
        let spread = JITTER_STEP.saturating_mul(u32::try_from(running).unwrap_or(u32::MAX)).min(jitter);
        spread.mul_f64(rand::random::<f64>())
    }

    fn stop(&mut self, key: &Key) {
        match self.jobs.get(key).and_then(|entry| entry.running.as_ref()) {
            Some(running) => running.stop.cancel(),
            // It ended by itself meanwhile.
            None => self.scheduler.handle_stopped(key, self.shell.clock.now()),
        }
    }

    fn handle_ended(&mut self, ended: Ended) {
        let (now, key) = (self.shell.clock.now(), &ended.key);
        let Ended { generation, outcome, progress, .. } = ended;
        if !self.is_current(key, generation) {
            return self.scheduler.handle_stopped(key, now);
        }
        let Some(entry) = self.jobs.get_mut(key) else { return };
        entry.running = None;
        entry.progress = progress.or(entry.progress.take());
        match &outcome {
            Outcome::Completed(_) => {
                self.scheduler.handle_completed(key, now);
                self.write_back(key);
            }
            Outcome::Stopped => return self.scheduler.handle_stopped(key, now),
            Outcome::Crashed(reason) | Outcome::Failed(reason) => {
                tracing::warn!(?key, %reason, "a replication crashed");
                self.scheduler.handle_crashed(key, &reason.to_string(), now);
            }
        }
        if let Some(entry) = self.jobs.get_mut(key) {
            entry.tell(&outcome.into());
        }
        if self.scheduler.summary(key).is_none() {
            self.jobs.remove(key);
        }
    }

    /// Writes into the document that its replication is complete.
    fn write_back(&self, key: &Key) {
        let (Some((db, id)), Some(entry)) = (key.document(), self.jobs.get(key)) else { return };
        let Some(body) = entry.body.clone() else { return };
        let started = self.scheduler.summary(key).map(|summary| summary.start_time.iso8601());
        let stats = entry.progress().map_or(Value::Null, |progress| super::show::stats(&progress, started.as_deref()));
        let (shell, db, id) = (self.shell.clone(), db.clone(), id.to_owned());
        drop(self.shell.couch.tasks().spawn(async move {
            state::write(&shell, &db, &id, Some(&body), &Ending::Completed(stats)).await;
        }));
    }

    fn list(&self) -> Vec<Shown> {
        let shown = |(key, entry): (&Key, &Entry)| {
            let ready = entry.ready.as_ref();
            Some(Shown {
                key: key.clone(),
                id: ready.map(|ready| ready.id.clone()),
                user: ready.and_then(|ready| ready.caller.context().name.as_ref().map(ToString::to_string)),
                job: Arc::clone(&entry.job),
                summary: self.scheduler.summary(key)?,
                history: self.scheduler.history(key).cloned().collect(),
                progress: entry.progress(),
                is_running: entry.running.is_some() && ready.is_some(),
            })
        };
        self.jobs.iter().filter_map(shown).collect()
    }
}

fn duplicate(id: &JobId, other: &Key) -> String {
    match other.document() {
        Some((db, doc)) => format!("Replication `{id}` runs already for the document `{doc}` of the database `{db}`"),
        None => format!("Replication `{id}` runs already: it was asked for with _replicate"),
    }
}

impl Shell {
    /// Finds out on whose behalf a document's job works, and which job it is.
    async fn prepare(&self, job: &Job) -> Result<Ready, String> {
        let caller = self.replicator.on_behalf(job.owner.as_deref(), job.user_ctx.as_ref()).await;
        let caller = caller.map_err(|error| error.to_string())?;
        let id = self.couch.job_id(job, &caller).await.map_err(|failure| failure.reason)?;
        Ok(Ready { id, caller })
    }
}
