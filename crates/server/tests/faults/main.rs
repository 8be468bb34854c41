//! The real server while the world around it fails.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may panic")]

mod clients;
mod clock;
mod damage;
mod disk;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tidegate_testkit::{http::Client, server::Server, until};

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");

/// `tidegate serve` with these limits, and one administrator.
fn serve(folder: &Path, limits: &str, environment: Vec<(OsString, OsString)>) -> Server {
    let config = folder.join("tidegate.toml");
    fs::write(&config, format!("[admins]\nada = \"secret\"\n[limits]\n{limits}\n[log]\nlevel = \"debug\"\n")).unwrap();
    let arguments = ["serve", "--config", config.to_str().unwrap()];
    Server::start_in(BINARY, &folder.join("data"), &["couch", "metrics"], &arguments, environment).unwrap()
}

/// A script that starts the server, `"$@"` being its command line. Written by another process: a file that this one has
/// open for writing couldn't be run while any other test starts a process.
fn wrapper(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("wrapper");
    let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 700 \"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", write, "sh"]).arg(&path).arg(script);
    assert!(shell.status().unwrap().success());
    path
}

fn up(client: &Client) -> (u16, String) {
    let answer = client.get("/_up").unwrap();
    (answer.status, answer.text())
}

fn health(server: &Server) -> (u16, String) {
    let answer = Client::new(server.address("metrics").unwrap()).get("/health").unwrap();
    (answer.status, answer.text())
}
