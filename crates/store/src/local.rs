//! Local documents: no history, no conflicts, never replicated.

use crate::{
    Corrupt, Database, Error,
    all_docs::{DocRange, Order},
    codec::{Reader as RecordReader, put_number},
    commit::Draft,
    read::Reader,
};
use bytes::Bytes;
use std::ops::Bound;
use tidegate_kv::Direction;
use tidegate_types::DocId;

const VERSION: u8 = 1;

/// A local document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDocument {
    /// Its id, `_local/…`.
    pub id: DocId,
    /// How often it was written: `N` of the `0-N` that clients see.
    pub number: u64,
    /// Its members as compact JSON text, without braces.
    pub members: Bytes,
}

impl Database {
    /// Writes a local document over what is there; its number follows the one given.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn put_local(&self, document: LocalDocument) -> Result<(), Error> {
        let key = self.collection.keys.local(document.id.as_str());
        let apply = move |draft: &mut Draft<'_>| {
            draft.put(key.clone(), encode(document.number, &document.members));
            Ok(())
        };
        self.inner.propose_one(Vec::new(), Box::new(apply)).await
    }

    /// Writes a local document in place of the one with this number, or takes it away if there are no members; its number
    /// then, zero if it is gone. `replaced` is `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Conflict`] where another one is there, the database is gone, or the storage failed.
    pub async fn replace_local(&self, id: &DocId, replaced: Option<u64>, members: Option<Bytes>) -> Result<u64, Error> {
        let (id, key) = (id.clone(), self.collection.keys.local(id.as_str()));
        let reads = vec![key.clone()];
        let apply = move |draft: &mut Draft<'_>| {
            let known = draft.get(&key)?.map(|bytes| decode(id.clone(), bytes)).transpose()?;
            if known.map(|document| document.number) != replaced {
                return Err(Error::Conflict.into());
            }
            let Some(members) = &members else {
                draft.delete(key.clone());
                return Ok(0);
            };
            let number = replaced.unwrap_or(0).saturating_add(1);
            draft.put(key.clone(), encode(number, members));
            Ok(number)
        };
        self.inner.propose_one(reads, Box::new(apply)).await
    }

    /// Takes a local document away; whether it was there.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn delete_local(&self, id: &DocId) -> Result<bool, Error> {
        let key = self.collection.keys.local(id.as_str());
        let reads = vec![key.clone()];
        let apply = move |draft: &mut Draft<'_>| {
            let found = draft.get(&key)?.is_some();
            draft.delete(key.clone());
            Ok(found)
        };
        self.inner.propose_one(reads, Box::new(apply)).await
    }
}

impl Reader {
    /// The local document of this id.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn local(&self, id: &DocId) -> Result<Option<LocalDocument>, Error> {
        let bytes = self.snapshot.get(&self.keys.local(id.as_str())).await?;
        bytes.map(|bytes| Ok(decode(id.clone(), &bytes)?)).transpose()
    }

    /// The local documents of a range, at most `limit`.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn locals(&self, range: &DocRange, limit: usize) -> Result<Vec<LocalDocument>, Error> {
        let direction = match range.order {
            Order::Ascending => Direction::Forward,
            Order::Descending => Direction::Backward,
        };
        let as_str = |bound: &Bound<String>| bound.clone();
        let (start, end) = (as_str(&range.start), as_str(&range.end));
        let keys = self.keys.locals(start.as_ref().map(String::as_str), end.as_ref().map(String::as_str));
        let entries = self.snapshot.scan(keys, direction, limit).await?;
        let illegal = Corrupt { record: "local document", what: "illegal id" };
        let id_of = |key: &[u8]| self.keys.id_in(key).and_then(|id| id.parse().ok()).ok_or(illegal);
        entries.iter().map(|(key, value)| Ok(decode(id_of(key)?, value)?)).collect()
    }
}

fn encode(number: u64, members: &[u8]) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_number(&mut out, number);
    out.extend_from_slice(members);
    out
}

fn decode(id: DocId, bytes: &Bytes) -> Result<LocalDocument, Corrupt> {
    let mut reader = RecordReader::versioned("local document", VERSION, bytes)?;
    let number = reader.number()?;
    Ok(LocalDocument { id, number, members: bytes.slice_ref(reader.rest()) })
}
