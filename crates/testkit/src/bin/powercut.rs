//! The long power-cut run: `powercut FOLDERS [SEED [SCRATCH [KEEP [KILLS]]]]`, with `powercut-workload` beside it.
//!
//! First kills and cuts at each moment of the store's opening and some time after, then so many folders of a campaign.
//! Exits with 1 when a rebuilt folder broke a promise; such folders are kept in `KEEP`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tidegate_testkit::powercut::{self, Error, Options, Report};

/// Events after which a process is killed, one after the other, where nobody says how many.
const KILLS: u64 = 600;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(reports) => say(&reports),
        Err(error) => complain(&error),
    }
}

fn run(args: &[String]) -> Result<[Report; 2], Error> {
    let argument = |index: usize| args.get(index);
    let number = |index: usize, default: u64| argument(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let workload = std::env::current_exe().unwrap_or_default().with_file_name("powercut-workload");
    let scratch = argument(2).map_or_else(powercut::scratch, PathBuf::from);
    let mut options = Options::new(vec![workload.into()], scratch);
    options.folders = usize::try_from(number(0, 10_000)).unwrap_or(usize::MAX);
    options.folders_per_recording = 270;
    options.transactions = 90;
    options.seed = number(1, 1);
    options.deadline = Duration::from_secs(15 * 60);
    options.keep = argument(3).map(PathBuf::from);
    let killed = powercut::kills(&options, 1..=number(4, KILLS), progress)?;
    let report = powercut::campaign(&options, progress)?;
    Ok([killed, report])
}

#[expect(clippy::print_stderr, reason = "this is a command")]
fn progress(report: &Report) {
    eprint!("\r{} folders, {} failures ", report.folders(), report.failed());
}

#[expect(clippy::print_stdout, reason = "this is a command")]
fn say(reports: &[Report; 2]) -> ExitCode {
    let [killed, cut] = reports;
    println!("\nkills, then cuts: {killed}\ncuts: {cut}");
    if killed.failed() + cut.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stderr, reason = "this is a command")]
fn complain(error: &Error) -> ExitCode {
    eprintln!("\n{error}");
    ExitCode::FAILURE
}
