//! Repairing a database: what follows from the documents is made anew from them.
//!
//! Trees and bodies are never changed. Made anew are what plain reads are told of a document, the sequence index, the
//! references of attachments, the rows of channels, grants and the counters; what belongs to nothing is cleared. If something is lost or unreadable
//! that it might belong to (a document, a body), it is kept, for somebody to look at. What can't be repaired is what
//! [`Database::check`] still finds afterwards.

mod access;

use crate::{
    AttachmentDigest, Database, Error,
    changes::Change,
    content::{self, BlobContent, Contents, Met},
    keys::{DEFAULT_COLLECTION, Key, Keys},
    record::{AttachmentRecord, BodyRecord, ChangeRecord, Counters, DocumentHead, DocumentRecord, Meta},
    rows::Rows,
    tickets::Faults,
};
use access::Said;
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};
use tidegate_kv::{KeyRange, Snapshot};
use tidegate_types::{DocId, Seq};

/// Writes after which they are committed.
const WRITES_AT_ONCE: usize = 2_000;

/// What was repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// Documents whose head said something else than their tree.
    pub heads: u64,
    /// Rows of the sequence index that were missing or wrong.
    pub change_rows: u64,
    /// Rows of the sequence index that were nobody's.
    pub stray_changes: u64,
    /// Bodies that were nobody's.
    pub stray_bodies: u64,
    /// Attachments whose record was made anew, or their references counted anew.
    pub attachments: u64,
    /// Contents that were nobody's.
    pub stray_contents: u64,
    /// Rows by which tickets are found that were missing, or belonged to none.
    pub ticket_rows: u64,
    /// What was decided on revisions that aren't there.
    pub stray_assignments: u64,
    /// Rows of channels that were missing or wrong.
    pub channel_rows: u64,
    /// Rows of channels that were nobody's.
    pub stray_channel_rows: u64,
    /// Departures from channels that were missing or wrong.
    pub departures: u64,
    /// Times at which documents expire that were missing, or nobody's.
    pub expiries: u64,
    /// Grants that were missing or wrong.
    pub grants: u64,
    /// Whether counters were wrong.
    pub counters: bool,
    /// Whether something is lost or unreadable, so that nothing was cleared.
    pub kept_strays: bool,
}

impl Database {
    /// Repairs what can be. To be called while nobody else uses the database.
    ///
    /// # Errors
    /// The database is gone, or the storage failed. What was repaired before stays so.
    pub async fn repair(&self) -> Result<Repair, Error> {
        let snapshot = self.inner.snapshot()?;
        let meta = self.inner.meta(&snapshot).await?;
        let (mut repair, mut known) = (Repair::default(), Known::default());
        // The default one last: roles that documents of others grant are granted there, and it has the latest sequence.
        for collection in self.inner.collections().iter().rev() {
            let (keys, snapshot) = (collection.keys, snapshot.clone());
            let mut mender = Mender { database: self.clone(), snapshot, keys, writes: Vec::new(), known, repair };
            mender.collection(&meta).await?;
            (repair, known) = (mender.repair, mender.known.handed_on());
        }
        Ok(repair)
    }
}

/// A repair under way.
struct Mender {
    database: Database,
    snapshot: Snapshot,
    keys: Keys,
    writes: Vec<Write>,
    known: Known,
    repair: Repair,
}

enum Write {
    Put(Key, Vec<u8>),
    Delete(Key),
    Clear(KeyRange),
}

/// What the documents say, and what was found so far.
#[derive(Default)]
struct Known {
    live: u64,
    deleted: u64,
    last_seq: Seq,
    body_bytes: u64,
    attachment_bytes: u64,
    /// The rows of the sequence index that are a document's.
    changes: BTreeSet<Seq>,
    /// Bodies that revisions refer to and that haven't been met.
    bodies: BTreeSet<Seq>,
    references: BTreeMap<AttachmentDigest, u64>,
    said: Said,
}

impl Known {
    /// What another collection has to know.
    fn handed_on(self) -> Self {
        Self { last_seq: self.last_seq, said: self.said.handed_on(), ..Self::default() }
    }
}

impl Mender {
    async fn collection(&mut self, meta: &Meta) -> Result<(), Error> {
        self.assigned_since().await?;
        self.orphans().await?;
        self.documents().await?;
        self.changes().await?;
        self.bodies().await?;
        self.attachments().await?;
        if self.keys.collection() == DEFAULT_COLLECTION {
            self.tickets().await?;
        }
        self.assignments().await?;
        self.departures().await?;
        self.channel_rows().await?;
        self.expiries().await?;
        self.principals().await?;
        self.grants(meta.update_seq.max(self.known.last_seq)).await?;
        self.counters(meta).await?;
        self.flush().await?;
        self.repair.kept_strays |= self.known.said.is_lost;
        Ok(())
    }

    async fn write(&mut self, write: Write) -> Result<(), Error> {
        self.writes.push(write);
        if self.writes.len() < WRITES_AT_ONCE { Ok(()) } else { self.flush().await }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        if self.writes.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.inner.kv.begin(self.keys.scope()).await?;
        for write in self.writes.drain(..) {
            match write {
                Write::Put(key, value) => transaction.put(key, value),
                Write::Delete(key) => transaction.delete(key),
                Write::Clear(range) => transaction.delete_range(range),
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn documents(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.documents(Bound::Unbounded, Bound::Unbounded));
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let id = self.keys.id_in(&key).and_then(|id| id.parse::<DocId>().ok());
            match (id, DocumentRecord::decode(&value)) {
                (Some(id), Ok(record)) => self.document(&id, &record, (&key, &value)).await?,
                (None, _) | (_, Err(_)) => self.repair.kept_strays = true,
            }
        }
        Ok(())
    }

    async fn document(
        &mut self,
        id: &DocId,
        record: &DocumentRecord,
        (key, value): (&Bytes, &Bytes),
    ) -> Result<(), Error> {
        let Some(change) = Change::of(record.seq, id, &record.tree) else { return Ok(()) };
        let counter = if change.deleted { &mut self.known.deleted } else { &mut self.known.live };
        *counter += 1;
        self.known.last_seq = self.known.last_seq.max(record.seq);
        self.known.bodies.extend(record.tree.nodes().iter().filter_map(|node| node.body.stored()));
        let head = DocumentHead::decode(value)?;
        if let Some(bytes) = record.encode().filter(|_| !change.agrees_with(&head)) {
            self.repair.heads += 1;
            self.write(Write::Put(key.to_vec(), bytes)).await?;
        }
        if self.change_row(&change).await? {
            self.place(&change).await?;
        }
        Ok(())
    }

    /// Whether the document's sequence is its own.
    async fn change_row(&mut self, change: &Change) -> Result<bool, Error> {
        let key = self.keys.sequence(change.seq);
        let row = self.snapshot.get(&key).await?.and_then(|row| ChangeRecord::decode(change.seq, &row).ok());
        // Two documents under one sequence: the row stays with one of them, and the check goes on naming the other.
        let is_taken = match &row {
            Some(row) if row.id != change.id => self.latest(&row.id).await? == Some(change.seq),
            Some(_) | None => false,
        };
        if is_taken || !self.known.changes.insert(change.seq) {
            return Ok(false);
        }
        if row.as_ref() != Some(change) {
            self.repair.change_rows += 1;
            self.write(Write::Put(key, ChangeRecord::encode(change))).await?;
        }
        Ok(true)
    }

    /// The sequence of a document's latest change, if there is such a document and it can be read.
    async fn latest(&self, id: &DocId) -> Result<Option<Seq>, Error> {
        let document = self.snapshot.get(&self.keys.document(id.as_str())).await?;
        Ok(document.and_then(|bytes| DocumentRecord::decode(&bytes).ok()).map(|record| record.seq))
    }

    async fn changes(&mut self) -> Result<(), Error> {
        let (mut nobodys, mut outdated) = (Vec::new(), Vec::new());
        let mut rows = Rows::new(self.keys.sequences(Seq::ZERO, Seq::MAX));
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let seq = self.keys.seq_in(&key).unwrap_or_default();
            if self.known.changes.contains(&seq) {
                continue;
            }
            match ChangeRecord::decode(seq, &value) {
                Ok(change) => match self.latest(&change.id).await? {
                    Some(latest) if latest != seq => outdated.push(key),
                    Some(_) => {}
                    // The document that it tells of is lost.
                    None => {
                        self.repair.kept_strays = true;
                        self.known.last_seq = self.known.last_seq.max(seq);
                    }
                },
                Err(_) => nobodys.push((seq, key)),
            }
        }
        for (seq, key) in nobodys {
            if self.repair.kept_strays {
                self.known.last_seq = self.known.last_seq.max(seq);
            } else {
                outdated.push(key);
            }
        }
        self.repair.stray_changes += outdated.len() as u64;
        for key in outdated {
            self.write(Write::Delete(key.to_vec())).await?;
        }
        Ok(())
    }

    async fn bodies(&mut self) -> Result<(), Error> {
        let mut strays = Vec::new();
        let mut rows = Rows::new(self.keys.bodies());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let is_stray = !self.known.bodies.remove(&self.keys.seq_in(&key).unwrap_or_default());
            if is_stray && !self.repair.kept_strays {
                strays.push(key);
                continue;
            }
            self.known.body_bytes += value.len() as u64;
            match BodyRecord::decode(&value) {
                Ok(body) => body.attachments.iter().for_each(|attachment| {
                    *self.known.references.entry(attachment.digest).or_default() += 1;
                }),
                Err(_) => self.repair.kept_strays = true,
            }
        }
        // What a lost body referred to is still there.
        self.repair.kept_strays |= !self.known.bodies.is_empty();
        self.repair.stray_bodies += strays.len() as u64;
        for key in strays {
            let assignment = self.keys.assignment(self.keys.seq_in(&key).unwrap_or_default());
            self.write(Write::Delete(assignment)).await?;
            self.write(Write::Delete(key.to_vec())).await?;
        }
        Ok(())
    }

    async fn attachments(&mut self) -> Result<(), Error> {
        let mut contents = self.contents().await?;
        let mut rows = Rows::new(self.keys.attachments());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            // A record that can't be read is made anew below, like one that is missing.
            let Some(digest) = self.keys.digest_in(&key) else { continue };
            let Ok(record) = AttachmentRecord::decode(&value) else { continue };
            contents.remove(&record.blob);
            let counted = self.known.references.remove(&digest).unwrap_or(0);
            self.recount(key.to_vec(), &record, counted).await?;
        }
        for (digest, references) in std::mem::take(&mut self.known.references) {
            let found = contents.iter().find(|(_, content)| content.digest == Some(digest));
            let Some((blob, stored_length)) = found.map(|(blob, content)| (*blob, content.length)) else { continue };
            contents.remove(&blob);
            self.known.attachment_bytes += stored_length;
            self.repair.attachments += 1;
            let record = AttachmentRecord { blob, stored_length, references };
            self.write(Write::Put(self.keys.attachment(&digest), record.encode())).await?;
        }
        if self.repair.kept_strays {
            return Ok(());
        }
        self.repair.stray_contents += contents.len() as u64;
        for blob in contents.into_keys() {
            self.write(Write::Clear(self.keys.chunks(blob))).await?;
        }
        Ok(())
    }

    async fn recount(&mut self, key: Key, record: &AttachmentRecord, counted: u64) -> Result<(), Error> {
        let AttachmentRecord { blob, stored_length, references } = *record;
        // What is lost or unreadable may refer to it as well.
        if counted == references || (self.repair.kept_strays && counted < references) {
            self.known.attachment_bytes += stored_length;
            return Ok(());
        }
        self.repair.attachments += 1;
        if counted == 0 {
            self.write(Write::Delete(key)).await?;
            return self.write(Write::Clear(self.keys.chunks(blob))).await;
        }
        self.known.attachment_bytes += stored_length;
        let record = AttachmentRecord { references: counted, ..record.clone() };
        self.write(Write::Put(key, record.encode())).await
    }

    /// What the chunks hold, but those of uploads.
    async fn contents(&mut self) -> Result<BTreeMap<u128, BlobContent>, Error> {
        let uploads = content::uploads(self.keys, &self.snapshot).await?;
        let (mut found, mut contents) = (BTreeMap::new(), Contents::new(self.keys));
        while let Some(met) = contents.next(&self.snapshot).await? {
            if let Met::Blob(blob, content) = met
                && !uploads.contains(&blob)
            {
                found.insert(blob, content);
            }
        }
        Ok(found)
    }

    async fn tickets(&mut self) -> Result<(), Error> {
        let Faults { missing, stray, unreadable } = Faults::find(&self.snapshot, self.keys).await?;
        self.repair.ticket_rows = missing.len() as u64;
        for key in missing {
            self.write(Write::Put(key, Vec::new())).await?;
        }
        if !unreadable.is_empty() {
            // A row that seems to be nobody's may be that of one which can't be read.
            self.repair.kept_strays = true;
            return Ok(());
        }
        self.repair.ticket_rows += stray.len() as u64;
        for key in stray {
            self.write(Write::Delete(key)).await?;
        }
        Ok(())
    }

    async fn counters(&mut self, meta: &Meta) -> Result<(), Error> {
        let recorded = self.database.inner.counters(&self.snapshot, (self.keys, meta)).await?;
        let counters = Counters {
            doc_count: self.known.live,
            doc_del_count: self.known.deleted,
            body_bytes: self.known.body_bytes,
            attachment_bytes: self.known.attachment_bytes,
            purge_seq: recorded.purge_seq,
        };
        if self.keys.collection() != DEFAULT_COLLECTION {
            if counters == recorded {
                return Ok(());
            }
            self.repair.counters = true;
            return self.write(Write::Put(self.keys.counters(), counters.encode())).await;
        }
        let counted = Meta { update_seq: meta.update_seq.max(self.known.last_seq), counters, ..meta.clone() };
        if counted == *meta {
            return Ok(());
        }
        self.repair.counters = true;
        self.write(Write::Put(self.keys.meta(), counted.encode())).await
    }
}
