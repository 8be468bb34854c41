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
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => misused(&error),
    };
    let form = cli.form();
    cli.run().unwrap_or_else(|error| {
        report(&error, form);
        ExitCode::FAILURE
    })
}

/// Says what is wrong with the command line, or what was asked of it, such as its version; exit code 2, or 0.
fn misused(error: &clap::Error) -> ! {
    let is_json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    if !is_json || !error.use_stderr() {
        error.exit();
    }
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").trim_end().to_owned();
    report(&anyhow::Error::msg(text), cli::Form::Json);
    std::process::exit(error.exit_code())
}

#[expect(clippy::print_stderr, reason = "the last word of a command goes to the terminal")]
fn report(error: &anyhow::Error, form: cli::Form) {
    match form {
        cli::Form::Text => eprintln!("tidegate: {error:#}"),
        cli::Form::Json => eprintln!("{}", serde_json::json!({ "error": format!("{error:#}") })),
    }
}
