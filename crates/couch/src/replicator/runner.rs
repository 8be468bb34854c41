//! One run of one job: performs what its session asks, and tells it what came of that.

use super::{
    clock::Clock,
    peer::{Feed, Peer, transfer},
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tidegate_replication::{
    Action, Failure, FailureKind, JobId, Options, Outcome, Progress, Reason, Request, RequestId, Response, Session,
    Side, checkpoint_id,
};
use tokio::{
    sync::{Mutex, watch},
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a session that is told to stop may take to write its last checkpoint.
const STOP_MAX: Duration = Duration::from_secs(10);

/// What a run needs.
pub(super) struct Run {
    pub(super) id: JobId,
    pub(super) options: Options,
    pub(super) peers: Peers,
    /// Cancelled to end it early.
    pub(super) stop: CancellationToken,
    /// Where it tells how far it is.
    pub(super) progress: watch::Sender<Option<Progress>>,
    pub(super) clock: Clock,
    pub(super) tasks: TaskTracker,
    /// How long to wait before it begins.
    pub(super) delay: Duration,
}

/// Both sides of a job.
pub(super) struct Peers {
    pub(super) source: Peer,
    pub(super) target: Peer,
}

type Answered = (RequestId, Result<Response<Bytes>, Failure>);

/// A session with its requests under way.
struct Running {
    session: Session<Bytes>,
    shared: Arc<Shared>,
    requests: JoinSet<Answered>,
    handles: BTreeMap<RequestId, AbortHandle>,
    /// Which request a task performs, for one that ends without a word.
    ids: BTreeMap<Id, RequestId>,
    clock: Clock,
    tasks: TaskTracker,
}

/// What all requests of a run share.
struct Shared {
    peers: Peers,
    feed: Mutex<Feed>,
    checkpoint: String,
}

/// Runs a session to its end.
pub(super) async fn run(run: Run) -> Outcome {
    let Run { id, options, peers, stop, progress, clock, tasks, delay } = run;
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = stop.cancelled() => return Outcome::Stopped,
    }
    let shared = Shared { peers, feed: Mutex::default(), checkpoint: checkpoint_id(&id) };
    let session = Session::new(options, clock.now());
    let (handles, ids) = (BTreeMap::new(), BTreeMap::new());
    let mut running = Running { session, shared: shared.into(), requests: JoinSet::new(), handles, ids, clock, tasks };
    let mut stop_until = None;
    loop {
        if let Some(outcome) = running.act() {
            progress.send_replace(Some(running.session.progress()));
            return outcome;
        }
        progress.send_replace(Some(running.session.progress()));
        let wake_at = clock.instant_or_far(running.session.wake_at());
        tokio::select! {
            Some(joined) = running.requests.join_next_with_id() => running.handle_joined(joined),
            () = sleep_until(wake_at) => running.session.handle_timeout(clock.now()),
            () = stop.cancelled(), if stop_until.is_none() => {
                stop_until = Some(Instant::now() + STOP_MAX);
                running.session.handle_stop(clock.now());
            }
            () = sleep_until(stop_until.unwrap_or(wake_at)), if stop_until.is_some() => return Outcome::Stopped,
        }
    }
}

impl Running {
    /// Does what the session wants done now; its outcome if it is over.
    fn act(&mut self) -> Option<Outcome> {
        while let Some(action) = self.session.poll() {
            match action {
                Action::Send(id, request) => self.send(id, request),
                Action::Abandon(id) => {
                    if let Some(handle) = self.handles.remove(&id) {
                        handle.abort();
                    }
                }
                Action::End(outcome) => return Some(outcome),
            }
        }
        None
    }

    fn send(&mut self, id: RequestId, request: Request<Bytes>) {
        let shared = Arc::clone(&self.shared);
        let performed = async move { (id, shared.perform(request).await) };
        let handle = self.requests.spawn(self.tasks.track_future(performed));
        self.ids.insert(handle.id(), id);
        self.handles.insert(id, handle);
    }

    fn handle_joined(&mut self, joined: Result<(Id, Answered), JoinError>) {
        let (task, answered) = match joined {
            Ok((task, (id, answer))) => (task, Some((id, answer))),
            Err(error) if error.is_cancelled() => (error.id(), None),
            Err(error) => {
                tracing::error!(%error, "a request of a replication ended without a word");
                let failure = Failure::new(FailureKind::Refused, "the request failed in an unknown way");
                (error.id(), self.ids.get(&error.id()).map(|id| (*id, Err(failure))))
            }
        };
        self.ids.remove(&task);
        if let Some((id, answer)) = answered {
            self.handles.remove(&id);
            if let Err(failure) = &answer {
                tracing::debug!(?failure, "a request of a replication failed");
            }
            self.session.handle_response(id, answer, self.clock.now());
        }
    }
}

impl Shared {
    fn peer(&self, side: Side) -> &Peer {
        match side {
            Side::Source => &self.peers.source,
            Side::Target => &self.peers.target,
        }
    }

    async fn perform(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
        let Peers { source, target } = &self.peers;
        Ok(match request {
            Request::CreateTarget(params) => {
                target.create(&params).await?;
                Response::Created
            }
            Request::Info(side) => Response::Info(self.peer(side).info().await?),
            Request::LoadCheckpoint(side) => Response::Checkpoint(self.peer(side).checkpoint(&self.checkpoint).await?),
            Request::Changes(request) => Response::Changes(self.feed.lock().await.page(source, &request).await?),
            Request::Pending(since) => Response::Pending(source.pending(&since).await?),
            Request::RevsDiff(leaves) => Response::Missing(target.revs_diff(&leaves).await?),
            Request::BulkGet(wanted) => Response::Fetched(source.bulk_get(&wanted).await?),
            Request::Transfer(wanted) => Response::Transferred(Box::pin(transfer(source, target, &wanted)).await?),
            Request::BulkDocs(docs) => Response::Written(target.bulk_docs(&docs).await?),
            Request::EnsureFullCommit(side) => Response::Committed(self.peer(side).commit().await?),
            Request::StoreCheckpoint { side, rev, checkpoint } => {
                Response::Stored(self.peer(side).store_checkpoint(&self.checkpoint, rev, &checkpoint).await?)
            }
        })
    }
}

/// There is no way to one of the databases.
pub(super) fn unreachable(failure: Failure) -> Outcome {
    Outcome::Failed(Reason { error: "bad_rep_doc", reason: failure.reason })
}
