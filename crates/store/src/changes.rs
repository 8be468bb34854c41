//! The changes feed: what changed since a sequence, and waiting for more.

use crate::{
    Database, Error, Standing,
    all_docs::Order,
    bells::Bell,
    database::Published,
    record::{ChangeRecord, DocumentHead},
};
use std::{ops::ControlFlow, sync::Arc};
use tidegate_channels::Access;
use tidegate_kv::Direction;
use tidegate_revtree::Tree;
use tidegate_types::{Channel, DocId, Rev, Seq};
use tokio::sync::watch;

/// A document's latest change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its sequence.
    pub seq: Seq,
    /// Of which document.
    pub id: DocId,
    /// Whether the winner is a tombstone.
    pub deleted: bool,
    /// The winning revision.
    pub winner: Rev,
    /// The other leaves, in the order of [`Tree::leaves`].
    pub others: Vec<Rev>,
    /// Under which the winner's body is stored.
    pub winner_body: Option<Seq>,
    /// Whom it reaches, in a database with channels; told of latest changes alone.
    pub reach: Option<Arc<Reach>>,
}

/// Whom a change reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The channels that the document is in now; sorted.
    pub channels: Vec<Channel>,
    /// Those that it left by the change; sorted.
    pub left: Vec<Channel>,
}

/// Follows a database from a sequence on. It is subscribed from the moment it is made, so a change between the last
/// read and the wait isn't missed.
pub struct Feed {
    database: Database,
    since: Seq,
    published: watch::Receiver<Published>,
    /// Of who listens for what concerns it alone; boxed, as most feeds have none.
    bell: Option<Box<Bell>>,
}

/// Why there will be no more changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedEnd {
    /// The database was deleted.
    Deleted,
}

impl Change {
    pub(crate) fn of(seq: Seq, id: &DocId, tree: &Tree) -> Option<Self> {
        let leaves = tree.leaves();
        let (winner, others) = leaves.split_first()?;
        Some(Self {
            seq,
            id: id.clone(),
            deleted: winner.deleted,
            winner: winner.rev.clone(),
            others: others.iter().map(|node| node.rev.clone()).collect(),
            winner_body: winner.body.stored(),
            reach: None,
        })
    }

    /// Whether a document's head says the same of its winner.
    pub(crate) fn agrees_with(&self, head: &DocumentHead) -> bool {
        (&self.winner, self.deleted, self.winner_body) == (&head.winner, head.deleted, head.winner_body)
    }
}

impl Database {
    /// A feed of what changes after `since`.
    pub fn follow(&self, since: Seq) -> Feed {
        Feed { database: self.clone(), since, published: self.inner.published.subscribe(), bell: None }
    }

    /// The changes after `after` up to and including `until`, at most `limit`, as they are now.
    ///
    /// A document that changes again moves beyond `until` between two calls: a reader who goes on from `until` gets it.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn changes(&self, after: Seq, until: Seq, order: Order, limit: usize) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::new();
        if after >= until {
            return Ok(changes);
        }
        let direction = match order {
            Order::Ascending => Direction::Forward,
            Order::Descending => Direction::Backward,
        };
        let (keys, mut failure) = (self.collection.keys, None);
        let visit = |key: &[u8], value: &[u8]| {
            match ChangeRecord::decode(keys.seq_in(key).unwrap_or_default(), value) {
                Ok(change) => changes.push(change),
                Err(error) => failure = Some(error),
            }
            if failure.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        self.inner.snapshot()?.scan_with(keys.sequences(after, until), direction, limit, visit).await?;
        failure.map_or(Ok(changes), |error| Err(error.into()))
    }

    /// How many changes there are after `after`; counted up to `count_max`, estimated beyond.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn count_changes(&self, after: Seq, count_max: usize) -> Result<u64, Error> {
        let snapshot = self.inner.snapshot()?;
        let meta = self.inner.meta(&snapshot).await?;
        let sequences = meta.update_seq.get().saturating_sub(after.get());
        let counters = self.inner.counters(&snapshot, (self.collection.keys, &meta)).await?;
        let documents = counters.doc_count + counters.doc_del_count;
        if after == Seq::ZERO || sequences == 0 {
            return Ok(documents.min(sequences));
        }
        let mut count = 0;
        let visit = |_: &[u8], _: &[u8]| {
            count += 1;
            ControlFlow::Continue(())
        };
        let range = self.collection.keys.sequences(after, meta.update_seq);
        snapshot.scan_with(range, Direction::Forward, count_max.saturating_add(1), visit).await?;
        Ok(if count > count_max as u64 { documents.min(sequences) } else { count })
    }
}

impl Feed {
    /// Up to where it has been read.
    pub fn since(&self) -> Seq {
        self.since
    }

    /// Another feed of the same database.
    pub fn beside(&self, since: Seq) -> Self {
        self.database.follow(since)
    }

    /// Goes on from `since`, a later sequence: what lies between was read otherwise.
    pub fn skip_to(&mut self, since: Seq) {
        self.since = self.since.max(since);
    }

    /// The next changes if all of them are in memory, where it is known whom they reach; at most `limit`. `None` if the
    /// feed has fallen behind.
    pub fn recent(&mut self, limit: usize) -> Option<Vec<Arc<Change>>> {
        let until = self.published.borrow_and_update().seq;
        let changes = self.database.collection.ring_after(self.since, limit)?;
        self.since = match changes.last() {
            Some(last) if changes.len() == limit => last.seq,
            Some(last) => last.seq.max(until),
            None => self.since.max(until),
        };
        Some(changes)
    }

    /// The next changes, at most `limit`; none if it has caught up.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Arc<Change>>, Error> {
        let until = self.published.borrow_and_update().seq;
        let changes = match self.database.collection.ring_after(self.since, limit) {
            Some(changes) => changes,
            None => {
                let changes = self.database.changes(self.since, until, Order::Ascending, limit).await?;
                changes.into_iter().map(Arc::new).collect()
            }
        };
        self.since = match changes.last() {
            Some(last) => last.seq,
            None if limit > 0 => self.since.max(until),
            None => self.since,
        };
        Ok(changes)
    }

    /// From now on waits for what concerns one who sees so much, and by whose standing that was found; without a standing,
    /// for one who sees what the database's administrators see.
    pub fn listen(&mut self, access: &Access, standing: Option<&Standing>) {
        let principals = standing.map(|standing| standing.depends_on.as_slice()).unwrap_or_default();
        self.bell = Some(Box::new(self.database.collection.bells.hang(access, principals)));
    }

    /// Waits until something happens that concerns who listens, since it began to. Cancel safe.
    ///
    /// # Errors
    /// There will be nothing more.
    pub async fn concerned(&mut self) -> Result<(), FeedEnd> {
        let Some(bell) = &self.bell else { return self.changed().await };
        bell.heard().await;
        if self.published.borrow().deleted { Err(FeedEnd::Deleted) } else { Ok(()) }
    }

    /// Whether there may be something after [`Feed::since`].
    pub fn is_behind(&self) -> bool {
        let published = self.published.borrow();
        published.deleted || published.seq > self.since
    }

    /// Waits until there may be something after [`Feed::since`]. Cancel safe.
    ///
    /// # Errors
    /// There will be nothing more.
    pub async fn changed(&mut self) -> Result<(), FeedEnd> {
        let since = self.since;
        let published = self.published.wait_for(|published| published.deleted || published.seq > since).await;
        match published {
            Ok(published) if !published.deleted => Ok(()),
            Ok(_) | Err(_) => Err(FeedEnd::Deleted),
        }
    }
}
