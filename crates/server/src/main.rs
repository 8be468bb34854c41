//! The binary `tidegate`: reads its configuration, opens the storage, listens, and stops cleanly.
//!
//! No business rule lives here: listeners hand requests to the dialects, which ask the engine.

mod cli;
mod clock;
mod config;
mod identity;
mod limits;
mod listener;
mod logging;
mod metrics;
mod observe;
mod process;
mod sections;
mod serve;
mod systemd;
mod tls;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a command goes to the terminal")]
fn report(error: &anyhow::Error) {
    eprintln!("tidegate: {error:#}");
}
