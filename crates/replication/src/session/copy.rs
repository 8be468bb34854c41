//! A batch: what the target lacks of some rows is read from the source and written.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
    time::Duration,
};

use tidegate_types::{DocId, DocKind, Rev};

use super::{
    Call, Doc, Got, Missing, Moved, Owner, Request, Run, Session, Stage, Transfer, Transferred, Wanted, WriteFailure,
};
use crate::{Failure, FailureKind, Timestamp};

/// Before a revision is asked for once more which the feed told of and the source did not have.
/// Source: `couch_replicator_worker`, `missing_doc_retry_msec`.
const MISSING_WAIT: Duration = Duration::from_secs(2);

/// Rows of the feed that are done together.
#[derive(Debug)]
pub(super) struct Batch<D> {
    /// Calls that are not answered for good.
    open_calls: usize,
    /// Read, and waiting for a write.
    held: Vec<Doc<D>>,
    held_bytes: usize,
}

impl<D> Batch<D> {
    /// A batch that has asked what is missing.
    pub(super) fn new() -> Self {
        Self { open_calls: 1, held: Vec::new(), held_bytes: 0 }
    }
}

fn add(count: &mut u64, more: usize) {
    *count = count.saturating_add(more as u64);
}

fn bytes<D>(docs: &[Doc<D>]) -> usize {
    docs.iter().fold(0, |sum, doc| sum.saturating_add(doc.bytes))
}

impl<D: Clone> Session<D> {
    /// The target said what it lacks. What it was not asked about is ignored.
    pub(super) fn on_missing(&mut self, call: &Call<D>, missing: &[Missing]) {
        let Request::RevsDiff(asked) = &call.request else { return };
        let asked: BTreeSet<_> =
            asked.iter().flat_map(|leaves| leaves.revs.iter().map(|rev| (&leaves.id, rev))).collect();
        let mut wanted = BTreeMap::new();
        for Missing { id, revs, ancestors } in missing {
            let ancestors: Arc<[Rev]> = ancestors.clone().into();
            for rev in revs.iter().filter(|rev| asked.contains(&(id, *rev))) {
                let one = Wanted { id: id.clone(), rev: rev.clone(), ancestors: Arc::clone(&ancestors) };
                wanted.insert((id, rev), one);
            }
        }
        add(&mut self.stats.missing_checked, asked.len());
        add(&mut self.stats.missing_found, wanted.len());
        self.fetch(call.owner, wanted.into_values().collect());
        self.settle(call.owner);
    }

    fn fetch(&mut self, owner: Owner, wanted: Vec<Wanted>) {
        let Stage::Running(run) = &self.stage else { return };
        // A design document is written alone, so that a target which refuses it takes the others.
        let does_bulk_get = run.does_bulk_get;
        let goes_alone = |wanted: &Wanted| !does_bulk_get || wanted.id.kind() == DocKind::Design;
        let (alone, together): (Vec<_>, Vec<_>) = wanted.into_iter().partition(goes_alone);
        for some in together.chunks(self.options.fetch_revs_max.max(1)) {
            self.ask_for(owner, Request::BulkGet(some.to_vec()));
        }
        self.transfer(owner, alone);
    }

    /// Asks for revisions document by document.
    fn transfer(&mut self, owner: Owner, wanted: Vec<Wanted>) {
        let mut transfers: BTreeMap<DocId, Transfer> = BTreeMap::new();
        for Wanted { id, rev, ancestors } in wanted {
            let fresh = || Transfer { id: id.clone(), revs: Vec::new(), ancestors, is_second: false };
            transfers.entry(id.clone()).or_insert_with(fresh).revs.push(rev);
        }
        for transfer in transfers.into_values() {
            self.ask_for(owner, Request::Transfer(transfer));
        }
    }

    pub(super) fn on_fetched(&mut self, call: &Call<D>, got: Vec<Got<D>>) {
        let Request::BulkGet(asked) = &call.request else { return };
        let mut found: BTreeMap<_, _> = got.into_iter().map(|got| ((got.id, got.rev), got.docs)).collect();
        let mut alone = Vec::new();
        let mut docs = Vec::new();
        for wanted in asked {
            match found.remove(&(wanted.id.clone(), wanted.rev.clone())) {
                Some(some) if !some.is_empty() => docs.extend(some),
                Some(_) | None => alone.push(wanted.clone()),
            }
        }
        add(&mut self.stats.bulk_get_attempts, asked.len());
        add(&mut self.stats.bulk_get_docs, asked.len().saturating_sub(alone.len()));
        self.hold(call.owner, docs);
        self.transfer(call.owner, alone);
        self.settle(call.owner);
    }

    /// The source knows no `_bulk_get`: never asked again in this session.
    pub(super) fn on_bulk_get_refused(&mut self, call: &Call<D>) {
        let Request::BulkGet(asked) = &call.request else { return };
        if let Stage::Running(run) = &mut self.stage {
            run.does_bulk_get = false;
        }
        self.transfer(call.owner, asked.clone());
        self.settle(call.owner);
    }

    pub(super) fn on_transferred(&mut self, call: &Call<D>, moved: Vec<Moved<D>>, now: Timestamp) {
        let Request::Transfer(asked) = &call.request else { return };
        let named: BTreeSet<_> = moved.iter().map(|moved| moved.rev.clone()).collect();
        let mut again = BTreeSet::new();
        let mut failure = None;
        for Moved { rev, outcome } in moved {
            match outcome {
                Transferred::Written => {
                    add(&mut self.stats.docs_read, 1);
                    add(&mut self.stats.docs_written, 1);
                }
                Transferred::Loaded(doc) => self.hold(call.owner, vec![doc]),
                Transferred::Refused(refusal) if refusal.kind == FailureKind::Transient => {
                    failure = Some(Failure::new(refusal.kind, refusal.reason));
                    again.insert(rev);
                }
                Transferred::Refused(_) => {
                    add(&mut self.stats.docs_read, 1);
                    add(&mut self.stats.doc_write_failures, 1);
                }
            }
        }
        let gone = asked.revs.iter().filter(|rev| !named.contains(*rev)).cloned().collect();
        if let Some(failure) = failure {
            self.transfer_again(call, again.into_iter().collect(), &failure, now);
        }
        self.transfer_gone(call, gone, now);
        self.settle(call.owner);
    }

    fn transfer_again(&mut self, call: &Call<D>, revs: Vec<Rev>, failure: &Failure, now: Timestamp) {
        let Request::Transfer(asked) = &call.request else { return };
        let request = Request::Transfer(Transfer { revs, ..asked.clone() });
        self.count_call(call.owner);
        self.retry(Call { owner: call.owner, request, failures: call.failures }, failure, now);
    }

    /// A revision that the feed told of and the source does not have: compacted away or purged meanwhile, or the source
    /// is behind itself. If it stays so, the session crashes rather than pass it: the next one reads the feed anew.
    fn transfer_gone(&mut self, call: &Call<D>, revs: Vec<Rev>, now: Timestamp) {
        let Request::Transfer(asked) = &call.request else { return };
        let Some(first) = revs.first() else { return };
        if asked.is_second {
            return self
                .crash("missing_doc", format!("{} {first} is in the source's feed, but not to be read", asked.id));
        }
        // Attachments are asked for in full: that the target had some of them may be what went wrong.
        let again = Transfer { id: asked.id.clone(), revs, ancestors: Arc::default(), is_second: true };
        self.count_call(call.owner);
        self.ask_at(now.after(MISSING_WAIT), Call::new(call.owner, Request::Transfer(again)));
    }

    pub(super) fn on_written(&mut self, call: &Call<D>, failures: &[WriteFailure], now: Timestamp) {
        let Request::BulkDocs(docs) = &call.request else { return };
        let is_sent = |failure: &&WriteFailure| docs.iter().any(|doc| doc.id == failure.id && doc.rev == failure.rev);
        let failures: Vec<_> = failures.iter().filter(is_sent).collect();
        let transient = failures.iter().find(|failure| failure.kind == FailureKind::Transient);
        let (again, done) = docs.iter().cloned().partition::<Vec<_>, _>(|doc| {
            let is_same = |failure: &&&WriteFailure| failure.id == doc.id && failure.rev == doc.rev;
            failures.iter().any(|failure| failure.kind == FailureKind::Transient && is_same(&failure))
        });
        let refused = failures.iter().filter(|failure| failure.kind != FailureKind::Transient).count();
        add(&mut self.stats.docs_written, done.len().saturating_sub(refused));
        add(&mut self.stats.doc_write_failures, refused);
        self.release(bytes(&done));
        if let Some(failure) = transient {
            let failure = Failure::new(FailureKind::Transient, failure.reason.clone());
            self.count_call(call.owner);
            let request = Request::BulkDocs(again);
            self.retry(Call { owner: call.owner, request, failures: call.failures }, &failure, now);
        }
        self.settle(call.owner);
    }

    /// The target does not take so much at once: in halves, until one revision is too much by itself.
    pub(super) fn on_too_large(&mut self, call: Call<D>) {
        let Request::BulkDocs(mut docs) = call.request else { return };
        if docs.len() > 1 {
            let later = docs.split_off(docs.len() / 2);
            self.ask_for(call.owner, Request::BulkDocs(docs));
            self.ask_for(call.owner, Request::BulkDocs(later));
        } else {
            add(&mut self.stats.doc_write_failures, docs.len());
            self.release(bytes(&docs));
        }
        self.settle(call.owner);
    }

    /// Keeps revisions until there are enough for a write.
    fn hold(&mut self, owner: Owner, docs: Vec<Doc<D>>) {
        let held_bytes_max = self.options.held_bytes_max();
        let (Stage::Running(run), Owner::Batch(place)) = (&mut self.stage, owner) else { return };
        let Some(batch) = run.batches.get_mut(&place) else { return };
        let mut writes = Vec::new();
        for doc in docs {
            add(&mut self.stats.docs_read, 1);
            run.held_bytes = run.held_bytes.saturating_add(doc.bytes);
            if doc.id.kind() == DocKind::Design {
                writes.push(vec![doc]);
                continue;
            }
            batch.held_bytes = batch.held_bytes.saturating_add(doc.bytes);
            batch.held.push(doc);
            if batch.held_bytes >= held_bytes_max {
                batch.held_bytes = 0;
                writes.push(mem::take(&mut batch.held));
            }
        }
        for docs in writes {
            self.ask_for(owner, Request::BulkDocs(docs));
        }
    }

    /// A call of the batch was answered for good. With the last one, what is held is written; with nothing held, the
    /// batch is done.
    fn settle(&mut self, owner: Owner) {
        let (Stage::Running(run), Owner::Batch(place)) = (&mut self.stage, owner) else { return };
        let Some(batch) = run.batches.get_mut(&place) else { return };
        batch.open_calls = batch.open_calls.saturating_sub(1);
        if batch.open_calls > 0 {
            return;
        }
        if batch.held.is_empty() {
            run.batches.remove(&place);
            run.window.close(place);
            return;
        }
        batch.held_bytes = 0;
        let docs = mem::take(&mut batch.held);
        self.ask_for(owner, Request::BulkDocs(docs));
    }

    fn ask_for(&mut self, owner: Owner, request: Request<D>) {
        self.count_call(owner);
        self.ask(owner, request);
    }

    fn count_call(&mut self, owner: Owner) {
        let (Stage::Running(run), Owner::Batch(place)) = (&mut self.stage, owner) else { return };
        if let Some(batch) = run.batches.get_mut(&place) {
            batch.open_calls = batch.open_calls.saturating_add(1);
        }
    }

    fn release(&mut self, bytes: usize) {
        let Stage::Running(run) = &mut self.stage else { return };
        let run: &mut Run<D> = run;
        run.held_bytes = run.held_bytes.saturating_sub(bytes);
    }
}
