//! The long power-cut run with the real server: `powercut-server FOLDERS [SEED [SCRATCH [KEEP]]]`, with `tidegate` beside
//! it.
//!
//! Exits with 1 when a rebuilt folder broke a promise; such folders are kept in `KEEP`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tidegate_testkit::powercut::{self, Error, Options, Report};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(report) => say(&report),
        Err(error) => complain(&error),
    }
}

fn run(args: &[String]) -> Result<Report, Error> {
    let argument = |index: usize| args.get(index);
    let number = |index: usize, default: u64| argument(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let server = std::env::current_exe().unwrap_or_default().with_file_name("tidegate");
    let mut options = Options::server(server, argument(2).map_or_else(powercut::scratch, PathBuf::from));
    options.folders = usize::try_from(number(0, 10_000)).unwrap_or(usize::MAX);
    options.folders_per_recording = 240;
    options.transactions = 60;
    options.seed = number(1, 1);
    options.deadline = Duration::from_secs(3 * 60 * 60);
    options.keep = argument(3).map(PathBuf::from);
    powercut::campaign(&options, progress)
}

#[expect(clippy::print_stderr, reason = "this is a command")]
fn progress(report: &Report) {
    eprint!("\r{} folders, {} failures ", report.folders(), report.failed());
}

#[expect(clippy::print_stdout, reason = "this is a command")]
fn say(report: &Report) -> ExitCode {
    println!("\n{report}");
    if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stderr, reason = "this is a command")]
fn complain(error: &Error) -> ExitCode {
    eprintln!("\n{error}");
    ExitCode::FAILURE
}
