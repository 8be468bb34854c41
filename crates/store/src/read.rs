//! Reading documents, all at one moment.

use crate::{
    Attachment, Corrupt, Database, DatabaseInfo, Error,
    database::Inner,
    keys::Keys,
    record::{BodyRecord, DocumentHead, DocumentRecord},
};
use bytes::Bytes;
use std::{ops::Bound, sync::Arc};
use tidegate_kv::{Direction, Snapshot};
use tidegate_revtree::Tree;
use tidegate_types::{DocId, Rev, Seq};

/// A view of a collection as it was at one moment: whatever is read through it belongs together.
///
/// Holding one keeps the storage from reusing space: let it go after the request.
#[derive(Clone)]
pub struct Reader {
    pub(crate) inner: Arc<Inner>,
    /// Of the collection.
    pub(crate) keys: Keys,
    pub(crate) snapshot: Snapshot,
}

/// What a plain read has to know of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winner {
    /// The winning revision.
    pub rev: Rev,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// The sequence of the document's latest change.
    pub seq: Seq,
    /// Under which its body is stored.
    pub body: Option<Seq>,
}

/// All that is known of a document but its bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentState {
    /// The sequence of its latest change.
    pub seq: Seq,
    /// Its revisions.
    pub tree: Tree,
}

/// The content of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its own members as compact JSON text, without braces.
    pub members: Bytes,
    /// Its attachments, in the order they were written.
    pub attachments: Vec<Attachment>,
}

impl Database {
    /// A view of the collection as it is now.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub fn reader(&self) -> Result<Reader, Error> {
        Ok(Reader { inner: Arc::clone(&self.inner), keys: self.collection.keys, snapshot: self.inner.snapshot()? })
    }
}

impl Reader {
    /// The winner of a document; `None` if there is no such document. Two reads, whatever the length of its history.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn winner(&self, id: &DocId) -> Result<Option<Winner>, Error> {
        let bytes = self.snapshot.get(&self.keys.document(id.as_str())).await?;
        bytes.map(|bytes| winner_of(&bytes)).transpose()
    }

    /// The winners of many documents, in the order asked for.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn winners(&self, ids: &[DocId]) -> Result<Vec<Option<Winner>>, Error> {
        let keys: Vec<_> = ids.iter().map(|id| self.keys.document(id.as_str())).collect();
        let values = self.snapshot.get_many(&keys).await?;
        values.into_iter().map(|bytes| bytes.map(|bytes| winner_of(&bytes)).transpose()).collect()
    }

    /// All that is known of a document; `None` if there is no such document.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn document(&self, id: &DocId) -> Result<Option<DocumentState>, Error> {
        let bytes = self.snapshot.get(&self.keys.document(id.as_str())).await?;
        bytes.map(|bytes| state_of(&bytes)).transpose()
    }

    /// All that is known of many documents, in the order asked for.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn documents(&self, ids: &[DocId]) -> Result<Vec<Option<DocumentState>>, Error> {
        let keys: Vec<_> = ids.iter().map(|id| self.keys.document(id.as_str())).collect();
        let values = self.snapshot.get_many(&keys).await?;
        values.into_iter().map(|bytes| bytes.map(|bytes| state_of(&bytes)).transpose()).collect()
    }

    /// All that is known of the documents whose ids come after `after`, deleted ones included, in the order of their ids;
    /// at most `limit`.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn documents_after(
        &self,
        after: Option<&DocId>,
        limit: usize,
    ) -> Result<Vec<(DocId, DocumentState)>, Error> {
        let keys = self.keys;
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.as_str()));
        let rows = self.snapshot.scan(keys.documents(start, Bound::Unbounded), Direction::Forward, limit).await?;
        let read = |(key, value): &(Bytes, Bytes)| {
            let id = keys.id_in(key).and_then(|id| id.parse().ok());
            let id = id.ok_or(Corrupt { record: "document", what: "illegal id" })?;
            Ok((id, state_of(value)?))
        };
        rows.iter().map(read).collect()
    }

    /// The body stored under this sequence; `None` if it was compacted away.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn body(&self, seq: Seq) -> Result<Option<Body>, Error> {
        let bytes = self.snapshot.get(&self.keys.body(seq)).await?;
        bytes.map(|bytes| body_of(&bytes)).transpose()
    }

    /// The database's counters at this moment.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn info(&self) -> Result<DatabaseInfo, Error> {
        let meta = self.inner.meta(&self.snapshot).await?;
        let counters = self.inner.counters(&self.snapshot, (self.keys, &meta)).await?;
        Ok(self.inner.info_of(&meta, &counters))
    }
}

pub(crate) fn winner_of(bytes: &[u8]) -> Result<Winner, Error> {
    let head = DocumentHead::decode(bytes)?;
    Ok(Winner { rev: head.winner, deleted: head.deleted, seq: head.seq, body: head.winner_body })
}

fn state_of(bytes: &[u8]) -> Result<DocumentState, Error> {
    let record = DocumentRecord::decode(bytes)?;
    Ok(DocumentState { seq: record.seq, tree: record.tree })
}

fn body_of(bytes: &Bytes) -> Result<Body, Error> {
    let BodyRecord { attachments, members } = BodyRecord::decode(bytes)?;
    Ok(Body { members, attachments })
}
