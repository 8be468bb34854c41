//! Deciding anew on documents that are there: their revisions stay as they are.

use crate::{
    Assignment, Database, Error,
    assignment::{self, Former},
    commit::{Draft, Proposal, Stop},
    edit::{load, put_document},
    keys::Keys,
    record::AssignmentRecord,
};
use tidegate_types::{Channel, DocId, Seq};

/// What was decided anew on a document.
#[derive(Clone, Debug)]
pub struct Reassignment {
    /// Of which document.
    pub id: DocId,
    /// The sequence of its latest change when it was read.
    pub read_at: Seq,
    /// What was decided on the revisions with these bodies.
    pub revisions: Vec<(Seq, Assignment)>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reassigned {
    /// It is what was decided before; but for the time at which the document expires, which nobody is told of.
    Unchanged,
    /// It is something else, and feeds tell of the document again.
    Changed,
    /// The document changed since it was read: nothing was written.
    Outrun,
}

impl Database {
    /// Writes what was decided anew on documents, in this order. Where it is something else than before, the document has
    /// a new sequence in the same commit.
    ///
    /// # Errors
    /// For a single one: [`Error::Outdated`]. For all of them: the database is gone, too much is waiting, or the storage
    /// failed.
    pub async fn reassign(&self, anew: Vec<Reassignment>) -> Result<Vec<Result<Reassigned, Error>>, Error> {
        let keys = self.collection.keys;
        let propose = |anew: Reassignment| {
            let mut reads = vec![keys.document(anew.id.as_str()), keys.departure(&anew.id, &Channel::all())];
            reads.extend(anew.revisions.iter().map(|(body, _)| keys.assignment(*body)));
            Proposal { reads, bytes: 0, apply: Box::new(move |draft: &mut Draft<'_>| apply(keys, &anew, draft)) }
        };
        self.inner.propose(anew.into_iter().map(propose).collect()).await
    }
}

fn apply(keys: Keys, anew: &Reassignment, draft: &mut Draft<'_>) -> Result<Reassigned, Stop> {
    if anew.revisions.iter().any(|(_, assignment)| assignment.judged_by != draft.rules_version) {
        return Err(Error::Outdated.into());
    }
    let known = load(keys, &anew.id, draft)?.filter(|record| record.seq == anew.read_at && draft.channels);
    let Some(record) = known else { return Ok(Reassigned::Outrun) };
    let former = Former::of(keys, (&anew.id, &record), draft)?;
    let winner = record.tree.winner().and_then(|winner| winner.body.stored());
    let (mut is_told, mut expiry) = (false, None);
    for (body, assignment) in &anew.revisions {
        let old = assignment::read(keys, Some(*body), draft)?;
        let new = replaced(&old, assignment);
        is_told |= (&new.channels, &new.grants) != (&old.channels, &old.grants);
        if winner == Some(*body) {
            expiry = Some((old.expires_s, new.expires_s));
        }
        if new != old {
            draft.put(keys.assignment(*body), new.encode());
        }
    }
    if is_told {
        put_document(keys, &anew.id, record, former.as_ref(), draft)?;
        return Ok(Reassigned::Changed);
    }
    if let Some(times) = expiry {
        assignment::move_expiry(keys, &anew.id, times, draft);
    }
    Ok(Reassigned::Unchanged)
}

/// What is recorded of a revision on which this is decided instead. Who had a channel that it isn't in any more still
/// learns that it is there.
fn replaced(old: &AssignmentRecord, assignment: &Assignment) -> AssignmentRecord {
    let (channels, grants) = assignment.in_order();
    let is_same = (&channels, &grants) == (&old.channels, &old.grants);
    let mut left = old.left.clone();
    if !is_same {
        left.extend(old.channels.iter().cloned());
        left.sort_unstable();
        left.dedup();
        left.retain(|channel| channels.binary_search(channel).is_err());
    }
    AssignmentRecord { channels, left, grants, expires_s: assignment.expires_s, stays: old.stays.clone() }
}
