//! The beginning: are both databases there, and where did earlier sessions get to?

use super::{Both, Call, Info, Owner, Reason, Request, Run, Session, Side, Stage, StoredCheckpoint};
use crate::{Ancestry, Checkpoint, Failure, FailureKind, HistoryEntry, Peers, SourceSeq, common_ancestry};

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// Why the target could not be made: it may be there all the same.
    creation: Option<Failure>,
    infos: Both<Option<Info>>,
    /// The outer `Option` is `None` until the answer came.
    checkpoints: Both<Option<Option<StoredCheckpoint>>>,
}

impl<D: Clone> Session<D> {
    pub(super) fn begin_start(&mut self) {
        self.stage = Stage::Starting(Box::default());
        match self.options.create_target.clone() {
            Some(members) => self.ask(Owner::Session, Request::CreateTarget(members)),
            None => self.ask_both(Request::Info),
        }
    }

    fn ask_both(&mut self, request: fn(Side) -> Request<D>) {
        self.ask(Owner::Session, request(Side::Source));
        self.ask(Owner::Session, request(Side::Target));
    }

    /// Whether the target is there is for its info to say: somebody else may have made it.
    pub(super) fn on_created(&mut self, refusal: Option<Failure>) {
        let Stage::Starting(start) = &mut self.stage else { return };
        start.creation = refusal;
        self.ask_both(Request::Info);
    }

    pub(super) fn was_creation_refused(&self, side: Side) -> bool {
        let Stage::Starting(start) = &self.stage else { return false };
        let Some(failure) = &start.creation else { return false };
        side == Side::Target && matches!(failure.kind, FailureKind::Unauthorized | FailureKind::Forbidden)
    }

    pub(super) fn on_info(&mut self, call: &Call<D>, info: Info) {
        let Stage::Starting(start) = &mut self.stage else { return };
        *start.infos.get_mut(call.request.side()) = Some(info);
        if start.infos.source.is_some() && start.infos.target.is_some() {
            self.ask_both(Request::LoadCheckpoint);
        }
    }

    /// A checkpoint was read, at the start.
    pub(super) fn on_first_checkpoint(&mut self, side: Side, stored: Option<StoredCheckpoint>) -> Option<Run<D>> {
        let Stage::Starting(start) = &mut self.stage else { return None };
        *start.checkpoints.get_mut(side) = Some(stored);
        let stored = Both { source: start.checkpoints.source.clone()?, target: start.checkpoints.target.clone()? };
        let infos = Both { source: start.infos.source.clone()?, target: start.infos.target.clone()? };
        Some(self.run_from(infos, stored))
    }

    fn run_from(&mut self, infos: Both<Info>, stored: Both<Option<StoredCheckpoint>>) -> Run<D> {
        let checkpoint = |stored: &Option<StoredCheckpoint>| stored.as_ref().map(|stored| stored.checkpoint.clone());
        let (source, target) = (checkpoint(&stored.source), checkpoint(&stored.target));
        let update_seq = &infos.source.update_seq;
        let peers = Peers { source: source.as_ref(), target: target.as_ref(), update_seq };
        let Ancestry { seq, history } = common_ancestry(peers);
        // A session goes on counting where the one before it ended.
        self.stats = self.stats.max(history.first().map(|entry| entry.stats).unwrap_or_default());
        let start = match &self.options.since_seq {
            Some(since) if seq.is_zero() => since.clone(),
            Some(_) | None => seq,
        };
        let revs = Both { source: stored.source.map(|doc| doc.rev), target: stored.target.map(|doc| doc.rev) };
        let entry = HistoryEntry::new(&self.options.session_id, self.started, start.clone());
        Run::new(Found { infos, revs, start, entry, history, earlier: source })
    }

    /// Begins again: what was written since the last checkpoint may be gone.
    pub(super) fn restart(&mut self, reason: Reason) {
        self.restarts = self.restarts.saturating_add(1);
        let is_stopping = matches!(&self.stage, Stage::Running(run) if run.is_stopping);
        if is_stopping || self.restarts > super::RESTARTS_MAX {
            return self.crash(reason.error, reason.reason);
        }
        self.calls.abandon(|_| false);
        self.begin_start();
    }
}

/// What the start found out.
pub(super) struct Found {
    pub(super) infos: Both<Info>,
    /// The checkpoint documents' revisions.
    pub(super) revs: Both<Option<String>>,
    /// Where the session begins.
    pub(super) start: SourceSeq,
    /// The session's entry in the history.
    pub(super) entry: HistoryEntry,
    /// Older entries.
    pub(super) history: Vec<HistoryEntry>,
    /// The source's checkpoint, whose content is the answer if there is nothing to do.
    pub(super) earlier: Option<Checkpoint>,
}
