//! Forgetting revisions for good, and remembering that somebody asked for it.
//!
//! What was asked is remembered in the commit that does it, up to a limit; of what is older, nothing is left. Source:
//! `couch_db_updater:purge_docs`, which remembers requests that take nothing away, too.

use crate::{
    Database, Error, PurgeRecord,
    assignment::Former,
    commit::{Draft, Proposal, Stop},
    edit::{load, put_document, release_bodies},
    keys::{Keys, Value},
    read::Reader,
    settings,
};
use tidegate_kv::Direction;
use tidegate_types::{DocId, Rev};

/// The setting that says how many purges are remembered.
const REMEMBERED_MAX: &str = "purged_infos_limit";
/// How many are where nobody said. Source: `couch_bt_engine_header`.
const REMEMBERED_MAX_DEFAULT: u64 = 1_000;

/// What a purge took away of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Of which document.
    pub id: DocId,
    /// The leaves that are gone.
    pub revs: Vec<Rev>,
}

impl Database {
    /// Takes leaves away, with the ancestors only they kept, as if they had never been; what isn't a leaf stays.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn purge(&self, requests: Vec<(DocId, Vec<Rev>)>) -> Result<Vec<Purged>, Error> {
        let keys = self.collection.keys;
        let proposals = requests.into_iter().map(|(id, revs)| Proposal {
            reads: vec![keys.document(id.as_str()), keys.own_setting(REMEMBERED_MAX)],
            bytes: 0,
            apply: Box::new(move |draft| apply(keys, &id, &revs, draft)),
        });
        self.inner.propose(proposals.collect()).await?.into_iter().collect()
    }

    /// How many purges are remembered.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn purges_max(&self) -> Result<u64, Error> {
        remembered_max(self.inner.snapshot()?.get(&self.collection.keys.own_setting(REMEMBERED_MAX)).await?.as_ref())
    }

    /// Sets how many purges are remembered, and forgets those beyond.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn set_purges_max(&self, limit: u64) -> Result<(), Error> {
        let keys = self.collection.keys;
        let value = settings::encode(limit.to_string().as_bytes());
        let apply = move |draft: &mut Draft<'_>| {
            draft.put(keys.own_setting(REMEMBERED_MAX), value.clone());
            let latest = draft.count(keys, |counters| counters.purge_seq)?;
            draft.clear(keys.purges(0, latest.saturating_sub(limit)));
            Ok(())
        };
        self.inner.propose_one(Vec::new(), Box::new(apply)).await
    }
}

impl Reader {
    /// The purges that are remembered, after the one of this number, oldest first, with their numbers; at most `limit`.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn purges(&self, after: u64, limit: usize) -> Result<Vec<(u64, PurgeRecord)>, Error> {
        let keys = self.keys;
        let rows = self.snapshot.scan(keys.purges(after, u64::MAX), Direction::Forward, limit).await?;
        let read =
            |(key, value): &(Value, Value)| Ok((keys.purge_in(key).unwrap_or_default(), PurgeRecord::decode(value)?));
        rows.iter().map(read).collect()
    }
}

fn apply(keys: Keys, id: &DocId, revs: &[Rev], draft: &mut Draft<'_>) -> Result<Purged, Stop> {
    remember(keys, id, revs, draft)?;
    let Some(mut record) = load(keys, id, draft)? else { return Ok(Purged { id: id.clone(), revs: Vec::new() }) };
    let former = Former::of(keys, (id, &record), draft)?;
    let purge = record.tree.purge(revs);
    if !purge.revs.is_empty() {
        release_bodies(keys, &purge.bodies, draft)?;
        put_document(keys, id, record, former.as_ref(), draft)?;
    }
    Ok(Purged { id: id.clone(), revs: purge.revs })
}

fn remember(keys: Keys, id: &DocId, revs: &[Rev], draft: &mut Draft<'_>) -> Result<(), Stop> {
    let max = remembered_max(draft.get(&keys.own_setting(REMEMBERED_MAX))?)?;
    let number = draft.count(keys, |counters| {
        counters.purge_seq += 1;
        counters.purge_seq
    })?;
    draft.put(keys.purge(number), PurgeRecord::encode(id, revs));
    if let Some(oldest) = number.checked_sub(max) {
        draft.delete(keys.purge(oldest));
    }
    Ok(())
}

fn remembered_max(setting: Option<&Value>) -> Result<u64, Error> {
    let text = setting.map(settings::decode).transpose()?;
    let number = text.as_deref().and_then(|text| str::from_utf8(text).ok()?.parse().ok());
    Ok(number.unwrap_or(REMEMBERED_MAX_DEFAULT))
}
