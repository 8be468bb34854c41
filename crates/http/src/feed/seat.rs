//! Where a feed's socket lies while the feed rests: whoever speaks to it writes there, and its own task waits beside.

use bytes::{BufMut, Bytes, BytesMut};
use std::{
    fmt,
    io::ErrorKind,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Waker,
};
use tokio::{net::TcpStream, time::Instant};

/// The place of one feed, kept from rest to rest. The connection's task and who speaks hold it.
#[derive(Default)]
pub struct Seat(Mutex<Sitting>);

/// What a feed finds in its seat when it leaves.
pub(super) struct Left {
    pub(super) stream: Option<TcpStream>,
    pub(super) position: u64,
    pub(super) sent_at: Option<Instant>,
    pub(super) unsent: Bytes,
}

/// What lies in a seat.
#[derive(Default)]
pub(crate) struct Sitting {
    /// The feed's socket while it rests.
    pub(crate) stream: Option<TcpStream>,
    pub(crate) position: u64,
    pub(crate) sent_at: Option<Instant>,
    /// What the socket didn't take of the piece that leads to `position`.
    pub(crate) unsent: Bytes,
    /// Why the feed must go on by itself.
    pub(crate) dismissed: Option<Dismissed>,
    pub(crate) waker: Option<Waker>,
    /// Whether a circle knows of it.
    pub(super) is_listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dismissed {
    /// It can't keep up, or is elsewhere than the circle.
    Behind,
    /// The circle is closed.
    Closed,
    /// The client is gone.
    Gone,
}

/// What is written to feeds at once, as it goes out.
#[derive(Clone)]
pub struct Piece {
    chunk: Bytes,
    /// The first position that is told in it, and the last.
    from: u64,
    to: u64,
}

impl Piece {
    /// Of `content`, which isn't empty and tells of positions from `from` to `to`.
    pub fn new(content: &[u8], (from, to): (u64, u64)) -> Self {
        Self { chunk: chunk(content), from, to }
    }
}

/// A chunk of HTTP/1.1's chunked coding; `content` isn't empty.
pub(crate) fn chunk(content: &[u8]) -> Bytes {
    let size = format!("{:x}\r\n", content.len());
    let mut out = BytesMut::with_capacity(size.len() + content.len() + 2);
    out.put_slice(size.as_bytes());
    out.put_slice(content);
    out.put_slice(b"\r\n");
    out.freeze()
}

impl Seat {
    /// Where it has been told everything up to `said`, unless it was dismissed.
    pub(super) fn leave(&self, said: u64) -> Left {
        let mut sitting = self.sitting();
        let (stream, unsent) = (sitting.stream.take(), std::mem::take(&mut sitting.unsent));
        let position = if sitting.dismissed.is_none() { sitting.position.max(said) } else { sitting.position };
        Left { stream, position, sent_at: sitting.sent_at, unsent }
    }

    /// A feed that is at `position` sits down.
    pub fn take(&self, position: u64, stream: TcpStream) {
        let mut sitting = self.sitting();
        (sitting.stream, sitting.position) = (Some(stream), position);
        (sitting.sent_at, sitting.dismissed) = (None, None);
    }

    /// Writes a piece to the feed that sits here, if one does that hasn't got it yet. One whose socket doesn't take all of
    /// it, or that was told a part of it otherwise, goes on by itself.
    pub fn hear(&self, piece: &Piece, now: Instant) {
        let mut sitting = self.sitting();
        let Some(stream) = sitting.stream.as_ref().filter(|_| sitting.position < piece.to) else { return };
        if sitting.dismissed.is_some() {
            return;
        }
        if sitting.position >= piece.from {
            return sitting.dismiss(Dismissed::Behind);
        }
        match stream.try_write(&piece.chunk) {
            Ok(length) => {
                (sitting.position, sitting.sent_at) = (piece.to, Some(now));
                if length < piece.chunk.len() {
                    sitting.unsent = piece.chunk.slice(length..);
                    sitting.dismiss(Dismissed::Behind);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => sitting.dismiss(Dismissed::Behind),
            Err(_) => sitting.dismiss(Dismissed::Gone),
        }
    }

    /// The feed that sits here goes on by itself.
    pub fn dismiss(&self) {
        self.sitting().dismiss(Dismissed::Closed);
    }

    pub(super) fn sitting(&self) -> MutexGuard<'_, Sitting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sitting {
    pub(super) fn dismiss(&mut self, why: Dismissed) {
        self.dismissed = Some(why);
        self.is_listed = false;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").finish_non_exhaustive()
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}
