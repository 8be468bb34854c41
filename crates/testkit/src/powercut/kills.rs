//! A kill of the process at each moment, and a power cut while the next process opens what it left.
//!
//! The killed process leaves writes and names that only the system's cache has. The one after it finds them, and must not
//! rely on them before it has synced them itself.

use super::Error;
use super::check::Depth;
use super::cut::{Cut, Model};
use super::options::Options;
use super::places::{Focus, cuts};
use super::random::Random;
use super::recording::{Recording, Run};
use super::report::Report;
use super::tester::{Tester, Trial};

/// For each of `events`: kills a workload in an empty folder after so many events, runs another one, and cuts the power
/// at each moment of its opening, and some later ones. Stops early at the deadline of `options`.
///
/// # Errors
/// As [`super::campaign`].
pub fn kills(
    options: &Options,
    events: impl IntoIterator<Item = u64>,
    mut progress: impl FnMut(&Report),
) -> Result<Report, Error> {
    let begin = std::time::Instant::now();
    let mut report = Report { seed: options.seed, ..Report::default() };
    for event in events {
        if begin.elapsed() > options.deadline {
            break;
        }
        let mut random = Random::of(&[options.seed, event]);
        let seed = random.next_u64();
        let Some(recording) = report.add_recording(run(options, seed, event))? else { continue };
        let tester = Tester { options, recording: &recording, number: report.recordings - 1, seed };
        tester.run(&trials(&recording, &mut random), &mut report)?;
        progress(&report);
    }
    Ok(report)
}

fn run(options: &Options, seed: u64, event: u64) -> Result<Recording, Error> {
    let root = options.folder()?;
    let killed = Run { stop_after: Some(event), ..Run::default() };
    let mut recording = Recording::run_with(options.command(root.path(), seed, 1), root.path(), &killed)?;
    recording.resume(options.command(root.path(), seed, 1), &Run::default())?;
    Ok(recording)
}

/// Positions tried while the second process opens the store.
const OPENING_CUTS: usize = 40;

/// Everything lost that may be, under the strictest rules: in the second opening, and at the end, when much has been
/// acknowledged. And anything at some other places.
fn trials(recording: &Recording, random: &mut Random) -> Vec<Trial> {
    let trial = |position, focus, cut| Trial { position, focus, cut, depth: Depth::Once };
    let mut trials = Vec::new();
    for position in cuts(recording, random, OPENING_CUTS, Focus::Openings) {
        trials.push(trial(position, Focus::Openings, Cut::variant(Model::Strict, 0, random.next_u64())));
    }
    for position in cuts(recording, random, 3, Focus::Anywhere) {
        for model in Model::ALL {
            let cut = Cut::variant(model, random.below(16), random.next_u64());
            trials.push(trial(position, Focus::Anywhere, cut));
        }
    }
    for model in Model::ALL {
        trials.push(trial(recording.len(), Focus::Anywhere, Cut::variant(model, 0, random.next_u64())));
    }
    trials.sort_by_key(|trial| trial.position);
    trials
}
