//! A server to measure: our own, started for the scenario, or a peer that runs already.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use tempfile::TempDir;

use crate::{
    Error,
    client::{Connection, Request, seq_text},
    fsyncs::Fsyncs,
    process::{Launch, Server, parse_url},
    usage::Usage,
};

const SETTLE_WITHIN: Duration = Duration::from_secs(10);
const SETTLE_STEP: Duration = Duration::from_millis(100);

/// A peer given on the command line: `name=URL,pid=N[,db=NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// What the table calls it.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// Its only database, for a server that can't make any.
    pub database: Option<String>,
}

impl FromStr for Peer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = || Error::Argument(format!("{text} is not name=URL,pid=N[,db=NAME]"));
        let (name, rest) = text.split_once('=').ok_or_else(malformed)?;
        let mut parts = rest.split(',');
        let address = parse_url(parts.next().ok_or_else(malformed)?)?;
        let (mut pid, mut database) = (None, None);
        for part in parts {
            match part.split_once('=') {
                Some(("pid", number)) => pid = number.parse().ok(),
                Some(("db", name)) => database = Some(name.to_owned()),
                _ => return Err(malformed()),
            }
        }
        Ok(Self { name: name.to_owned(), address, pid: pid.ok_or_else(malformed)?, database })
    }
}

/// A server while it is measured.
#[derive(Debug)]
pub struct Target {
    name: String,
    address: SocketAddr,
    pid: u32,
    database: Option<String>,
    fsyncs: Option<Fsyncs>,
    own: Option<(Server, TempDir)>,
}

impl Target {
    /// Starts our own server in a fresh folder.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn launch(binary: &std::path::Path) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io("making a temporary folder"))?;
        let server = Launch::new(binary, folder.path()).start().await?;
        Ok(Self {
            name: "tidegate".to_owned(),
            address: server.couch(),
            pid: server.pid(),
            database: None,
            fsyncs: server.metrics().map(Fsyncs::Metrics).or_else(|| Fsyncs::of_disk(folder.path())),
            own: Some((server, folder)),
        })
    }

    /// A peer that runs already; its files are taken to lie on the disk of the temporary folder.
    pub fn peer(peer: &Peer) -> Self {
        Self {
            name: peer.name.clone(),
            address: peer.address,
            pid: peer.pid,
            database: peer.database.clone(),
            fsyncs: Fsyncs::of_disk(&std::env::temp_dir()),
            own: None,
        }
    }

    /// What the table calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where our own server speaks Sync Gateway's REST, and its admin REST.
    pub fn gateway(&self) -> Option<(SocketAddr, SocketAddr)> {
        let (server, _folder) = self.own.as_ref()?;
        server.gateway().zip(server.admin())
    }

    /// Whether it is a peer, not our own server.
    pub fn is_peer(&self) -> bool {
        self.own.is_none()
    }

    /// Whether it has one database and can't make others.
    pub fn has_one_database(&self) -> bool {
        self.database.is_some()
    }

    /// A new connection.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(&self) -> Result<Connection, Error> {
        Connection::open(self.address).await
    }

    /// Makes the database `name` anew and returns its path, or the path of the only one.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn make_database(&self, name: &str) -> Result<String, Error> {
        if let Some(only) = &self.database {
            return Ok(format!("/{only}"));
        }
        let path = format!("/{name}");
        let mut connection = self.connect().await?;
        connection.request(Request::new("DELETE", &path)).await?;
        connection.json(Request::new("PUT", &path)).await?;
        Ok(path)
    }

    /// The sequence the database has reached, as text for `since`.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn update_seq(&self, database: &str) -> Result<String, Error> {
        let request = Request::new("GET", database);
        let information = self.connect().await?.json(request).await?;
        let missed = || Error::Member { request: request.line(), member: "update_seq" };
        information.get("update_seq").map(seq_text).ok_or_else(missed)
    }

    /// Starts to count what the server uses.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn meter(&self) -> Result<Meter<'_>, Error> {
        let fsyncs = self.count_fsyncs().await;
        Ok(Meter { target: self, usage: Usage::of(self.pid)?, fsyncs })
    }

    /// Waits until the server does nothing (at most ten seconds), so that work put off is counted too.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn settle(&self) -> Result<Usage, Error> {
        let mut before = Usage::of(self.pid)?;
        let mut quiet = 0;
        for _ in 0..SETTLE_WITHIN.as_millis() / SETTLE_STEP.as_millis() {
            tokio::time::sleep(SETTLE_STEP).await;
            let now = Usage::of(self.pid)?;
            // A thread that ended takes its exact figure along.
            quiet = if now.cpu.saturating_sub(before.cpu) < SETTLE_STEP / 50 { quiet + 1 } else { 0 };
            before = now;
            // A checkpoint comes up to a second after the last write.
            if quiet == 12 {
                break;
            }
        }
        Ok(before)
    }

    /// From the start of the process to `ready`; `None` of a peer.
    pub fn ready_after(&self) -> Option<Duration> {
        self.own.as_ref().map(|(server, _folder)| server.ready_after())
    }

    /// Deletes a peer's database, or ends our own server and removes its folder.
    ///
    /// # Errors
    /// When our server doesn't end.
    pub async fn finish(self, database: Option<&str>) -> Result<(), Error> {
        match (self.own, database) {
            (Some((server, _folder)), _) => server.terminate().await,
            (None, Some(path)) if self.database.is_none() => {
                let mut connection = Connection::open(self.address).await?;
                connection.request(Request::new("DELETE", path)).await.map(drop)
            }
            (None, _) => Ok(()),
        }
    }

    async fn count_fsyncs(&self) -> Option<u64> {
        self.fsyncs.as_ref()?.count().await
    }
}

/// Counts what a server uses from its start to [`Meter::stop`] or [`Meter::settle`].
#[derive(Debug)]
pub struct Meter<'a> {
    target: &'a Target,
    usage: Usage,
    fsyncs: Option<u64>,
}

/// What a server used.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// User and system time.
    pub cpu: Duration,
    /// Resident memory at the end.
    pub rss_bytes: u64,
    /// How much more that is than at the start; less counts as none.
    pub rss_growth_bytes: u64,
    /// How often it waited for the disk, where that is counted.
    pub fsyncs: Option<u64>,
}

impl Meter<'_> {
    /// The cost so far, without waiting.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn stop(self) -> Result<Cost, Error> {
        let usage = Usage::of(self.target.pid)?;
        Ok(self.cost(usage).await)
    }

    /// The cost when the server has come to rest.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn settle(self) -> Result<Cost, Error> {
        let usage = self.target.settle().await?;
        Ok(self.cost(usage).await)
    }

    async fn cost(&self, usage: Usage) -> Cost {
        let fsyncs = self.target.count_fsyncs().await.zip(self.fsyncs).map(|(after, before)| after - before);
        Cost {
            cpu: usage.cpu.saturating_sub(self.usage.cpu),
            rss_bytes: usage.rss_bytes,
            rss_growth_bytes: usage.rss_bytes.saturating_sub(self.usage.rss_bytes),
            fsyncs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers() {
        let peer: Peer = "pouch=http://127.0.0.1:15984/,pid=42,db=only".parse().unwrap();
        assert_eq!((peer.name.as_str(), peer.pid, peer.database.as_deref()), ("pouch", 42, Some("only")));
        for bad in ["pouch", "pouch=http://127.0.0.1:1", "pouch=http://127.0.0.1:1,pid=x", "p=http://8.8.8.8:1,pid=1"] {
            assert!(bad.parse::<Peer>().is_err(), "{bad}");
        }
    }
}
