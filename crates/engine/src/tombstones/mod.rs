//! Forgetting tombstones that everybody has had the time to see.
//!
//! Revisions don't say when they were written. So the server marks now and then at which time a database has come to
//! which sequence: what changed up to a mark is at least as old as the mark. A database with a lifetime of tombstones
//! forgets them when they are older; others do when they are asked to, after three days, as Couchbase does.
//!
//! A client that comes back after longer than that keeps what was deleted meanwhile.

mod marks;
#[cfg(test)]
mod tests;

use crate::{Database, Engine, Error, engine::Inner};
use marks::Marks;
use std::{sync::Weak, time::Duration};
use tidegate_store::Order;
use tidegate_types::DocId;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The setting that holds the lifetime in seconds.
pub(crate) const LIFETIME: &str = "tombstone_lifetime_s";
/// Where nobody set one. Source: Couchbase's metadata purge interval.
const LIFETIME_DEFAULT_S: u64 = 3 * 86_400;
/// Between two looks at the databases in use.
const PERIOD: Duration = Duration::from_secs(60);
/// Changes looked at in one go; other writes get their turn between two.
const CHANGES_AT_ONCE: usize = 500;

/// Marks, and forgets what is to be forgotten, until it is told to stop.
pub(crate) async fn run(engine: Weak<Inner>, stop: CancellationToken) {
    loop {
        let Some(inner) = engine.upgrade() else { return };
        let engine_now = Engine { inner };
        for db in engine_now.inner.store.opened() {
            match engine_now.tend_tombstones(&db).await {
                Ok(()) | Err(Error::NoDatabase(_)) => {}
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(database = %db.name(), error, "old tombstones could not be forgotten");
                }
            }
            if stop.is_cancelled() {
                return;
            }
        }
        drop(engine_now);
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// The lifetime that a database has for its tombstones, in seconds, if it has one.
pub(crate) async fn load(store: &tidegate_store::Database) -> Result<Option<u64>, Error> {
    let text = store.setting(LIFETIME).await?;
    Ok(text.and_then(|text| str::from_utf8(&text).ok()?.parse().ok()))
}

impl Database {
    /// After how long tombstones are forgotten, if they are.
    pub fn tombstone_lifetime(&self) -> Option<Duration> {
        self.rules.tombstone_lifetime_s.map(Duration::from_secs)
    }

    /// Sets after how long tombstones are forgotten; `None`: never, unless somebody asks for it.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn set_tombstone_lifetime(&self, lifetime: Option<Duration>) -> Result<(), Error> {
        self.renewed().await?.check_admin()?;
        let text = lifetime.map(|lifetime| lifetime.as_secs().max(1).to_string()).unwrap_or_default();
        Ok(self.store.put_setting(LIFETIME, text.as_bytes()).await?)
    }

    /// Forgets the tombstones of all collections that are older than their lifetime, or than three days where none is set; how many there
    /// were. What was deleted before the server first marked the time is younger for it than it is.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed. What was forgotten before is.
    pub async fn compact_tombstones(&self) -> Result<u64, Error> {
        let db = self.renewed().await?;
        db.check_admin()?;
        let lifetime_s = db.rules.tombstone_lifetime_s.unwrap_or(LIFETIME_DEFAULT_S);
        let mut forgotten = 0;
        for collection in db.store.collections() {
            forgotten += db.engine.forget_older(&collection, lifetime_s).await?;
        }
        Ok(forgotten)
    }
}

impl Engine {
    /// Marks, and forgets what is to be forgotten of its own accord, in every collection of a database.
    async fn tend_tombstones(&self, db: &tidegate_store::Database) -> Result<(), Error> {
        for collection in db.collections() {
            self.tend_collection(&collection).await?;
        }
        Ok(())
    }

    async fn tend_collection(&self, db: &tidegate_store::Database) -> Result<(), Error> {
        let lifetime_s = self.inner.rules(db).await?.tombstone_lifetime_s;
        if lifetime_s.is_none() && !db.has_channels() {
            return Ok(());
        }
        let mut marks = Marks::load(db).await?;
        let lasts_s = lifetime_s.unwrap_or(LIFETIME_DEFAULT_S);
        if !marks.mark(self.inner.now_s(), db.update_seq(), lasts_s) {
            return Ok(());
        }
        marks.keep(db).await?;
        if lifetime_s.is_some() {
            let forgotten = self.forget_older(db, lasts_s).await?;
            tracing::debug!(database = %db.name(), forgotten, "old tombstones are forgotten");
        }
        Ok(())
    }

    async fn forget_older(&self, db: &tidegate_store::Database, lifetime_s: u64) -> Result<u64, Error> {
        let mut marks = Marks::load(db).await?;
        let until = marks.older_than(self.inner.now_s().saturating_sub(lifetime_s));
        let mut forgotten = 0;
        loop {
            let changes = db.changes(marks.forgotten_to, until, Order::Ascending, CHANGES_AT_ONCE).await?;
            let Some(last) = changes.last().map(|change| change.seq) else { return Ok(forgotten) };
            let deleted = changes.into_iter().filter(|change| change.deleted);
            let deleted: Vec<(DocId, _)> = deleted.map(|change| (change.id, change.seq)).collect();
            forgotten += db.forget_tombstones(deleted).await?;
            marks.forgotten_to = last;
            marks.keep(db).await?;
        }
    }
}
