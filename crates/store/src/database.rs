//! The handle of one database, or of one of its collections.

use crate::{
    Error, Standing,
    collections::Collection,
    commit::{Changes, Queue, Recent},
    compact::Progress,
    keys::{DEFAULT_COLLECTION, Keys},
    news::{Event, News},
    record::{Counters, Meta},
    settings::Documents,
    touched::Touched,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock as Lock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tidegate_kv::{Kv, Snapshot};
use tidegate_types::{CollectionName, DbName, DocKind, Principal, Seq};
use tokio::sync::{RwLock, watch};
use tokio_util::task::TaskTracker;

/// One collection of a database; of most databases the only one. Cheap to clone; all clones are the same, until the
/// database is deleted.
#[derive(Clone)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
    pub(crate) collection: Arc<Collection>,
}

/// What the collections of a database share.
pub(crate) struct Inner {
    pub(crate) name: DbName,
    pub(crate) number: u32,
    pub(crate) uuid: [u8; 8],
    /// Those of the default collection.
    pub(crate) home: Keys,
    /// The default collection.
    pub(crate) default: Arc<Collection>,
    /// All of them, in the order of their numbers.
    collections: Lock<Vec<Arc<Collection>>>,
    /// Held while a collection is made.
    pub(crate) making_collection: tokio::sync::Mutex<()>,
    pub(crate) kv: Kv,
    pub(crate) tasks: TaskTracker,
    pub(crate) queue: Queue,
    pub(crate) compaction: Progress,
    /// Counts changes of settings and design documents. Only the committer changes it.
    pub(crate) rules_version: AtomicU64,
    /// Whether its documents are in channels.
    pub(crate) has_channels: AtomicBool,
    touched: Mutex<Touched>,
    pub(crate) published: watch::Sender<Published>,
    /// Held while a part of an upload is written: a deletion waits for it.
    pub(crate) uploading: RwLock<()>,
    news: Arc<News>,
}

/// A database as it was found in the storage.
pub(crate) struct Found {
    pub(crate) name: DbName,
    pub(crate) number: u32,
    pub(crate) meta: Meta,
    pub(crate) documents: Documents,
    pub(crate) collections: BTreeMap<CollectionName, u32>,
}

/// What all databases of a store share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) kv: Kv,
    pub(crate) tasks: TaskTracker,
    pub(crate) news: Arc<News>,
}

/// How far the database has got, for those who wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) seq: Seq,
    pub(crate) deleted: bool,
}

/// A collection's counters, and its database's counters and settings, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// Random; tells a database from another of the same name.
    pub uuid: [u8; 8],
    /// When it was made, in seconds since 1970.
    pub created_s: u64,
    /// Of the database's latest change.
    pub update_seq: Seq,
    /// Documents that somebody asked to purge revisions of, so far.
    pub purge_seq: u64,
    /// Live documents, design documents included.
    pub doc_count: u64,
    /// Deleted documents.
    pub doc_del_count: u64,
    /// Bytes of stored bodies and attachments.
    pub stored_bytes: u64,
    /// Revisions kept of each branch.
    pub revs_limit: u64,
    /// Whether a compaction is running.
    pub compacting: bool,
}

impl Inner {
    pub(crate) fn new(found: Found, around: Surroundings) -> Self {
        let Surroundings { kv, tasks, news } = around;
        let Found { name, number, meta, documents, collections: named } = found;
        let has_channels = documents == Documents::InChannels;
        let home = Keys::new(number);
        let default = Arc::new(Collection::new(CollectionName::of_default(), home, meta.update_seq));
        let named = named.into_iter().map(|(name, number)| Collection::new(name, home.within(number), meta.update_seq));
        let mut collections: Vec<_> = [Arc::clone(&default)].into_iter().chain(named.map(Arc::new)).collect();
        collections.sort_unstable_by_key(|collection| collection.keys.collection());
        let (published, _) = watch::channel(Published { seq: meta.update_seq, deleted: false });
        Self {
            name,
            number,
            uuid: meta.uuid,
            home,
            default,
            collections: Lock::new(collections),
            making_collection: tokio::sync::Mutex::default(),
            kv,
            tasks,
            queue: Queue::default(),
            compaction: Progress::default(),
            rules_version: AtomicU64::new(0),
            has_channels: AtomicBool::new(has_channels),
            touched: Mutex::default(),
            published,
            uploading: RwLock::new(()),
            news,
        }
    }

    pub(crate) fn gone(&self) -> Error {
        Error::NoDatabase(self.name.clone())
    }

    pub(crate) fn check_not_deleted(&self) -> Result<(), Error> {
        if self.published.borrow().deleted { Err(self.gone()) } else { Ok(()) }
    }

    /// A view of the data as it is now.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        self.check_not_deleted()?;
        Ok(self.kv.snapshot()?)
    }

    pub(crate) async fn meta(&self, snapshot: &Snapshot) -> Result<Meta, Error> {
        let bytes = snapshot.get(&self.home.meta()).await?.ok_or_else(|| self.gone())?;
        Ok(Meta::decode(&bytes)?)
    }

    /// The counters of the collection with these keys.
    pub(crate) async fn counters(&self, snapshot: &Snapshot, (keys, meta): (Keys, &Meta)) -> Result<Counters, Error> {
        if keys.collection() == DEFAULT_COLLECTION {
            return Ok(meta.counters.clone());
        }
        let bytes = snapshot.get(&keys.counters()).await?;
        Ok(bytes.map(|bytes| Counters::decode(&bytes)).transpose()?.unwrap_or_default())
    }

    pub(crate) fn info_of(&self, meta: &Meta, counters: &Counters) -> DatabaseInfo {
        DatabaseInfo {
            uuid: meta.uuid,
            created_s: meta.created_s,
            update_seq: meta.update_seq,
            purge_seq: counters.purge_seq,
            doc_count: counters.doc_count,
            doc_del_count: counters.doc_del_count,
            stored_bytes: counters.body_bytes + counters.attachment_bytes,
            revs_limit: meta.revs_limit,
            compacting: self.compaction.running.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn touch(&self, principals: &[Principal], seq: Seq) {
        if !principals.is_empty() {
            self.touched.lock().unwrap_or_else(PoisonError::into_inner).touch(principals, seq);
        }
    }

    /// The default collection, then the others.
    pub(crate) fn collections(&self) -> Vec<Arc<Collection>> {
        self.collections.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add_collection(&self, collection: Arc<Collection>) {
        self.collections.write().unwrap_or_else(PoisonError::into_inner).push(collection);
    }

    /// Tells the feeds of a commit. Nobody listening costs next to nothing.
    pub(crate) fn publish(&self, seq: Seq, (changes, touched): (&Changes, &[Principal]), recent: Recent) {
        if changes.values().flatten().any(|change| change.id.kind() == DocKind::Design) {
            self.rules_version.fetch_add(1, Ordering::Release);
        }
        if !changes.is_empty() {
            self.news.tell(&self.name, Event::Updated);
        }
        let is_forgotten = self.published.receiver_count() == 0 || recent == Recent::Forgotten;
        let of =
            |collection: &Collection| changes.get(&collection.keys.collection()).map(Vec::as_slice).unwrap_or_default();
        let collections = self.collections.read().unwrap_or_else(PoisonError::into_inner);
        for collection in collections.iter() {
            collection.remember((!is_forgotten).then(|| of(collection)), seq);
        }
        self.published.send_modify(|published| published.seq = seq);
        if self.has_channels.load(Ordering::Relaxed) {
            collections.iter().for_each(|collection| collection.bells.ring(of(collection), touched, recent));
        }
    }

    pub(crate) fn publish_deletion(&self) {
        self.published.send_modify(|published| published.deleted = true);
        self.collections().iter().for_each(|collection| collection.bells.ring_all());
    }
}

impl Database {
    /// The default collection.
    pub(crate) fn open(inner: Inner) -> Self {
        let collection = Arc::clone(&inner.default);
        Self { inner: Arc::new(inner), collection }
    }

    /// The name of the database.
    pub fn name(&self) -> &DbName {
        &self.inner.name
    }

    /// Random; tells a database from another of the same name.
    pub fn uuid(&self) -> [u8; 8] {
        self.inner.uuid
    }

    /// Whether its documents are in channels.
    pub fn has_channels(&self) -> bool {
        self.inner.has_channels.load(Ordering::Acquire)
    }

    /// Whether nothing has changed of what a user was found to be allowed. To be asked after the snapshot was taken that
    /// is read: what it holds has been judged then.
    pub fn is_current(&self, standing: &Standing) -> bool {
        let touched = self.inner.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.is_current(&standing.depends_on, standing.at)
    }

    /// Its counters and settings.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn info(&self) -> Result<DatabaseInfo, Error> {
        self.reader()?.info().await
    }

    /// The sequence of the latest durable change.
    pub fn update_seq(&self) -> Seq {
        self.inner.published.borrow().seq
    }

    /// Sets how many revisions of each branch are kept, from each document's next write on.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn set_revs_limit(&self, limit: u64) -> Result<(), Error> {
        let key = self.inner.home.meta();
        let apply = move |draft: &mut crate::commit::Draft<'_>| {
            draft.meta.revs_limit = limit;
            // The counters are written with every group that writes anything.
            let meta = draft.meta.encode();
            draft.put(key.clone(), meta);
            Ok(())
        };
        self.inner.propose_one(Vec::new(), Box::new(apply)).await
    }
}
