//! Continuous feeds that have caught up wait in a hall: for each collection and form of rows one task reads what happens,
//! finds who sees it by the channels it is in, and writes each row once for all of them.
//!
//! What a feed may see is asked again for each piece that it is told. Whoever was granted something or lost it, whose
//! socket takes no more, or whose conflicts have to be looked up, goes on by itself, and comes back.

use super::{
    params::Deleted,
    row::{self, Form, Told as Row},
};
use crate::context::Context;
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tidegate_engine::{ChannelNews, CollectionId, Database, News, Told, Unseen, Vantage};
use tidegate_http::feed::{Piece, Place, Seat};
use tidegate_types::Channel;
use tokio::{net::TcpStream, task::yield_now, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Changes read at once.
const PAGE: usize = 512;
/// Feeds written to before other tasks have their turn.
const BATCH: usize = 32;

/// The halls of all databases.
#[derive(Default)]
pub(crate) struct Halls(Mutex<HashMap<Key, Arc<Hall>>>);

/// A collection, and how its rows are written.
type Key = (CollectionId, Shape);

/// All that decides how a change is written for those who see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) form: Form,
    pub(super) deleted: Deleted,
}

/// How a feed finds its hall, and its place there.
pub(super) struct Company {
    shape: Shape,
    halls: Arc<Halls>,
    tasks: TaskTracker,
    draining: CancellationToken,
    ticket: Option<Arc<Ticket>>,
}

/// A feed's right to sit in a hall, where it is listed as long as it has it.
struct Ticket {
    hall: Arc<Hall>,
    number: u64,
    vantage: Arc<Vantage>,
}

struct Hall {
    /// Up to where everything was said.
    said: AtomicU64,
    board: Mutex<Board>,
}

/// Who sits where.
#[derive(Default)]
struct Board {
    /// Up to where everything was said, or is being said.
    position: u64,
    is_closed: bool,
    tickets: u64,
    members: HashMap<u64, Member>,
    channels: HashMap<Channel, Vec<u64>>,
    /// Those who see everything.
    all: Vec<u64>,
}

#[derive(Clone)]
struct Member {
    seat: Arc<Seat>,
    vantage: Arc<Vantage>,
}

/// The task of a hall.
struct Speaker {
    db: Database,
    news: ChannelNews,
    shape: Shape,
    hall: Arc<Hall>,
    halls: Arc<Halls>,
    draining: CancellationToken,
}

impl Company {
    pub(super) fn new(cx: &Context, shape: Shape) -> Self {
        let (halls, tasks, draining) = (Arc::clone(&cx.shared.halls), cx.tasks.clone(), cx.draining.clone());
        Self { shape, halls, tasks, draining, ticket: None }
    }

    /// Where a feed with this vantage waits; in a hall that begins with this news if there is none.
    pub(super) fn place(
        &mut self,
        vantage: Arc<Vantage>,
        db: &Database,
        news: impl FnOnce() -> ChannelNews,
    ) -> Arc<dyn Place> {
        let is_good = |ticket: &&Arc<Ticket>| Arc::ptr_eq(&ticket.vantage, &vantage) && !ticket.hall.board().is_closed;
        if let Some(ticket) = self.ticket.as_ref().filter(is_good) {
            return Arc::clone(ticket) as Arc<dyn Place>;
        }
        let hall = self.hall(db, news);
        let mut board = hall.board();
        board.tickets += 1;
        let number = board.tickets;
        drop(board);
        let ticket = Arc::new(Ticket { hall, number, vantage });
        self.ticket = Some(Arc::clone(&ticket));
        ticket
    }

    fn hall(&self, db: &Database, news: impl FnOnce() -> ChannelNews) -> Arc<Hall> {
        let mut halls = self.halls.lock();
        let key = (db.collection_id(), self.shape);
        if let Some(hall) = halls.get(&key).filter(|hall| !hall.board().is_closed) {
            return Arc::clone(hall);
        }
        let news = news();
        let since = news.since().get();
        let board = Mutex::new(Board { position: since, ..Board::default() });
        let hall = Arc::new(Hall { said: AtomicU64::new(since), board });
        halls.insert(key, Arc::clone(&hall));
        drop(halls);
        let (halls, draining) = (Arc::clone(&self.halls), self.draining.clone());
        let speaker = Speaker { db: db.clone(), news, shape: self.shape, hall: Arc::clone(&hall), halls, draining };
        drop(self.tasks.spawn(speaker.speak()));
        hall
    }
}

impl Halls {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Hall>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a hall, but not one that took its place.
    fn forget(&self, key: Key, hall: &Arc<Hall>) {
        if let Entry::Occupied(entry) = self.lock().entry(key)
            && Arc::ptr_eq(entry.get(), hall)
        {
            entry.remove();
        }
    }
}

impl Place for Ticket {
    fn join(&self, seat: &Arc<Seat>, position: u64, stream: TcpStream) -> Result<(), TcpStream> {
        let mut board = self.hall.board();
        if board.is_closed || position < board.position {
            return Err(stream);
        }
        board.list(self.number, || Member { seat: Arc::clone(seat), vantage: Arc::clone(&self.vantage) });
        seat.take(position, stream);
        Ok(())
    }

    fn said(&self) -> u64 {
        let said = self.hall.said.load(Ordering::Acquire);
        // What a grant or a loss brings on the way there, nobody told it.
        if self.vantage.is_current() { said } else { 0 }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.hall.board().strike(self.number);
    }
}

impl Hall {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to say what leads to `position`: whom which of the changes concerns.
    fn begin(&self, changes: &[Unseen], position: u64) -> Vec<(Member, Vec<usize>)> {
        let mut board = self.board();
        board.position = position;
        let mut concerned: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (place, change) in changes.iter().enumerate() {
            let listed = change.channels().filter_map(|channel| board.channels.get(channel)).chain([&board.all]);
            for number in listed.flatten() {
                let places = concerned.entry(*number).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        let member = |(number, places)| Some((board.members.get(&number)?.clone(), places));
        concerned.into_iter().filter_map(member).collect()
    }

    fn close_if_empty(&self) -> bool {
        let mut board = self.board();
        board.is_closed |= board.members.is_empty();
        board.is_closed
    }

    /// Every feed goes on by itself.
    fn close(&self) {
        let members: Vec<Member> = {
            let mut board = self.board();
            board.is_closed = true;
            board.members.values().cloned().collect()
        };
        members.iter().for_each(|member| member.seat.dismiss());
    }
}

impl Board {
    fn list(&mut self, number: u64, member: impl FnOnce() -> Member) {
        let Entry::Vacant(place) = self.members.entry(number) else { return };
        let Member { vantage, .. } = place.insert(member());
        match vantage.channels() {
            Some(channels) => {
                channels.for_each(|channel| self.channels.entry(channel.clone()).or_default().push(number));
            }
            None => self.all.push(number),
        }
    }

    fn strike(&mut self, number: u64) {
        let Some(member) = self.members.remove(&number) else { return };
        let Some(channels) = member.vantage.channels() else {
            return self.all.retain(|listed| *listed != number);
        };
        for channel in channels {
            if let Some(listed) = self.channels.get_mut(channel) {
                listed.retain(|listed| *listed != number);
                if listed.is_empty() {
                    self.channels.remove(channel);
                }
            }
        }
    }
}

impl Speaker {
    async fn speak(mut self) {
        while self.changed().await && self.db.is_current() {
            let Some(changes) = self.news.next(PAGE) else { break };
            self.say(&changes).await;
            if self.hall.close_if_empty() {
                break;
            }
        }
        self.halls.forget((self.db.collection_id(), self.shape), &self.hall);
        self.hall.close();
    }

    /// Waits for a change; not for ever.
    async fn changed(&mut self) -> bool {
        tokio::select! {
            changed = self.news.changed() => changed.is_ok(),
            () = self.draining.cancelled() => false,
        }
    }

    async fn say(&self, changes: &[Unseen]) {
        let position = self.news.since().get();
        let concerned = self.hall.begin(changes, position);
        let mut written = Written { db: &self.db, shape: self.shape, pieces: HashMap::new() };
        for batch in concerned.chunks(BATCH) {
            let now = Instant::now();
            for (Member { seat, vantage }, places) in batch {
                match vantage.tell(places.iter().filter_map(|place| changes.get(*place))) {
                    Some(told) => written.piece(&told).into_iter().for_each(|piece| seat.hear(&piece, now)),
                    None => seat.dismiss(),
                }
            }
            if concerned.len() > BATCH {
                yield_now().await;
            }
        }
        self.hall.said.store(position, Ordering::Release);
    }
}

/// What was written for some: it is the same for others who see the same.
struct Written<'s> {
    db: &'s Database,
    shape: Shape,
    /// By the sequences that are told in it.
    pieces: HashMap<Vec<u64>, Piece>,
}

impl Written<'_> {
    /// What is told, as it goes out; nothing if none of it is asked for.
    fn piece(&mut self, told: &[Told]) -> Option<Piece> {
        let is_shared = told.iter().all(|told| matches!(told.news, News::Changed(_)));
        if !is_shared {
            return self.write(told);
        }
        let sequences: Vec<u64> = told.iter().map(|told| told.position.seq.get()).collect();
        if let Some(piece) = self.pieces.get(&sequences) {
            return Some(piece.clone());
        }
        let piece = self.write(told)?;
        self.pieces.insert(sequences, piece.clone());
        Some(piece)
    }

    fn write(&self, told: &[Told]) -> Option<Piece> {
        let mut out = Vec::new();
        for Told { position, news } in told {
            let (change, removed) = match news {
                News::Changed(change) => (change, &[][..]),
                News::Left(change, left) => (change, left.as_slice()),
                // Told by the feed itself alone.
                News::Lost(_) | News::Myself => continue,
            };
            if !self.shape.deleted.tells(change) {
                continue;
            }
            row::write(self.db, &Row { removed, ..Row::of(*position, change) }, self.shape.form, None, &mut out);
            out.push(b'\n');
        }
        let (first, last) = (told.first()?.position.seq.get(), told.last()?.position.seq.get());
        (!out.is_empty()).then(|| Piece::new(&out, (first, last)))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("number", &self.number).finish_non_exhaustive()
    }
}
