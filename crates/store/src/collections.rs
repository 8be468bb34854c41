//! The collections of a database: documents of their own, with channels of their own, under one line of sequences.
//!
//! They share the database's commits, principals, sessions and settings, so that what is granted in one commit and seen
//! in another is in one order. A collection is never taken away: whether it is in use is its owner's to know.

use crate::{
    Change, Corrupt, Database, Error,
    bells::Bells,
    codec::{Reader, put_number},
    commit::Draft,
    keys::{DEFAULT_COLLECTION, Keys},
    ring::Ring,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};
use tidegate_kv::{Direction, Snapshot};
use tidegate_types::{CollectionName, Seq};

const VERSION: u8 = 1;

/// What is in memory of one collection.
pub(crate) struct Collection {
    pub(crate) name: CollectionName,
    pub(crate) keys: Keys,
    pub(crate) bells: Arc<Bells>,
    ring: Mutex<Ring>,
}

/// Tells a collection from all others, of other databases, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionId {
    /// The id of its database.
    pub database: [u8; 8],
    /// Its number there; zero for the default one.
    pub number: u32,
}

impl Collection {
    pub(crate) fn new(name: CollectionName, keys: Keys, seq: Seq) -> Self {
        let mut ring = Ring::default();
        ring.reset(seq);
        Self { name, keys, bells: Arc::default(), ring: Mutex::new(ring) }
    }

    /// Takes in the next changes; `None`: forgets all up to `seq`.
    pub(crate) fn remember(&self, changes: Option<&[Arc<Change>]>, seq: Seq) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        match changes {
            Some(changes) => ring.extend(changes),
            None => ring.reset(seq),
        }
    }

    pub(crate) fn ring_after(&self, since: Seq, limit: usize) -> Option<Vec<Arc<Change>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).after(since, limit)
    }
}

/// The collections of a database but the default one, with their numbers.
pub(crate) async fn load(snapshot: &Snapshot, keys: Keys) -> Result<BTreeMap<CollectionName, u32>, Error> {
    let rows = snapshot.scan(keys.collection_numbers(), Direction::Forward, usize::MAX).await?;
    let illegal = Corrupt { record: "collection", what: "illegal key" };
    let read = |(key, value): &(bytes::Bytes, bytes::Bytes)| {
        Ok((keys.collection_in(key).ok_or(illegal)?, decode_number(value)?))
    };
    rows.iter().map(read).collect()
}

/// The numbers of collections in which something lies though they have no name.
pub(crate) async fn strays(snapshot: &Snapshot, keys: Keys) -> Result<Vec<u32>, Error> {
    let known: BTreeSet<u32> = load(snapshot, keys).await?.into_values().collect();
    let (mut strays, mut next) = (Vec::new(), Some(DEFAULT_COLLECTION + 1));
    while let Some(from) = next {
        let met = snapshot.scan(keys.collections_from(from), Direction::Forward, 1).await?;
        let Some(number) = met.first().and_then(|(key, _)| keys.collection_holding(key)) else { break };
        strays.extend((!known.contains(&number)).then_some(number));
        next = number.checked_add(1);
    }
    Ok(strays)
}

impl Database {
    /// The name of the collection that this handle is of.
    pub fn collection_name(&self) -> &CollectionName {
        &self.collection.name
    }

    /// Tells this collection from all others.
    pub fn collection_id(&self) -> CollectionId {
        CollectionId { database: self.uuid(), number: self.collection.keys.collection() }
    }

    /// Another collection of the same database; `None` if there never was one of this name.
    pub fn collection(&self, name: &CollectionName) -> Option<Self> {
        let collections = self.inner.collections();
        let collection = collections.iter().find(|collection| collection.name == *name)?;
        Some(Self { inner: Arc::clone(&self.inner), collection: Arc::clone(collection) })
    }

    /// All collections of the database, the default one first, the others in the order in which they were made.
    pub fn collections(&self) -> Vec<Self> {
        let collections = self.inner.collections();
        collections.iter().map(|c| Self { inner: Arc::clone(&self.inner), collection: Arc::clone(c) }).collect()
    }

    /// The collection of this name, which is made if there was none.
    ///
    /// If the caller goes away, it is made all the same.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn make_collection(&self, name: &CollectionName) -> Result<Self, Error> {
        let (database, name) = (self.clone(), name.clone());
        let making = self.inner.tasks.spawn(async move { database.make(&name).await });
        making.await.unwrap_or(Err(Error::Stopped))
    }

    async fn make(&self, name: &CollectionName) -> Result<Self, Error> {
        let _making = self.inner.making_collection.lock().await;
        if let Some(known) = self.collection(name) {
            return Ok(known);
        }
        let keys = self.inner.home;
        let latest = self.inner.collections().iter().map(|collection| collection.keys.collection()).max();
        let number = latest.unwrap_or(DEFAULT_COLLECTION).saturating_add(1);
        let key = keys.collection_number(name);
        let apply = move |draft: &mut Draft<'_>| {
            draft.put(key.clone(), encode_number(number));
            Ok(())
        };
        self.inner.propose_one(Vec::new(), Box::new(apply)).await?;
        let made = Arc::new(Collection::new(name.clone(), keys.within(number), self.update_seq()));
        self.inner.add_collection(Arc::clone(&made));
        Ok(Self { inner: Arc::clone(&self.inner), collection: made })
    }
}

fn encode_number(number: u32) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_number(&mut out, number.into());
    out
}

fn decode_number(bytes: &[u8]) -> Result<u32, Corrupt> {
    let mut reader = Reader::versioned("collection", VERSION, bytes)?;
    let number = reader.number()?;
    let legal = u32::try_from(number).ok().filter(|number| *number != DEFAULT_COLLECTION);
    legal.ok_or_else(|| reader.corrupt("illegal number"))
}
