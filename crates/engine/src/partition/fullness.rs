//! `couchdb/max_partition_size`: how large a partition may get.
//!
//! A partition takes no more than its database: while that is smaller than the limit, nothing is measured. Beyond it a
//! partition is measured by reading it, and what is written to it is added, until it might be full; then it is measured
//! again. A full one isn't, until something in it has changed. Who measures one that takes long lets it rest for ten times
//! as long, and meanwhile what was found last counts: the limit may be overshot by what is written then. What is replicated
//! is taken, as by CouchDB.
//!
//! Source: `couch_db_updater:update_docs_int`, `is_overflowed`.

use crate::{Database, Error, partition::Partition};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tidegate_revtree::EditError;
use tidegate_store::{Edit, History};
use tidegate_types::DocKind;
use tokio::sync::Mutex as AsyncMutex;

/// Partitions that are remembered.
const MEASURED_MAX: usize = 10_000;
/// A measurement that takes longer is followed by a rest.
const QUICK: Duration = Duration::from_millis(50);
/// How many times as long.
const REST: u32 = 10;

/// The partitions of large databases, as they were measured.
#[derive(Default)]
pub(crate) struct Measurements(Mutex<HashMap<Place, Arc<AsyncMutex<Measured>>>>);

/// A database's id and a partition's name.
type Place = ([u8; 8], String);

/// What is known of the size of a partition.
#[derive(Default)]
struct Measured {
    /// What the last measurement found; `None` before the first.
    bytes: Option<u64>,
    /// What was written since, at the most.
    written: u64,
    rest_until: Option<Instant>,
}

impl Measurements {
    fn of(&self, place: Place) -> Arc<AsyncMutex<Measured>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MEASURED_MAX && !known.contains_key(&place) {
            known.clear();
        }
        Arc::clone(known.entry(place).or_default())
    }

    fn forget(&self, place: &Place) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }

    /// Something was taken away from a database in a way that isn't seen here.
    pub(crate) fn forget_all_of(&self, uuid: [u8; 8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| *of != uuid);
    }
}

impl Measured {
    /// Whether the partition may be as large as `max`, by what is known.
    fn may_be_full(&self, max: u64) -> bool {
        self.bytes.is_none_or(|bytes| bytes.saturating_add(self.written) >= max)
    }

    /// Whether it has to be measured to know.
    fn is_in_doubt(&self, max: u64, now: Instant) -> bool {
        let rests = self.rest_until.is_some_and(|until| now < until);
        self.may_be_full(max) && (self.bytes.is_none() || self.written > 0) && !rests
    }

    fn found(&mut self, bytes: u64, began: Instant, now: Instant) {
        let took = now.saturating_duration_since(began);
        *self = Self { bytes: Some(bytes), written: 0, rest_until: (took > QUICK).then(|| now + took * REST) };
    }

    fn is_full(&self, max: u64) -> bool {
        self.bytes.is_some_and(|bytes| bytes >= max)
    }

    fn write(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes.max(1));
    }
}

impl Database {
    /// Checks that an edit doesn't make a full partition larger.
    ///
    /// # Errors
    /// [`Error::PartitionFull`], or the storage failed.
    pub(crate) async fn check_fullness(&self, edit: &Edit) -> Result<(), Error> {
        let max = self.engine.live().partition_bytes_max;
        let name = edit.id.as_str().split_once(':').map(|(name, _)| name);
        let Some(name) = name.filter(|_| edit.id.kind() == DocKind::Plain) else { return Ok(()) };
        let (place, measurements) = ((self.uuid(), name.to_owned()), &self.engine.inner.measurements);
        if max == 0 || self.store.info().await?.stored_bytes < max {
            measurements.forget(&place);
            return Ok(());
        }
        let measured = measurements.of(place);
        // Held while one measures, so that the others needn't.
        let mut measured = measured.lock().await;
        if measured.is_in_doubt(max, Instant::now()) {
            let began = Instant::now();
            let usage = self.partition_usage(&Partition(name.to_owned())).await?;
            measured.found(usage.leaf_bytes, began, Instant::now());
        }
        if measured.is_full(max) && matches!(edit.history, History::Edit { .. }) && self.grows(edit).await? {
            return Err(Error::PartitionFull { id: edit.id.to_string() });
        }
        measured.write(size_of(edit));
        Ok(())
    }

    /// Whether an edit takes more than what it replaces.
    async fn grows(&self, edit: &Edit) -> Result<bool, Error> {
        let History::Edit { parent, .. } = &edit.history else { return Ok(false) };
        let reader = self.store.reader()?;
        let Some(state) = reader.document(&edit.id).await? else { return Ok(true) };
        let replaced = state.tree.edit_parent(parent.as_ref()).map_err(|EditError::Conflict| Error::Conflict)?;
        let Some(seq) = replaced.and_then(|node| node.body.stored()) else { return Ok(true) };
        let Some(body) = reader.body(seq).await? else { return Ok(true) };
        let attached = body.attachments.iter().map(|attachment| attachment.stored_length);
        Ok(size_of(edit) > size(body.members.len(), attached))
    }
}

fn size_of(edit: &Edit) -> u64 {
    size(edit.members.len(), edit.attachments.iter().map(|attachment| attachment.stored_length))
}

/// With the braces: not even an empty document is nothing.
fn size(members: usize, attached: impl Iterator<Item = u64>) -> u64 {
    members as u64 + 2 + attached.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_not_measured_again() {
        let now = Instant::now();
        let mut measured = Measured::default();
        assert!(measured.is_in_doubt(100, now), "nothing is known");
        measured.found(60, now, now);
        measured.write(39);
        assert!(!measured.is_in_doubt(100, now) && !measured.is_full(100));
        measured.write(1);
        assert!(measured.is_in_doubt(100, now), "it may be full");
        measured.found(100, now, now);
        assert!(!measured.is_in_doubt(100, now) && measured.is_full(100), "nothing has changed since");
        assert!(!measured.is_full(101), "the limit was raised");
        measured.write(0);
        assert!(measured.is_in_doubt(100, now), "it may have become smaller");
    }

    #[test]
    fn a_long_measurement_is_followed_by_a_rest() {
        let began = Instant::now();
        let now = began + Duration::from_secs(1);
        let mut measured = Measured::default();
        measured.found(99, began, now);
        measured.write(50);
        assert!(!measured.is_in_doubt(100, now + Duration::from_secs(9)) && !measured.is_full(100));
        assert!(measured.is_in_doubt(100, now + Duration::from_secs(10)));
    }
}
