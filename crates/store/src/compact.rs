//! Letting go of the bodies of revisions that were edited since.

use crate::{
    Database, DocRange, Error,
    all_docs::Order,
    commit::{Draft, Proposal, Stop},
    edit::release_body,
    keys::{Key, Keys},
    record::DocumentRecord,
};
use std::{
    ops::{Bound, ControlFlow},
    sync::{Arc, atomic::Ordering},
};
use tidegate_kv::Direction;

/// Documents looked at in one go.
const DOCUMENTS_AT_ONCE: usize = 500;

impl Database {
    /// Starts a compaction in the background, unless one is running.
    ///
    /// # Errors
    /// The database is gone.
    pub fn compact(&self) -> Result<(), Error> {
        self.0.check_not_deleted()?;
        if self.0.compacting.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let database = self.clone();
        drop(self.0.tasks.spawn(async move {
            if let Err(error) = database.compact_all().await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(database = %database.name(), error, "compaction stopped");
            }
            database.0.compacting.store(false, Ordering::Relaxed);
        }));
        Ok(())
    }

    async fn compact_all(&self) -> Result<(), Error> {
        let all = DocRange { start: Bound::Unbounded, end: Bound::Unbounded, order: Order::Ascending };
        let mut range = self.0.keys.documents(all.start.as_ref().map(String::as_str), Bound::Unbounded);
        loop {
            let (mut wanting, mut seen, mut last) = (Vec::new(), 0, Vec::new());
            let visit = |key: &[u8], value: &[u8]| {
                seen += 1;
                last = key.to_vec();
                if DocumentRecord::decode(value).is_ok_and(|mut record| !record.tree.drop_inner_bodies().is_empty()) {
                    wanting.push(key.to_vec());
                }
                ControlFlow::Continue(())
            };
            self.0.snapshot()?.scan_with(range.clone(), Direction::Forward, DOCUMENTS_AT_ONCE, visit).await?;
            range.start = Bound::Excluded(last);
            self.compact_documents(wanting).await?;
            if seen < DOCUMENTS_AT_ONCE {
                return Ok(());
            }
        }
    }

    async fn compact_documents(&self, documents: Vec<Key>) -> Result<(), Error> {
        let keys = self.0.keys;
        let proposals = documents.into_iter().map(|key| Proposal {
            reads: vec![key.clone()],
            bytes: 0,
            apply: Box::new(move |draft| apply(keys, &key, draft)),
        });
        Arc::clone(&self.0).propose(proposals.collect()).await?.into_iter().collect()
    }
}

fn apply(keys: Keys, key: &Key, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let Some(bytes) = draft.get(key)? else { return Ok(()) };
    let mut record = DocumentRecord::decode(bytes)?;
    for body in record.tree.drop_inner_bodies() {
        release_body(keys, body, draft)?;
    }
    if let Some(bytes) = record.encode() {
        draft.put(key.clone(), bytes);
    }
    Ok(())
}
