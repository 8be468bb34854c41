//! One job: where it stands, and what happened to it.

use std::{collections::VecDeque, time::Duration};

use super::{Limits, Newcomer, Preparation};
use crate::{Timestamp, crash_wait};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) newcomer: Newcomer,
    pub(super) phase: Phase,
    /// The newest first.
    pub(super) history: VecDeque<Past>,
    pub(super) preparation_failures: u32,
    /// Why it does not run.
    pub(super) reason: Option<String>,
    /// Nobody wants it any more: it is forgotten when it has stopped.
    pub(super) is_removed: bool,
    /// The job of the same name that comes after it.
    pub(super) successor: Option<Newcomer>,
    added: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Initializing,
    Error { again: Timestamp },
    Pending,
    Running,
    Stopping,
    Completed,
    Failed,
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// What may happen to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was asked for.
    Added,
    /// A session began.
    Started,
    /// The session was stopped.
    Stopped,
    /// The session ended for a reason that may go away.
    Crashed(String),
    /// The session copied everything.
    Completed,
    /// The session ended for a reason that stays.
    Failed(String),
}

/// Where a job stands, in CouchDB's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being made of its document.
    Initializing,
    /// That didn't work; it is tried again.
    Error,
    /// It waits for its turn.
    Pending,
    /// It runs.
    Running,
    /// It crashed, and waits until it is tried again.
    Crashing,
    /// It copied everything.
    Completed,
    /// It can't work.
    Failed,
}

/// A job's state, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Where it stands.
    pub state: State,
    /// Crashes in a row, or attempts to make it.
    pub error_count: u32,
    /// Why it does not run.
    pub reason: Option<String>,
    /// When it was asked for.
    pub start_time: Timestamp,
    /// When something happened to it last.
    pub last_updated: Timestamp,
}

impl State {
    /// CouchDB's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Error => "error",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Crashing => "crashing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

impl Event {
    /// CouchDB's word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Crashed(_) => "crashed",
            Self::Completed => "completed",
            Self::Failed(_) => "failed",
        }
    }
}

impl Entry {
    pub(super) fn new(newcomer: Newcomer, now: Timestamp) -> Self {
        let phase = match newcomer.preparation {
            Preparation::Needed => Phase::Initializing,
            Preparation::Done => Phase::Pending,
        };
        let history = VecDeque::from([Past { at: now, event: Event::Added }]);
        Self {
            newcomer,
            phase,
            history,
            preparation_failures: 0,
            reason: None,
            is_removed: false,
            successor: None,
            added: now,
        }
    }

    /// Another job of the same name comes after this one, if this one goes.
    pub(super) fn succeed(&mut self, newcomer: Newcomer) -> bool {
        if self.is_removed {
            self.successor = Some(newcomer);
        }
        self.is_removed
    }

    /// Whether a session is there.
    pub(super) fn has_slot(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Stopping)
    }

    /// When its document is looked at again.
    pub(super) fn preparation_at(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Error { again } => Some(again),
            Phase::Initializing
            | Phase::Pending
            | Phase::Running
            | Phase::Stopping
            | Phase::Completed
            | Phase::Failed => None,
        }
    }

    /// When it may be started, if it waits for that.
    pub(super) fn ready_at(&self, limits: &Limits) -> Option<Timestamp> {
        if self.phase != Phase::Pending {
            return None;
        }
        let newest = self.history.front()?;
        match newest.event {
            Event::Crashed(_) => Some(newest.at.after(crash_wait(self.crashes(limits.health_threshold)))),
            Event::Added | Event::Started | Event::Stopped | Event::Completed | Event::Failed(_) => Some(newest.at),
        }
    }

    pub(super) fn last_started(&self) -> Option<Timestamp> {
        self.history.iter().find(|past| past.event == Event::Started).map(|past| past.at)
    }

    pub(super) fn note(&mut self, event: Event, now: Timestamp, history_max: usize) {
        self.history.push_front(Past { at: now, event });
        self.history.truncate(history_max.max(1));
    }

    /// The session or preparation is over. `false` if there was none.
    pub(super) fn handle_end(&mut self, event: Event, now: Timestamp, history_max: usize) -> bool {
        let is_stopping = self.phase == Phase::Stopping;
        let was_there = match event {
            Event::Stopped => is_stopping,
            Event::Failed(_) => self.has_slot() || self.phase == Phase::Initializing,
            Event::Completed | Event::Crashed(_) => self.has_slot(),
            Event::Added | Event::Started => false,
        };
        if !was_there {
            return false;
        }
        (self.phase, self.reason) = match &event {
            Event::Completed => (Phase::Completed, None),
            Event::Failed(reason) => (Phase::Failed, Some(reason.clone())),
            Event::Crashed(reason) => (self.newcomer.phase_after_crash(), Some(reason.clone())),
            Event::Stopped | Event::Added | Event::Started => (Phase::Pending, None),
        };
        self.note(event, now, history_max);
        true
    }

    /// Crashes in a row, each within `health_threshold` of the event before it. Source:
    /// `couch_replicator_scheduler:consecutive_crashes`.
    pub(super) fn crashes(&self, health_threshold: Duration) -> u32 {
        let mut crashes = 0_u32;
        for (past, before) in self.history.iter().zip(self.history.iter().skip(1)) {
            match (&past.event, &before.event) {
                (Event::Crashed(_), _) if past.at.since(before.at) > health_threshold => break,
                (Event::Crashed(_), _) => crashes = crashes.saturating_add(1),
                (Event::Stopped, Event::Started) => break,
                _ => {}
            }
        }
        crashes
    }

    pub(super) fn summary(&self, health_threshold: Duration) -> Summary {
        let crashes = self.crashes(health_threshold);
        let crashed = matches!(self.history.front(), Some(Past { event: Event::Crashed(_), .. }));
        let (state, error_count) = match self.phase {
            Phase::Initializing => (State::Initializing, self.preparation_failures),
            Phase::Error { .. } => (State::Error, self.preparation_failures),
            Phase::Pending if crashed => (State::Crashing, crashes),
            Phase::Pending => (State::Pending, crashes),
            Phase::Running | Phase::Stopping => (State::Running, crashes),
            Phase::Completed => (State::Completed, 0),
            Phase::Failed => (State::Failed, crashes),
        };
        let last_updated = self.history.front().map_or(self.added, |past| past.at);
        let reason = self.reason.clone().filter(|_| state != State::Running);
        Summary { state, error_count, reason, start_time: self.added, last_updated }
    }
}

impl Newcomer {
    /// A job without a document has nobody who would try it again.
    fn phase_after_crash(self) -> Phase {
        match self.origin {
            super::Origin::Request => Phase::Failed,
            super::Origin::Document => Phase::Pending,
        }
    }
}
