//! A database as plain maps, and what each operation does to it.

use crate::tree::Tree;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_store::{
    Attachment, AttachmentDigest, Change, Edit, Encoding, History, NewAttachment, PurgeRecord, Purged, Revpos,
};
use tidegate_types::{Digest, DocId, Rev, Seq};

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) documents: BTreeMap<DocId, Document>,
    pub(crate) locals: BTreeMap<DocId, (u64, Bytes)>,
    pub(crate) update_seq: Seq,
    pub(crate) purge_seq: u64,
    /// Oldest first.
    pub(crate) purges: Vec<PurgeRecord>,
    pub(crate) purges_max: usize,
    /// How many settings were made.
    pub(crate) settings: usize,
    pub(crate) revs_limit: u64,
    /// Every change there has been, in order.
    pub(crate) announced: Vec<Change>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    pub(crate) seq: Seq,
    pub(crate) tree: Tree,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Body {
    pub(crate) seq: Seq,
    pub(crate) members: Bytes,
    pub(crate) attachments: Vec<Attachment>,
}

/// What becomes of an edit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Written(Rev, Seq),
    Known(Rev),
    Conflict,
    MissingStub(String),
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            documents: BTreeMap::new(),
            locals: BTreeMap::new(),
            update_seq: Seq::ZERO,
            purge_seq: 0,
            purges: Vec::new(),
            purges_max: 1_000,
            settings: 0,
            revs_limit: 1_000,
            announced: Vec::new(),
        }
    }

    pub(crate) fn edit(&mut self, edit: &Edit) -> Outcome {
        let mut document = self.documents.get(&edit.id).cloned().unwrap_or_default();
        let Some(path) = path_of(&document.tree, edit) else { return Outcome::Conflict };
        let seq = self.update_seq.next();
        let body = body_of(edit, path[0].generation(), seq);
        let before = document.tree.clone();
        let stub = document.tree.merge(&path, edit.deleted, body).then(|| self.missing_stub(edit));
        if let Some(name) = stub.flatten() {
            return Outcome::MissingStub(name);
        }
        let changed = document.tree != before;
        document.tree.stem(self.revs_limit);
        if !changed || document.tree == before {
            return Outcome::Known(path[0].clone());
        }
        self.put(&edit.id, document);
        Outcome::Written(path[0].clone(), seq)
    }

    pub(crate) fn purge(&mut self, requests: &[(DocId, Vec<Rev>)]) -> Vec<Purged> {
        let purge = |(id, revs): &(DocId, Vec<Rev>)| {
            let mut document = self.documents.get(id).cloned().unwrap_or_default();
            self.purge_seq += 1;
            self.purges.push(PurgeRecord { id: id.clone(), revs: revs.clone() });
            self.trim_purges();
            let revs = document.tree.purge(revs);
            if !revs.is_empty() {
                self.put(id, document);
            }
            Purged { id: id.clone(), revs }
        };
        requests.iter().map(purge).collect()
    }

    pub(crate) fn trim_purges(&mut self) {
        self.purges.drain(..self.purges.len().saturating_sub(self.purges_max));
    }

    pub(crate) fn compact(&mut self) {
        self.documents.values_mut().for_each(|document| document.tree.compact());
    }

    fn put(&mut self, id: &DocId, mut document: Document) {
        self.update_seq = self.update_seq.next();
        document.seq = self.update_seq;
        if document.tree.nodes.is_empty() {
            self.documents.remove(id);
            return;
        }
        self.announced.push(change_of(id, &document));
        self.documents.insert(id.clone(), document);
    }

    /// The latest change of each document, in order.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let mut changes: Vec<_> = self.documents.iter().map(|(id, document)| change_of(id, document)).collect();
        changes.sort_by_key(|change| change.seq);
        changes
    }

    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Body> {
        self.documents.values().flat_map(|document| document.tree.nodes.values()).filter_map(|node| node.body.as_ref())
    }

    /// All attachments of all bodies, content that several share several times.
    pub(crate) fn attachments(&self) -> Vec<&Attachment> {
        self.bodies().flat_map(|body| &body.attachments).collect()
    }

    /// How many documents are live, and how many deleted.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let deleted = self.changes().iter().filter(|change| change.deleted).count() as u64;
        (self.documents.len() as u64 - deleted, deleted)
    }

    fn missing_stub(&self, edit: &Edit) -> Option<String> {
        let mut known: BTreeSet<AttachmentDigest> = self.attachments().iter().map(|a| a.digest).collect();
        let is_missing = |new: &&NewAttachment| {
            known.extend(new.content.as_ref().map(|staged| staged.digest()));
            !known.contains(&new.digest)
        };
        edit.attachments.iter().find(is_missing).map(|new| new.name.clone())
    }
}

fn change_of(id: &DocId, document: &Document) -> Change {
    let leaves = document.tree.leaves();
    let (winner, node) = leaves[0];
    Change {
        seq: document.seq,
        id: id.clone(),
        deleted: node.deleted,
        winner: winner.clone(),
        others: leaves[1..].iter().map(|(rev, _)| (*rev).clone()).collect(),
        winner_body: node.body.as_ref().map(|body| body.seq),
        reach: None,
    }
}

fn body_of(edit: &Edit, generation: u64, seq: Seq) -> Body {
    let attachment = |new: &NewAttachment| Attachment {
        name: new.name.clone(),
        content_type: new.content_type.clone(),
        revpos: match new.revpos {
            Revpos::New => generation,
            Revpos::At(generation) => generation,
        },
        digest: new.digest,
        length: new.length,
        stored_length: match new.encoding {
            Encoding::Identity => new.length,
            Encoding::Gzip => new.stored_length,
        },
        encoding: new.encoding,
    };
    Body { seq, members: edit.members.clone(), attachments: edit.attachments.iter().map(attachment).collect() }
}

/// The path to be merged, newest first; none where the edit is a conflict.
fn path_of(tree: &Tree, edit: &Edit) -> Option<Vec<Rev>> {
    let (named, canonical) = match &edit.history {
        History::Replicated(path) | History::Linear(path) => return Some(path.clone()),
        History::Edit { parent, canonical } => (parent, canonical),
    };
    let parent = match (tree.winner(), named) {
        (None, None) => None,
        (Some((winner, node)), None) if node.deleted => Some(winner.clone()),
        (Some((_, node)), Some(named)) if !node.deleted && tree.is_leaf(named) => Some(named.clone()),
        (None | Some(_), None | Some(_)) => return None,
    };
    let rev = revision_id(parent.as_ref(), canonical, &edit.attachments);
    Some([vec![rev], parent.into_iter().collect()].concat())
}

/// Source: `design.md`.
fn revision_id(parent: Option<&Rev>, canonical: &[u8], attachments: &[NewAttachment]) -> Rev {
    let parent_text = parent.map(Rev::to_string).unwrap_or_default();
    let mut hashed = vec![u8::try_from(parent_text.len()).unwrap()];
    hashed.extend_from_slice(parent_text.as_bytes());
    hashed.extend_from_slice(canonical);
    let named: BTreeMap<_, _> = attachments.iter().map(|attachment| (&attachment.name, attachment.digest)).collect();
    for (name, digest) in named {
        hashed.extend_from_slice(name.as_bytes());
        hashed.push(0);
        hashed.extend_from_slice(digest.as_bytes());
    }
    Rev::new(parent.map_or(0, Rev::generation) + 1, Digest::Md5(Md5::digest(&hashed).into()))
}
