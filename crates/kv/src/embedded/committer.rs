//! The thread that commits: one group after the other, and checkpoints in between.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{
    folder::Lock,
    log::{Log, Place},
    options::EmbeddedOptions,
    queue::{Closed, Request, Work},
    record::RecordBuffer,
    shared::{Shared, count},
    syncer::{Failure, Job, Syncer},
    tree::Tree,
};
use crate::{
    Commit, Error,
    error::{chain, is_full},
};

/// What commits. Owned by its thread.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) options: EmbeddedOptions,
    pub(crate) tree: Tree,
    pub(crate) log: Log,
    pub(crate) syncer: Syncer,
    /// The position of the last group.
    pub(crate) position: u64,
    pub(crate) uncovered: Uncovered,
    /// Memory for the next record.
    pub(crate) memory: Vec<u8>,
    /// Keeps the folder to ourselves.
    pub(crate) lock: Lock,
}

/// What the last checkpoint doesn't cover.
#[derive(Debug, Default)]
pub(crate) struct Uncovered {
    bytes: u64,
    since: Option<Instant>,
}

/// Why a group was not committed.
enum Refused {
    /// There is no space for it. Nothing was changed.
    Full(String),
    /// It is open whether it is on the disk; nothing more may be committed.
    Failed(String),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let full = matches!(&error, Error::Io { source, .. } if is_full(source));
        if full { Self::Full(chain(&error)) } else { Self::Failed(chain(&error)) }
    }
}

impl Committer {
    /// Commits until the store is closed.
    pub(crate) fn run(mut self) {
        loop {
            match self.shared.queue.take(self.checkpoint_due(), self.options.group_bytes) {
                Work::Group(group) => {
                    let shared = Arc::clone(&self.shared);
                    let _watched = shared.vigil.begin();
                    self.commit_group(group);
                }
                Work::Due => {
                    let shared = Arc::clone(&self.shared);
                    let _watched = shared.vigil.begin();
                    self.checkpoint();
                }
                Work::Close(closed) => return self.close(closed),
            }
        }
    }

    fn checkpoint_due(&self) -> Option<Instant> {
        self.uncovered.since.map(|since| since + self.options.checkpoint_interval)
    }

    fn commit_group(&mut self, group: Vec<Request>) {
        let shared = Arc::clone(&self.shared);
        let bytes = group.iter().map(|request| request.bytes).sum();
        let committed = match self.shared.gate.check() {
            Ok(()) => guarded(&shared, || self.try_commit(&group)),
            Err(error) => Err(Refused::Failed(chain(&error))),
        };
        match committed {
            Ok(()) => {
                self.shared.vigil.has_space(bytes);
                self.answer_committed(group);
            }
            Err(Refused::Full(reason)) => {
                self.shared.vigil.is_full(&reason, bytes);
                group.into_iter().for_each(|request| request.answer(Err(self.shared.gate.full(&reason))));
            }
            Err(Refused::Failed(reason)) => {
                self.shared.gate.fail(&reason);
                for request in group {
                    let error = self.shared.gate.check().err();
                    request.answer(Err(error.unwrap_or_else(|| Error::ReadOnly { reason: reason.clone() })));
                }
            }
        }
        let due = self.checkpoint_due().is_some_and(|due| due <= Instant::now());
        if due || self.uncovered.bytes >= self.options.checkpoint_log_bytes {
            self.checkpoint();
        }
    }

    /// Writes the group to the log while applying it to the tree, and publishes it when both are done.
    fn try_commit(&mut self, group: &[Request]) -> Result<(), Refused> {
        let position = self.position + 1;
        self.tree.prepare(group.iter().flat_map(|request| &request.ops))?;
        let bytes = self.begin_sync(group, position)?;
        let applied = self.tree.change().and_then(|mut change| {
            change.apply(group.iter().flat_map(|request| &request.ops))?;
            Ok(change)
        });
        let done = self.syncer.wait();
        self.memory = done.bytes;
        settle(&mut self.log, done.result)?;
        self.log.advance(bytes);
        // From here on the group is durable, whatever happens.
        self.position = position;
        self.uncovered.bytes += bytes;
        self.uncovered.since.get_or_insert_with(Instant::now);
        count(&self.shared.counters.log_bytes, bytes);
        count(&self.shared.counters.log_syncs, 1);
        let published = applied.and_then(|change| {
            change.commit()?;
            self.tree.view(position)
        });
        // Not "full", which would say that nothing was written.
        let view = published.map_err(|error| Refused::Failed(chain(&error)))?;
        self.shared.publish(Some(view));
        Ok(())
    }

    /// Hands the group's record to the syncer, and returns its size.
    fn begin_sync(&mut self, group: &[Request], position: u64) -> Result<u64, Refused> {
        let mut record = RecordBuffer::new(std::mem::take(&mut self.memory));
        for request in group {
            record.push(request.hold.name(), &request.ops);
        }
        let bytes = record.padded_bytes();
        let Place { file, offset, salt, fill } = self.log.place(position, bytes)?;
        let job = Job { file, offset, bytes: record.finish(position, salt), fill };
        self.syncer.begin(job).map_err(|failure| Refused::Failed(describe(&failure)))?;
        Ok(bytes)
    }

    fn answer_committed(&self, group: Vec<Request>) {
        count(&self.shared.counters.groups, 1);
        count(&self.shared.counters.commits, group.len() as u64);
        let commit = Commit { position: self.position };
        group.into_iter().for_each(|request| request.answer(Ok(commit)));
    }

    /// Makes the tree durable, if the log has anything that it doesn't, and frees the log behind it.
    pub(crate) fn checkpoint(&mut self) {
        let began = Instant::now();
        self.uncovered = Uncovered::default();
        // After a failure the tree may lack the last group that the log has.
        if self.shared.gate.check().is_err() {
            return;
        }
        let mark = self.log.mark(self.position);
        let shared = Arc::clone(&self.shared);
        let made = guarded(&shared, || {
            self.tree.checkpoint(mark)?;
            Ok(self.log.retire(mark)?)
        });
        let counters = &self.shared.counters;
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        count(&counters.checkpoints, 1);
        count(&counters.checkpoint_nanos, nanos);
        counters.checkpoint_nanos_max.fetch_max(nanos, Ordering::Relaxed);
        if let Err(Refused::Full(reason) | Refused::Failed(reason)) = made {
            self.shared.gate.fail(&reason);
        }
    }

    fn close(mut self, closed: Option<Closed>) {
        if self.uncovered.since.is_some() {
            self.checkpoint();
        }
        let health = self.shared.gate.check();
        self.shared.publish(None);
        let Self { tree, lock, syncer, shared, .. } = self;
        drop(syncer);
        let result = guarded(&shared, || Ok(tree.close()?)).map_err(|refused| match refused {
            Refused::Full(reason) => Error::Full { reason },
            Refused::Failed(reason) => Error::ReadOnly { reason },
        });
        drop(lock);
        let result = health.and(result);
        match closed {
            // The caller may have stopped waiting.
            Some(closed) => drop(closed.send(result)),
            None => {
                if let Err(error) = result {
                    tracing::error!(error = chain(&error), "could not close the store");
                }
            }
        }
    }
}

/// Judges how the log took a record.
fn settle(log: &mut Log, result: Result<(), Failure>) -> Result<(), Refused> {
    match result {
        Ok(()) => Ok(()),
        // Part of a record is no record, and nobody was told about it.
        Err(Failure::Write(error)) if is_full(&error) => {
            log.cut_back().map_err(|error| Refused::Failed(chain(&error)))?;
            Err(Refused::Full(error.to_string()))
        }
        Err(failure) => Err(Refused::Failed(describe(&failure))),
    }
}

/// Runs a step of the committer, for which a panic (of the tree, on damaged pages) is a failure.
fn guarded<T>(shared: &Shared, step: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
    let broken =
        || shared.damage.found().map_or_else(|| "the tree's structure is broken".to_owned(), |found| chain(&found));
    shared.damage.followed(|| catch_unwind(AssertUnwindSafe(step))).unwrap_or_else(|_| Err(Refused::Failed(broken())))
}

fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Write(error) => format!("could not write the log: {error}"),
        Failure::Sync(error) => format!("could not sync the log: {error}"),
    }
}
