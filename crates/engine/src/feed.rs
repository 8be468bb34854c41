//! Following a database.

use crate::{Change, Database, Error, FeedEnd};
use std::sync::Arc;
use tidegate_types::Seq;

/// Follows a database from a sequence on. It is subscribed from the moment it is made, so a change between the last
/// read and the wait isn't missed. It ends for a caller who may no longer use the database.
pub struct Feed {
    db: Database,
    store: tidegate_store::Feed,
}

impl Feed {
    pub(crate) fn new(db: Database, store: tidegate_store::Feed) -> Self {
        Self { db, store }
    }

    /// The database, under the rules by which its caller was checked last.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Up to where it has been read.
    pub fn since(&self) -> Seq {
        self.store.since()
    }

    /// Another feed of the same database: who has one may have two.
    pub fn beside(&self, since: Seq) -> Self {
        Self { db: self.db.clone(), store: self.store.beside(since) }
    }

    /// Goes on from `since`, a later sequence: what lies between was read otherwise.
    pub fn skip_to(&mut self, since: Seq) {
        self.store.skip_to(since);
    }

    /// The next changes, at most `limit`; none if it has caught up.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Arc<Change>>, Error> {
        if !self.db.is_current() {
            self.db = self.db.renewed().await?;
        }
        Ok(self.store.next(limit).await?)
    }

    /// Waits until there may be something after [`Feed::since`]. Cancel safe.
    ///
    /// # Errors
    /// There will be nothing more.
    pub async fn changed(&mut self) -> Result<(), FeedEnd> {
        self.store.changed().await
    }
}
