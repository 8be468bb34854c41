//! Torture: the server is killed at random points under load, started again, and asked whether every promise was kept.
//!
//! Each round starts the server on the same folder, checks everything acknowledged so far, then lets writers, contenders
//! and listeners loose and kills it. Acknowledged writes must be there: documents with all their leaves, attachments,
//! deletions, local documents. Writes under way must be there whole, or not at all. `_changes`, `_all_docs`, the counts
//! and single reads must agree; sequences must be dense; no listener may have missed a row, seen one twice, or seen one
//! that a crash took back.
//!
//! The seed fixes what is written and how long each round lasts; how far a writer gets until then is up to the machine.

use std::{
    fmt,
    net::SocketAddr,
    ops::RangeInclusive,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;

use crate::{
    Error,
    client::{Connection, Request},
};

mod campaign;
mod check;
mod content;
mod contest;
mod database;
mod edit;
mod ledger;
mod listener;
mod writer;

/// How to torture.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `tidegate` binary.
    pub binary: PathBuf,
    /// Where the data folder goes and stays; a temporary folder if not given, kept only when something is wrong.
    pub folder: Option<PathBuf>,
    /// How often to kill.
    pub rounds: u32,
    /// What to draw from.
    pub seed: u64,
    /// Concurrent writers with documents of their own.
    pub writers: u64,
    /// Writers that fight over one document.
    pub contenders: u64,
    /// Continuous listeners; every other one is cut again and again.
    pub listeners: u64,
    /// Documents of one writer at most.
    pub documents_max: usize,
    /// How long the load lasts, in milliseconds.
    pub load_millis: RangeInclusive<u64>,
}

impl Options {
    /// The usual mixture.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            folder: None,
            rounds: 200,
            seed: 1,
            writers: 8,
            contenders: 4,
            listeners: 4,
            documents_max: 1_000,
            load_millis: 50..=800,
        }
    }
}

/// What came out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What was drawn from.
    pub seed: u64,
    /// Rounds finished.
    pub rounds: u32,
    /// Kills while the server was still starting.
    pub kills_while_starting: u32,
    /// Ends by SIGTERM, thrown in to check that they keep the same promises.
    pub terminations: u32,
    /// Writes acknowledged.
    pub acknowledged: u64,
    /// Writes under way at a kill that turned out whole.
    pub landed: u64,
    /// Writes under way at a kill of which there is no trace.
    pub absent: u64,
    /// Connections of listeners.
    pub listener_connections: u64,
    /// Documents in the end, deleted ones included.
    pub documents: u64,
    /// The sequence in the end.
    pub update_seq: u64,
    /// The longest start, recovery included.
    pub start_max: Duration,
    /// Broken promises; the run ends with the first round that has any.
    pub violations: Vec<String>,
    /// The folder with the evidence, if there are violations.
    pub evidence: Option<PathBuf>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, rounds, kills_while_starting, terminations, acknowledged, .. } = self;
        let Self { landed, absent, listener_connections, documents, update_seq, .. } = self;
        writeln!(
            formatter,
            "seed {seed}: {rounds} rounds, {terminations} of them ended by SIGTERM, the rest by SIGKILL;"
        )?;
        writeln!(formatter, "{kills_while_starting} more kills while starting; longest start {:?}", self.start_max)?;
        writeln!(
            formatter,
            "{acknowledged} writes acknowledged; under way at the end: {landed} whole, {absent} absent"
        )?;
        writeln!(formatter, "{documents} documents at sequence {update_seq}; {listener_connections} feeds read")?;
        for violation in &self.violations {
            writeln!(formatter, "BROKEN: {violation}")?;
        }
        match &self.evidence {
            Some(folder) => write!(formatter, "the data is in {}", folder.display()),
            None => write!(formatter, "every promise was kept"),
        }
    }
}

/// Tortures; `on_round` is called with the report so far after each round.
///
/// A broken promise isn't an error: it stands in [`Report::violations`].
///
/// # Errors
/// When the server doesn't start, or answers requests of the checks with errors.
pub async fn run(options: Options, on_round: impl FnMut(&Report)) -> Result<Report, Error> {
    Box::pin(campaign::Campaign::new(options)?.run(on_round)).await
}

/// Why a writer stops.
enum Stop {
    /// The server went away.
    Lost,
    /// The server answered what it must not.
    Wrong(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        if error.is_disconnect() { Self::Lost } else { Self::Wrong(error.to_string()) }
    }
}

/// The server under torture, as writers and listeners see it.
#[derive(Debug, Clone)]
struct Victim {
    address: SocketAddr,
    going: Arc<AtomicBool>,
}

impl Victim {
    fn new(address: SocketAddr) -> Self {
        Self { address, going: Arc::default() }
    }

    /// Whether its end has been called for: then refusals are in order.
    fn is_going(&self) -> bool {
        self.going.load(Ordering::SeqCst)
    }

    fn set_going(&self) {
        self.going.store(true, Ordering::SeqCst);
    }

    /// Sends a request that must be answered with a 2xx and JSON.
    async fn ask(&self, connection: &mut Connection, request: Request<'_>) -> Result<Value, Stop> {
        match connection.json(request).await {
            Ok(answer) => Ok(answer),
            Err(_error) if self.is_going() => Err(Stop::Lost),
            Err(error) => Err(error.into()),
        }
    }
}
