//! The load generator: connections that each ask, wait, and ask again, until enough is done or time is up.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{Error, client::Connection};

/// No answer of any scenario takes longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// How much to ask.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// The requests' numbers; the end bounds the count.
    pub numbers: (u64, u64),
    /// No request starts later than this.
    pub time_max: Duration,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests answered with a 2xx.
    pub operations: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// How long each answer took.
    pub latencies: Latencies,
}

/// How long things took.
#[derive(Debug, Default, Clone)]
pub struct Latencies {
    nanos: Vec<u64>,
}

impl Latencies {
    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        self.nanos.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds all of another.
    pub fn append(&mut self, mut other: Self) {
        self.nanos.append(&mut other.nanos);
    }

    /// The latency that `per_mille` of a thousand don't exceed; `None` without any.
    pub fn quantile(&self, per_mille: usize) -> Option<Duration> {
        let mut sorted = self.nanos.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * per_mille).div_ceil(1000).saturating_sub(1);
        sorted.get(rank).copied().map(Duration::from_nanos)
    }
}

/// Sends the requests that `encode` writes for each number and waits for all answers.
///
/// # Errors
/// The first answer that isn't a 2xx, or a broken connection, ends everything.
pub async fn drive<E>(address: SocketAddr, load: Load, encode: E) -> Result<Outcome, Error>
where
    E: Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
{
    let (encode, next) = (Arc::new(encode), Arc::new(AtomicU64::new(load.numbers.0)));
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        connections.push(Connection::open(address).await?);
    }
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for connection in connections {
        let worker =
            Worker { connection, next: Arc::clone(&next), end: load.numbers.1, until: started + load.time_max };
        let encode = Arc::clone(&encode);
        workers.spawn(async move { worker.work(&*encode).await });
    }
    let mut outcome = Outcome::default();
    while let Some(worked) = workers.join_next().await {
        let latencies = worked??;
        outcome.operations += latencies.nanos.len() as u64;
        outcome.latencies.append(latencies);
    }
    outcome.elapsed = started.elapsed();
    Ok(outcome)
}

struct Worker {
    connection: Connection,
    next: Arc<AtomicU64>,
    end: u64,
    until: Instant,
}

impl Worker {
    async fn work(mut self, encode: &(dyn Fn(u64, &mut Vec<u8>) + Send + Sync)) -> Result<Latencies, Error> {
        let (mut latencies, mut wire) = (Latencies::default(), Vec::new());
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.end || Instant::now() >= self.until {
                return Ok(latencies);
            }
            wire.clear();
            encode(number, &mut wire);
            let asked = Instant::now();
            let answer = tokio::time::timeout(ANSWER_WITHIN, self.connection.exchange(&wire)).await;
            let answer = answer.map_err(|_elapsed| deadline())??;
            latencies.record(asked.elapsed());
            if !answer.is_success() {
                return Err(Error::Status { request: line(&wire), status: answer.status, body: answer.excerpt() });
            }
        }
    }
}

fn deadline() -> Error {
    Error::Deadline { what: "an answer".to_owned(), limit: ANSWER_WITHIN }
}

fn line(wire: &[u8]) -> String {
    let end = memchr::memchr(b'\r', wire).unwrap_or(wire.len());
    String::from_utf8_lossy(wire.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(500), None);
        (1..=100).rev().for_each(|n| latencies.record(Duration::from_nanos(n)));
        let nanos = |per_mille| latencies.quantile(per_mille).unwrap().as_nanos();
        assert_eq!((nanos(0), nanos(500), nanos(990), nanos(1000)), (1, 50, 99, 100));
    }
}
