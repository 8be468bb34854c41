//! Following a database.

use crate::{Change, Error, FeedEnd};
use std::sync::Arc;
use tidegate_types::Seq;

/// Follows a database from a sequence on. It is subscribed from the moment it is made, so a change between the last
/// read and the wait isn't missed.
pub struct Feed(pub(crate) tidegate_store::Feed);

impl Feed {
    /// Up to where it has been read.
    pub fn since(&self) -> Seq {
        self.0.since()
    }

    /// Another feed of the same database: who has one may have two.
    pub fn beside(&self, since: Seq) -> Self {
        Self(self.0.beside(since))
    }

    /// Goes on from `since`, a later sequence: what lies between was read otherwise.
    pub fn skip_to(&mut self, since: Seq) {
        self.0.skip_to(since);
    }

    /// The next changes, at most `limit`; none if it has caught up.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Arc<Change>>, Error> {
        Ok(self.0.next(limit).await?)
    }

    /// Waits until there may be something after [`Feed::since`]. Cancel safe.
    ///
    /// # Errors
    /// There will be nothing more.
    pub async fn changed(&mut self) -> Result<(), FeedEnd> {
        self.0.changed().await
    }
}
