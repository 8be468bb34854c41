//! CouchDB's replicator: `_replicate`, the databases `_replicator`, `_scheduler` and its tasks in `_active_tasks`.
//!
//! What to do is decided in `tidegate_replication`; here it is done. [`peer`] asks databases, [`runner`] drives the session
//! of one job, [`supervisor`] owns all jobs and starts and stops them, [`watch`] follows the databases of replications,
//! [`state`] writes into their documents what became of them. [`handlers`] answer requests, and [`show`] words it.
//!
//! Nothing here connects to another host unless somebody has asked for a replication with it.

mod clock;
pub(crate) mod handlers;
mod job;
mod peer;
mod runner;
mod show;
mod state;
mod supervisor;
mod watch;

pub(crate) use peer::Trusted;

use crate::service::Couch;
use clock::Clock;
use job::{Finish, Ready};
use peer::{Peer, Reach};
use serde_json::{Map, Value};
use std::sync::Arc;
use supervisor::{Message, Supervisor};
use tidegate_engine::{Caller, Replicator, RunningReplication, TellReplications};
use tidegate_replication::{Asked, Failure, Job, JobError, JobId, parse_job};
use tokio::sync::{Notify, mpsc, oneshot};

/// Messages to the supervisor on their way.
const INBOX_MAX: usize = 256;

/// The replicator's door. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Replication {
    inbox: mpsc::Sender<Message>,
    /// Databases came or went.
    databases_changed: Arc<Notify>,
}

/// The replicator is stopping, or there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the replicator is stopping")]
pub(crate) struct Closed;

/// What everything here works with.
#[derive(Clone)]
struct Shell {
    couch: Couch,
    replicator: Replicator,
    door: Replication,
    clock: Clock,
}

impl Replication {
    /// A door, and what is behind it.
    pub(crate) fn new() -> (Self, Inbox) {
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        (Self { inbox, databases_changed: Arc::default() }, Inbox(messages))
    }

    /// To be told whenever databases are made or deleted.
    pub(crate) fn databases_changed(&self) {
        self.databases_changed.notify_one();
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        self.tell(message(reply)).await?;
        answer.await.map_err(|_dropped| Closed)
    }

    /// Tells news. A supervisor that is gone needs none.
    async fn report(&self, message: Message) {
        let _told = self.tell(message).await;
    }

    async fn tell(&self, message: Message) -> Result<(), Closed> {
        self.inbox.send(message).await.map_err(|_closed| Closed)
    }
}

/// Where messages wait until the replicator runs.
pub(crate) struct Inbox(mpsc::Receiver<Message>);

/// Runs the replicator until the server drains. Without the engine's replicator, which another has, there is none.
pub(crate) fn start(couch: &Couch, inbox: Inbox) {
    let Some(replicator) = couch.engine().take_replicator() else { return };
    let clock = Clock::starting(couch.engine().now());
    let shell = Shell { couch: couch.clone(), replicator, door: couch.replication().clone(), clock };
    let supervisor = Supervisor::new(shell.clone(), inbox.0);
    couch.engine().set_replications(tell(couch.replication().clone()));
    drop(couch.tasks().spawn(supervisor.run()));
    drop(couch.tasks().spawn(watch::run(shell)));
}

/// Tells others in the server what becomes of documents' replications.
fn tell(door: Replication) -> TellReplications {
    let running = |job: supervisor::Shown| {
        let (database, document) = job.key.document().map(|(db, id)| (db.clone(), id.to_owned()))?;
        Some(RunningReplication { database, document, summary: job.summary, progress: job.progress })
    };
    Arc::new(move || {
        let door = door.clone();
        Box::pin(async move {
            let jobs = door.ask(|reply| Message::List { reply }).await.unwrap_or_default();
            jobs.into_iter().filter_map(running).collect()
        })
    })
}

impl Couch {
    /// What a request or a document asks for. What it leaves out is as the configuration says.
    fn parse_replication(&self, members: &Map<String, Value>) -> Result<Asked, JobError> {
        let mut all = self.engine().live().replicator.defaults.clone();
        all.extend(members.iter().map(|(name, value)| (name.clone(), value.clone())));
        parse_job(&Value::Object(all))
    }

    /// A peer for each side of a job.
    fn peers(&self, job: &Job, caller: &Caller) -> Result<runner::Peers, Failure> {
        let reach = Reach { couch: self, caller, timeout: job.tuning.connection_timeout };
        Ok(runner::Peers { source: Peer::new(&job.source, &reach)?, target: Peer::new(&job.target, &reach)? })
    }

    /// Finds out which job it is. A function that filters is a part of that, and so is who asks: what one may read and
    /// write, another may not, so they share no checkpoints, and nobody's job stands in the way of another's.
    async fn job_id(&self, job: &Job, caller: &Caller) -> Result<JobId, Failure> {
        let reach = Reach { couch: self, caller, timeout: job.tuning.connection_timeout };
        let code = Peer::new(&job.source, &reach)?.filter_code(&job.filter).await?;
        let (server, name) = (&self.engine().identity().uuid, caller.context().name.as_ref());
        let asker = name.map_or_else(|| server.clone(), |name| format!("{server}/{name}"));
        Ok(job.id(&asker, code.as_deref()))
    }
}
