//! Feeds that all say the same: one piece, made once, is written to all their sockets.
//!
//! A circle goes from position to position, and so does each feed. One that is where the circle is gets the next piece;
//! one that is behind, or whose socket takes only a part, is woken to go on by itself. So no feed misses a piece or gets
//! one twice, and none has a queue. Whose client is slow costs the others one system call.

use super::{
    Place,
    seat::{Dismissed, Seat, chunk},
};
use bytes::Bytes;
use std::{
    fmt,
    io::ErrorKind,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpStream, task::yield_now, time::Instant};

/// Sockets written to before other tasks have their turn.
const BATCH: usize = 32;
/// Seats left behind that are cleared only with the others.
const LEFT_MAX: usize = 64;

/// Feeds that wait for the same. One task speaks; it is that task's only owner who may call [`say`](Self::say).
pub struct Circle(Mutex<Hall>);

struct Hall {
    /// Up to where everything was said.
    position: u64,
    seats: Vec<Arc<Seat>>,
    /// How many seats there were when those left were last cleared.
    cleared: usize,
    is_closed: bool,
}

impl Circle {
    /// A circle in which everything up to `position` counts as said.
    pub fn new(position: u64) -> Self {
        Self(Mutex::new(Hall { position, seats: Vec::new(), cleared: 0, is_closed: false }))
    }

    /// Writes `piece`, which leads from the last position to `position`, to every feed that waits for it. The piece
    /// must not be empty unless there is nothing to say on the way.
    ///
    /// Not cancel safe: the feeds would be forgotten.
    pub async fn say(&self, piece: &[u8], position: u64) {
        let (from, mut seats) = {
            let mut hall = self.hall();
            (std::mem::replace(&mut hall.position, position), std::mem::take(&mut hall.seats))
        };
        let said = Said { chunk: if piece.is_empty() { Bytes::new() } else { chunk(piece) }, from, to: position };
        let mut place = 0;
        while place < seats.len() {
            let now = Instant::now();
            let batch_end = (place + BATCH).min(seats.len());
            let mut left = batch_end - place;
            while left > 0 && seats.get(place).is_some() {
                let keeps = seats.get(place).is_some_and(|seat| Arc::strong_count(seat) > 1 && said.to(seat, now));
                if keeps {
                    place += 1;
                } else {
                    drop(seats.swap_remove(place));
                }
                left -= 1;
            }
            if place < seats.len() {
                yield_now().await;
            }
        }
        let mut hall = self.hall();
        seats.append(&mut hall.seats);
        (hall.cleared, hall.seats) = (seats.len(), seats);
    }

    /// Closes the circle if nobody sits in it. Whether it is closed.
    pub fn close_if_empty(&self) -> bool {
        let mut hall = self.hall();
        hall.clear();
        hall.is_closed |= hall.seats.is_empty();
        hall.is_closed
    }

    /// Closes the circle: every feed goes on by itself.
    pub fn close(&self) {
        let seats = {
            let mut hall = self.hall();
            hall.is_closed = true;
            std::mem::take(&mut hall.seats)
        };
        for seat in seats {
            seat.sitting().dismiss(Dismissed::Closed);
        }
    }

    /// Whether nobody can join any more.
    pub fn is_closed(&self) -> bool {
        self.hall().is_closed
    }

    fn hall(&self) -> MutexGuard<'_, Hall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place for Circle {
    fn join(&self, seat: &Arc<Seat>, position: u64, stream: TcpStream) -> Result<(), TcpStream> {
        let mut hall = self.hall();
        if hall.is_closed || position < hall.position {
            return Err(stream);
        }
        if hall.seats.len() > 2 * hall.cleared + LEFT_MAX {
            hall.clear();
        }
        seat.take(position, stream);
        let was_listed = std::mem::replace(&mut seat.sitting().is_listed, true);
        if !was_listed {
            hall.seats.push(Arc::clone(seat));
        }
        Ok(())
    }
}

impl Hall {
    /// Forgets seats whose feeds have ended.
    fn clear(&mut self) {
        self.seats.retain(|seat| Arc::strong_count(seat) > 1);
        self.cleared = self.seats.len();
    }
}

/// A piece, and where it leads.
struct Said {
    chunk: Bytes,
    from: u64,
    to: u64,
}

impl Said {
    /// Writes the piece to one feed. Whether it stays.
    fn to(&self, seat: &Seat, now: Instant) -> bool {
        let mut sitting = seat.sitting();
        if sitting.position >= self.to && sitting.stream.is_some() {
            return true;
        }
        if sitting.position != self.from {
            sitting.dismiss(Dismissed::Behind);
            return false;
        }
        if self.chunk.is_empty() && sitting.stream.is_some() {
            sitting.position = self.to;
            return true;
        }
        let written = sitting.stream.as_ref().map(|stream| stream.try_write(&self.chunk));
        match written {
            Some(Ok(length)) => {
                (sitting.position, sitting.sent_at) = (self.to, Some(now));
                if length < self.chunk.len() {
                    sitting.unsent = self.chunk.slice(length..);
                    sitting.dismiss(Dismissed::Behind);
                }
                length == self.chunk.len()
            }
            Some(Err(error)) if error.kind() == ErrorKind::WouldBlock => {
                sitting.dismiss(Dismissed::Behind);
                false
            }
            Some(Err(_)) => {
                sitting.dismiss(Dismissed::Gone);
                false
            }
            // Its task has taken the socket, for a heartbeat: it goes on by itself.
            None => {
                sitting.is_listed = false;
                false
            }
        }
    }
}

impl fmt::Debug for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hall = self.hall();
        f.debug_struct("Circle").field("position", &hall.position).field("seats", &hall.seats.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn who_is_behind_cannot_join() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (circle, seat) = (Circle::new(0), Arc::<Seat>::default());
        circle.say(b"x", 5).await;
        for (position, joins) in [(4, false), (5, true), (6, true)] {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            assert_eq!(circle.join(&seat, position, stream).is_ok(), joins, "{position}");
        }
        assert!(!circle.close_if_empty());
        drop(seat);
        assert!(circle.close_if_empty() && circle.is_closed());
    }
}
