//! The chores of the repository: `cargo xtask dev`, `ci`, `test` and `tidy`.
//!
//! CI runs nothing but `ci`, so what passes here passes there. Nothing in this crate is shipped, and no crate depends
//! on it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person at the terminal")]

mod ci;
mod command;
mod dev;
mod e2e;
mod tidy;

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::Context as _;
use clap::Parser;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The chores of the Tidegate repository")]
enum Chore {
    /// Everything CI checks, in CI's order, with the time each step took
    Ci,
    /// All tests: fetches the end-to-end tests' npm packages where needed, then runs `cargo test --workspace`
    Test {
        /// Passed on to `cargo test`, such as `--locked` or a test's name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        cargo_args: Vec<String>,
    },
    /// A server to try, in the release build, and a demonstration on it: two devices sync through it
    Dev {
        /// Stop the server after the demonstration
        #[arg(long)]
        once: bool,
        /// Passed on to `tidegate dev`, such as `--data DIR`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        server_args: Vec<String>,
    },
    /// The rules of this repository that no compiler knows: layers, sizes, names, headers, manifests
    Tidy,
}

fn main() -> ExitCode {
    match run(Chore::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    enter_workspace()?;
    match chore {
        Chore::Ci => ci::run(),
        Chore::Test { cargo_args } => e2e::test(&cargo_args),
        Chore::Dev { once, server_args } => {
            dev::run(if once { dev::After::Stop } else { dev::After::Stay }, &server_args)
        }
        Chore::Tidy => tidy::run(),
    }
}

/// Makes the root of the workspace the working directory, wherever in it the chore was called.
fn enter_workspace() -> anyhow::Result<()> {
    let mut locate = Command::new("cargo");
    locate.args(["locate-project", "--workspace", "--message-format", "plain"]);
    let manifest = command::output(&mut locate)?;
    let root = Path::new(manifest.trim()).parent().context("cargo named no workspace")?;
    env::set_current_dir(root).with_context(|| format!("{} can't be entered", root.display()))
}
