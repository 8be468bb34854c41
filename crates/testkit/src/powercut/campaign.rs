//! Many power cuts of the embedded store: record, cut, check, go on from a folder that was cut, and cut again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;

use super::Error;
use super::check::Depth;
use super::cut::{Cut, Model};
use super::options::{Options, Subject};
use super::places::{Focus, cuts};
use super::random::Random;
use super::recording::{Recording, Run};
use super::report::Report;
use super::server::{self, Load};
use super::simulator::{Promise, Simulator};
use super::tester::{Tester, Trial};

/// Times that a recorded workload opens the store.
const OPENINGS: u64 = 3;

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

impl Campaign<'_> {
    fn wants_more(&self) -> bool {
        self.report.folders() < self.options.folders && self.begin.elapsed() < self.options.deadline
    }

    /// Records in an empty folder, then in folders that cuts of the recording before left.
    fn run_chain(&mut self, mut random: Random, progress: &mut impl FnMut(&Report)) -> Result<(), Error> {
        let seed = random.next_u64();
        let mut left = Some((self.options.folder()?, Promises::new()));
        for generation in 0..self.options.generations {
            let Some((root, promises)) = left.filter(|_| self.wants_more()) else { break };
            let run = match self.options.subject {
                Subject::Store => self.run_workload(root.path(), seed, &mut random),
                Subject::Server => self.run_server(root.path(), (seed, &promises), &mut random),
            };
            let Some(recording) = self.report.add_recording(run)? else { break };
            let recording = recording.after(promises);
            self.report.recordings_after_cut += usize::from(generation > 0);
            let tester =
                Tester { options: self.options, recording: &recording, number: self.report.recordings - 1, seed };
            tester.run(&self.trials(&recording, &mut random), &mut self.report)?;
            left = self.leave_after_cut(&tester, &mut random)?;
            progress(&self.report);
        }
        Ok(())
    }

    /// Runs the workload in `root`; now and then it is killed on the way, and run again.
    fn run_workload(&self, root: &Path, seed: u64, random: &mut Random) -> Result<Recording, Error> {
        if random.one_in(2) {
            return Recording::run(self.options.command(root, seed, OPENINGS), root);
        }
        // Some of the kills while the store is first opened.
        let reach = if random.one_in(3) { 60 } else { 900 };
        let killed = Run { stop_after: Some(1 + random.next_u64() % reach), ..Run::default() };
        let mut recording = Recording::run_with(self.options.command(root, seed, OPENINGS), root, &killed)?;
        recording.resume(self.options.command(root, seed, OPENINGS), &Run::default())?;
        Ok(recording)
    }

    fn run_server(
        &self,
        root: &Path,
        (seed, promises): (u64, &Promises),
        random: &mut Random,
    ) -> Result<Recording, Error> {
        let binary = self.options.workload.first().map(Path::new).unwrap_or(Path::new("tidegate"));
        let Options { transactions: writes, acknowledge, .. } = *self.options;
        let load = Load { binary, seed, writes, acknowledge };
        server::record(&load, root, promises, random)
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
        let failed_before = self.report.failed();
        tester.run(&[trial], &mut self.report)?;
        // The check has repaired its folder: it is made again, as the cut left it.
        let mut simulator = Simulator::new(tester.recording);
        simulator.advance_to(position)?;
        let folder = self.options.folder()?;
        simulator.rebuild(folder.path(), &cut)?;
        Ok((self.report.failed() == failed_before).then(|| (folder, simulator.promises().clone())))
    }
}
