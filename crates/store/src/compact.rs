//! Letting go of the bodies of revisions that were edited since.

use crate::{
    Database, DocRange, Error,
    all_docs::Order,
    commit::{Draft, Proposal, Stop},
    edit::release_bodies,
    keys::{Key, Keys},
    record::DocumentRecord,
};
use std::{
    ops::{Bound, ControlFlow},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use tidegate_kv::Direction;
use tidegate_types::DbName;

/// Documents looked at in one go.
const DOCUMENTS_AT_ONCE: usize = 500;
/// Bodies let go of in one go: they are read, and other writes wait meanwhile.
const BODIES_AT_ONCE: usize = 1_000;

/// A document that has bodies to let go of.
struct Wanting {
    key: Key,
    bodies: usize,
}

/// A compaction that is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Of which database.
    pub database: DbName,
    /// When it began, in seconds since 1970.
    pub started_s: u64,
    /// Documents looked at.
    pub done: u64,
    /// Documents there were when it began.
    pub total: u64,
}

/// How far a compaction has got.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) running: AtomicBool,
    started_s: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// The compaction of this database, if one is running.
    pub(crate) fn compaction(&self, database: &DbName) -> Option<Compaction> {
        let number = |number: &AtomicU64| number.load(Ordering::Relaxed);
        self.running.load(Ordering::Relaxed).then(|| {
            let (started_s, done, total) = (number(&self.started_s), number(&self.done), number(&self.total));
            // A document that came meanwhile is looked at, too.
            Compaction { database: database.clone(), started_s, done, total: total.max(done) }
        })
    }
}

impl Database {
    /// Starts a compaction of all collections in the background, unless one is running. `started_s` is the time in seconds since 1970.
    ///
    /// # Errors
    /// The database is gone.
    pub fn compact(&self, started_s: u64) -> Result<(), Error> {
        self.inner.check_not_deleted()?;
        let progress = &self.inner.compaction;
        if progress.running.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        progress.started_s.store(started_s, Ordering::Relaxed);
        progress.done.store(0, Ordering::Relaxed);
        progress.total.store(0, Ordering::Relaxed);
        let database = self.clone();
        drop(self.inner.tasks.spawn(async move {
            if let Err(error) = database.compact_all().await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(database = %database.name(), error, "compaction stopped");
            }
            database.inner.compaction.running.store(false, Ordering::Relaxed);
        }));
        Ok(())
    }

    async fn compact_all(&self) -> Result<(), Error> {
        let mut total = 0;
        for collection in self.collections() {
            let info = collection.info().await?;
            total += info.doc_count + info.doc_del_count;
        }
        self.inner.compaction.total.store(total, Ordering::Relaxed);
        for collection in self.collections() {
            collection.compact_collection().await?;
        }
        Ok(())
    }

    async fn compact_collection(&self) -> Result<(), Error> {
        let all = DocRange { start: Bound::Unbounded, end: Bound::Unbounded, order: Order::Ascending };
        let mut range = self.collection.keys.documents(all.start.as_ref().map(String::as_str), Bound::Unbounded);
        loop {
            let (mut wanting, mut seen, mut last) = (Vec::new(), 0, Vec::new());
            let visit = |key: &[u8], value: &[u8]| {
                seen += 1;
                last = key.to_vec();
                let bodies =
                    DocumentRecord::decode(value).map_or(0, |mut record| record.tree.drop_inner_bodies().len());
                if bodies > 0 {
                    wanting.push(Wanting { key: key.to_vec(), bodies });
                }
                ControlFlow::Continue(())
            };
            self.inner.snapshot()?.scan_with(range.clone(), Direction::Forward, DOCUMENTS_AT_ONCE, visit).await?;
            range.start = Bound::Excluded(last);
            self.compact_documents(wanting).await?;
            self.inner.compaction.done.fetch_add(seen as u64, Ordering::Relaxed);
            if seen < DOCUMENTS_AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn compact_documents(&self, mut wanting: Vec<Wanting>) -> Result<(), Error> {
        let keys = self.collection.keys;
        while !wanting.is_empty() {
            let proposals = next_part(&mut wanting).into_iter().map(|Wanting { key, .. }| Proposal {
                reads: vec![key.clone()],
                bytes: 0,
                apply: Box::new(move |draft| apply(keys, &key, draft)),
            });
            self.inner.propose(proposals.collect()).await?.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }
}

/// Takes documents from the end until they have bodies enough.
fn next_part(wanting: &mut Vec<Wanting>) -> Vec<Wanting> {
    let (mut part, mut bodies) = (Vec::new(), 0);
    while let Some(document) = wanting.pop_if(|document| bodies == 0 || bodies + document.bodies <= BODIES_AT_ONCE) {
        bodies += document.bodies;
        part.push(document);
    }
    part
}

fn apply(keys: Keys, key: &Key, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let Some(bytes) = draft.get(key)? else { return Ok(()) };
    let mut record = DocumentRecord::decode(bytes)?;
    let bodies = record.tree.drop_inner_bodies();
    if bodies.is_empty() {
        return Ok(());
    }
    release_bodies(keys, &bodies, draft)?;
    if let Some(bytes) = record.encode() {
        draft.put(key.clone(), bytes);
    }
    Ok(())
}
