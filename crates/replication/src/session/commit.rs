//! Checkpoints: what is done is made durable on both sides, then remembered on both.

use std::{sync::Arc, time::Duration};

use super::{Both, COMMIT, Call, Options, Owner, Reason, Request, Run, Session, Side, Stage, StoredCheckpoint};
use crate::{Checkpoint, Filter, OneSession, SourceSeq, Timestamp};

/// How far the writing of a checkpoint is.
#[derive(Debug)]
pub(super) enum Commit {
    /// Nothing is being written; the next one is due then, `None` for never.
    Idle { due: Option<Timestamp> },
    /// Both sides are to make durable what they have. `seq` was through when that began, so it is in it.
    Committing { seq: SourceSeq, started: Both<Option<String>> },
    /// The checkpoint goes to the source, then to the target.
    Storing { checkpoint: Arc<Checkpoint> },
}

impl Default for Commit {
    fn default() -> Self {
        Self::Idle { due: None }
    }
}

impl Commit {
    /// Idle until the next checkpoint is due.
    pub(super) fn due(now: Timestamp, options: &Options) -> Self {
        Self::Idle { due: options.tuning.checkpoint_interval.map(|interval: Duration| now.after(interval)) }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle { .. })
    }
}

pub(super) fn begin(seq: SourceSeq) -> Commit {
    Commit::Committing { seq, started: Both::default() }
}

impl<D> Run<D> {
    /// Whether a checkpoint would say something new, and none is being written.
    pub(super) fn needs_commit(&self) -> bool {
        matches!(self.commit, Commit::Idle { due: Some(_) }) && *self.window.through() != self.committed
    }

    /// When the next checkpoint is to be written.
    pub(super) fn commit_at(&self) -> Option<Timestamp> {
        match self.commit {
            Commit::Idle { due } => due.filter(|_| self.needs_commit()),
            Commit::Committing { .. } | Commit::Storing { .. } => None,
        }
    }

    /// Which sides are not what they were when the session began. CouchDB 3 says `0` of any database.
    fn changed(&self, now: &Both<String>) -> Option<&'static str> {
        let differs = |was: &str, is: &str| was != is && was != "0" && is != "0";
        let source = differs(&self.infos.source.instance_start_time, &now.source);
        let target = differs(&self.infos.target.instance_start_time, &now.target);
        match (source, target) {
            (true, true) => Some("source and target database"),
            (true, false) => Some("source database"),
            (false, true) => Some("target database"),
            (false, false) => None,
        }
    }
}

impl<D: Clone> Session<D> {
    pub(super) fn on_committed(&mut self, call: &Call<D>, instance_start_time: String, now: Timestamp) {
        let Stage::Running(run) = &mut self.stage else { return };
        let Commit::Committing { seq, started } = &mut run.commit else { return };
        *started.get_mut(call.request.side()) = Some(instance_start_time);
        let (Some(source), Some(target)) = (&started.source, &started.target) else { return };
        let started = Both { source: source.clone(), target: target.clone() };
        let seq = seq.clone();
        if let Some(changed) = run.changed(&started) {
            let reason = format!("instance_start_time on {changed} has changed since last checkpoint.");
            return self.restart(Reason { error: COMMIT, reason });
        }
        let entry = run.entry.at(&seq, now, self.stats);
        let mut checkpoint = Checkpoint::new(entry, &run.history);
        if matches!(self.options.filter, Filter::DocIds(_)) {
            checkpoint.one_session = checkpoint.history.first().map(OneSession::of);
        }
        run.commit = Commit::Storing { checkpoint: Arc::new(checkpoint) };
        self.store(Side::Source);
    }

    fn store(&mut self, side: Side) {
        let Stage::Running(run) = &mut self.stage else { return };
        let Commit::Storing { checkpoint } = &run.commit else { return };
        let (checkpoint, rev) = (Arc::clone(checkpoint), run.revs.get_mut(side).clone());
        self.ask(Owner::Session, Request::StoreCheckpoint { side, rev, checkpoint });
    }

    pub(super) fn on_stored(&mut self, call: &Call<D>, rev: String, now: Timestamp) {
        self.on_stored_at(call.request.side(), rev, now);
    }

    fn on_stored_at(&mut self, side: Side, rev: String, now: Timestamp) {
        let Stage::Running(run) = &mut self.stage else { return };
        let Commit::Storing { checkpoint } = &run.commit else { return };
        *run.revs.get_mut(side) = Some(rev);
        if side == Side::Source {
            return self.store(Side::Target);
        }
        run.committed = checkpoint.source_last_seq.clone();
        run.checkpoint = Some(checkpoint.as_ref().clone());
        run.commit = Commit::due(now, &self.options);
        self.ask_pending();
    }

    /// Somebody wrote the checkpoint meanwhile. It may have been this session, whose answer was lost.
    pub(super) fn on_checkpoint_conflict(&mut self, call: &Call<D>) {
        self.ask(Owner::Session, Request::LoadCheckpoint(call.request.side()));
    }

    pub(super) fn on_reread(&mut self, side: Side, stored: Option<StoredCheckpoint>, now: Timestamp) {
        let Stage::Running(run) = &self.stage else { return };
        let Commit::Storing { checkpoint } = &run.commit else { return };
        match stored {
            Some(stored) if stored.checkpoint == **checkpoint => self.on_stored_at(side, stored.rev, now),
            Some(_) | None => {
                let side = match side {
                    Side::Source => "source",
                    Side::Target => "target",
                };
                self.crash(COMMIT, format!("Error updating the {side} checkpoint document: conflict"));
            }
        }
    }
}
