//! The time as jobs are told it: it never goes backwards, whatever happens to the system's clock.

use std::time::{Duration, SystemTime};
use tidegate_replication::Timestamp;
use tokio::time::Instant;

/// Counts on from the wall time at its making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    begin: Timestamp,
    since: Instant,
}

impl Clock {
    pub(super) fn starting(now: SystemTime) -> Self {
        let elapsed = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let begin = Timestamp::default().after(elapsed);
        Self { begin, since: Instant::now() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.begin.after(self.since.elapsed())
    }

    /// When that moment comes, or came.
    pub(super) fn instant(&self, moment: Timestamp) -> Instant {
        self.since + moment.since(self.begin)
    }

    /// That moment, or a far one where there is none.
    pub(super) fn instant_or_far(&self, moment: Option<Timestamp>) -> Instant {
        const FAR: Duration = Duration::from_secs(24 * 60 * 60);
        moment.map_or_else(|| Instant::now() + FAR, |moment| self.instant(moment))
    }
}
