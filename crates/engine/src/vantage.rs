//! Feeds that have caught up, told together: what happens to a database is read once for all of them, and each is told
//! what its caller sees of it.
//!
//! Whoever speaks to them reads [`ChannelNews`], of which nothing can be learned but by somebody's [`Vantage`]; and that
//! tells nothing once its holder was granted something, or lost it.

use crate::{Change, FeedEnd, News, Told, sight::Visibility};
use std::sync::Arc;
use tidegate_channels::{Access, Position};
use tidegate_store::{CollectionId, Database, Feed, Standing};
use tidegate_types::{Channel, Seq};

/// What the caller of a feed was found to see, of what the feed is interested in.
pub struct Vantage {
    store: Database,
    visible: Visibility,
    access: Access,
}

/// What happens to a collection, to be told to those whom it concerns.
pub struct ChannelNews {
    feed: Feed,
    of: CollectionId,
}

/// A change that was shown to nobody.
pub struct Unseen {
    change: Arc<Change>,
    of: CollectionId,
}

impl Vantage {
    pub(crate) fn new(store: Database, visible: Visibility, access: Access) -> Self {
        Self { store, visible, access }
    }

    /// Whether nobody was granted anything since, nor lost it. To be asked after what is told was read: whoever was
    /// granted something before it happened is known to be then.
    pub fn is_current(&self) -> bool {
        self.standing().is_none_or(|standing| self.store.is_current(standing))
    }

    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.visible.standing()
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The channels by which changes are seen; `None` if all are.
    pub fn channels(&self) -> Option<impl Iterator<Item = &Channel>> {
        (!self.access.sees_all()).then(|| self.access.current().map(|(channel, _)| channel))
    }

    /// What is told of these changes. `None` if the feed has to find out by itself: what it may see has changed, or which
    /// conflicts it may see is to be looked up, or they are another collection's.
    pub fn tell<'c>(&self, changes: impl IntoIterator<Item = &'c Unseen>) -> Option<Vec<Told>> {
        let mut told = Vec::new();
        if !self.is_current() {
            return None;
        }
        for Unseen { change, of } in changes {
            if *of != self.store.collection_id() || !change.others.is_empty() && self.standing().is_some() {
                return None;
            }
            told.extend(self.told(change));
        }
        Some(told)
    }

    /// What is told of a change that has just been made, of its conflicts maybe too much.
    pub(crate) fn told(&self, change: &Arc<Change>) -> Option<Told> {
        let position = Position::at(change.seq);
        let nothing = tidegate_store::Reach::default();
        let reach = change.reach.as_deref().unwrap_or(&nothing);
        if self.access.sees(&reach.channels) {
            return Some(Told { position, news: News::Changed(Arc::clone(change)) });
        }
        let left: Vec<Channel> = reach.left.iter().filter(|left| self.access.sees([*left])).cloned().collect();
        (!left.is_empty()).then(|| Told { position, news: News::Left(Arc::clone(change), left) })
    }
}

impl ChannelNews {
    pub(crate) fn new(feed: Feed, of: CollectionId) -> Self {
        Self { feed, of }
    }

    /// Up to where it has been read.
    pub fn since(&self) -> Seq {
        self.feed.since()
    }

    /// What comes next, at most `limit`. `None` if it isn't in memory any more.
    pub fn next(&mut self, limit: usize) -> Option<Vec<Unseen>> {
        let changes = self.feed.recent(limit)?.into_iter();
        Some(changes.map(|change| Unseen { change, of: self.of }).collect())
    }

    /// Waits until there may be something after [`ChannelNews::since`]. Cancel safe.
    ///
    /// # Errors
    /// There will be nothing more.
    pub async fn changed(&mut self) -> Result<(), FeedEnd> {
        self.feed.changed().await
    }
}

impl Unseen {
    /// The channels in which it concerns somebody.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.change.reach.iter().flat_map(|reach| reach.channels.iter().chain(&reach.left))
    }

    /// Where it is told.
    pub fn seq(&self) -> Seq {
        self.change.seq
    }
}
