//! A database in memory that answers as CouchDB would, and forgets what was not committed when its power fails.

use std::collections::BTreeMap;

use crate::{
    ChangesRequest, Checkpoint, Doc, Failure, FailureKind, Got, Info, Leaves, Missing, Moved, Page, Response, Row,
    SourceSeq, StoredCheckpoint, Transfer, Transferred, Wanted, WriteFailure,
};
use serde_json::json;
use tidegate_revtree::Tree;
use tidegate_types::{DocId, Rev, Seq};

/// A revision's content: its path, newest first, and whether it deletes.
pub(super) type Content = (Vec<Rev>, bool);

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) docs: BTreeMap<DocId, (Tree, u64)>,
    pub(super) seq: u64,
    checkpoint: Option<(u64, Checkpoint)>,
    checkpoints_written: u64,
}

#[derive(Default)]
pub(super) struct Database {
    pub(super) now: State,
    /// What a power cut leaves.
    pub(super) durable: State,
    starts: u64,
    /// As CouchDB 3: every database says that it began at 0.
    pub(super) tells_no_start: bool,
}

/// Whether revisions like this one have attachments.
fn has_attachments(rev: &Rev) -> bool {
    rev.digest().as_bytes().first().is_some_and(|byte| byte % 5 == 0)
}

/// Whether the target refuses revisions like this one.
pub(super) fn is_refused(rev: &Rev) -> bool {
    rev.digest().as_bytes().get(1).is_some_and(|byte| byte % 16 == 0)
}

impl State {
    fn merge(&mut self, id: &DocId, (path, deleted): &Content) {
        let (tree, at) = self.docs.entry(id.clone()).or_default();
        let before = tree.clone();
        tree.merge(path, *deleted, Seq::new(self.seq));
        if *tree != before {
            self.seq += 1;
            *at = self.seq;
        }
    }

    pub(super) fn has(&self, id: &DocId, rev: &Rev) -> bool {
        self.docs.get(id).is_some_and(|(tree, _)| tree.get(rev).is_some())
    }

    fn doc(&self, id: &DocId, rev: &Rev) -> Doc<Content> {
        let (tree, _) = &self.docs[id];
        let path = tree.path(rev).into_iter().map(|node| node.rev.clone()).collect();
        let deleted = tree.get(rev).unwrap().deleted;
        Doc { id: id.clone(), rev: rev.clone(), bytes: 100 + id.as_str().len(), content: (path, deleted) }
    }

    /// The leaves that came after `rev`, itself included: `latest=true`. Empty if the revision is unknown.
    fn latest(&self, id: &DocId, rev: &Rev) -> Vec<Doc<Content>> {
        let Some((tree, _)) = self.docs.get(id).filter(|(tree, _)| tree.get(rev).is_some()) else { return Vec::new() };
        let leaves = tree.leaves().into_iter().map(|node| node.rev.clone());
        let after = leaves.filter(|leaf| tree.path(leaf).iter().any(|node| node.rev == *rev));
        after.map(|leaf| self.doc(id, &leaf)).collect()
    }
}

impl Database {
    pub(super) fn lose_power(&mut self) {
        self.now = self.durable.clone();
        self.starts += 1;
    }

    pub(super) fn edit(&mut self, id: &DocId, content: &Content) {
        self.now.merge(id, content);
    }

    fn start(&self) -> String {
        if self.tells_no_start { "0".to_owned() } else { format!("{}", 1_000 + self.starts) }
    }

    pub(super) fn info(&self) -> Info {
        Info { instance_start_time: self.start(), update_seq: SourceSeq::from_json(&json!(self.now.seq)) }
    }

    pub(super) fn commit(&mut self) -> String {
        self.durable = self.now.clone();
        self.start()
    }

    pub(super) fn load_checkpoint(&self) -> Option<StoredCheckpoint> {
        let (rev, checkpoint) = self.now.checkpoint.as_ref()?;
        Some(StoredCheckpoint { rev: format!("0-{rev}"), checkpoint: checkpoint.clone() })
    }

    pub(super) fn store_checkpoint(&mut self, rev: Option<&str>, checkpoint: &Checkpoint) -> Result<String, Failure> {
        let current = self.now.checkpoint.as_ref().map(|(rev, _)| format!("0-{rev}"));
        if current.as_deref() != rev {
            return Err(Failure::new(FailureKind::Conflict, "Document update conflict."));
        }
        self.now.checkpoints_written += 1;
        let rev = self.now.checkpoints_written;
        // Through JSON and back, as on the wire.
        let checkpoint = Checkpoint::from_json(&checkpoint.to_json().into());
        self.now.checkpoint = Some((rev, checkpoint));
        Ok(format!("0-{rev}"))
    }

    pub(super) fn pending(&self, since: &SourceSeq) -> u64 {
        let since = since.to_json().as_u64().unwrap();
        self.now.docs.values().filter(|(_, seq)| *seq > since).count() as u64
    }

    pub(super) fn changes(&self, request: &ChangesRequest, rows_max: usize) -> Page {
        let since = request.since.to_json().as_u64().unwrap();
        let mut docs: Vec<_> = self.now.docs.iter().filter(|(_, (_, seq))| *seq > since).collect();
        docs.sort_by_key(|(_, (_, seq))| *seq);
        let pending = docs.len().saturating_sub(rows_max);
        docs.truncate(rows_max);
        let row = |(id, (tree, seq)): (&DocId, &(Tree, u64))| Row {
            seq: SourceSeq::from_json(&json!(seq)),
            id: id.clone(),
            revs: tree.leaves().into_iter().map(|node| node.rev.clone()).collect(),
            deleted: tree.is_deleted(),
        };
        let rows: Vec<_> = docs.into_iter().map(row).collect();
        let last_seq = rows.last().map_or(request.since.clone(), |row| row.seq.clone());
        Page { rows, last_seq: Some(last_seq), pending: Some(pending as u64), is_last: pending == 0, unreadable: 0 }
    }

    pub(super) fn revs_diff(&self, leaves: &[Leaves]) -> Vec<Missing> {
        let lacked = leaves.iter().map(|Leaves { id, revs }| {
            let revs = revs.iter().filter(|rev| !self.now.has(id, rev)).cloned().collect();
            Missing { id: id.clone(), revs, ancestors: Vec::new() }
        });
        lacked.filter(|missing| !missing.revs.is_empty()).collect()
    }

    pub(super) fn bulk_get(&self, wanted: &[Wanted]) -> Vec<Got<Content>> {
        let got = wanted.iter().map(|Wanted { id, rev, .. }| Got {
            id: id.clone(),
            rev: rev.clone(),
            docs: self.now.latest(id, rev),
        });
        got.filter(|got| !got.docs.iter().any(|doc| has_attachments(&doc.rev))).collect()
    }

    pub(super) fn write(
        &mut self,
        docs: &[Doc<Content>],
        refuses: impl Fn(&Rev) -> Option<FailureKind>,
    ) -> Vec<WriteFailure> {
        let mut failures = Vec::new();
        for Doc { id, rev, content, .. } in docs {
            match refuses(rev) {
                Some(kind) => {
                    failures.push(WriteFailure { id: id.clone(), rev: rev.clone(), kind, reason: "no".to_owned() });
                }
                None => self.now.merge(id, content),
            }
        }
        failures
    }
}

/// What a transfer does: documents with attachments go to the target at once.
pub(super) fn transfer(
    source: &Database,
    target: &mut Database,
    transfer: &Transfer,
    refuses: impl Fn(&Rev) -> Option<FailureKind>,
) -> Response<Content> {
    let mut moved = Vec::new();
    for rev in &transfer.revs {
        for doc in source.now.latest(&transfer.id, rev) {
            let outcome = if has_attachments(&doc.rev) {
                match target.write(std::slice::from_ref(&doc), &refuses).pop() {
                    Some(failure) => Transferred::Refused(failure),
                    None => Transferred::Written,
                }
            } else {
                Transferred::Loaded(doc)
            };
            moved.push(Moved { rev: rev.clone(), outcome });
        }
    }
    Response::Transferred(moved)
}
