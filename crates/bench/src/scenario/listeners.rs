//! One change to many continuous listeners: how soon each has the row, and what a delivered row costs.
//!
//! A write is repeated only when every listener has its row, so that listeners can tell whose row they see. The write's
//! own cost is measured first without listeners and taken off.

use std::time::{Duration, Instant};

use super::{Stage, audience::Audience, grouped};
use crate::{
    Error,
    client::{Connection, Request},
    document,
    load::Latencies,
    measurement::{Figure, Measurement, float, millis},
    target::Cost,
};

const GROUP: u64 = 20;
/// Listeners, and steps of one document and of a group at most.
const CASES: [(u64, u64, u64); 3] = [(1, 2_000, 400), (100, 400, 100), (1_000, 100, 40)];

pub(super) async fn measure(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    if stage.target.has_one_database() {
        return Err(Error::Unsupported("it has no continuous feed"));
    }
    let mut writer = Writer { stage, next: 0, body: Vec::new() };
    let mut rows = Vec::new();
    let (bare_single, bare_group) = (writer.steps(1, 1_000, None).await?, writer.steps(GROUP, 200, None).await?);
    for (listeners, singles_max, groups_max) in CASES {
        let since = stage.target.update_seq(&stage.database).await?;
        let audience = Audience::gather(stage.target.address(), &stage.database, &since, listeners).await?;
        // Until each has heard once, it may not have its head yet.
        writer.steps(1, 1, Some(&audience)).await?;
        drop(audience.take_latencies());
        for (documents, steps_max, bare) in [(1, singles_max, &bare_single), (GROUP, groups_max, &bare_group)] {
            let heard = writer.steps(documents, steps_max, Some(&audience)).await?;
            rows.push(row(stage, (listeners, documents), bare, &heard, &audience.take_latencies()));
        }
    }
    Ok(rows)
}

fn row(stage: &Stage<'_>, case: (u64, u64), bare: &Steps, heard: &Steps, latencies: &Latencies) -> Measurement {
    let (listeners, documents) = case;
    let singly = documents == 1;
    let name = format!(
        "change to {} listener{}, {}",
        grouped(listeners),
        if listeners == 1 { "" } else { "s" },
        if singly { "singly" } else { "in groups of 20" }
    );
    let delivered = heard.count * documents * listeners;
    let writes = Duration::from_secs_f64(bare.cost.cpu.as_secs_f64() / float(bare.count.max(1)) * float(heard.count));
    let row = Measurement::new(name, stage.target).counted(delivered, heard.elapsed).latencies(latencies);
    let row = row.cost(&heard.cost).cpu(heard.cost.cpu.saturating_sub(writes));
    let write_millis = millis(bare.elapsed) / float(bare.count.max(1));
    let row = row.note(format!("latency from the write's start; the write alone takes {write_millis:.2} ms"));
    let row = if singly {
        row.budget(Figure::CpuMicros, 4.0, Some(3.0))
    } else {
        row.budget(Figure::CpuMicros, 0.5, Some(0.3))
    };
    if singly && listeners == 1_000 { row.budget(Figure::P99Millis, 20.0, None) } else { row }
}

struct Steps {
    count: u64,
    elapsed: Duration,
    cost: Cost,
}

struct Writer<'a> {
    stage: &'a Stage<'a>,
    next: u64,
    body: Vec<u8>,
}

impl Writer<'_> {
    /// Writes `documents` at a time, at most `steps_max` times, each when the audience has the rows of the last.
    ///
    /// Without an audience its rows aren't waited for; there may be none.
    async fn steps(&mut self, documents: u64, steps_max: u64, audience: Option<&Audience>) -> Result<Steps, Error> {
        // A fresh one: servers close connections that rest.
        let mut connection = self.stage.target.connect().await?;
        let meter = self.stage.target.meter().await?;
        let started = Instant::now();
        let mut count = 0;
        while count < steps_max && started.elapsed() < self.stage.plan.time_max {
            if let Some(audience) = audience {
                audience.expect(documents);
            }
            self.write(&mut connection, documents).await?;
            if let Some(audience) = audience {
                audience.wait().await?;
            }
            count += 1;
        }
        let elapsed = started.elapsed();
        Ok(Steps { count, elapsed, cost: meter.settle().await? })
    }

    async fn write(&mut self, connection: &mut Connection, documents: u64) -> Result<(), Error> {
        let numbers = self.stage.first + self.next..self.stage.first + self.next + documents;
        self.next += documents;
        self.body.clear();
        document::write_batch(numbers, &mut self.body);
        let path = format!("{}/_bulk_docs", self.stage.database);
        connection.json(Request::json("POST", &path, &self.body)).await.map(drop)
    }
}
