//! What the two ends of hyper tell one another about a connection: the socket below it and the service above.

use super::heads::Framing;
use crate::{feed::FeedBody, upgrade::Takeover};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
};

/// One for each connection. Both ends are polled by the connection's task alone, so no order between tasks matters.
#[derive(Debug)]
pub(super) struct Desk {
    stage: AtomicU8,
    framing: AtomicU64,
    handed: Mutex<Option<Handed>>,
    /// What goes on with the socket when it is no longer HTTP.
    takeover: Mutex<Option<Takeover>>,
}

/// A feed that is to go on without hyper.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) feed: FeedBody,
    /// Whether the client lets the connection be used again.
    pub(super) keeps_alive: bool,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// Nobody. What is written now is hyper's own: its refusal of what isn't HTTP.
    Idle,
    /// A request is being answered.
    Answering,
    /// The answer is made, and may not be written yet.
    Answered,
    /// The answer's head is made, may not be written yet, and a feed is to follow.
    Handing,
    /// The head of a feed is written.
    Handed,
}

const STAGES: [Stage; 5] = [Stage::Idle, Stage::Answering, Stage::Answered, Stage::Handing, Stage::Handed];
const UNTOLD: u64 = u64::MAX;
const CHUNKED: u64 = u64::MAX - 1;

impl Desk {
    pub(super) fn new() -> Self {
        let (stage, framing) = (AtomicU8::new(Stage::Idle as u8), AtomicU64::new(UNTOLD));
        Self { stage, framing, handed: Mutex::default(), takeover: Mutex::default() }
    }

    pub(super) fn stage(&self) -> Stage {
        STAGES.get(usize::from(self.stage.load(Relaxed))).copied().unwrap_or(Stage::Answering)
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
    }

    /// All that hyper had to write is written.
    pub(super) fn flushed(&self) {
        match self.stage() {
            Stage::Answered => self.enter(Stage::Idle),
            Stage::Handing => self.enter(Stage::Handed),
            Stage::Idle | Stage::Answering | Stage::Handed => {}
        }
    }

    /// A head was understood; this is how its body is delimited.
    pub(super) fn understood(&self, framing: Framing) {
        let framing = match framing {
            Framing::Sized(length) => length.min(CHUNKED - 1),
            Framing::Chunked => CHUNKED,
        };
        self.framing.store(framing, Relaxed);
    }

    pub(super) fn take_framing(&self) -> Option<Framing> {
        let framing = match self.framing.load(Relaxed) {
            UNTOLD => return None,
            CHUNKED => Framing::Chunked,
            length => Framing::Sized(length),
        };
        self.framing.store(UNTOLD, Relaxed);
        Some(framing)
    }

    pub(super) fn hand(&self, handed: Handed) {
        *self.handed.lock().unwrap_or_else(PoisonError::into_inner) = Some(handed);
    }

    pub(super) fn hand_over(&self, takeover: Takeover) {
        *self.takeover.lock().unwrap_or_else(PoisonError::into_inner) = Some(takeover);
    }

    pub(super) fn take_takeover(&self) -> Option<Takeover> {
        self.takeover.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn take_handed(&self) -> Option<Handed> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
