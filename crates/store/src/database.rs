//! The handle of one database.

use crate::{
    Change, Error, Standing,
    bells::Bells,
    commit::{Queue, Recent},
    compact::Progress,
    keys::Keys,
    news::{Event, News},
    record::Meta,
    ring::Ring,
    settings::Documents,
    touched::Touched,
};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tidegate_kv::{Kv, Snapshot};
use tidegate_types::{DbName, DocKind, Principal, Seq};
use tokio::sync::{RwLock, watch};
use tokio_util::task::TaskTracker;

/// One database. Cheap to clone; all clones are the same database, until it is deleted.
#[derive(Clone)]
pub struct Database(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) name: DbName,
    pub(crate) number: u32,
    pub(crate) uuid: [u8; 8],
    pub(crate) keys: Keys,
    pub(crate) kv: Kv,
    pub(crate) tasks: TaskTracker,
    pub(crate) queue: Queue,
    pub(crate) compaction: Progress,
    /// Counts changes of settings and design documents. Only the committer changes it.
    pub(crate) rules_version: AtomicU64,
    /// Whether its documents are in channels.
    pub(crate) has_channels: AtomicBool,
    touched: Mutex<Touched>,
    pub(crate) bells: Arc<Bells>,
    pub(crate) published: watch::Sender<Published>,
    /// Held while a part of an upload is written: a deletion waits for it.
    pub(crate) uploading: RwLock<()>,
    news: Arc<News>,
    ring: Mutex<Ring>,
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

/// A database's counters and settings at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// Random; tells a database from another of the same name.
    pub uuid: [u8; 8],
    /// When it was made, in seconds since 1970.
    pub created_s: u64,
    /// Of the latest change.
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
    pub(crate) fn new(name: DbName, number: u32, (meta, documents): (&Meta, Documents), around: Surroundings) -> Self {
        let Surroundings { kv, tasks, news } = around;
        let has_channels = documents == Documents::InChannels;
        let mut ring = Ring::default();
        ring.reset(meta.update_seq);
        let (published, _) = watch::channel(Published { seq: meta.update_seq, deleted: false });
        Self {
            name,
            number,
            uuid: meta.uuid,
            keys: Keys::new(number),
            kv,
            tasks,
            queue: Queue::default(),
            compaction: Progress::default(),
            rules_version: AtomicU64::new(0),
            has_channels: AtomicBool::new(has_channels),
            touched: Mutex::default(),
            bells: Arc::default(),
            published,
            uploading: RwLock::new(()),
            news,
            ring: Mutex::new(ring),
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
        let bytes = snapshot.get(&self.keys.meta()).await?.ok_or_else(|| self.gone())?;
        Ok(Meta::decode(&bytes)?)
    }

    pub(crate) fn info_of(&self, meta: &Meta) -> DatabaseInfo {
        DatabaseInfo {
            uuid: meta.uuid,
            created_s: meta.created_s,
            update_seq: meta.update_seq,
            purge_seq: meta.purge_seq,
            doc_count: meta.doc_count,
            doc_del_count: meta.doc_del_count,
            stored_bytes: meta.body_bytes + meta.attachment_bytes,
            revs_limit: meta.revs_limit,
            compacting: self.compaction.running.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn touch(&self, principals: &[Principal], seq: Seq) {
        if !principals.is_empty() {
            self.touched.lock().unwrap_or_else(PoisonError::into_inner).touch(principals, seq);
        }
    }

    /// Tells the feeds of a commit. Nobody listening costs next to nothing.
    pub(crate) fn publish(&self, seq: Seq, (changes, touched): (Vec<Arc<Change>>, &[Principal]), recent: Recent) {
        if changes.iter().any(|change| change.id.kind() == DocKind::Design) {
            self.rules_version.fetch_add(1, Ordering::Release);
        }
        if !changes.is_empty() {
            self.news.tell(&self.name, Event::Updated);
        }
        let concerned = self.has_channels.load(Ordering::Relaxed).then(|| changes.clone());
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if self.published.receiver_count() == 0 || recent == Recent::Forgotten {
            ring.reset(seq);
        } else {
            ring.extend(changes);
        }
        drop(ring);
        self.published.send_modify(|published| published.seq = seq);
        if let Some(changes) = concerned {
            self.bells.ring(&changes, touched, recent);
        }
    }

    pub(crate) fn publish_deletion(&self) {
        self.published.send_modify(|published| published.deleted = true);
        self.bells.ring_all();
    }

    pub(crate) fn ring_after(&self, since: Seq, limit: usize) -> Option<Vec<Arc<Change>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).after(since, limit)
    }
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &DbName {
        &self.0.name
    }

    /// Random; tells a database from another of the same name.
    pub fn uuid(&self) -> [u8; 8] {
        self.0.uuid
    }

    /// Whether its documents are in channels.
    pub fn has_channels(&self) -> bool {
        self.0.has_channels.load(Ordering::Acquire)
    }

    /// Whether nothing has changed of what a user was found to be allowed. To be asked after the snapshot was taken that
    /// is read: what it holds has been judged then.
    pub fn is_current(&self, standing: &Standing) -> bool {
        let touched = self.0.touched.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.0.published.borrow().seq
    }

    /// Sets how many revisions of each branch are kept, from each document's next write on.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn set_revs_limit(&self, limit: u64) -> Result<(), Error> {
        let key = self.0.keys.meta();
        let apply = move |draft: &mut crate::commit::Draft<'_>| {
            draft.meta.revs_limit = limit;
            // The counters are written with every group that writes anything.
            let meta = draft.meta.encode();
            draft.put(key.clone(), meta);
            Ok(())
        };
        self.0.propose_one(Vec::new(), Box::new(apply)).await
    }
}
