//! `cargo xtask ci`: the steps of CI, in order, each timed.
//!
//! A failing step doesn't stop the others: one run tells everything that is wrong.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::{command, e2e, tidy};

struct Step {
    name: &'static str,
    run: fn() -> anyhow::Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", run: fmt },
    Step { name: "clippy", run: clippy },
    Step { name: "test", run: test },
    Step { name: "doc", run: doc },
    Step { name: "deny", run: deny },
    Step { name: "machete", run: machete },
    Step { name: "typos", run: typos },
    Step { name: "tidy", run: tidy::run },
];

struct Outcome {
    name: &'static str,
    took: Duration,
    result: anyhow::Result<()>,
}

/// Runs every step, then prints the summary.
pub(crate) fn run() -> anyhow::Result<()> {
    let outcomes: Vec<Outcome> = STEPS.iter().map(attempt).collect();
    print!("\n{}", summary(&outcomes));
    let failed: Vec<&str> =
        outcomes.iter().filter(|outcome| outcome.result.is_err()).map(|outcome| outcome.name).collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

fn attempt(step: &Step) -> Outcome {
    println!("\n== {} ==", step.name);
    let start = Instant::now();
    let result = (step.run)();
    if let Err(error) = &result {
        println!("{}: {error:#}", step.name);
    }
    Outcome { name: step.name, took: start.elapsed(), result }
}

fn summary(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for Outcome { name, took, result } in outcomes {
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        text.push_str(&format!("{name:<8} {verdict:<6} {:>7.1} s\n", took.as_secs_f64()));
    }
    let total: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    text.push_str(&format!("{:<15} {:>7.1} s\n", "total", total.as_secs_f64()));
    text
}

fn fmt() -> anyhow::Result<()> {
    command::run(Command::new("cargo").args(["fmt", "--all", "--check"]))
}

fn clippy() -> anyhow::Result<()> {
    let args = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    command::run(Command::new("cargo").args(args))
}

fn test() -> anyhow::Result<()> {
    e2e::test(&["--locked".to_owned()])
}

fn doc() -> anyhow::Result<()> {
    let args = ["doc", "--workspace", "--no-deps", "--locked"];
    command::run(Command::new("cargo").args(args).env("RUSTDOCFLAGS", "-D warnings"))
}

// Not `advisories`: their database is fetched from a Git host, and CI must give the same answer without one.
fn deny() -> anyhow::Result<()> {
    command::run(Command::new("cargo-deny").args(["--workspace", "--locked", "check", "bans", "licenses", "sources"]))
}

fn machete() -> anyhow::Result<()> {
    command::run(&mut Command::new("cargo-machete"))
}

fn typos() -> anyhow::Result<()> {
    command::run(&mut Command::new("typos"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_shows_each_step_and_the_total() {
        let outcomes = [
            Outcome { name: "fmt", took: Duration::from_millis(1_500), result: Ok(()) },
            Outcome { name: "clippy", took: Duration::from_secs(70), result: Err(anyhow::anyhow!("lints")) },
        ];
        let expected = "fmt      ok         1.5 s\nclippy   FAILED    70.0 s\ntotal              71.5 s\n";
        assert_eq!(summary(&outcomes), expected);
    }

    #[test]
    fn a_failing_step_is_an_outcome_and_not_the_end() {
        let outcome = attempt(&Step { name: "never", run: || anyhow::bail!("no") });
        assert_eq!(outcome.result.unwrap_err().to_string(), "no");
    }
}
