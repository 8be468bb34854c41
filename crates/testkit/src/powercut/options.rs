//! What a campaign tries.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::Error;
use super::workload::{Acknowledge, Workload};

/// What to try, and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is tried.
    pub subject: Subject,
    /// Program and leading arguments of the process: of one that runs [`Workload::parse`] on the arguments added to
    /// them, or of the server.
    pub workload: Vec<OsString>,
    /// Where folders are made and removed; a filesystem in memory is quickest.
    pub scratch: PathBuf,
    /// Where folders that failed are kept, if anywhere.
    pub keep: Option<PathBuf>,
    /// Decides everything but the timing of the workload.
    pub seed: u64,
    /// Stop after so many rebuilt folders.
    pub folders: usize,
    /// Folders rebuilt from one recording.
    pub folders_per_recording: usize,
    /// Recordings made one upon the other, each on a folder that the one before left after a cut.
    pub generations: usize,
    /// Transactions in each lane of one recording.
    pub transactions: u64,
    /// How truthful the workload is.
    pub acknowledge: Acknowledge,
    /// Folders checked at the same time.
    pub threads: usize,
    /// Stop after so long, even with fewer folders.
    pub deadline: Duration,
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The embedded store.
    Store,
    /// The real server, under requests.
    Server,
}

impl Options {
    /// A short campaign with the server of this binary.
    #[must_use]
    pub fn server(binary: PathBuf, scratch: PathBuf) -> Self {
        Self { subject: Subject::Server, ..Self::new(vec![binary.into()], scratch) }
    }

    /// A short campaign, as in a test.
    #[must_use]
    pub fn new(workload: Vec<OsString>, scratch: PathBuf) -> Self {
        Self {
            subject: Subject::Store,
            workload,
            scratch,
            keep: None,
            seed: 1,
            folders: 300,
            folders_per_recording: 60,
            generations: 3,
            transactions: 40,
            acknowledge: Acknowledge::AfterCommit,
            threads: 2,
            deadline: Duration::from_secs(600),
        }
    }

    /// The process that works in `root`, opening the store so many times.
    pub(super) fn command(&self, root: &Path, seed: u64, openings: u64) -> Command {
        let Self { transactions, acknowledge, .. } = *self;
        let mut parts = self.workload.iter();
        let mut command = Command::new(parts.next().map_or(OsStr::new("powercut-workload"), OsString::as_os_str));
        let workload = Workload { root: root.to_path_buf(), seed, transactions, openings, acknowledge };
        command.args(parts).args(workload.to_args());
        command
    }

    /// A new folder to work in.
    pub(super) fn folder(&self) -> Result<TempDir, Error> {
        tempfile::tempdir_in(&self.scratch).map_err(Error::io("make a folder in", &self.scratch))
    }
}
