//! Where the rows of a feed come from.

use super::position::Position;
use crate::error::Error;
use std::sync::Arc;
use tidegate_engine::{Change, Database, Feed, FeedEnd};
use tidegate_types::Seq;

/// Something that a feed tells.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) position: Position,
    pub(super) news: News,
}

/// What it tells.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// A document changed.
    Changed(Arc<Change>),
}

/// What changed, in order, and what changes. It is subscribed from the moment it is made.
pub(super) struct Rows {
    feed: Feed,
    /// Up to where there was something at the beginning.
    until: Seq,
}

impl Rows {
    pub(super) fn new(db: &Database, since: Position) -> Result<Self, Error> {
        let feed = db.follow(since.settled())?;
        Ok(Self { feed, until: db.update_seq() })
    }

    /// The database, under the rules by which its caller was checked last.
    pub(super) fn database(&self) -> &Database {
        self.feed.database()
    }

    /// Up to where it has been read.
    pub(super) fn position(&self) -> Position {
        Position::plain(self.feed.since())
    }

    /// Whether all was read that was there at the beginning.
    pub(super) fn has_caught_up(&self) -> bool {
        self.feed.since() >= self.until
    }

    /// The next rows, at most `limit`; none if there are no more now.
    pub(super) async fn next(&mut self, limit: usize) -> Result<Vec<Row>, Error> {
        let changes = self.feed.next(limit).await?;
        let row = |change: Arc<Change>| Row { position: Position::plain(change.seq), news: News::Changed(change) };
        Ok(changes.into_iter().map(row).collect())
    }

    /// Waits until there may be more. Cancel safe.
    pub(super) async fn changed(&mut self) -> Result<(), FeedEnd> {
        self.feed.changed().await
    }
}
