//! The real binary under test: started on free ports and a folder of its own, killed, stopped, and started again.
//!
//! Its output is collected, and shown when a test fails while the server is in scope.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http::Client;

/// The listeners that can be asked for.
const LISTENERS: [&str; 5] = ["couch", "gateway", "admin", "metrics", "jobs"];

/// How long starting and stopping may take before it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Lines of output waiting to be read while the server starts; more only go to the log.
const LINES_WAITING: usize = 1_000;

/// Why the server couldn't be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary doesn't run, or a signal couldn't be sent.
    #[error("cannot {action} the server")]
    Process {
        /// What was tried, as a verb.
        action: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It ended, or printed something else than expected, or nothing in time.
    #[error("the server {reason}; its output:\n{log}")]
    Misbehaved {
        /// What it did.
        reason: String,
        /// Everything it printed.
        log: String,
    },
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    data: PathBuf,
    /// What each listener is to listen on, or `off`. Free ports are replaced by those found, for starting again.
    listeners: BTreeMap<&'static str, String>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    child: Child,
    log: Log,
}

/// Everything the server printed.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, line: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Server {
    /// Starts `tidegate dev` with only the CouchDB listener, on a free port.
    ///
    /// `binary` is `env!("CARGO_BIN_EXE_tidegate")` in tests of the server's own package.
    ///
    /// # Errors
    /// [`Error::Process`] or [`Error::Misbehaved`] when it isn't ready in time.
    pub fn start(binary: impl Into<PathBuf>, data: &Path) -> Result<Self, Error> {
        Self::start_with(binary, data, &["couch"], &[])
    }

    /// Starts `tidegate dev` with these listeners, on free ports, and further arguments.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(
        binary: impl Into<PathBuf>,
        data: &Path,
        listeners: &[&str],
        arguments: &[&str],
    ) -> Result<Self, Error> {
        Self::start_in(binary, data, listeners, &[&["dev"], arguments].concat(), Vec::new())
    }

    /// Starts it as the arguments say, which begin with the command (`dev` or `serve`), with these listeners on free
    /// ports and these variables in its environment.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_in(
        binary: impl Into<PathBuf>,
        data: &Path,
        listeners: &[&str],
        arguments: &[&str],
        environment: Vec<(OsString, OsString)>,
    ) -> Result<Self, Error> {
        let address = |name| if listeners.contains(&name) { "127.0.0.1:0" } else { "off" }.to_owned();
        let listeners = LISTENERS.map(|name| (name, address(name))).into();
        let (binary, arguments) = (binary.into(), arguments.iter().map(OsString::from).collect());
        let (data, log) = (data.to_path_buf(), Log::default());
        let mut command = command(&binary, &data, &listeners, &arguments);
        let (child, output) = spawn(command.envs(environment.clone()), &log)?;
        let mut server = Self { binary, data, listeners, arguments, environment, child, log };
        server.wait_until_ready(&output)?;
        Ok(server)
    }

    /// Starts again on the same folder and ports, after [`Server::kill`] or [`Server::stop`].
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill()?;
        let mut command = command(&self.binary, &self.data, &self.listeners, &self.arguments);
        let (child, output) = spawn(command.envs(self.environment.clone()), &self.log)?;
        self.child = child;
        self.wait_until_ready(&output)
    }

    /// Kills it as `kill -9` does, and waits until it is gone. Nothing happens when it has ended.
    ///
    /// # Errors
    /// [`Error::Process`].
    pub fn kill(&mut self) -> Result<(), Error> {
        self.child.kill().map_err(process("kill"))?;
        self.child.wait().map_err(process("wait for"))?;
        Ok(())
    }

    /// Asks it to stop, as `SIGTERM` does, and waits until it has.
    ///
    /// # Errors
    /// [`Error::Misbehaved`] when it doesn't stop in time.
    pub fn stop(&mut self) -> Result<ExitStatus, Error> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(|error| process("stop")(error.into()))?;
        let begin = Instant::now();
        while begin.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().map_err(process("wait for"))? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
        Err(self.misbehaved("didn't stop when asked to"))
    }

    /// Where a listener listens; `None` when it is off.
    #[must_use]
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.listeners.get(listener)?.parse().ok()
    }

    /// The URL of a listener, without a slash at the end.
    #[must_use]
    pub fn url(&self, listener: &str) -> Option<String> {
        Some(format!("http://{}", self.address(listener)?))
    }

    /// A client of the CouchDB listener.
    ///
    /// # Errors
    /// [`Error::Misbehaved`] when that listener is off.
    pub fn couch(&self) -> Result<Client, Error> {
        let address = self.address("couch").ok_or_else(|| self.misbehaved("has no CouchDB listener"))?;
        Ok(Client::new(address))
    }

    /// Its folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it printed so far, on both streams.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Reads lines such as `couch    http://127.0.0.1:43211` until `ready`.
    fn wait_until_ready(&mut self, output: &Receiver<String>) -> Result<(), Error> {
        let begin = Instant::now();
        loop {
            match output.recv_timeout(DEADLINE.saturating_sub(begin.elapsed())) {
                Ok(line) if line.trim() == "ready" => return Ok(()),
                Ok(line) => self.note_address(&line),
                Err(RecvTimeoutError::Timeout) => return Err(self.misbehaved("wasn't ready in time")),
                Err(RecvTimeoutError::Disconnected) => return Err(self.misbehaved("ended instead of being ready")),
            }
        }
    }

    fn note_address(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(url)) = (words.next(), words.next()) else { return };
        let plain = url.strip_prefix("http://").or(url.strip_prefix("https://"));
        let Some(address) = plain.map(|rest| rest.split_once('/').map_or(rest, |(address, _)| address)) else { return };
        if let Some(listener) = self.listeners.get_mut(name) {
            address.clone_into(listener);
        }
    }

    fn misbehaved(&self, reason: &str) -> Error {
        Error::Misbehaved { reason: reason.to_owned(), log: self.log() }
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "shown only by tests that fail")]
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{error}");
        }
        if thread::panicking() {
            eprintln!("the server's output:\n{}", self.log());
        }
    }
}

fn command(
    binary: &Path,
    data: &Path,
    listeners: &BTreeMap<&'static str, String>,
    arguments: &Vec<OsString>,
) -> Command {
    let mut command = Command::new(binary);
    command.args(arguments).arg("--data").arg(data);
    for (name, address) in listeners {
        command.arg(format!("--{name}")).arg(address);
    }
    command
}

fn spawn(command: &mut Command, log: &Log) -> Result<(Child, Receiver<String>), Error> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(process("run"))?;
    let (lines, output) = mpsc::sync_channel(LINES_WAITING);
    // The lines end when both streams have: the log is whole then.
    collect(child.stderr.take(), log.clone(), (None, lines.clone()));
    collect(child.stdout.take(), log.clone(), (Some(lines.clone()), lines));
    Ok((child, output))
}

/// Copies a stream to the log, and its lines to `lines` while somebody waits for them. Ends with the stream, and holds
/// `end` until then.
fn collect(
    stream: Option<impl Read + Send + 'static>,
    log: Log,
    (mut lines, end): (Option<SyncSender<String>>, SyncSender<String>),
) {
    let Some(stream) = stream else { return };
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            log.add(&line);
            lines = lines.take().filter(|lines| lines.try_send(line).is_ok());
        }
        drop(end);
    });
}

fn process(action: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Process { action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell script in the server's place. Written by another process: a file that this one has open for writing
    /// couldn't be run while any other test starts a process.
    fn pretender(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("pretender");
        let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 700 \"$1\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", write, "sh"]).arg(&path).arg(script);
        assert!(shell.status().unwrap().success());
        path
    }

    #[test]
    fn addresses_are_read_and_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let script =
            "echo \"args $*\"; echo 'couch    http://127.0.0.1:4321'; echo ready; echo more >&2; exec sleep 60";
        let mut server = Server::start(pretender(folder.path(), script), folder.path()).unwrap();
        assert_eq!(server.url("couch").unwrap(), "http://127.0.0.1:4321");
        assert_eq!(server.url("gateway"), None);
        server.restart().unwrap();
        assert!(server.log().contains("--admin off --couch 127.0.0.1:4321 --gateway off"), "{}", server.log());
        assert!(!server.stop().unwrap().success());
    }

    #[test]
    fn a_server_that_ends_is_shown_with_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let error = Server::start(pretender(folder.path(), "echo no port"), folder.path()).unwrap_err();
        assert_eq!(error.to_string(), "the server ended instead of being ready; its output:\nno port\n");
    }
}
