//! What a feed tells of documents in channels.

use crate::{
    Change, Database, Error, FeedEnd, OpenRev, OpenRevs,
    principals::Viewer,
    sight::Sight,
    vantage::{ChannelNews, Vantage},
};
use std::{collections::VecDeque, sync::Arc};
use tidegate_channels::{Access, Grants, Losses, Position, Row, Step, Telling, Walk};
use tidegate_revtree::Node;
use tidegate_types::{Channel, Principal, Rev, Seq};

/// Rows of a channel that are read at once, at the most and at the least.
const PAGE_MAX: usize = 1_000;
const PAGE_MIN: usize = 8;
/// Snapshots taken until none is older than what is known of the user.
const SIGHTS_MAX: usize = 100;
/// What is read ahead for one with many channels, as each is looked at whenever rows are read.
const AHEAD_MAX: usize = 8_192;
/// Changes in memory that are looked at in one go.
const RECENT_MAX: usize = 512;

/// Something that a feed tells.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where the feed is after it.
    pub position: Position,
    /// What it tells.
    pub news: News,
}

/// What a feed tells.
#[derive(Clone, Debug)]
pub enum News {
    /// A document changed, or is to be seen now.
    Changed(Arc<Change>),
    /// A document left these channels, and can't be seen any more.
    Left(Arc<Change>, Vec<Channel>),
    /// A document can't be seen any more, as a channel is lost.
    Lost(Arc<Change>),
    /// The user itself changed.
    Myself,
}

/// What a feed is to tell.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    /// Of these channels alone.
    pub channels: Option<Vec<Channel>>,
    /// Of documents that are lost with a channel, too.
    pub losses: bool,
    /// Of changes of the user itself, too.
    pub myself: bool,
}

/// Follows what a caller may see of a database. It is subscribed from the moment it is made. What it was told is all
/// that there is up to [`ChannelFeed::position`]: whoever goes on from there misses nothing.
pub struct ChannelFeed {
    db: Database,
    feed: tidegate_store::Feed,
    interest: Interest,
    position: Position,
    /// By what was judged what is told.
    known: Option<Arc<Vantage>>,
    /// What was read and isn't told yet.
    ahead: Option<Box<Ahead>>,
    /// Whether it hasn't read since then what is in memory.
    has_begun_to_listen: bool,
    /// Whether others tell it what happens in its channels, so that it listens for what happens to its caller alone.
    is_resting: bool,
}

/// Rows to be told, as long as their reader may see what it could when they were read.
struct Ahead {
    told: VecDeque<Told>,
    /// Where the feed is after them, and up to where there was something to read.
    end: Position,
    until: Seq,
    known: Arc<Vantage>,
}

impl Database {
    /// A feed of what its caller may see.
    ///
    /// # Errors
    /// [`Error::Access`].
    pub fn follow_channels(&self, from: Position, interest: Interest) -> Result<ChannelFeed, Error> {
        self.check_listing()?;
        let feed = self.store.follow(from.done());
        let (db, position) = (self.clone(), from);
        Ok(ChannelFeed {
            db,
            feed,
            interest,
            position,
            known: None,
            ahead: None,
            has_begun_to_listen: false,
            is_resting: false,
        })
    }

    /// Whether its caller sees documents by their channels, so that its feeds have to be those of
    /// [`Database::follow_channels`].
    pub fn is_seen_by_channels(&self) -> bool {
        self.viewer != Viewer::Everything
    }
}

impl ChannelFeed {
    /// The database, under the rules by which its caller was checked last.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Up to where it was told everything.
    pub fn position(&self) -> Position {
        self.position
    }

    /// What comes next, at most `limit`; nothing if it has caught up.
    ///
    /// # Errors
    /// [`Error::Access`] for a caller who may not use the database any more, the database is gone, or the storage failed.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Told>, Error> {
        self.db = self.db.renewed().await?;
        self.listen();
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut told = match self.recent(limit) {
            Some(told) => told,
            None => {
                if self.ahead.as_ref().is_none_or(|ahead| !ahead.known.is_current()) {
                    self.ahead = Some(Box::new(self.walk(limit).await?));
                }
                self.take_ahead(limit)
            }
        };
        self.hide_leaves(&mut told).await?;
        Ok(told)
    }

    /// Leaves the conflicts out that can't be seen.
    async fn hide_leaves(&self, told: &mut [Told]) -> Result<(), Error> {
        for told in told {
            let (News::Changed(change) | News::Left(change, _) | News::Lost(change)) = &mut told.news else { continue };
            if change.others.is_empty() || !self.db.is_seen_by_channels() {
                continue;
            }
            let seen = match self.db.open_revs(&change.id, &OpenRevs::All).await {
                Ok(seen) => seen,
                Err(Error::NotFound(_) | Error::Access(_)) => Vec::new(),
                Err(error) => return Err(error),
            };
            let seen = |rev: &Rev| seen.iter().any(|found| matches!(found, OpenRev::Found(found) if found.rev == *rev));
            let others = change.others.iter().filter(|rev| seen(rev)).cloned().collect();
            *change = Arc::new(Change { others, ..Change::clone(change) });
        }
        Ok(())
    }

    /// Waits until there may be something after [`ChannelFeed::position`]. Cancel safe.
    ///
    /// # Errors
    /// There will be nothing more.
    pub async fn changed(&mut self) -> Result<(), FeedEnd> {
        self.listen();
        // What was committed before it began to listen rang no bell for it.
        if self.known.is_none() || self.has_begun_to_listen && self.feed.is_behind() {
            return self.feed.changed().await;
        }
        self.feed.concerned().await
    }

    /// From where it sees what happens, if it has caught up: others may tell it then, until it is [recalled](Self::recalled)
    /// and [goes on](Self::next).
    pub fn rest(&mut self) -> Option<Arc<Vantage>> {
        let known = self.known.as_ref()?;
        if self.position.trigger.is_some() || self.feed.since() != self.position.seq {
            return None;
        }
        if !self.is_resting {
            self.feed.listen(&Access::of(Grants::new()), known.standing());
            self.is_resting = true;
        }
        (known.is_current() && self.db.is_current()).then(|| Arc::clone(known))
    }

    /// What is to be told to those who rest, from here on.
    pub fn news(&self) -> ChannelNews {
        ChannelNews::new(self.feed.beside(self.position.seq), self.db.collection_id())
    }

    /// Waits until something happens to the caller of a feed that rests: it has to go on by itself. Cancel safe.
    pub async fn recalled(&mut self) {
        // Of the end, it is told by going on.
        self.feed.concerned().await.ok();
    }

    /// Goes on from `seq`: what lies between was told by others.
    pub fn resume(&mut self, seq: Seq) {
        self.position = self.position.max(Position::at(seq));
        self.feed.skip_to(seq);
    }

    /// After a rest listens again for what happens in its channels, before it reads.
    fn listen(&mut self) {
        let Some(known) = self.known.as_ref().filter(|_| self.is_resting) else { return };
        self.feed.listen(known.access(), known.standing());
        (self.is_resting, self.has_begun_to_listen) = (false, true);
    }

    /// What is in memory, if that is all there is: nobody was granted anything since, nor lost it.
    fn recent(&mut self, limit: usize) -> Option<Vec<Told>> {
        let known = self.known.as_ref()?;
        if self.position.trigger.is_some() || self.feed.since() != self.position.seq {
            return None;
        }
        let mut told = Vec::new();
        while told.is_empty() {
            let changes = self.feed.recent(limit.min(RECENT_MAX))?;
            // Asked after they were read: whoever was granted something before they were made is known to be.
            if !known.is_current() {
                return None;
            }
            told.extend(changes.iter().filter_map(|change| known.told(change)));
            if changes.is_empty() {
                break;
            }
        }
        self.has_begun_to_listen = false;
        self.position = Position::at(self.feed.since());
        Some(told)
    }

    /// Tells what was read ahead.
    fn take_ahead(&mut self, limit: usize) -> Vec<Told> {
        let Some(mut ahead) = self.ahead.take() else { return Vec::new() };
        let later = ahead.told.split_off(limit.min(ahead.told.len()));
        let told = std::mem::replace(&mut ahead.told, later);
        match told.back() {
            Some(last) if !ahead.told.is_empty() => {
                self.position = last.position;
                self.known = None;
                self.ahead = Some(ahead);
            }
            Some(_) | None => self.arrive(*ahead),
        }
        told.into()
    }

    /// Everything is told that was read. What is in memory goes on from where the walk ended. A page of it is no end: losses
    /// may be left to tell.
    fn arrive(&mut self, Ahead { end, until, known, .. }: Ahead) {
        self.position = end;
        if end.trigger.is_none() {
            self.feed.skip_to(end.seq);
        }
        self.known = Some(known).filter(|_| end >= Position::at(until));
        if let Some(known) = &self.known {
            self.feed.listen(known.access(), known.standing());
            self.has_begun_to_listen = true;
        }
    }

    /// What the channels' indexes say: as much as is wanted, or more where there are many of them.
    async fn walk(&self, limit: usize) -> Result<Ahead, Error> {
        let (sight, until) = self.sight().await?;
        let access = sight.access_within(self.interest.channels.as_deref());
        let losses = if self.interest.losses { Losses::Told } else { Losses::Untold };
        let mut walk = Walk::new(&access, self.position, until, losses);
        let limit = limit.max(walk.width().min(AHEAD_MAX));
        let page = (2 * limit / walk.width().max(1)).clamp(PAGE_MIN, PAGE_MAX);
        let mut told = VecDeque::new();
        let mut myself = self.myself(&sight, until).await?;
        let mut position = Position::at(until).max(self.position);
        while told.len() < limit {
            let row = match walk.poll() {
                Step::Read(read) => {
                    let (rows, more) = sight.reader.channel_rows(&read, page).await?;
                    walk.handle_read(&read, rows, more);
                    continue;
                }
                Step::Row(row) => Some(row),
                Step::Done => None,
            };
            if let Some(at) = myself.filter(|at| row.as_ref().is_none_or(|row| *at < row.position)) {
                myself = None;
                told.push_back(Told { position: at, news: News::Myself });
            }
            let Some(row) = row else { break };
            if told.len() == limit {
                break;
            }
            let at = row.position;
            told.extend(tell(&sight, &access, row).await?);
            if told.len() == limit {
                position = at;
            }
        }
        if told.len() >= limit {
            position = told.back().map_or(position, |last| last.position);
        }
        let known = Arc::new(Vantage::new(self.db.store.clone(), sight.access, access));
        Ok(Ahead { told, end: position, until, known })
    }

    /// A snapshot with its latest sequence, and what the caller may see at it. What was granted or lost only later must
    /// not be known of: it would count for what was seen before.
    async fn sight(&self) -> Result<(Sight, Seq), Error> {
        for _ in 0..SIGHTS_MAX {
            let sight = self.db.sight().await?;
            let until = sight.reader.info().await?.update_seq;
            if sight.access.at() <= until {
                return Ok((sight, until));
            }
        }
        Err(Error::Overloaded)
    }

    /// Where the change of the user itself is to be told, if it is.
    async fn myself(&self, sight: &Sight, until: Seq) -> Result<Option<Position>, Error> {
        let Viewer::User(name) = &self.db.viewer else { return Ok(None) };
        if !self.interest.myself {
            return Ok(None);
        }
        let state = sight.reader.principal(&Principal::User(name.clone())).await?;
        let at = state.map(|state| state.seq).filter(|seq| *seq <= until).map(Position::at);
        Ok(at.filter(|at| *at > self.position))
    }
}

/// What is told of a row of the walk. Nothing of a document that can still be seen, by other channels.
async fn tell(sight: &Sight, access: &Access, row: Row<Arc<Change>>) -> Result<Option<Told>, Error> {
    let Row { position, about: change, telling } = row;
    let news = match telling {
        Telling::Seen => News::Changed(change),
        Telling::Left(_) | Telling::Lost if is_seen(sight, access, &change).await? => return Ok(None),
        Telling::Left(channels) => News::Left(change, channels),
        Telling::Lost => News::Lost(before(sight, change, position.trigger).await?),
    };
    Ok(Some(Told { position, news }))
}

/// The change as its reader may have seen it before the loss: of revisions that were written since, it learns nothing.
async fn before(sight: &Sight, change: Arc<Change>, loss: Option<Seq>) -> Result<Arc<Change>, Error> {
    let Some(loss) = loss.filter(|loss| change.seq > *loss) else { return Ok(change) };
    let Some(state) = sight.reader.document(&change.id).await? else { return Ok(change) };
    let path = state.tree.path(&change.winner);
    let was_there = |node: &&Node| node.body.stored().is_some_and(|written| written <= loss);
    let Some(seen) = path.iter().copied().find(was_there).or(path.last().copied()) else { return Ok(change) };
    Ok(Arc::new(Change { winner: seen.rev.clone(), others: Vec::new(), ..Change::clone(&change) }))
}

async fn is_seen(sight: &Sight, access: &Access, change: &Change) -> Result<bool, Error> {
    let Some(winner) = sight.reader.winner(&change.id).await? else { return Ok(false) };
    let Some(body) = winner.body else { return Ok(false) };
    Ok(access.sees(&sight.reader.assigned(body).await?.channels))
}
