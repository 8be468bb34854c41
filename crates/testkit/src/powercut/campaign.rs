//! Many power cuts of the embedded store: record, cut, check, go on from a folder that was cut, and cut again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Error;
use super::check::{Checker, Depth, Violation};
use super::cut::{Cut, Model};
use super::places::{Focus, cuts};
use super::random::Random;
use super::recording::{Recording, Run};
use super::report::{Failure, Outcome, Report};
use super::simulator::{Promise, Simulator};
use super::workload::{Acknowledge, Workload};

/// What to try, and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Program and leading arguments of the process that runs [`Workload::parse`] on the arguments added to them.
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

impl Options {
    /// A short campaign, as in a test.
    #[must_use]
    pub fn new(workload: Vec<OsString>, scratch: PathBuf) -> Self {
        Self {
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
}

/// Runs a campaign; `progress` hears of the report so far after each recording.
///
/// The same options give the same cuts of different recordings: threads of the workload race. A failure is reproduced
/// from the folder that was kept.
///
/// # Errors
/// When something couldn't be recorded or rebuilt. A store that breaks a promise is in the report instead.
pub fn campaign(options: &Options, mut progress: impl FnMut(&Report)) -> Result<Report, Error> {
    let begin = Instant::now();
    let mut campaign = Campaign { options, report: Report { seed: options.seed, ..Report::default() }, begin };
    let mut chain = 0;
    while campaign.wants_more() {
        campaign.run_chain(Random::of(&[options.seed, chain]), &mut progress)?;
        chain += 1;
    }
    Ok(campaign.report)
}

type Promises = BTreeMap<u32, Promise>;

struct Campaign<'a> {
    options: &'a Options,
    report: Report,
    begin: Instant,
}

/// A position to try, why, and in what way.
#[derive(Clone, Copy)]
struct Trial {
    position: usize,
    focus: Focus,
    cut: Cut,
    depth: Depth,
}

impl Campaign<'_> {
    fn wants_more(&self) -> bool {
        self.report.folders() < self.options.folders && self.begin.elapsed() < self.options.deadline
    }

    /// Records in an empty folder, then in folders that cuts of the recording before left.
    fn run_chain(&mut self, mut random: Random, progress: &mut impl FnMut(&Report)) -> Result<(), Error> {
        let seed = random.next_u64();
        let mut left = Some((self.folder()?, Promises::new()));
        for generation in 0..self.options.generations {
            let Some((root, promises)) = left.filter(|_| self.wants_more()) else { break };
            let Some(recording) = self.record(root.path(), seed, &mut random)? else { break };
            let recording = recording.after(promises);
            self.report.recordings_after_cut += usize::from(generation > 0);
            let tester = self.tester(&recording, seed);
            self.try_cuts(&tester, &mut random)?;
            left = self.leave_after_cut(&tester, &mut random)?;
            progress(&self.report);
        }
        Ok(())
    }

    fn folder(&self) -> Result<TempDir, Error> {
        let scratch = &self.options.scratch;
        tempfile::tempdir_in(scratch).map_err(Error::io("make a folder in", scratch))
    }

    /// Records the workload in `root`; none when it failed, which is the store's fault.
    fn record(&mut self, root: &Path, seed: u64, random: &mut Random) -> Result<Option<Recording>, Error> {
        self.report.recordings += 1;
        match self.run_workload(root, seed, random) {
            Ok(recording) => Ok(Some(recording)),
            Err(Error::Workload { status, stderr }) => {
                let violation = Violation::Failed { action: "run the workload", error: format!("{status}: {stderr}") };
                let recording = self.report.recordings - 1;
                self.report.add_failed_recording(recording, violation);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs the workload in `root`; now and then it is killed on the way, and run again.
    fn run_workload(&self, root: &Path, seed: u64, random: &mut Random) -> Result<Recording, Error> {
        if random.one_in(2) {
            return Recording::run(self.command(root, seed), root);
        }
        // Some of the kills while the store is first opened.
        let reach = if random.one_in(3) { 60 } else { 900 };
        let killed = Run { stop_after: Some(1 + random.next_u64() % reach), ..Run::default() };
        let mut recording = Recording::run_with(self.command(root, seed), root, &killed)?;
        recording.resume(self.command(root, seed), &Run::default())?;
        Ok(recording)
    }

    fn command(&self, root: &Path, seed: u64) -> Command {
        let Options { workload, transactions, acknowledge, .. } = self.options;
        let (program, arguments) =
            workload.split_first().map_or((OsString::new(), [].as_slice()), |(program, rest)| (program.clone(), rest));
        let workload = Workload {
            root: root.to_path_buf(),
            seed,
            transactions: *transactions,
            openings: 3,
            acknowledge: *acknowledge,
        };
        let mut command = Command::new(program);
        command.args(arguments).args(workload.to_args());
        command
    }

    fn tester<'r>(&self, recording: &'r Recording, seed: u64) -> Tester<'r>
    where
        Self: 'r,
    {
        Tester { options: self.options, recording, number: self.report.recordings - 1, seed }
    }

    fn try_cuts(&mut self, tester: &Tester<'_>, random: &mut Random) -> Result<(), Error> {
        let trials = self.trials(tester.recording, random);
        let threads = self.options.threads.max(1);
        let outcomes = thread::scope(|scope| {
            let share = |index| trials.iter().skip(index).step_by(threads).copied().collect::<Vec<Trial>>();
            let work = |index| {
                let share = share(index);
                scope.spawn(move || tester.run(&share))
            };
            let workers: Vec<_> = (0..threads).map(work).collect();
            workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
        });
        for outcomes in outcomes {
            let outcomes = outcomes.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            outcomes.into_iter().for_each(|(focus, outcome)| self.report.add(focus, outcome));
        }
        Ok(())
    }

    /// Positions of all kinds, each with one cut in each model.
    fn trials(&self, recording: &Recording, random: &mut Random) -> Vec<Trial> {
        let each = self.options.folders_per_recording.div_ceil(Focus::ALL.len() * Model::ALL.len());
        let mut trials = Vec::new();
        for focus in Focus::ALL {
            for position in cuts(recording, random, each, focus) {
                for model in Model::ALL {
                    let cut = Cut::variant(model, random.below(16), random.next_u64());
                    let depth = if random.one_in(4) { Depth::Twice } else { Depth::Once };
                    trials.push(Trial { position, focus, cut, depth });
                }
            }
        }
        trials.sort_by_key(|trial| trial.position);
        trials
    }

    /// A folder as some cut left it, for the next generation, and what had been promised by then; none when the cut
    /// broke the store.
    fn leave_after_cut(
        &mut self,
        tester: &Tester<'_>,
        random: &mut Random,
    ) -> Result<Option<(TempDir, Promises)>, Error> {
        let half = tester.recording.len() / 2;
        let model = *random.pick(&Model::ALL).unwrap_or(&Model::Strict);
        let cut = Cut::variant(model, random.below(16), random.next_u64());
        let position = half + random.below(half + 1);
        let trial = Trial { position, focus: Focus::Anywhere, cut, depth: Depth::Once };
        let mut broken = false;
        for (focus, outcome) in tester.run(&[trial])? {
            broken |= outcome.failure.is_some();
            self.report.add(focus, outcome);
        }
        // The check has repaired its folder: it is made again, as the cut left it.
        let mut simulator = Simulator::new(tester.recording);
        simulator.advance_to(position)?;
        let folder = self.folder()?;
        simulator.rebuild(folder.path(), &cut)?;
        Ok((!broken).then(|| (folder, simulator.promises().clone())))
    }
}

/// Tries cuts of one recording; shared by the threads.
struct Tester<'a> {
    options: &'a Options,
    recording: &'a Recording,
    number: usize,
    seed: u64,
}

impl Tester<'_> {
    /// Tries these, which are in the order of their positions.
    fn run(&self, trials: &[Trial]) -> Result<Vec<(Focus, Outcome)>, Error> {
        let scratch = tempfile::tempdir_in(&self.options.scratch);
        let scratch = scratch.map_err(Error::io("make a folder in", &self.options.scratch))?;
        let folder = scratch.path().join("cut");
        let mut checker = Checker::new(self.seed).map_err(Error::io("start a check in", &folder))?;
        let mut simulator = Simulator::new(self.recording);
        let mut outcomes = Vec::new();
        for trial in trials {
            simulator.advance_to(trial.position)?;
            simulator.rebuild(&folder, &trial.cut)?;
            let found = checker.check(&folder, &simulator, trial.depth);
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
