//! Checking a database: whether its records agree with each other.
//!
//! For `doctor`, for tests, and for tools that cut the power. A sound database has no [`Inconsistency`], whatever
//! crashed and whenever; uploads under way are none.

mod access;
mod inconsistency;

pub use inconsistency::{Counter, Inconsistency};

use crate::{
    AttachmentDigest, Corrupt, Database, Error,
    changes::Change,
    collections,
    content::{self, BlobContent, Contents, Met},
    keys::{DEFAULT_COLLECTION, Keys},
    read::winner_of,
    record::{AttachmentRecord, BodyRecord, ChangeRecord, Counters, DocumentHead, DocumentRecord, Meta, PurgeRecord},
    rows::Rows,
    tickets::Faults,
};
use access::{Assignments, Decided};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};
use tidegate_kv::Snapshot;
use tidegate_types::{DocId, Seq};

/// Inconsistencies told of.
const FOUND_MAX: usize = 1_000;

impl Database {
    /// Reads everything there is, as it is at one moment, and tells what doesn't agree: at most the first thousand.
    ///
    /// Takes as long as reading the whole database, and memory for every document's id, every attachment's digest and
    /// everything that documents grant.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn check(&self) -> Result<Vec<Inconsistency>, Error> {
        let snapshot = self.inner.snapshot()?;
        let meta = self.inner.meta(&snapshot).await?;
        let mut found = Vec::new();
        // The default one last: roles that documents of others grant are granted there.
        let mut roles = BTreeMap::new();
        for collection in self.inner.collections().iter().rev() {
            let (snapshot, keys) = (snapshot.clone(), collection.keys);
            let counters = self.inner.counters(&snapshot, (keys, &meta)).await?;
            let mut check = Check { snapshot, keys, tally: Tally::default(), found: Vec::new() };
            check.tally.decided.grants = std::mem::take(&mut roles);
            check.collection((&meta, &counters)).await?;
            roles = check.tally.decided.roles;
            let name = |inconsistency| match keys.collection() {
                DEFAULT_COLLECTION => inconsistency,
                _ => Inconsistency::InCollection(collection.name.clone(), Box::new(inconsistency)),
            };
            found.extend(check.found.into_iter().map(name));
        }
        let strays = collections::strays(&snapshot, self.inner.home).await?;
        found.extend(strays.into_iter().map(Inconsistency::StrayCollection));
        found.truncate(FOUND_MAX);
        Ok(found)
    }
}

/// A check under way.
struct Check {
    snapshot: Snapshot,
    keys: Keys,
    tally: Tally,
    found: Vec<Inconsistency>,
}

/// What has been counted, and what is still to be met.
#[derive(Default)]
struct Tally {
    live: u64,
    deleted: u64,
    last_seq: Seq,
    body_bytes: u64,
    attachment_bytes: u64,
    /// Bodies that revisions refer to and that haven't been met.
    bodies: BTreeMap<Seq, DocId>,
    references: BTreeMap<AttachmentDigest, u64>,
    blobs: BTreeMap<u128, Blob>,
    decided: Decided,
}

/// Content whose chunks haven't all been met.
struct Blob {
    digest: AttachmentDigest,
    length: u64,
}

impl Check {
    async fn collection(&mut self, (meta, counters): (&Meta, &Counters)) -> Result<(), Error> {
        self.assigned_since().await?;
        self.documents().await?;
        self.changes().await?;
        self.bodies().await?;
        self.attachments().await?;
        self.contents().await?;
        self.purges().await?;
        self.channel_rows().await?;
        self.departures().await?;
        self.expiries().await?;
        self.grants().await?;
        if self.keys.collection() == DEFAULT_COLLECTION {
            self.tickets().await?;
            self.principals().await?;
        }
        self.counters(meta, counters);
        Ok(())
    }

    fn report(&mut self, inconsistency: Inconsistency) {
        if self.found.len() < FOUND_MAX {
            self.found.push(inconsistency);
        }
    }

    /// The value, unless it can't be read: that is reported.
    fn readable<T>(&mut self, key: &Bytes, decoded: Result<T, Corrupt>) -> Option<T> {
        decoded.map_err(|corrupt| self.report(Inconsistency::Unreadable(corrupt, key.clone()))).ok()
    }

    async fn documents(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.documents(Bound::Unbounded, Bound::Unbounded));
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let id = self.keys.id_in(&key).and_then(|id| id.parse::<DocId>().ok());
            let id = id.ok_or(Corrupt { record: "document", what: "illegal id" });
            let Some(id) = self.readable(&key, id) else { continue };
            let decoded = DocumentHead::decode(&value).and_then(|head| Ok((head, DocumentRecord::decode(&value)?)));
            let Some((head, record)) = self.readable(&key, decoded) else { continue };
            self.document(id, &head, &record).await?;
        }
        Ok(())
    }

    async fn document(&mut self, id: DocId, head: &DocumentHead, record: &DocumentRecord) -> Result<(), Error> {
        let change = Change::of(record.seq, &id, &record.tree);
        if !change.as_ref().is_some_and(|change| change.agrees_with(head)) {
            self.report(Inconsistency::Head(id.clone()));
        }
        let row = self.snapshot.get(&self.keys.sequence(record.seq)).await?;
        if row.and_then(|row| ChangeRecord::decode(record.seq, &row).ok()) != change {
            self.report(Inconsistency::ChangeRow(id.clone(), record.seq));
        }
        if let Some(change) = &change {
            self.placed(change).await?;
        }
        let counter = if head.deleted { &mut self.tally.deleted } else { &mut self.tally.live };
        *counter += 1;
        let mut met = BTreeSet::new();
        for node in record.tree.nodes() {
            if !met.insert(&node.rev) {
                self.report(Inconsistency::RepeatedRevision(id.clone(), node.rev.clone()));
            }
            let Some(seq) = node.body.stored() else { continue };
            if self.tally.bodies.insert(seq, id.clone()).is_some() {
                self.report(Inconsistency::StrayBody(seq));
            }
        }
        Ok(())
    }

    async fn changes(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.sequences(Seq::ZERO, Seq::MAX));
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let seq = self.keys.seq_in(&key).unwrap_or_default();
            self.tally.last_seq = seq;
            let Some(change) = self.readable(&key, ChangeRecord::decode(seq, &value)) else { continue };
            let document = self.snapshot.get(&self.keys.document(change.id.as_str())).await?;
            let latest = document.and_then(|bytes| winner_of(&bytes).ok()).map(|winner| winner.seq);
            if latest != Some(seq) {
                self.report(Inconsistency::StrayChange(change.id, seq));
            }
        }
        Ok(())
    }

    async fn bodies(&mut self) -> Result<(), Error> {
        let mut assignments = Assignments::begin(self.keys, &self.snapshot).await?;
        let mut rows = Rows::new(self.keys.bodies());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let seq = self.keys.seq_in(&key).unwrap_or_default();
            self.meet(Some(seq), &mut assignments).await?;
            if self.tally.bodies.remove(&seq).is_none() {
                self.report(Inconsistency::StrayBody(seq));
            }
            self.tally.body_bytes += value.len() as u64;
            let Some(body) = self.readable(&key, BodyRecord::decode(&value)) else { continue };
            for attachment in body.attachments {
                *self.tally.references.entry(attachment.digest).or_default() += 1;
            }
        }
        self.meet(None, &mut assignments).await?;
        for (seq, id) in std::mem::take(&mut self.tally.bodies) {
            self.report(Inconsistency::NoBody(id, seq));
        }
        Ok(())
    }

    async fn attachments(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.attachments());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let digest = self.keys.digest_in(&key).ok_or(Corrupt { record: "attachment", what: "illegal key" });
            let Some(digest) = self.readable(&key, digest) else { continue };
            let counted = self.tally.references.remove(&digest).unwrap_or(0);
            let Some(record) = self.readable(&key, AttachmentRecord::decode(&value)) else { continue };
            let AttachmentRecord { blob, stored_length: length, references: recorded } = record;
            if recorded != counted {
                self.report(Inconsistency::References { digest, recorded, counted });
            }
            self.tally.attachment_bytes += length;
            self.tally.blobs.insert(blob, Blob { digest, length });
        }
        for (digest, _) in std::mem::take(&mut self.tally.references) {
            self.report(Inconsistency::NoAttachment(digest));
        }
        Ok(())
    }

    async fn contents(&mut self) -> Result<(), Error> {
        let uploads = content::uploads(self.keys, &self.snapshot).await?;
        let mut contents = Contents::new(self.keys);
        while let Some(met) = contents.next(&self.snapshot).await? {
            match met {
                Met::Blob(blob, content) => self.content(blob, content, &uploads),
                Met::Illegal(key) => {
                    let illegal = Corrupt { record: "chunk", what: "illegal key" };
                    self.report(Inconsistency::Unreadable(illegal, key));
                }
            }
        }
        for (_, missing) in std::mem::take(&mut self.tally.blobs) {
            self.report(Inconsistency::Content(missing.digest));
        }
        Ok(())
    }

    async fn purges(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.purges(0, u64::MAX));
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            self.readable(&key, PurgeRecord::decode(&value));
        }
        Ok(())
    }

    /// All chunks of a blob have been met.
    fn content(&mut self, blob: u128, content: BlobContent, uploads: &BTreeSet<u128>) {
        let Some(Blob { digest, length }) = self.tally.blobs.remove(&blob) else {
            if !uploads.contains(&blob) {
                self.report(Inconsistency::StrayChunks(blob));
            }
            return;
        };
        if (Some(digest), length) != (content.digest, content.length) {
            self.report(Inconsistency::Content(digest));
        }
    }

    async fn tickets(&mut self) -> Result<(), Error> {
        let Faults { missing, stray, unreadable } = Faults::find(&self.snapshot, self.keys).await?;
        for (corrupt, key) in unreadable {
            self.report(Inconsistency::Unreadable(corrupt, key));
        }
        for key in missing.into_iter().chain(stray) {
            self.report(Inconsistency::TicketRow(key.into()));
        }
        Ok(())
    }

    fn counters(&mut self, meta: &Meta, counters: &Counters) {
        let tally = &self.tally;
        let counted = [
            (Counter::Documents, counters.doc_count, tally.live),
            (Counter::DeletedDocuments, counters.doc_del_count, tally.deleted),
            (Counter::UpdateSeq, meta.update_seq.get(), meta.update_seq.max(tally.last_seq).get()),
            (Counter::BodyBytes, counters.body_bytes, tally.body_bytes),
            (Counter::AttachmentBytes, counters.attachment_bytes, tally.attachment_bytes),
        ];
        for (counter, recorded, counted) in counted {
            if recorded != counted {
                self.report(Inconsistency::Counter { counter, recorded, counted });
            }
        }
    }
}
