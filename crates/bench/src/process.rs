//! The server as a child process: started from its binary, killed, ended politely.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinSet,
};

use crate::Error;

const READY_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(30);

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The `tidegate` binary.
    pub binary: PathBuf,
    /// Its data folder.
    pub data: PathBuf,
    /// Where its standard error goes.
    pub log: PathBuf,
}

impl Launch {
    /// A launch whose data and log lie in `folder`.
    pub fn new(binary: &Path, folder: &Path) -> Self {
        Self { binary: binary.to_owned(), data: folder.join("data"), log: folder.join("server.log") }
    }

    /// Starts the process without waiting for it.
    ///
    /// # Errors
    /// [`Error::Io`] if the binary can't be run.
    pub fn spawn(&self) -> Result<Starting, Error> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(Error::io(format!("opening {}", self.log.display())))?;
        let started = Instant::now();
        let mut child = Command::new(&self.binary)
            .args(["dev", "--couch", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
            .args(["--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--jobs", "off"])
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io(format!("starting {}", self.binary.display())))?;
        let stdout = child.stdout.take().ok_or_else(|| Error::Start("no standard output".to_owned()))?;
        Ok(Starting { child, lines: BufReader::new(stdout).lines(), started, log: self.log.clone() })
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::Start`] with the end of the log if it ends instead, [`Error::Deadline`] if it takes half a minute.
    pub async fn start(&self) -> Result<Server, Error> {
        self.spawn()?.ready().await
    }
}

/// A process that hasn't said `ready` yet.
#[derive(Debug)]
pub struct Starting {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    started: Instant,
    log: PathBuf,
}

impl Starting {
    /// Waits for the line `ready`.
    ///
    /// # Errors
    /// [`Error::Start`] with the end of the log if the process ends instead, [`Error::Deadline`] after half a minute.
    pub async fn ready(mut self) -> Result<Server, Error> {
        let addresses = tokio::time::timeout(READY_WITHIN, self.read_addresses()).await;
        let deadline = |_elapsed| Error::Deadline { what: "starting the server".to_owned(), limit: READY_WITHIN };
        let addresses = addresses.map_err(deadline)??;
        let ready_after = self.started.elapsed();
        let pid = self.child.id().ok_or_else(|| Error::Start("it has ended already".to_owned()))?;
        let mut lines = self.lines;
        let mut output = JoinSet::new();
        output.spawn(async move { while let Ok(Some(_line)) = lines.next_line().await {} });
        Ok(Server { child: self.child, pid, addresses, ready_after, _output: output })
    }

    /// Kills the process while it starts.
    ///
    /// # Errors
    /// [`Error::Io`] if it can't be killed.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.child.kill().await.map_err(Error::io("killing the server"))
    }

    async fn read_addresses(&mut self) -> Result<Addresses, Error> {
        let (mut couch, mut metrics, mut gateway, mut admin) = (None, None, None, None);
        while let Some(line) = self.lines.next_line().await.map_err(Error::io("reading the server's output"))? {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("couch"), Some(url)) => couch = Some(parse_url(url)?),
                (Some("metrics"), Some(url)) => metrics = parse_url(url).ok(),
                (Some("gateway"), Some(url)) => gateway = parse_url(url).ok(),
                (Some("admin"), Some(url)) => admin = parse_url(url).ok(),
                (Some("ready"), None) => {
                    let couch = couch.ok_or_else(|| Error::Start("it is ready without a couch address".to_owned()))?;
                    return Ok(Addresses { couch, gateway, admin, metrics });
                }
                (_, _) => {}
            }
        }
        Err(Error::Start(log_end(&self.log)))
    }
}

/// Where a server listens.
#[derive(Debug)]
struct Addresses {
    couch: SocketAddr,
    gateway: Option<SocketAddr>,
    admin: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pid: u32,
    addresses: Addresses,
    ready_after: Duration,
    _output: JoinSet<()>,
}

impl Server {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where it speaks CouchDB's HTTP.
    pub fn couch(&self) -> SocketAddr {
        self.addresses.couch
    }

    /// Where it speaks Sync Gateway's REST.
    pub fn gateway(&self) -> Option<SocketAddr> {
        self.addresses.gateway
    }

    /// Where it speaks Sync Gateway's admin REST.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.addresses.admin
    }

    /// Where it shows its metrics.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.addresses.metrics
    }

    /// From the start of the process to `ready`.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Ends it at once (SIGKILL).
    ///
    /// # Errors
    /// [`Error::Io`] if it can't be killed.
    pub async fn kill(mut self) -> Result<(), Error> {
        self.child.kill().await.map_err(Error::io("killing the server"))
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// [`Error::Deadline`] if it is still there after half a minute.
    pub async fn terminate(mut self) -> Result<(), Error> {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let sent = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            sent.map_err(|errno| Error::io("terminating the server")(errno.into()))?;
        }
        let deadline = |_elapsed| Error::Deadline { what: "ending the server".to_owned(), limit: END_WITHIN };
        let ended = tokio::time::timeout(END_WITHIN, self.child.wait()).await.map_err(deadline)?;
        ended.map(drop).map_err(Error::io("waiting for the server's end"))
    }
}

/// The address in `http://127.0.0.1:5984` or `http://127.0.0.1:5984/`.
///
/// # Errors
/// [`Error::Argument`] if it is anything else, a host name included: only addresses on this machine are measured.
pub fn parse_url(url: &str) -> Result<SocketAddr, Error> {
    let address = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')).and_then(|rest| rest.parse().ok());
    let loopback = address.filter(|address: &SocketAddr| address.ip().is_loopback());
    loopback.ok_or_else(|| Error::Argument(format!("{url} is not an http:// URL of a loopback address and port")))
}

fn log_end(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.get(lines.len().saturating_sub(10)..).unwrap_or_default();
    if end.is_empty() { "it ended without a word".to_owned() } else { end.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!(parse_url("http://127.0.0.1:5984/").unwrap().port(), 5984);
        for bad in ["http://10.0.0.1:5984", "https://127.0.0.1:1", "127.0.0.1:1", "http://localhost:5984"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
