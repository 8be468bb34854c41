//! The scenarios: which exist, and how a run takes servers through them in turn.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;

use crate::{
    Error,
    client::Request,
    document,
    load::{Load, Outcome, drive},
    measurement::Measurement,
    target::{Peer, Target},
};

mod access;
mod audience;
mod bulk;
mod changes;
mod growth;
mod idle;
mod listeners;
mod reads;
mod start;
mod writes;

/// Documents read by number are looked for among this many.
const DOCUMENTS: u64 = 20_000;
/// Scenarios' documents don't overlap, as a peer may have one database for all.
const NUMBERS_EACH: u64 = 100_000_000;
/// Documents in a `_bulk_docs` request.
const BATCH: u64 = 1_000;
/// Filling a database ends after this time, full or not.
const FILL_WITHIN: Duration = Duration::from_secs(300);

/// A group of measurements made on one start of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Scenario {
    /// Starting with an empty folder: time and memory.
    Start,
    /// An empty handler; GET of one document and of random ones.
    Reads,
    /// PUT of new documents, durable, on 1, 16 and 64 connections.
    Writes,
    /// `_bulk_docs` in batches of 1,000, sustained.
    Bulk,
    /// `_changes` read from the start.
    Changes,
    /// One change to 1, 100 and 1,000 continuous listeners, singly and in groups.
    Listeners,
    /// Memory of 1,000 idle continuous feeds.
    IdleFeeds,
    /// Memory of 1,000 idle databases.
    IdleDatabases,
    /// Read, write and changes as a database grows.
    Growth,
    /// Through Sync Gateway's port with users, a sync function and channels.
    Access,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Minutes.
    Usual,
    /// Everything in the budgets' sizes.
    Full,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Our own binary; without one only peers are measured.
    pub binary: Option<PathBuf>,
    /// Peers, each measured after our own server in every scenario.
    pub peers: Vec<Peer>,
    /// In this order.
    pub scenarios: Vec<Scenario>,
    /// How long one measurement may load a server.
    pub time_max: Duration,
    /// How far to go.
    pub extent: Extent,
    /// Rounds through all servers per scenario; the table shows each row's median.
    pub rounds: u32,
}

/// Runs everything, server after server within each scenario, and hands on each row when it is there.
///
/// A scenario that fails gives a row with the reason, and the run goes on.
pub async fn run(plan: &Plan, mut on_row: impl FnMut(&Measurement)) -> Vec<Measurement> {
    let mut rows = Vec::new();
    for scenario in &plan.scenarios {
        let mut scenario_rows = Vec::new();
        for round in 0..plan.rounds {
            for contender in contenders(plan) {
                let measured = measure(plan, *scenario, round, contender).await;
                measured.iter().for_each(&mut on_row);
                scenario_rows.extend(measured);
            }
        }
        rows.extend(medians(scenario_rows));
    }
    rows
}

#[derive(Debug, Clone, Copy)]
enum Contender<'a> {
    Own(&'a std::path::Path),
    Peer(&'a Peer),
}

fn contenders(plan: &Plan) -> impl Iterator<Item = Contender<'_>> {
    plan.binary.iter().map(|binary| Contender::Own(binary)).chain(plan.peers.iter().map(Contender::Peer))
}

async fn measure(plan: &Plan, scenario: Scenario, round: u32, contender: Contender<'_>) -> Vec<Measurement> {
    let (name, target) = match contender {
        Contender::Own(binary) => ("tidegate", Target::launch(binary).await),
        Contender::Peer(peer) => (peer.name.as_str(), Ok(Target::peer(peer))),
    };
    let measured = match target {
        Ok(target) => Box::pin(measure_target(plan, scenario, round, target)).await,
        Err(error) => Err(error),
    };
    measured.unwrap_or_else(|error| vec![Measurement::failed(scenario_name(scenario), name, &error)])
}

async fn measure_target(
    plan: &Plan,
    scenario: Scenario,
    round: u32,
    target: Target,
) -> Result<Vec<Measurement>, Error> {
    let name = format!("bench-{}-{round}", scenario_name(scenario));
    let database = target.make_database(&name).await?;
    let first = (scenario as u64 * 100 + u64::from(round)) * NUMBERS_EACH;
    let stage = Stage { target: &target, database: database.clone(), first, plan };
    let measured = match scenario {
        Scenario::Start => start::measure(&stage).await,
        Scenario::Reads => reads::measure(&stage).await,
        Scenario::Writes => writes::measure(&stage).await,
        Scenario::Bulk => bulk::measure(&stage).await,
        Scenario::Changes => changes::measure(&stage).await,
        Scenario::Listeners => listeners::measure(&stage).await,
        Scenario::IdleFeeds => idle::measure_feeds(&stage).await,
        Scenario::IdleDatabases => idle::measure_databases(&stage).await,
        Scenario::Growth => growth::measure(&stage).await,
        Scenario::Access => access::measure(&stage).await,
    };
    let finished = target.finish(Some(&database)).await;
    let rows = measured?;
    finished.map(|()| rows)
}

fn scenario_name(scenario: Scenario) -> String {
    scenario.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// One row for each operation and server: the middle one by CPU, or by rate.
fn medians(rows: Vec<Measurement>) -> Vec<Measurement> {
    let mut groups: Vec<Vec<Measurement>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| first.is_like(&row))) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    let key = |row: &Measurement| row.cpu_micros.or(row.p50_millis).or(row.kilobytes_each).unwrap_or(f64::MAX);
    let medians = groups.into_iter().filter_map(|mut group| {
        group.sort_by(|a, b| key(a).total_cmp(&key(b)));
        Some(group.swap_remove(group.len().checked_sub(1)? / 2))
    });
    medians.collect()
}

/// A server and a database while one scenario is on.
struct Stage<'a> {
    target: &'a Target,
    database: String,
    /// The number of this scenario's first document.
    first: u64,
    plan: &'a Plan,
}

impl Stage<'_> {
    /// Writes `count` documents from number `from` on in batches; how many there was time for.
    async fn fill(&self, from: u64, count: u64) -> Result<Outcome, Error> {
        let path = format!("{}/_bulk_docs", self.database);
        let (first, end) = (self.first + from, self.first + from + count);
        let load = Load { connections: 1, numbers: (0, count.div_ceil(BATCH)), time_max: FILL_WITHIN };
        drive(self.target.address(), load, move |batch, wire| {
            let start = first + batch * BATCH;
            let mut body = Vec::new();
            document::write_batch(start..end.min(start + BATCH), &mut body);
            Request::json("POST", &path, &body).encode(wire);
        })
        .await
    }

    /// Fills the database with as many documents as it has time for, at most `count`.
    async fn fill_and_settle(&self, from: u64, count: u64) -> Result<u64, Error> {
        let filled = self.fill(from, count).await?.operations * BATCH;
        self.target.settle().await?;
        Ok(filled.min(count))
    }

    /// Asks by `encode` on so many connections as long as the plan allows.
    async fn drive<E>(&self, connections: usize, operations_max: u64, encode: E) -> Result<Outcome, Error>
    where
        E: Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
    {
        let load = Load { connections, numbers: (0, operations_max), time_max: self.plan.time_max };
        drive(self.target.address(), load, encode).await
    }

    /// Writes the request for a random one of the first `count` documents.
    fn random_get(&self, count: u64) -> impl Fn(u64, &mut Vec<u8>) + Send + Sync + 'static {
        let (database, first) = (self.database.clone(), self.first);
        move |number, wire| {
            let path = format!("{database}/{}", document::id(first + document::mix(number) % count.max(1)));
            Request::new("GET", &path).encode(wire);
        }
    }

    /// Writes the request that stores document `from + number`.
    fn put(&self, from: u64) -> impl Fn(u64, &mut Vec<u8>) + Send + Sync + 'static {
        let (database, first) = (self.database.clone(), self.first + from);
        move |number, wire| {
            let path = format!("{database}/{}", document::id(first + number));
            let mut body = Vec::with_capacity(document::BODY_BYTES + 64);
            document::write_body(first + number, &mut body);
            Request::json("PUT", &path, &body).encode(wire);
        }
    }
}

/// `20,000`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 999, 1_000, 20_000, 2_000_000].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "20,000", "2,000,000"]);
    }
}
