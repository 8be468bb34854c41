//! Forgetting deleted documents for good: tombstones that everybody who follows has had the time to see.

use crate::{
    Database, Error,
    assignment::Former,
    commit::{Draft, Proposal, Stop},
    edit::{count, load, release_bodies},
    keys::Keys,
};
use tidegate_kv::Direction;
use tidegate_types::{Channel, DocId, Seq};

/// A deleted document as it was read, with the channels that it left.
struct Tombstone {
    id: DocId,
    read_at: Seq,
    left: Vec<(Channel, Seq)>,
}

impl Database {
    /// Forgets deleted documents that haven't changed since these sequences, with all that feeds would tell of them: no
    /// sequence tells that they are gone. How many were forgotten.
    ///
    /// # Errors
    /// The database is gone, too much is waiting, or the storage failed.
    pub async fn forget_tombstones(&self, deleted: Vec<(DocId, Seq)>) -> Result<u64, Error> {
        let (keys, mut proposals) = (self.collection.keys, Vec::with_capacity(deleted.len()));
        for (id, read_at) in deleted {
            let left = self.departures(&id).await?;
            let reads = vec![keys.document(id.as_str())];
            let tombstone = Tombstone { id, read_at, left };
            let apply = Box::new(move |draft: &mut Draft<'_>| apply(keys, &tombstone, draft));
            proposals.push(Proposal { reads, bytes: 0, apply });
        }
        let outcomes: Vec<bool> = self.inner.propose(proposals).await?.into_iter().collect::<Result<_, _>>()?;
        Ok(outcomes.into_iter().map(u64::from).sum())
    }

    /// The channels that a document left, and by which sequence.
    async fn departures(&self, id: &DocId) -> Result<Vec<(Channel, Seq)>, Error> {
        let keys = self.collection.keys;
        let rows = self.inner.snapshot()?.scan(keys.departures_of(id), Direction::Forward, usize::MAX).await?;
        let read = |(key, value): &(bytes::Bytes, bytes::Bytes)| {
            Some((keys.departed_from(id, key)?, Keys::departed_at(value)?))
        };
        Ok(rows.iter().filter_map(read).collect())
    }
}

fn apply(keys: Keys, tombstone: &Tombstone, draft: &mut Draft<'_>) -> Result<bool, Stop> {
    let Tombstone { id, read_at, left } = tombstone;
    let known = load(keys, id, draft)?.filter(|record| record.seq == *read_at);
    let Some(record) = known.filter(|record| record.tree.winner().is_some_and(|winner| winner.deleted)) else {
        return Ok(false);
    };
    let former = Former::of(keys, (id, &record), draft)?;
    let (channels, expires_s) = former.as_ref().map(Former::placed).unwrap_or_default();
    if former.as_ref().is_some_and(Former::grants_something) {
        // What it grants would be gone, and nobody be told.
        return Ok(false);
    }
    let bodies: Vec<Seq> = record.tree.nodes().iter().filter_map(|node| node.body.stored()).collect();
    release_bodies(keys, &bodies, draft)?;
    for channel in channels {
        draft.delete(keys.channel_row(channel, *read_at));
    }
    for (channel, seq) in left {
        draft.delete(keys.channel_row(channel, *seq));
        draft.delete(keys.departure(id, channel));
    }
    if let Some(at) = expires_s {
        draft.delete(keys.expiry(at, id));
    }
    draft.delete(keys.sequence(*read_at));
    draft.delete(keys.document(id.as_str()));
    count(keys, draft, Some(true), None)?;
    Ok(true)
}
