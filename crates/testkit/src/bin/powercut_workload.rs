//! The workload of the power-cut tests as a process of its own: `powercut-workload FOLDER SEED TRANSACTIONS OPENINGS
//! after-commit|before-commit`.

use std::process::ExitCode;

use tidegate_testkit::powercut::{Workload, WorkloadError};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match Workload::parse(&args).and_then(|workload| workload.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the recorder shows what a failed workload printed")]
fn report(error: &WorkloadError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
