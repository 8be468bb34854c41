//! Where the rows of a feed come from: all that changes, or what a user sees, or what is in some channels.

use super::params::{Filter, Params, Revocations};
use crate::error::Error;
use std::sync::Arc;
use tidegate_engine::{
    Change, ChannelFeed, ChannelNews, Database, Feed, FeedEnd, Interest, News, Position, Told, Vantage,
};
use tidegate_types::Seq;

/// What changed, in order, and what changes. It is subscribed from the moment it is made.
pub(super) struct Rows {
    source: Source,
    /// Up to where there was something at the beginning.
    until: Seq,
}

enum Source {
    /// Of one who sees everything.
    All(Feed),
    /// Of what is in channels.
    Channels(Box<ChannelFeed>),
}

impl Rows {
    pub(super) fn new(db: &Database, params: &Params) -> Result<Self, Error> {
        let channels = match &params.filter {
            Filter::None | Filter::DocIds(_) => None,
            Filter::Channels(channels) => Some(channels.clone()),
        };
        let source = if channels.is_none() && !db.is_seen_by_channels() {
            Source::All(db.follow(params.since.done())?)
        } else {
            let losses = params.revocations == Revocations::Told;
            let interest = Interest { channels, losses, myself: true };
            Source::Channels(Box::new(db.follow_channels(params.since, interest)?))
        };
        Ok(Self { source, until: db.update_seq() })
    }

    /// The database, under the rules by which its caller was checked last.
    pub(super) fn database(&self) -> &Database {
        match &self.source {
            Source::All(feed) => feed.database(),
            Source::Channels(feed) => feed.database(),
        }
    }

    /// Up to where it has been read.
    pub(super) fn position(&self) -> Position {
        match &self.source {
            Source::All(feed) => Position::at(feed.since()),
            Source::Channels(feed) => feed.position(),
        }
    }

    /// Whether all was read that was there at the beginning.
    pub(super) fn has_caught_up(&self) -> bool {
        self.position().done() >= self.until
    }

    /// The next rows, at most `limit`; none if there are no more now.
    pub(super) async fn next(&mut self, limit: usize) -> Result<Vec<Told>, Error> {
        let changed = |change: Arc<Change>| Told { position: Position::at(change.seq), news: News::Changed(change) };
        match &mut self.source {
            Source::All(feed) => Ok(feed.next(limit).await?.into_iter().map(changed).collect()),
            Source::Channels(feed) => Ok(feed.next(limit).await?),
        }
    }

    /// From where it sees what comes next, if others may tell it; and how to begin to tell.
    pub(super) fn rest(&mut self) -> Option<(Arc<Vantage>, &Database, impl FnOnce() -> ChannelNews)> {
        match &mut self.source {
            Source::All(_) => None,
            Source::Channels(feed) => {
                let vantage = feed.rest()?;
                let feed = &**feed;
                Some((vantage, feed.database(), || feed.news()))
            }
        }
    }

    /// Waits until it has to go on by itself; while it rests.
    pub(super) async fn recalled(&mut self) {
        match &mut self.source {
            Source::All(_) => std::future::pending().await,
            Source::Channels(feed) => feed.recalled().await,
        }
    }

    /// Goes on from a rest: everything up to there was told.
    pub(super) fn resume(&mut self, seq: Seq) {
        match &mut self.source {
            Source::All(feed) => feed.skip_to(seq),
            Source::Channels(feed) => feed.resume(seq),
        }
    }

    /// Waits until there may be more. Cancel safe.
    pub(super) async fn changed(&mut self) -> Result<(), FeedEnd> {
        match &mut self.source {
            Source::All(feed) => feed.changed().await,
            Source::Channels(feed) => feed.changed().await,
        }
    }
}
