//! Response bodies that wait: feeds, which say something now and then, for hours.
//!
//! A connection under a feed needs little: its socket, and the moment to look again. So a feed leaves the HTTP library
//! once the head of its response is written ([`connection`](crate::connection)), and where many feeds say the same, it
//! takes a seat in a [`Circle`], which writes one piece to all their sockets, or in another [`Place`]. Where it can't leave (HTTP/2, HTTP/1.0) it
//! is pulled like any other [`Source`]; it says the same either way.

mod circle;
mod line;
mod seat;

pub use circle::Circle;
pub(crate) use line::Line;
pub use seat::{Piece, Seat};

use crate::respond::{PulledBody, Source};
use std::{fmt, pin::Pin, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::Instant};

/// A source that mostly waits.
pub trait Feed: Source {
    /// Where the feed can wait together with others, if it has nothing to say now and may do so.
    ///
    /// Whoever drives it asks before [`Source::next`], and tells what came of it by [`resume`](Self::resume).
    fn rest(&mut self) -> Option<Rest>;

    /// Waits until the feed must be asked although nobody told it anything; while it rests.
    fn recalled(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Goes on from a rest: all up to `position` was sent for it, the latest at `sent_at`.
    fn resume(&mut self, position: u64, sent_at: Instant);
}

/// Where feeds wait together.
pub trait Place: Send + Sync + fmt::Debug {
    /// Has a feed that is at `position` take its seat; its socket comes back if it can't, as more was said already.
    ///
    /// # Errors
    /// The socket.
    fn join(&self, seat: &Arc<Seat>, position: u64, stream: TcpStream) -> Result<(), TcpStream>;

    /// Up to where everything was said that concerns who sits here and wasn't dismissed; 0 where that isn't known: it is
    /// where it was told something last.
    fn said(&self) -> u64 {
        0
    }
}

/// How a feed waits.
#[derive(Debug)]
pub struct Rest {
    /// With whom.
    pub place: Arc<dyn Place>,
    /// Up to where it has sent everything.
    pub position: u64,
    /// Since when it sent nothing.
    pub quiet_since: Instant,
    /// After how long without a word it is to be asked again.
    pub quiet_max: Duration,
}

/// The body that a [`Feed`] makes.
pub struct FeedBody(Option<Box<dyn Driven>>);

/// A feed of whatever type.
trait Driven: Send {
    fn into_pulled(self: Box<Self>) -> PulledBody;
    fn run(self: Box<Self>, line: Line) -> Running;
}

/// Gives the line back at the end of the feed, none if the connection is to be cut.
pub(crate) type Running = Pin<Box<dyn Future<Output = Option<Line>> + Send>>;

impl<F: Feed> Driven for F {
    fn into_pulled(self: Box<Self>) -> PulledBody {
        PulledBody::of(*self)
    }

    fn run(self: Box<Self>, line: Line) -> Running {
        Box::pin(line::run(self, line))
    }
}

impl FeedBody {
    pub(crate) fn of(feed: impl Feed) -> Self {
        Self(Some(Box::new(feed)))
    }

    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// As a body that the connection pulls.
    pub(crate) fn into_pulled(self) -> PulledBody {
        self.0.map_or_else(PulledBody::ended, Driven::into_pulled)
    }

    /// Runs it on a socket of its own.
    pub(crate) fn run(self, line: Line) -> Option<Running> {
        Some(self.0?.run(line))
    }
}

impl fmt::Debug for FeedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedBody").finish_non_exhaustive()
    }
}
