//! How far a resync has got, in memory and as it is kept.

use super::NOTE;
use crate::Error;
use serde_json::{Value, json};
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use tidegate_types::DocId;

/// How a job in the background stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It runs.
    Running,
    /// It runs, and is to stop.
    Stopping,
    /// It was stopped before its end.
    Stopped,
    /// It has come to its end.
    Completed,
    /// It failed before its end.
    Error,
}

/// How a resync stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResyncStatus {
    /// Whether it runs.
    pub state: JobState,
    /// When it began, in seconds since 1970.
    pub start_s: u64,
    /// Why it failed, or what the function said of the latest document that it refused or failed on.
    pub last_error: String,
    /// 32 hexadecimal digits of its own.
    pub id: String,
    /// Documents that the function says something else of than before.
    pub docs_changed: u64,
    /// Documents looked at.
    pub docs_processed: u64,
    /// Documents that the function refused or failed on.
    pub docs_errored: u64,
    /// Documents there were when it began.
    pub docs_targeted: u64,
}

/// As it is kept.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) state: JobState,
    pub(super) start_s: u64,
    pub(super) last_error: String,
    pub(super) id: String,
    /// The key of the function that is asked; none before the first document.
    pub(super) function: String,
    /// The last document looked at.
    pub(super) after: Option<DocId>,
    pub(super) changed: u64,
    pub(super) processed: u64,
    pub(super) errored: u64,
    pub(super) targeted: u64,
}

/// A resync under way.
pub(super) struct Job {
    progress: Mutex<Progress>,
    stopping: AtomicBool,
}

impl JobState {
    /// The state in a word, as Sync Gateway has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Error => "error",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        let all = [Self::Running, Self::Stopping, Self::Stopped, Self::Completed, Self::Error];
        all.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether there is a rest to be done.
    pub(super) fn is_resumable(self) -> bool {
        match self {
            Self::Running | Self::Stopping | Self::Stopped | Self::Error => true,
            Self::Completed => false,
        }
    }
}

impl Progress {
    pub(super) fn new(start_s: u64) -> Self {
        Self {
            state: JobState::Running,
            start_s,
            last_error: String::new(),
            id: format!("{:032x}", rand::random::<u128>()),
            function: String::new(),
            after: None,
            changed: 0,
            processed: 0,
            errored: 0,
            targeted: 0,
        }
    }

    /// Of the latest resync of a collection; `None` if there never was one.
    pub(super) async fn load(db: &tidegate_store::Database) -> Result<Option<Self>, Error> {
        Ok(db.own_setting(NOTE).await?.and_then(|note| Self::decode(&note)))
    }

    fn decode(note: &[u8]) -> Option<Self> {
        let note: Value = serde_json::from_slice(note).ok()?;
        let text = |name: &str| note.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| note.get(name).and_then(Value::as_u64).unwrap_or_default();
        Some(Self {
            state: JobState::parse(text("state"))?,
            start_s: number("start_s"),
            last_error: text("last_error").to_owned(),
            id: text("id").to_owned(),
            function: text("function").to_owned(),
            after: text("after").parse().ok(),
            changed: number("changed"),
            processed: number("processed"),
            errored: number("errored"),
            targeted: number("targeted"),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let note = json!({
            "state": self.state.as_str(),
            "start_s": self.start_s,
            "last_error": self.last_error,
            "id": self.id,
            "function": self.function,
            "after": self.after.as_ref().map(DocId::as_str),
            "changed": self.changed,
            "processed": self.processed,
            "errored": self.errored,
            "targeted": self.targeted,
        });
        note.to_string().into_bytes()
    }

    pub(super) fn status(&self) -> ResyncStatus {
        ResyncStatus {
            state: self.state,
            start_s: self.start_s,
            last_error: self.last_error.clone(),
            id: self.id.clone(),
            docs_changed: self.changed,
            docs_processed: self.processed,
            docs_errored: self.errored,
            // Documents that came meanwhile are looked at, too.
            docs_targeted: self.targeted.max(self.processed),
        }
    }
}

impl Job {
    pub(super) fn new(progress: Progress) -> Self {
        let progress = Mutex::new(Progress { state: JobState::Running, ..progress });
        Self { progress, stopping: AtomicBool::new(false) }
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn status(&self) -> ResyncStatus {
        let status = self.progress().status();
        let is_stopping = self.is_stopping() && status.state == JobState::Running;
        ResyncStatus { state: if is_stopping { JobState::Stopping } else { status.state }, ..status }
    }

    /// Keeps how it ended.
    pub(super) async fn keep_end(&self, db: &tidegate_store::Database, state: JobState) -> Result<(), Error> {
        let note = Progress { state, ..self.progress().clone() }.encode();
        Ok(db.put_note(NOTE, &note).await?)
    }

    /// Keeps how far it has got.
    pub(super) async fn keep(&self, db: &tidegate_store::Database) -> Result<(), Error> {
        let note = self.progress().encode();
        Ok(db.put_note(NOTE, &note).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let progress = Progress {
            state: JobState::Stopped,
            last_error: "no \"author\"".to_owned(),
            function: "db/sync@default".to_owned(),
            after: Some("d/1".parse().unwrap()),
            changed: 1,
            processed: 4,
            errored: 2,
            targeted: 3,
            ..Progress::new(7)
        };
        let read = Progress::decode(&progress.encode()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{progress:?}"));
        assert_eq!((read.status().docs_targeted, read.status().id.len()), (4, 32));
        let begun = Progress::decode(&Progress::new(7).encode()).unwrap();
        assert_eq!((begun.after, begun.state), (None, JobState::Running));
        assert!(Progress::decode(b"{}").is_none());
    }
}
