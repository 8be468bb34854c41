//! A feed as the body of a response.

use super::{
    hall::Company,
    params::FeedKind,
    reading::{Reading, Waited},
};
use crate::{
    context::{Answer, Context, json},
    error::Error,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use tidegate_http::{
    feed::{Feed, Rest},
    respond::{self, Aborted, Source},
};
use tidegate_types::Seq;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::sync::CancellationToken;

/// A feed under way.
pub(super) struct Run {
    reading: Reading,
    kind: FeedKind,
    phase: Phase,
    /// Whether the next row is the first.
    is_first: bool,
    /// What is written and not yet sent.
    out: Vec<u8>,
    /// Since when nothing was sent.
    quiet_since: Instant,
    draining: CancellationToken,
    /// With whom it may wait.
    company: Option<Box<Company>>,
    /// Its place among the feeds that may be open.
    place: Option<OwnedSemaphorePermit>,
}

/// How far a feed has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What was there at the beginning is being sent.
    Reading,
    /// It waits for changes.
    Following,
    /// Its last words are due.
    Ending,
    Ended,
}

impl Run {
    pub(super) fn new(cx: &Context, reading: Reading, kind: FeedKind) -> Self {
        let out = match kind {
            FeedKind::Normal | FeedKind::Longpoll => b"{\"results\":[\r\n".to_vec(),
            FeedKind::Continuous | FeedKind::WebSocket => Vec::new(),
        };
        let (phase, quiet_since) = (Phase::Reading, Instant::now());
        let shape = reading.shape().filter(|_| kind == FeedKind::Continuous);
        let company = shape.map(|shape| Box::new(Company::new(cx, shape)));
        let draining = cx.draining.clone();
        Self { reading, kind, phase, is_first: true, out, quiet_since, draining, company, place: None }
    }

    /// Keeps its place until it ends.
    pub(super) fn with_place(self, place: OwnedSemaphorePermit) -> Self {
        Self { place: Some(place), ..self }
    }

    /// The answer: whole if it is short, as most are.
    pub(super) async fn answer(mut self, content_type: HeaderValue) -> Answer {
        self.advance().await?;
        if self.phase == Phase::Ending {
            self.advance().await?;
            return Ok(json(StatusCode::OK, self.out));
        }
        Ok(respond::stream(StatusCode::OK, content_type, respond::pulled(self)))
    }

    /// Does the next thing: a page, a wait, or the end.
    async fn advance(&mut self) -> Result<(), Error> {
        match self.phase {
            Phase::Reading => {
                Box::pin(self.read()).await?;
                if self.is_over() {
                    self.phase = Phase::Ending;
                } else if self.reading.has_caught_up() {
                    self.catch_up();
                }
            }
            Phase::Following => {
                match self.reading.wait(self.quiet_since, &self.draining).await {
                    // Boxed, so that little is held while it waits.
                    Waited::Changed => Box::pin(self.read()).await?,
                    Waited::Heartbeat => self.out.push(b'\n'),
                    Waited::Over => self.phase = Phase::Ending,
                }
                if self.is_over() {
                    self.phase = Phase::Ending;
                }
            }
            Phase::Ending => {
                self.write_end();
                self.place = None;
                self.phase = Phase::Ended;
            }
            Phase::Ended => {}
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Error> {
        let Self { reading, out, is_first, kind, .. } = self;
        let write = |row: &[u8]| {
            if !std::mem::take(is_first) && *kind != FeedKind::Continuous {
                out.push(b',');
            }
            out.extend_from_slice(row);
            out.push(b'\n');
        };
        reading.next(write).await
    }

    /// Whether there is nothing to wait for.
    fn is_over(&self) -> bool {
        self.reading.is_full()
            || match self.kind {
                FeedKind::Normal => self.reading.has_caught_up(),
                FeedKind::Longpoll => !self.is_first && (self.phase != Phase::Reading || self.reading.has_caught_up()),
                FeedKind::Continuous | FeedKind::WebSocket => false,
            }
    }

    fn catch_up(&mut self) {
        if self.kind == FeedKind::Continuous {
            self.out.push(b'\n');
        }
        self.phase = Phase::Following;
    }

    fn write_end(&mut self) {
        match self.kind {
            FeedKind::Normal | FeedKind::Longpoll => {
                let end = format!("],\n\"last_seq\":\"{}\"}}\n", self.reading.last());
                self.out.extend_from_slice(end.as_bytes());
            }
            FeedKind::Continuous | FeedKind::WebSocket => {}
        }
    }
}

/// Whether a feed ends well by it: its reader may not read any more, or the database is gone.
pub(super) fn is_farewell(error: &Error) -> bool {
    matches!(error.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}

impl Source for Run {
    async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
        // What is written before the first page is sent at once: clients wait for it.
        if self.out.is_empty() || self.kind == FeedKind::Normal {
            while self.phase != Phase::Ended {
                if let Err(error) = self.advance().await {
                    if is_farewell(&error) {
                        self.phase = Phase::Ending;
                        continue;
                    }
                    // The response is cut: a client must not take it for whole.
                    tracing::error!(reason = %error.reason, "a changes feed failed");
                    return Err(Aborted);
                }
                if !self.out.is_empty() {
                    break;
                }
            }
        }
        if self.out.is_empty() {
            return Ok(None);
        }
        self.quiet_since = Instant::now();
        Ok(Some(std::mem::take(&mut self.out).into()))
    }
}

impl Feed for Run {
    fn rest(&mut self) -> Option<Rest> {
        if self.phase != Phase::Following || !self.out.is_empty() || self.draining.is_cancelled() {
            return None;
        }
        self.reading.rest(self.company.as_mut()?, self.quiet_since)
    }

    async fn recalled(&mut self) {
        self.reading.recalled().await;
    }

    fn resume(&mut self, position: u64, sent_at: Instant) {
        self.reading.resume(Seq::new(position));
        self.quiet_since = sent_at;
    }
}
