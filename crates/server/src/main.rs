//! The binary `tidegate`: reads its configuration, opens the storage, listens, and stops cleanly.
//!
//! No business rule lives here: listeners hand requests to the dialects, which ask the engine.

mod cli;
mod clock;
mod config;
mod fetch;
mod gateway;
mod identity;
mod limits;
mod listener;
mod logging;
mod metrics;
mod observe;
mod process;
mod sections;
mod serve;
mod sync_files;
mod systemd;
mod tls;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let form = cli.form();
    cli.run().unwrap_or_else(|error| {
        report(&error, form);
        ExitCode::FAILURE
    })
}

#[expect(clippy::print_stderr, reason = "the last word of a command goes to the terminal")]
fn report(error: &anyhow::Error, form: cli::Form) {
    match form {
        cli::Form::Text => eprintln!("tidegate: {error:#}"),
        cli::Form::Json => eprintln!("{}", serde_json::json!({ "error": format!("{error:#}") })),
    }
}
