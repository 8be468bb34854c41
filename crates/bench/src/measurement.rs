//! One row of the table: what was done to which server, how fast, and what it cost.

use std::time::Duration;

use serde::Serialize;

use crate::{
    Error,
    load::{Latencies, Outcome},
    target::{Cost, Target},
};

/// A figure a measurement is held to; see the design's budgets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Budget {
    /// What is limited.
    pub figure: Figure,
    /// The figure allowed.
    pub limit: f64,
    /// The figure hoped for.
    pub goal: Option<f64>,
}

/// What a budget limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Server CPU per operation, in microseconds.
    CpuMicros,
    /// Memory each, in KB.
    KilobytesEach,
    /// The median latency, in milliseconds.
    P50Millis,
    /// The 99th percentile's latency, in milliseconds.
    P99Millis,
    /// The server's memory, in MB.
    RssMegabytes,
}

/// One row.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// What was done.
    pub operation: String,
    /// To which server.
    pub server: String,
    /// How often.
    pub count: u64,
    /// Times a second; `None` where a rate says nothing.
    pub rate: Option<f64>,
    /// Median latency in milliseconds.
    pub p50_millis: Option<f64>,
    /// 99th percentile's latency in milliseconds.
    pub p99_millis: Option<f64>,
    /// Server CPU per operation in microseconds.
    pub cpu_micros: Option<f64>,
    /// Memory each, in KB, where things are held.
    pub kilobytes_each: Option<f64>,
    /// Documents per fsync.
    pub documents_per_fsync: Option<f64>,
    /// The server's memory at the end, in MB.
    pub rss_megabytes: Option<f64>,
    /// What it is held to; only our own server is.
    pub budgets: Vec<Budget>,
    /// What a reader must know besides.
    pub note: String,
    /// Whether it could not be measured though the server should be able to.
    pub failed: bool,
    #[serde(skip)]
    peer: bool,
}

impl Measurement {
    /// An empty row.
    pub fn new(operation: impl Into<String>, target: &Target) -> Self {
        let row = Self::empty(operation.into(), target.name().to_owned());
        Self { peer: target.is_peer(), ..row }
    }

    fn empty(operation: String, server: String) -> Self {
        Self {
            operation,
            server,
            count: 0,
            rate: None,
            p50_millis: None,
            p99_millis: None,
            cpu_micros: None,
            kilobytes_each: None,
            documents_per_fsync: None,
            rss_megabytes: None,
            budgets: Vec::new(),
            note: String::new(),
            failed: false,
            peer: false,
        }
    }

    /// The row of a scenario that could not be measured.
    pub fn failed(scenario: impl Into<String>, server: &str, error: &Error) -> Self {
        let mut causes = vec![error.to_string()];
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        let mut row = Self::empty(scenario.into(), server.to_owned());
        row.failed = !matches!(error, Error::Unsupported(_));
        row.note(causes.join(": "))
    }

    /// Whether both rows say the same of the same server.
    pub fn is_like(&self, other: &Self) -> bool {
        self.operation == other.operation && self.server == other.server
    }

    /// Counts `each` things for every operation of `outcome`.
    pub fn outcome(mut self, outcome: &Outcome, each: u64) -> Self {
        self.count = outcome.operations * each;
        self.rate = Some(float(self.count) / outcome.elapsed.as_secs_f64());
        self.latencies(&outcome.latencies)
    }

    /// Counts things done within `elapsed`.
    pub fn counted(mut self, count: u64, elapsed: Duration) -> Self {
        self.count = count;
        self.rate = Some(float(count) / elapsed.as_secs_f64());
        self
    }

    /// Shows the quantiles of `latencies`.
    pub fn latencies(mut self, latencies: &Latencies) -> Self {
        self.p50_millis = latencies.quantile(500).map(millis);
        self.p99_millis = latencies.quantile(990).map(millis);
        self
    }

    /// Shows what the things counted cost.
    pub fn cost(mut self, cost: &Cost) -> Self {
        self.rss_megabytes = Some(float(cost.rss_bytes) / 1e6);
        self.cpu(cost.cpu)
    }

    /// Shows what CPU the things counted took.
    pub fn cpu(mut self, cpu: Duration) -> Self {
        self.cpu_micros = (self.count > 0).then(|| cpu.as_secs_f64() * 1e6 / float(self.count));
        self
    }

    /// Shows how many of the things counted went into one fsync, and says so if that is more than `in_flight_max`:
    /// then some were answered before their fsync.
    pub fn fsyncs(mut self, cost: &Cost, in_flight_max: u64) -> Self {
        let Some(fsyncs) = cost.fsyncs else { return self };
        self.documents_per_fsync = (fsyncs > 0).then(|| float(self.count) / float(fsyncs));
        if fsyncs * in_flight_max < self.count { self.note("not durable: answers without an fsync") } else { self }
    }

    /// Shows the memory that each of the things counted holds.
    pub fn held(mut self, cost: &Cost) -> Self {
        self.rss_megabytes = Some(float(cost.rss_bytes) / 1e6);
        self.kilobytes_each = (self.count > 0).then(|| float(cost.rss_growth_bytes) / 1e3 / float(self.count));
        self
    }

    /// Holds the row to a budget, unless it is a peer's.
    pub fn budget(mut self, figure: Figure, limit: f64, goal: Option<f64>) -> Self {
        if !self.peer {
            self.budgets.push(Budget { figure, limit, goal });
        }
        self
    }

    /// Adds what a reader must know.
    pub fn note(mut self, note: impl AsRef<str>) -> Self {
        let gap = if self.note.is_empty() || note.as_ref().is_empty() { "" } else { "; " };
        self.note = format!("{}{gap}{}", self.note, note.as_ref());
        self
    }

    /// The figure a budget limits.
    pub fn figure(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::CpuMicros => self.cpu_micros,
            Figure::KilobytesEach => self.kilobytes_each,
            Figure::P50Millis => self.p50_millis,
            Figure::P99Millis => self.p99_millis,
            Figure::RssMegabytes => self.rss_megabytes,
        }
    }
}

/// A duration in milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A count as a number to divide; exact below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
pub fn float(count: u64) -> f64 {
    count as f64
}
