//! Cutting one recording in many ways, and judging each folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::Error;
use super::check::{Checker, Depth, Violation};
use super::cut::Cut;
use super::options::{Options, Subject};
use super::places::Focus;
use super::recording::Recording;
use super::report::{Failure, Outcome, Report};
use super::server;
use super::simulator::Simulator;

/// A position to try, why, and in what way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    pub(super) position: usize,
    pub(super) focus: Focus,
    pub(super) cut: Cut,
    pub(super) depth: Depth,
}

/// Tries cuts of one recording; shared by the threads.
#[derive(Debug)]
pub(super) struct Tester<'a> {
    pub(super) options: &'a Options,
    pub(super) recording: &'a Recording,
    pub(super) number: usize,
    pub(super) seed: u64,
}

/// Who opens the folders.
enum Judge {
    Store(Checker),
    Server(server::Judge),
}

impl Judge {
    fn new(subject: Subject, seed: u64) -> std::io::Result<Self> {
        Ok(match subject {
            Subject::Store => Self::Store(Checker::new(seed)?),
            Subject::Server => Self::Server(server::Judge::new(seed)?),
        })
    }

    fn check(&mut self, folder: &Path, simulator: &Simulator<'_>, depth: Depth) -> Result<Vec<u64>, Violation> {
        match self {
            Self::Store(checker) => checker.check(folder, simulator, depth),
            Self::Server(judge) => judge.check(folder, simulator, depth),
        }
    }
}

impl Tester<'_> {
    /// Tries these, which are in the order of their positions, sharing them among threads.
    pub(super) fn run(&self, trials: &[Trial], report: &mut Report) -> Result<(), Error> {
        let threads = self.options.threads.max(1);
        let outcomes = thread::scope(|scope| {
            let share = |index| trials.iter().skip(index).step_by(threads).copied().collect::<Vec<Trial>>();
            let work = |index| {
                let share = share(index);
                scope.spawn(move || self.run_share(&share))
            };
            let workers: Vec<_> = (0..threads).map(work).collect();
            workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
        });
        for outcomes in outcomes {
            let outcomes = outcomes.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            outcomes.into_iter().for_each(|(focus, outcome)| report.add(focus, outcome));
        }
        Ok(())
    }

    fn run_share(&self, trials: &[Trial]) -> Result<Vec<(Focus, Outcome)>, Error> {
        let scratch = self.options.folder()?;
        let folder = scratch.path().join("cut");
        let mut judge = Judge::new(self.options.subject, self.seed).map_err(Error::io("start a check in", &folder))?;
        let mut simulator = Simulator::new(self.recording);
        let mut outcomes = Vec::new();
        for trial in trials {
            simulator.advance_to(trial.position)?;
            simulator.rebuild(&folder, &trial.cut)?;
            let found = judge.check(&folder, &simulator, trial.depth);
            outcomes.push((trial.focus, self.judge(&simulator, trial, found)?));
        }
        Ok(outcomes)
    }

    fn judge(
        &self,
        simulator: &Simulator<'_>,
        trial: &Trial,
        found: Result<Vec<u64>, Violation>,
    ) -> Result<Outcome, Error> {
        let beyond = |found: &Vec<u64>| (0..).zip(found).any(|(lane, found)| *found > simulator.acknowledged(lane));
        let kept = found.as_ref().is_ok_and(beyond);
        let failure = match found {
            Ok(_) => None,
            Err(violation) => Some(Failure {
                violation,
                recording: self.number,
                position: trial.position,
                cut: trial.cut,
                opened: simulator.opened(),
                kept_at: self.keep(simulator, trial)?,
            }),
        };
        Ok(Outcome { model: trial.cut.model, in_flight: simulator.in_flight(), kept, failure })
    }

    /// Rebuilds a folder that failed where it can be looked at.
    fn keep(&self, simulator: &Simulator<'_>, trial: &Trial) -> Result<Option<PathBuf>, Error> {
        let Some(keep) = &self.options.keep else { return Ok(None) };
        fs::create_dir_all(keep).map_err(Error::io("make", keep))?;
        let folder = keep.join(format!("{}-{}-{:x}", self.number, trial.position, trial.cut.seed));
        simulator.rebuild(&folder, &trial.cut)?;
        Ok(Some(folder))
    }
}
