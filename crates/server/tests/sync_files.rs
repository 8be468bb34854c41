//! Sync functions in files beside the configuration: `--sync`, `[sync]`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};
use tidegate_testkit::{http::Client, until};

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
const ADDRESSES: [&str; 8] = ["--couch", "off", "--metrics", "off", "--gateway", "off", "--admin", "127.0.0.1:0"];
const FIRST: &str = "function (doc) { channel('first'); }";
const SECOND: &str = "function (doc) {\n  channel('second');\n}\n";
const BROKEN: &str = "function (doc) {\n  channel(;\n}\n";

/// A running server, killed at the end of its test.
struct Server {
    child: Child,
    admin: Client,
    log: Arc<Mutex<String>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).args(ADDRESSES).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(folder: &Path, arguments: &[&str]) -> Server {
    let mut child = command(folder, arguments).spawn().unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let (told, into) = (child.stderr.take().unwrap(), Arc::clone(&log));
    thread::spawn(move || {
        for line in BufReader::new(told).lines().map_while(Result::ok) {
            *into.lock().unwrap() += &(line + "\n");
        }
    });
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let printed: Vec<String> = lines.take_while(|line| line != "ready").collect();
    let address = printed.iter().find_map(|line| line.strip_prefix("admin")).unwrap();
    let address: SocketAddr = address.trim().strip_prefix("http://").unwrap().parse().unwrap();
    Server { child, admin: Client::new(address), log }
}

impl Server {
    fn get(&self, path: &str) -> String {
        self.admin.get(path).unwrap().text()
    }

    /// Whether this document is in this channel, as the server's raw view of it tells.
    fn is_in(&self, channel: &str) -> bool {
        self.get("/notes/_raw/a").contains(channel)
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let mut child = command(folder, arguments).spawn().unwrap();
    assert!(!child.wait().unwrap().success());
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_is_saved_goes_live_in_dev() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.js");
    fs::write(&file, FIRST).unwrap();
    let server = start(folder.path(), &["dev", "--sync", "notes.js"]);
    assert_eq!(server.get("/notes/_config/sync"), FIRST);
    assert_eq!(server.admin.put("/notes/a", "{}").unwrap().status, 201);
    assert!(server.is_in("first"));
    fs::write(&file, BROKEN).unwrap();
    until("what is wrong is told", || server.log().contains("notes.js:2:"));
    assert_eq!(server.get("/notes/_config/sync"), FIRST);
    fs::write(&file, SECOND).unwrap();
    until("it is set", || server.get("/notes/_config/sync") == SECOND);
    until("documents that were there follow", || server.is_in("second") && !server.is_in("first"));
    assert_eq!(server.log().matches("notes.js:2:").count(), 1, "{}", server.log());
}

#[test]
fn a_configuration_names_files_that_are_read_again_at_a_hangup() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf")).unwrap();
    let file = folder.path().join("conf/n.js");
    let config =
        "data = \"data\"\n[admins]\nada = \"secret\"\n[gateway]\nopen_admin = true\n[sync]\nnotes = \"n.js\"\n";
    fs::write(folder.path().join("conf/tidegate.toml"), config).unwrap();
    fs::write(&file, FIRST).unwrap();
    let arguments = ["serve", "--config", "conf/tidegate.toml"];
    let mut server = start(folder.path(), &arguments);
    assert_eq!(server.get("/notes/_config/sync"), FIRST);
    fs::write(&file, SECOND).unwrap();
    kill_process(Pid::from_child(&server.child), Signal::HUP).unwrap();
    until("it is set", || server.get("/notes/_config/sync") == SECOND);
    // Nothing to set at the next start; a flag comes before the file.
    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    assert!(server.child.wait().unwrap().success());
    fs::write(folder.path().join("flag.js"), FIRST).unwrap();
    let server = start(folder.path(), &[&arguments[..], &["--sync", "notes=flag.js"]].concat());
    assert_eq!(server.get("/notes/_config/sync"), FIRST);
}

#[test]
fn a_bad_file_is_a_reason_not_to_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.js"), BROKEN).unwrap();
    let told = refusal(folder.path(), &["dev", "--sync", "notes.js"]);
    assert!(told.contains("notes.js:2:"), "{told}");
    let told = refusal(folder.path(), &["dev", "--sync", "notes=nothing.js"]);
    assert!(told.contains("could not read nothing.js"), "{told}");
    let told = refusal(folder.path(), &["dev", "--sync", "Notes.js"]);
    assert!(told.contains("name the database"), "{told}");
}
