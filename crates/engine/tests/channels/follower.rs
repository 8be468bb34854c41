//! A device: follows a user's feed, fetches what it is told of, and is cut off now and then.

use crate::site::Site;
use std::collections::BTreeMap;
use tidegate_engine::{ChannelFeed, Database, Detail, Error, Interest, News, Position, Shown, Told, Which};
use tidegate_types::{DocId, Rev};

pub(crate) struct Device {
    user: &'static str,
    /// The collection that it follows, as the administrator sees it.
    collection: Database,
    position: Position,
    feed: Option<ChannelFeed>,
    pub(crate) holds: BTreeMap<DocId, Rev>,
    /// What it was told and what came of it, for the reader of a failure.
    pub(crate) log: Vec<String>,
}

impl Device {
    pub(crate) fn new(user: &'static str, collection: Database) -> Self {
        Self { user, collection, position: Position::START, feed: None, holds: BTreeMap::new(), log: Vec::new() }
    }

    /// It goes on from the last row that it has dealt with.
    pub(crate) fn cut_off(&mut self) {
        self.log.push("cut off".to_owned());
        self.feed = None;
    }

    /// Reads what there is, at most so many rows at once and in all. Whether it has caught up.
    pub(crate) async fn follow(&mut self, site: &Site, page: usize, limit: usize) -> bool {
        let db = site.collection_seen_by(self.user, &self.collection).await;
        let mut feed = match self.feed.take() {
            Some(feed) => feed,
            None => db.follow_channels(self.position, interest()).unwrap(),
        };
        let mut rows = 0;
        while rows < limit {
            let told = feed.next(page).await.unwrap();
            if told.is_empty() {
                self.position = feed.position();
                self.log.push(format!("caught up at {}", self.position));
                self.feed = Some(feed);
                return true;
            }
            for told in told {
                assert!(told.position > self.position, "{:?} after {:?}", told.position, self.position);
                rows += 1;
                self.position = told.position;
                self.obey(&db, told).await;
                if rows == limit {
                    // The rest of the page is lost with the connection.
                    return false;
                }
            }
        }
        self.feed = Some(feed);
        false
    }

    /// Waits for something to happen.
    pub(crate) async fn changed(&mut self) {
        if let Some(feed) = &mut self.feed {
            assert!(feed.changed().await.is_ok());
        }
    }

    async fn obey(&mut self, db: &Database, told: Told) {
        let held = self.holds.clone();
        self.log.push(format!("{} {:?}", told.position, told.news));
        self.heed(db, told).await;
        if held != self.holds {
            self.log.push(format!("holds {:?}", self.holds));
        }
    }

    async fn heed(&mut self, db: &Database, told: Told) {
        match told.news {
            News::Changed(change) if change.deleted => drop(self.holds.remove(&change.id)),
            News::Changed(change) => {
                match db.get(&change.id, &Which::Rev(change.winner.clone()), Detail::Plain).await {
                    Ok(document) if document.shown == Shown::Whole => {
                        self.holds.insert(change.id.clone(), document.rev);
                    }
                    // It has changed since, or was lost: that is told later.
                    Ok(_) | Err(Error::Access(_) | Error::NotFound(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            News::Left(change, _) | News::Lost(change) => drop(self.holds.remove(&change.id)),
            News::Myself => {}
        }
    }
}

fn interest() -> Interest {
    Interest { losses: true, myself: true, ..Interest::default() }
}
