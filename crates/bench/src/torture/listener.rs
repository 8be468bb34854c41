//! A continuous listener that is cut, reconnects from its last sequence, and in the end must have seen everything.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio::time::{sleep_until, timeout};

use super::{
    Victim,
    database::{PATH, Row, View},
};
use crate::{
    Error,
    client::{Connection, Request, Stream},
};

const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);

/// Whether a listener is cut while the server is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temper {
    /// It stays until the server goes.
    Steady,
    /// It hangs up every 5 to 150 ms.
    Fickle,
}

/// A listener and what it has seen.
#[derive(Debug)]
pub(super) struct Listener {
    temper: Temper,
    random: StdRng,
    since: String,
    last: u64,
    seen: BTreeMap<String, Row>,
    /// How often it has hung up or was hung up on.
    pub(super) cuts: u64,
    /// What it was told wrongly.
    pub(super) violations: Vec<String>,
}

impl Listener {
    /// A listener that has seen nothing.
    pub(super) fn new(temper: Temper, seed: u64) -> Self {
        Self {
            temper,
            random: StdRng::seed_from_u64(seed),
            since: "0".to_owned(),
            last: 0,
            seen: BTreeMap::new(),
            cuts: 0,
            violations: Vec::new(),
        }
    }

    /// Listens, again and again, until the server goes.
    pub(super) async fn listen(mut self, victim: Victim) -> Self {
        loop {
            let until = match self.temper {
                Temper::Steady => Instant::now() + Duration::from_secs(3600),
                Temper::Fickle => Instant::now() + Duration::from_millis(self.random.random_range(5..150)),
            };
            self.cuts += 1;
            let cut = sleep_until(until.into());
            let ended = tokio::select! {
                () = cut => continue,
                ended = self.follow(&victim, u64::MAX) => ended,
            };
            match ended {
                Err(error) if !error.is_disconnect() && !victim.is_going() => self.violations.push(error.to_string()),
                Ok(()) if !victim.is_going() => self.violations.push("a continuous feed ended by itself".to_owned()),
                Ok(()) | Err(_) => {}
            }
            return self;
        }
    }

    /// Reads on until everything up to `seq` has been seen, and compares what was seen with the database.
    ///
    /// # Errors
    /// When the server goes or the rows don't come.
    pub(super) async fn catch_up(&mut self, victim: &Victim, view: &View) -> Result<(), Error> {
        if self.last > view.update_seq {
            let text = format!("a listener was told of {}, the database is at {}", self.last, view.update_seq);
            self.violations.push(text);
            return Ok(());
        }
        let deadline =
            |_elapsed| Error::Deadline { what: "a listener's catching up".to_owned(), limit: CATCH_UP_WITHIN };
        if self.last < view.update_seq {
            timeout(CATCH_UP_WITHIN, self.follow(victim, view.update_seq)).await.map_err(deadline)??;
        }
        self.compare(view);
        Ok(())
    }

    fn compare(&mut self, view: &View) {
        for (id, row) in &view.changes {
            if self.seen.get(id) != Some(row) {
                self.violations.push(format!("{id} is {row:?}, a listener saw {:?}", self.seen.get(id)));
            }
        }
        if self.seen.len() != view.changes.len() {
            let text = format!("a listener saw {} documents, there are {}", self.seen.len(), view.changes.len());
            self.violations.push(text);
        }
    }

    /// Follows the feed from its last sequence until it has seen `until`, or the feed ends.
    async fn follow(&mut self, victim: &Victim, until: u64) -> Result<(), Error> {
        let path = format!("{PATH}/_changes?feed=continuous&style=all_docs&since={}", self.since);
        let mut wire = Vec::new();
        Request::new("GET", &path).encode(&mut wire);
        let mut lines = Lines::new(Connection::open(victim.address).await?.follow(&wire).await?)?;
        while self.last < until {
            let Some(line) = lines.next().await? else { return Ok(()) };
            let Some(value) = serde_json::from_slice::<Value>(&line).ok() else {
                self.violations.push(format!("a feed's line is no JSON: {}", String::from_utf8_lossy(&line)));
                return Ok(());
            };
            self.see(&value);
        }
        Ok(())
    }

    fn see(&mut self, value: &Value) {
        let Some((id, since, row)) = Row::parse(value) else {
            if value.get("last_seq").is_none() {
                self.violations.push(format!("a feed's line is no row: {value}"));
            }
            return;
        };
        if row.seq <= self.last {
            self.violations.push(format!("a listener at {} was told of {} ({id})", self.last, row.seq));
        }
        self.last = row.seq;
        self.since = since;
        self.seen.insert(id, row);
    }
}

/// The lines of a feed; heartbeats left out.
struct Lines {
    stream: Stream,
    received: BytesMut,
}

impl Lines {
    fn new(stream: Stream) -> Result<Self, Error> {
        match stream.status() {
            200 => Ok(Self { stream, received: BytesMut::new() }),
            status => {
                Err(Error::Status { request: "GET _changes, continuous".to_owned(), status, body: String::new() })
            }
        }
    }

    /// The next whole line; one that is cut off is dropped with the connection.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.received) {
                let line = self.received.split_to(end + 1).split_to(end).freeze();
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            let Some(piece) = self.stream.piece().await? else { return Ok(None) };
            self.received.extend_from_slice(&piece);
        }
    }
}
