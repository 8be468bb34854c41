//! The open store as its handles see it.

use std::{path::Path, sync::Arc, thread};

use tokio::sync::{oneshot, watch};

use super::{
    Op,
    backup::{self, BackupProgress, BackupSummary},
    committer::{Committer, Uncovered},
    folder::Folder,
    gate::Slot,
    log::Log,
    options::EmbeddedOptions,
    queue::Request,
    recovery,
    scopes::Hold,
    segment,
    shared::{Shared, count},
    syncer::Syncer,
    tree::Tree,
};
use crate::{Commit, Error, Health, Snapshot, Stats, Transaction, error::IoContext};

/// An open embedded store. Dropped, it closes in the background.
#[derive(Debug)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

/// The right to commit once in a scope.
#[derive(Debug)]
pub(crate) struct Turn {
    store: Arc<Store>,
    hold: Hold,
    slot: Slot,
}

impl Store {
    /// Opens the store on the thread that will commit.
    pub(crate) async fn open(options: EmbeddedOptions) -> Result<Self, Error> {
        let (opened, waiting) = oneshot::channel();
        let path = options.path.clone();
        let work = move || match open(options) {
            Ok(committer) => {
                let shared = Arc::clone(&committer.shared);
                // Nobody waits any more: the store closes again.
                if opened.send(Ok(Self { shared })).is_ok() {
                    committer.run();
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let thread = thread::Builder::new().name("kv-commit".to_owned()).spawn(work);
        drop(thread.at("start a thread for", &path)?);
        let broken = || Error::Corrupt { file: path, offset: 0, detail: "opening it failed".to_owned() };
        waiting.await.unwrap_or_else(|_| Err(broken()))
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        self.shared.snapshot()
    }

    pub(crate) async fn begin(store: &Arc<Self>, scope: &[u8]) -> Result<Transaction, Error> {
        let shared = &store.shared;
        shared.limits.check_key(scope)?;
        let slot = shared.gate.enter()?;
        let hold = shared.scopes.hold(scope, shared.position()).await;
        let snapshot = shared.snapshot()?;
        let turn = Turn { store: Arc::clone(store), hold, slot };
        Ok(Transaction::new(turn, snapshot, shared.limits.clone()))
    }

    pub(crate) fn watch(&self, scope: &[u8]) -> watch::Receiver<u64> {
        self.shared.scopes.watch(scope, self.shared.position())
    }

    pub(crate) async fn backup(
        &self,
        dest: &Path,
        progress: impl FnMut(BackupProgress) + Send,
    ) -> Result<BackupSummary, Error> {
        backup::run(self.shared.view()?, dest, progress).await
    }

    pub(crate) async fn close(&self) -> Result<(), Error> {
        let (closed, waiting) = oneshot::channel();
        self.shared.queue.close(Some(closed))?;
        waiting.await.unwrap_or(Err(Error::Closed))
    }

    pub(crate) fn stats(&self) -> Stats {
        self.shared.stats()
    }

    pub(crate) fn health(&self) -> Health {
        self.shared.health()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // It may be closing already.
        self.shared.queue.close(None).ok();
    }
}

impl Turn {
    pub(crate) async fn commit(self, ops: Vec<Op>, bytes: usize) -> Result<Commit, Error> {
        let Self { store, hold, slot } = self;
        let (reply, answer) = oneshot::channel();
        store.shared.queue.push(Request { ops, bytes, hold, slot, reply })?;
        let stopped = || Error::ReadOnly { reason: "the committer has stopped".to_owned() };
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// Reads what is there, up to the last group, and makes ready to commit the next.
fn open(options: EmbeddedOptions) -> Result<Committer, Error> {
    let shared = Arc::new(Shared::new(&options));
    let cache_bytes = options.cache_bytes;
    let folder = Folder::open(&options.path, |path, mark| {
        let tree = Tree::open(path, cache_bytes, &shared)?;
        tree.checkpoint(mark)?;
        tree.close()
    })?;
    folder.upgrade()?;
    let tree = Tree::open(&folder.tree(), cache_bytes, &shared)?;
    let log_dir = folder.log();
    let mark = tree.mark()?.ok_or_else(|| Error::Corrupt {
        file: folder.tree(),
        offset: 0,
        detail: "it doesn't say up to where it holds the log".to_owned(),
    })?;
    let replayed = recovery::replay(&log_dir, mark, &mut |ops| {
        shared.damage.guard(|| {
            let mut change = tree.change()?;
            change.apply(ops)?;
            change.commit()
        })
    })?;
    count(&shared.counters.replayed_groups, replayed.groups);
    if replayed.groups > 0 {
        // Before there is a segment that says that these groups are there.
        shared.damage.guard(|| tree.checkpoint(replayed.end))?;
    }
    // A torn record at the end stays behind in the old segments, which this checkpoint makes needless.
    let log = Log::start(&log_dir, &options, replayed.end.segment + 1, replayed.end.position + 1)?;
    let mark = log.mark(replayed.end.position);
    shared.damage.guard(|| tree.checkpoint(mark))?;
    segment::remove_stale(&log_dir, mark.segment)?;
    shared.publish(Some(tree.view(mark.position)?));
    Ok(Committer {
        syncer: Syncer::start().at("start a thread for", &options.path)?,
        lock: folder.into_lock(),
        position: mark.position,
        uncovered: Uncovered::default(),
        memory: Vec::new(),
        shared,
        options,
        tree,
        log,
    })
}
