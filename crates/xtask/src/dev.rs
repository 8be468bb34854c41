//! `cargo xtask dev`: a server to try, and a demonstration on it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};

use crate::{command, e2e};

/// What becomes of the server after the demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It stays up until somebody stops it.
    Stay,
    /// It is stopped.
    Stop,
}

/// Builds the release binary, starts `tidegate dev` with `server_args`, and has two real PouchDBs sync through it.
pub(crate) fn run(after: After, server_args: &[String]) -> anyhow::Result<()> {
    e2e::install_packages(Path::new("e2e"))?;
    command::run(Command::new("cargo").args(["build", "--release", "-p", "tidegate-server"]))?;
    let mut server = start(server_args)?;
    let shown = demonstrate(&mut server);
    match (after, &shown) {
        (After::Stay, Ok(())) => {
            println!("\nThe server stays up; Ctrl-C stops it.");
            let status = server.wait()?;
            ensure!(status.success(), "the server failed ({status})");
        }
        (After::Stop, _) | (After::Stay, Err(_)) => stop(&mut server)?,
    }
    shown
}

fn start(server_args: &[String]) -> anyhow::Result<Child> {
    let target = command::output(Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&target)?;
    let target =
        metadata.get("target_directory").and_then(serde_json::Value::as_str).context("cargo named no target folder")?;
    let binary = Path::new(target).join("release/tidegate");
    let mut dev = Command::new(binary);
    dev.arg("dev").args(server_args).stdout(Stdio::piped());
    dev.spawn().context("the server can't be started")
}

/// Shows what the server prints until it is ready, then runs the demonstration.
fn demonstrate(server: &mut Child) -> anyhow::Result<()> {
    let output = server.stdout.take().context("the server's output can't be read")?;
    let mut url = None;
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if let Some(address) = line.strip_prefix("couch") {
            url = Some(address.trim().to_owned());
        }
        if line == "ready" {
            let url = url.context("the server doesn't listen for CouchDB's protocol")?;
            println!("\nTwo devices, each a PouchDB in Node, sync through it:");
            return command::run(Command::new("node").args(["e2e/demo.mjs", &url]));
        }
    }
    bail!("the server stopped before it was ready")
}

fn stop(server: &mut Child) -> anyhow::Result<()> {
    // SIGTERM, so that it closes its data; there is no safe call for it in the standard library.
    command::run(Command::new("kill").arg(server.id().to_string()))?;
    let status = server.wait()?;
    ensure!(status.success(), "the server didn't stop well ({status})");
    Ok(())
}
