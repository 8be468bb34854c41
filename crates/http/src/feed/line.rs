//! A feed on a socket of its own: HTTP/1.1's chunked coding and nothing else.

use super::{
    Feed, Rest,
    seat::{Dismissed, Seat, Sitting, chunk},
};
use crate::{connection::Intake, respond::Aborted};
use std::{
    future::poll_fn,
    io::ErrorKind,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// What is left of a connection while a feed runs on it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    pub(crate) intake: Intake,
}

/// How a rest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The feed may rest again where it is now.
    Behind,
    /// The feed must be asked.
    Due,
    Gone,
}

/// Runs a feed to its end, from behind the head of its response.
///
/// What lives across its waits is what each feed costs in memory, so it is little: a rest borrows all it needs.
pub(super) async fn run<F: Feed>(mut feed: Box<F>, line: Line) -> Option<Line> {
    let Line { mut stream, mut intake } = line;
    let mut seat = None;
    loop {
        if let Some(rest) = feed.rest() {
            let seat = seat.get_or_insert_with(Arc::<Seat>::default);
            match rest.place.join(seat, rest.position, stream) {
                Err(back) => stream = back,
                Ok(()) => {
                    let ending = rested(seat, &rest, &mut intake, feed.recalled()).await;
                    // Asked before it leaves: what is said later may not be said to it.
                    let said = rest.place.said();
                    let left = seat.leave(said);
                    stream = left.stream?;
                    if ending == Ending::Gone {
                        return None;
                    }
                    feed.resume(left.position, left.sent_at.unwrap_or(rest.quiet_since));
                    stream.write_all(&left.unsent).await.ok()?;
                    if ending == Ending::Behind && left.position > rest.position {
                        continue;
                    }
                }
            }
        }
        // Boxed, as it is large and gone while the feed rests.
        match unless_gone(Box::pin(feed.next()), &stream, &mut intake).await? {
            Ok(Some(piece)) if piece.is_empty() => {}
            Ok(Some(piece)) => stream.write_all(&chunk(&piece)).await.ok()?,
            Ok(None) => break,
            Err(Aborted) => return None,
        }
    }
    stream.write_all(b"0\r\n\r\n").await.ok()?;
    Some(Line { stream, intake })
}

/// Waits until a feed that has taken its seat must go on.
async fn rested(seat: &Seat, rest: &Rest, intake: &mut Intake, recalled: impl Future<Output = ()>) -> Ending {
    let mut alarm = pin!(sleep_until(rest.quiet_since + rest.quiet_max));
    let mut recalled = pin!(recalled);
    poll_fn(|cx| {
        if recalled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ending::Due);
        }
        let mut sitting = seat.sitting();
        if let Poll::Ready(ending) = sitting.poll_ending(intake, cx) {
            return Poll::Ready(ending);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            let due = sitting.sent_at.unwrap_or(rest.quiet_since) + rest.quiet_max;
            if due <= Instant::now() {
                return Poll::Ready(Ending::Due);
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    })
    .await
}

/// What `work` comes to, none if the client goes before.
async fn unless_gone<W: Future + Unpin>(mut work: W, stream: &TcpStream, intake: &mut Intake) -> Option<W::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(output) = Pin::new(&mut work).poll(cx) {
            return Poll::Ready(Some(output));
        }
        poll_gone(stream, intake, cx).map(|()| None)
    })
    .await
}

impl Sitting {
    fn poll_ending(&mut self, intake: &mut Intake, cx: &mut Context<'_>) -> Poll<Ending> {
        match self.dismissed {
            Some(Dismissed::Behind) => return Poll::Ready(Ending::Behind),
            Some(Dismissed::Closed) => return Poll::Ready(Ending::Due),
            Some(Dismissed::Gone) => return Poll::Ready(Ending::Gone),
            None => {}
        }
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        match &self.stream {
            Some(stream) => poll_gone(stream, intake, cx).map(|()| Ending::Gone),
            None => Poll::Ready(Ending::Gone),
        }
    }
}

/// Ready when the client hangs up. What it sends ahead is kept for later.
fn poll_gone(stream: &TcpStream, intake: &mut Intake, cx: &mut Context<'_>) -> Poll<()> {
    let mut buffer = [0; 1024];
    while intake.has_room() {
        if ready!(stream.poll_read_ready(cx)).is_err() {
            return Poll::Ready(());
        }
        match stream.try_read(&mut buffer) {
            Ok(0) => return Poll::Ready(()),
            Ok(length) => intake.keep(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Poll::Ready(()),
        }
    }
    Poll::Pending
}
