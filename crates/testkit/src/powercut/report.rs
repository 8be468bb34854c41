//! What became of a campaign.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::Error;
use super::check::Violation;
use super::cut::{Cut, Model};
use super::places::Focus;
use super::recording::Recording;

/// Failures described in full; more are only counted.
const FAILURES_KEPT: usize = 20;

/// What became of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The campaign's seed.
    pub seed: u64,
    /// By model.
    pub models: BTreeMap<Model, Tally>,
    /// By the kind of position.
    pub focuses: BTreeMap<Focus, Tally>,
    /// Times a workload was recorded.
    pub recordings: usize,
    /// Of these, on a folder that had been cut.
    pub recordings_after_cut: usize,
    /// The first failures.
    pub failures: Vec<Failure>,
}

/// Folders counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rebuilt and opened.
    pub folders: usize,
    /// Cut with a transaction in flight.
    pub in_flight: usize,
    /// Where something in flight was found.
    pub kept: usize,
    /// Which broke a promise.
    pub failures: usize,
}

/// A folder that broke a promise, and how it came to be.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What is wrong.
    pub violation: Violation,
    /// Number of the recording in the campaign, from 0.
    pub recording: usize,
    /// Events before the cut.
    pub position: usize,
    /// How the cut turned out.
    pub cut: Cut,
    /// Whether the store had been opened before.
    pub opened: bool,
    /// The folder as rebuilt, if it was kept.
    pub kept_at: Option<PathBuf>,
}

impl Report {
    /// Folders rebuilt and opened.
    #[must_use]
    pub fn folders(&self) -> usize {
        self.models.values().map(|tally| tally.folders).sum()
    }

    /// Folders that broke a promise.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.models.values().map(|tally| tally.failures).sum()
    }

    pub(super) fn add(&mut self, focus: Focus, outcome: Outcome) {
        let tally = Tally {
            folders: 1,
            in_flight: usize::from(outcome.in_flight),
            kept: usize::from(outcome.kept),
            failures: usize::from(outcome.failure.is_some()),
        };
        self.models.entry(outcome.model).or_default().add(tally);
        self.focuses.entry(focus).or_default().add(tally);
        self.failures.extend(outcome.failure.filter(|_| self.failures.len() < FAILURES_KEPT));
    }

    /// Counts a recording; none when the workload failed, which is the store's fault, as nothing had been lost from its
    /// folder, or the folder had passed the check.
    pub(super) fn add_recording(&mut self, run: Result<Recording, Error>) -> Result<Option<Recording>, Error> {
        let recording = self.recordings;
        self.recordings += 1;
        match run {
            Ok(recording) => Ok(Some(recording)),
            Err(Error::Workload { status, stderr }) => {
                let violation = Violation::Failed { action: "run the workload", error: format!("{status}: {stderr}") };
                let cut = Cut::nothing_lost();
                let failure = Failure { violation, recording, position: 0, cut, opened: false, kept_at: None };
                let outcome = Outcome { model: cut.model, in_flight: false, kept: false, failure: Some(failure) };
                self.add(Focus::Openings, outcome);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.folders += other.folders;
        self.in_flight += other.in_flight;
        self.kept += other.kept;
        self.failures += other.failures;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folders, in_flight, kept, failures } = self;
        write!(out, "{folders:>8} folders, {in_flight:>7} in flight, {kept:>7} of these found, {failures:>4} failures")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, recordings, recordings_after_cut, .. } = self;
        writeln!(out, "seed {seed}: {recordings} recordings, {recordings_after_cut} of them after a cut")?;
        for (model, tally) in &self.models {
            writeln!(out, "{:<14}{tally}", format!("{model:?}"))?;
        }
        for (focus, tally) in &self.focuses {
            writeln!(out, "{:<14}{tally}", format!("{focus:?}"))?;
        }
        self.failures.iter().try_for_each(|failure| writeln!(out, "{failure}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { violation, recording, position, cut, opened, kept_at } = self;
        let phase = if *opened { "" } else { ", while opening" };
        write!(out, "recording {recording}, cut after event {position}{phase}, {cut}: {violation:?}")?;
        match kept_at {
            Some(folder) => write!(out, " (kept at {})", folder.display()),
            None => Ok(()),
        }
    }
}

/// What came of one folder.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) model: Model,
    pub(super) in_flight: bool,
    pub(super) kept: bool,
    pub(super) failure: Option<Failure>,
}
