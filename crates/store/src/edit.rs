//! Writing one revision of a document.

use crate::{
    Assignment, Attachment, AttachmentDigest, Change, Database, Encoding, Error, Staged,
    assignment::{self, Former},
    commit::{Draft, Proposal, Stop},
    keys::Keys,
    record::{AttachmentRecord, BodyRecord, ChangeRecord, DocumentRecord},
};
use bytes::Bytes;
use md5::{Digest as _, Md5};
use tidegate_revtree::{Merge, Tree};
use tidegate_types::{Channel, Digest, DocId, Rev, Seq};

/// A revision to be written.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Of which document.
    pub id: DocId,
    /// Where it stands in the document's history.
    pub history: History,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Its own members as compact JSON text, without braces.
    pub members: Bytes,
    /// All its attachments: what isn't here is gone.
    pub attachments: Vec<NewAttachment>,
    /// What was decided on it; needed in a database with channels, and not looked at in others.
    pub assignment: Option<Assignment>,
}

/// Where a revision stands in the history of its document.
#[derive(Clone, Debug)]
pub enum History {
    /// An edit made here: refused unless its parent is a current leaf.
    Edit {
        /// The revision it edits; none for a new document, or for one that is deleted.
        parent: Option<Rev>,
        /// What the new revision's id is the hash of: the document as canonical JSON, `_deleted` included.
        canonical: Bytes,
    },
    /// A revision that another replica made: never refused. Newest first, each one generation older than the one
    /// before it, and not empty; what isn't such a path is refused, as it would spoil the document.
    Replicated(Vec<Rev>),
    /// The same where documents may have no conflicts: refused unless it follows the winner, ends another live leaf, or
    /// begins a document that is deleted anew. Source: Sync Gateway, `allow_conflicts: false`.
    Linear(Vec<Rev>),
}

/// An attachment of a revision to be written.
#[derive(Clone, Debug)]
pub struct NewAttachment {
    /// Its name, unique in the revision.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Since when it has this content.
    pub revpos: Revpos,
    /// Of the stored bytes.
    pub digest: AttachmentDigest,
    /// Bytes of the content, unpacked.
    pub length: u64,
    /// How it is stored.
    pub encoding: Encoding,
    /// New content; `None` where an earlier revision of the document has it.
    pub content: Option<Staged>,
    /// Bytes of the content as it is stored.
    pub stored_length: u64,
}

/// The generation in which an attachment's content changed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revpos {
    /// In the revision that is being written.
    New,
    /// In this one.
    At(u64),
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The revision's id.
    pub rev: Rev,
    /// Its sequence; `None` if the revision was known and nothing was written.
    pub seq: Option<Seq>,
}

impl Database {
    /// Writes revisions, in this order, and answers each when all are durable.
    ///
    /// # Errors
    /// For a single edit: [`Error::Conflict`], [`Error::MissingStub`]. For all of them: the database is gone, too much
    /// is waiting, or the storage failed.
    pub async fn edit(&self, edits: Vec<Edit>) -> Result<Vec<Result<Written, Error>>, Error> {
        let staged: Vec<Vec<Staged>> = edits.iter().map(staged_blobs).collect();
        let proposals = edits.into_iter().map(|edit| propose(self.collection.keys, edit)).collect();
        let outcomes = match self.inner.propose(proposals).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // The failure that is told is the edits'; content that can't be let go is when the database is opened.
                drop(self.discard(staged.into_iter().flatten().collect()).await);
                return Err(error);
            }
        };
        let unused = outcomes.iter().zip(staged).filter(|(outcome, _)| !wrote(outcome)).flat_map(|(_, staged)| staged);
        self.discard(unused.collect()).await?;
        Ok(outcomes)
    }
}

fn wrote(outcome: &Result<Written, Error>) -> bool {
    outcome.as_ref().is_ok_and(|written| written.seq.is_some())
}

fn staged_blobs(edit: &Edit) -> Vec<Staged> {
    edit.attachments.iter().filter_map(|attachment| attachment.content.clone()).filter(Staged::is_blob).collect()
}

fn propose(keys: Keys, edit: Edit) -> Proposal<Written> {
    let mut reads = vec![keys.document(edit.id.as_str())];
    reads.extend(edit.assignment.iter().map(|_| keys.departure(&edit.id, &Channel::all())));
    for attachment in &edit.attachments {
        reads.push(keys.attachment(&attachment.digest));
        reads.extend(attachment.content.iter().filter(|staged| staged.is_blob()).map(|staged| staged.upload_key(keys)));
    }
    // Most edits stand on the parent they name, so the hash is taken here, beside the committer, not in it.
    let foreseen = match &edit.history {
        History::Edit { parent, canonical } => Some((parent.clone(), revision_id(parent.as_ref(), canonical, &edit))),
        History::Replicated(_) | History::Linear(_) => None,
    };
    let inline: usize = edit.attachments.iter().filter_map(|a| a.content.as_ref()).map(Staged::inline_bytes).sum();
    let bytes = edit.members.len() + inline;
    Proposal { reads, bytes, apply: Box::new(move |draft| apply(keys, &edit, foreseen.as_ref(), draft)) }
}

/// The id of an edit: the same for the same edit on any node. Source: `design.md`, `spec/gateway.md`.
fn revision_id(parent: Option<&Rev>, canonical: &[u8], edit: &Edit) -> Rev {
    let parent_text = parent.map(Rev::to_string).unwrap_or_default();
    let [length, ..] = parent_text.len().to_le_bytes();
    let mut hash = Md5::new();
    hash.update([length]);
    hash.update(parent_text.as_bytes());
    hash.update(canonical);
    let mut attachments: Vec<_> = edit.attachments.iter().collect();
    attachments.sort_by(|a, b| a.name.cmp(&b.name));
    for attachment in attachments {
        hash.update(attachment.name.as_bytes());
        hash.update([0]);
        hash.update(attachment.digest.as_bytes());
    }
    let generation = parent.map_or(0, Rev::generation).saturating_add(1);
    Rev::new(generation, Digest::Md5(hash.finalize().into()))
}

fn apply(
    keys: Keys,
    edit: &Edit,
    foreseen: Option<&(Option<Rev>, Rev)>,
    draft: &mut Draft<'_>,
) -> Result<Written, Stop> {
    let known = load(keys, &edit.id, draft)?;
    let mut record = known.unwrap_or_default();
    let former = Former::of(keys, (&edit.id, &record), draft)?;
    let path = path_of(&record.tree, edit, foreseen)?;
    let Some(rev) = path.first().cloned() else { return Err(Error::Conflict.into()) };
    let seq = draft.meta.update_seq.next();
    let merge = record.tree.merge(&path, edit.deleted, seq);
    let stemmed = record.tree.stem(usize::try_from(draft.meta.revs_limit).unwrap_or(usize::MAX));
    match merge {
        Merge::Unchanged => return Ok(Written { rev, seq: None }),
        // More ancestors than are kept: a document that is sent again and again must not change each time.
        Merge::Ancestors if load(keys, &edit.id, draft)?.as_ref() == Some(&record) => {
            return Ok(Written { rev, seq: None });
        }
        Merge::Ancestors => forget_content(keys, edit, draft)?,
        Merge::New => {
            let parent = path.get(1).and_then(|parent| record.tree.get(parent)?.body.stored());
            // Beside the winner, it moves the document nowhere.
            let moves = record.tree.winner().is_some_and(|winner| winner.rev == rev);
            assignment::put(keys, edit, (seq, parent), (former.as_ref(), moves), draft)?;
            put_body(keys, edit, &rev, seq, draft)?;
        }
    }
    release_bodies(keys, &stemmed, draft)?;
    put_document(keys, &edit.id, record, former.as_ref(), draft)?;
    Ok(Written { rev, seq: Some(seq) })
}

/// What is known of a document.
pub(crate) fn load(keys: Keys, id: &DocId, draft: &Draft<'_>) -> Result<Option<DocumentRecord>, Stop> {
    let bytes = draft.get(&keys.document(id.as_str()))?;
    Ok(bytes.map(|bytes| DocumentRecord::decode(bytes)).transpose()?)
}

/// The revision's id and its ancestors', newest first.
fn path_of(tree: &Tree, edit: &Edit, foreseen: Option<&(Option<Rev>, Rev)>) -> Result<Vec<Rev>, Stop> {
    match &edit.history {
        History::Replicated(path) if is_path(path) => Ok(path.clone()),
        History::Linear(path) if is_path(path) && is_linear(tree, path, edit.deleted) => Ok(path.clone()),
        History::Replicated(_) | History::Linear(_) => Err(Error::Conflict.into()),
        History::Edit { parent, canonical } => {
            let parent =
                tree.edit_parent(parent.as_ref()).map_err(|_invalid| Error::Conflict)?.map(|node| node.rev.clone());
            let rev = match foreseen {
                Some((foreseen_parent, rev)) if *foreseen_parent == parent => rev.clone(),
                Some(_) | None => revision_id(parent.as_ref(), canonical, edit),
            };
            Ok([Some(rev), parent].into_iter().flatten().collect())
        }
    }
}

/// Whether this revision, with its ancestors, leaves the document with no more live leaves than it has.
fn is_linear(tree: &Tree, path: &[Rev], deleted: bool) -> bool {
    let Some(winner) = tree.winner() else { return true };
    let parent = path.iter().find(|rev| tree.get(rev).is_some());
    match parent {
        None => winner.deleted,
        // It is there, or follows what a plain read returns.
        Some(parent) if path.first() == Some(parent) || winner.rev == *parent => true,
        Some(parent) => deleted && tree.is_leaf(parent) && tree.get(parent).is_some_and(|node| !node.deleted),
    }
}

/// Whether these can be a revision and its ancestors, newest first.
fn is_path(revs: &[Rev]) -> bool {
    let generations = || revs.iter().map(Rev::generation);
    let follow = generations().zip(generations().skip(1)).all(|(younger, older)| Some(younger) == older.checked_add(1));
    follow && !revs.is_empty()
}

/// Writes a document's record and its row in the sequence index, under the next sequence. `former` is what it was;
/// `None` if it is new. An empty tree takes the document away.
pub(crate) fn put_document(
    keys: Keys,
    id: &DocId,
    mut record: DocumentRecord,
    former: Option<&Former>,
    draft: &mut Draft<'_>,
) -> Result<(), Stop> {
    if former.is_some() {
        draft.delete(keys.sequence(record.seq));
    }
    let seq = draft.take_seq();
    record.seq = seq;
    let after = record.tree.winner().map(|winner| winner.deleted);
    count(keys, draft, former.map(|former| former.deleted), after)?;
    let key = keys.document(id.as_str());
    let (Some(bytes), Some(mut change)) = (record.encode(), Change::of(seq, id, &record.tree)) else {
        draft.delete(key);
        return assignment::leave(keys, former, seq, draft);
    };
    draft.put(key, bytes);
    draft.put(keys.sequence(seq), ChangeRecord::encode(&change));
    change.reach = assignment::settle(keys, former, (&record, &change), draft)?;
    draft.announce(keys, change);
    Ok(())
}

/// Moves a document between the counters of the live and of the deleted.
pub(crate) fn count(keys: Keys, draft: &mut Draft<'_>, before: Option<bool>, after: Option<bool>) -> Result<(), Stop> {
    if before == after {
        return Ok(());
    }
    draft.count(keys, |counters| {
        match before {
            Some(true) => counters.doc_del_count = counters.doc_del_count.saturating_sub(1),
            Some(false) => counters.doc_count = counters.doc_count.saturating_sub(1),
            None => {}
        }
        match after {
            Some(true) => counters.doc_del_count += 1,
            Some(false) => counters.doc_count += 1,
            None => {}
        }
    })
}

fn put_body(keys: Keys, edit: &Edit, rev: &Rev, seq: Seq, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let mut attachments = Vec::with_capacity(edit.attachments.len());
    for new in &edit.attachments {
        refer(keys, new, draft)?;
        attachments.push(Attachment {
            name: new.name.clone(),
            content_type: new.content_type.clone(),
            revpos: match new.revpos {
                Revpos::New => rev.generation(),
                Revpos::At(generation) => generation,
            },
            digest: new.digest,
            length: new.length,
            stored_length: new.stored_length,
            encoding: new.encoding,
        });
    }
    let bytes = BodyRecord { attachments, members: edit.members.clone() }.encode();
    draft.count(keys, |counters| counters.body_bytes += bytes.len() as u64)?;
    draft.put(keys.body(seq), bytes);
    Ok(())
}

/// Counts one more reference to an attachment's content, and stores the content where it is new.
fn refer(keys: Keys, new: &NewAttachment, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let key = keys.attachment(&new.digest);
    let known = draft.get(&key)?.map(|bytes| AttachmentRecord::decode(bytes)).transpose()?;
    let record = match (known, &new.content) {
        (Some(known), content) => {
            if let Some(staged) = content {
                staged.forget(keys, draft)?;
            }
            AttachmentRecord { references: known.references + 1, ..known }
        }
        (None, Some(staged)) if staged.is_there(keys, draft)? => {
            draft.count(keys, |counters| counters.attachment_bytes += new.stored_length)?;
            staged.settle(keys, draft);
            AttachmentRecord { blob: staged.blob(), stored_length: new.stored_length, references: 1 }
        }
        (None, Some(_) | None) => return Err(Error::MissingStub { name: new.name.clone() }.into()),
    };
    draft.put(key, record.encode());
    Ok(())
}

/// Lets go of the content of a revision whose body isn't wanted.
fn forget_content(keys: Keys, edit: &Edit, draft: &mut Draft<'_>) -> Result<(), Stop> {
    edit.attachments.iter().filter_map(|new| new.content.as_ref()).try_for_each(|staged| staged.forget(keys, draft))
}

/// Takes bodies away, and the attachments' contents that only they referred to.
pub(crate) fn release_bodies(keys: Keys, seqs: &[Seq], draft: &mut Draft<'_>) -> Result<(), Stop> {
    draft.fetch(seqs.iter().map(|seq| keys.body(*seq)))?;
    let (mut digests, mut released) = (Vec::new(), 0);
    for key in seqs.iter().map(|seq| keys.body(*seq)) {
        let Some(bytes) = draft.get(&key)?.cloned() else { continue };
        digests.extend(BodyRecord::decode(&bytes)?.attachments.iter().map(|attachment| attachment.digest));
        released += bytes.len() as u64;
        draft.delete(key);
    }
    if released > 0 {
        draft.count(keys, |counters| counters.body_bytes = counters.body_bytes.saturating_sub(released))?;
    }
    if draft.channels {
        seqs.iter().for_each(|seq| draft.delete(keys.assignment(*seq)));
    }
    draft.fetch(digests.iter().map(|digest| keys.attachment(digest)))?;
    digests.iter().try_for_each(|digest| release_attachment(keys, digest, draft))
}

fn release_attachment(keys: Keys, digest: &AttachmentDigest, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let key = keys.attachment(digest);
    let Some(bytes) = draft.get(&key)? else { return Ok(()) };
    let record = AttachmentRecord::decode(bytes)?;
    if record.references > 1 {
        draft.put(key, AttachmentRecord { references: record.references - 1, ..record }.encode());
    } else {
        draft.count(keys, |counters| {
            counters.attachment_bytes = counters.attachment_bytes.saturating_sub(record.stored_length);
        })?;
        draft.clear(keys.chunks(record.blob));
        draft.delete(key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(attachments: &[(&str, u8)]) -> Edit {
        let history = History::Replicated(Vec::new());
        let attachments = attachments.iter().map(|(name, digest)| NewAttachment {
            name: (*name).to_owned(),
            content_type: "text/plain".to_owned(),
            revpos: Revpos::New,
            digest: AttachmentDigest::new([*digest; 16]),
            length: 1,
            encoding: Encoding::Identity,
            content: None,
            stored_length: 1,
        });
        let (id, attachments) = ("d".parse().unwrap(), attachments.collect());
        Edit { id, history, deleted: false, members: Bytes::new(), attachments, assignment: None }
    }

    fn id_of(parent: &str, canonical: &str, attachments: &[(&str, u8)]) -> String {
        let parent: Option<Rev> = parent.parse().ok();
        revision_id(parent.as_ref(), canonical.as_bytes(), &edit(attachments)).to_string()
    }

    /// Clients and other nodes may have stored these: they never change.
    #[test]
    fn revision_ids_are_hashes_of_what_they_say() {
        let check = |parent, canonical, attachments: &[(&str, u8)], expected: &str| {
            assert_eq!(id_of(parent, canonical, attachments), expected, "{parent} {canonical} {attachments:?}");
        };
        check("", "{}", &[], "1-ca9ad22802b66f662ff171f226211d5c");
        check("", r#"{"a":1,"channels":["x"]}"#, &[], "1-9af8362a1d70822632752c71b4e6bb49");
        check("1-ca9ad22802b66f662ff171f226211d5c", r#"{"_deleted":true}"#, &[], "2-2388e34f052a6d15371bff4004b28615");
        check("7-abc", "{}", &[], "8-00ae88dfbe2dd80362e743ebc644aea9");
        check("", "{}", &[("a", 1), ("b", 2)], "1-49754a3fee8be0721475e6f1e7c20b51");
        // The order of attachments is nothing that an edit says.
        check("", "{}", &[("b", 2), ("a", 1)], "1-49754a3fee8be0721475e6f1e7c20b51");
    }

    #[test]
    fn different_edits_are_different_revisions() {
        let ids = [
            id_of("", "{}", &[]),
            id_of("", r#"{"_deleted":true}"#, &[]),
            id_of("", "{}", &[("a", 1)]),
            id_of("", "{}", &[("b", 1)]),
            id_of("", "{}", &[("a", 2)]),
            id_of("", "{}", &[("a", 1), ("b", 1)]),
            id_of("1-a", "{}", &[]),
            id_of("1-b", "{}", &[]),
            id_of("2-a", "{}", &[]),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    }

    fn check_path(revs: &str, expected: bool) {
        let path: Vec<Rev> = revs.split_whitespace().map(|rev| rev.parse().unwrap()).collect();
        assert_eq!(is_path(&path), expected, "{revs}");
    }

    #[test]
    fn a_path_loses_a_generation_with_each_step() {
        check_path("1-a", true);
        check_path("3-c 2-b 1-a", true);
        check_path("9-c 8-b", true);
        check_path("", false);
        check_path("3-c 1-a", false);
        check_path("2-b 2-a", false);
        check_path("1-a 2-b", false);
        check_path("1-a 18446744073709551615-b", false);
    }

    #[test]
    fn a_document_without_conflicts_gets_none() {
        let rev = |text: &str| text.parse::<Rev>().unwrap();
        // Revisions and their ancestors, newest first; `x` behind one deletes.
        let check = |there: &[&str], new: &str, expected: bool| {
            let path = |text: &str| text.split('<').map(|text| rev(text.trim_end_matches('x'))).collect::<Vec<_>>();
            let deletes = |text: &str| text.split('<').next().is_some_and(|first| first.ends_with('x'));
            let mut tree = Tree::default();
            for text in there {
                tree.merge(&path(text), deletes(text), Seq::new(1));
            }
            assert_eq!(is_linear(&tree, &path(new), deletes(new)), expected, "{there:?} {new}");
        };
        check(&[], "1-a", true);
        check(&["1-a"], "1-a", true);
        check(&["1-a"], "2-b<1-a", true);
        check(&["1-a"], "3-c<2-b<1-a", true);
        check(&["1-a"], "1-b", false);
        check(&["2-b<1-a"], "2-c<1-a", false);
        check(&["2-b<1-a"], "2-cx<1-a", false);
        check(&["2-bx<1-a"], "1-c", true);
        check(&["2-bx<1-a"], "3-c<2-bx<1-a", true);
        check(&["2-bx<1-a"], "2-c<1-a", false);
        // There since before: one may be ended, and the winner goes on.
        check(&["1-a", "1-b"], "2-cx<1-a", true);
        check(&["1-a", "1-b"], "2-c<1-a", false);
        check(&["1-a", "1-b"], "2-c<1-b", true);
        check(&["2-bx<1-a"], "2-b<1-a", true);
    }
}
