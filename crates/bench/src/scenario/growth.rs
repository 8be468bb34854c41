//! How much dearer reading, writing and following become as a database grows; a hundred times the documents may cost
//! twice as much.

use std::time::Instant;

use super::{DOCUMENTS, Extent, Stage, grouped};
use crate::{
    Error,
    client::Request,
    load::Latencies,
    measurement::{Figure, Measurement},
};

const CONNECTIONS: usize = 16;
const OPERATIONS_MAX: u64 = 100_000;
const PAGE_ROWS: u64 = 1_000;
/// Documents written at each size have numbers from here on.
const WRITTEN: u64 = 10_000_000;

pub(super) async fn measure(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    let sizes: &[u64] = match (stage.plan.extent, stage.target.is_peer()) {
        (Extent::Full, false) => &[DOCUMENTS, 10 * DOCUMENTS, 100 * DOCUMENTS],
        (Extent::Usual, false) | (Extent::Full, true) => &[DOCUMENTS, 10 * DOCUMENTS],
        (Extent::Usual, true) => &[DOCUMENTS],
    };
    let mut rows: Vec<Measurement> = Vec::new();
    let mut filled = 0;
    for (size, step) in sizes.iter().zip(0_u64..) {
        filled += stage.fill_and_settle(filled, size - filled).await?;
        let measured = [
            read(stage, filled).await?,
            follow(stage, filled).await?,
            write(stage, filled, WRITTEN + step * OPERATIONS_MAX).await?,
        ];
        let smallest: Vec<Option<f64>> = rows.iter().take(measured.len()).map(|row| row.cpu_micros).collect();
        for (index, row) in measured.into_iter().enumerate() {
            rows.push(compared(row, smallest.get(index).copied().flatten()));
        }
    }
    Ok(rows)
}

fn compared(row: Measurement, smallest: Option<f64>) -> Measurement {
    let (Some(smallest), Some(cpu)) = (smallest, row.cpu_micros) else { return row };
    let factor = format!("×{:.2} of the smallest", cpu / smallest);
    row.budget(Figure::CpuMicros, (smallest * 20.0).round() / 10.0, None).note(factor)
}

async fn read(stage: &Stage<'_>, size: u64) -> Result<Measurement, Error> {
    let meter = stage.target.meter().await?;
    let outcome = stage.drive(CONNECTIONS, OPERATIONS_MAX, stage.random_get(size)).await?;
    let row = Measurement::new(format!("GET, among {}", grouped(size)), stage.target);
    Ok(row.outcome(&outcome, 1).cost(&meter.stop().await?))
}

async fn write(stage: &Stage<'_>, size: u64, from: u64) -> Result<Measurement, Error> {
    let meter = stage.target.meter().await?;
    let outcome = stage.drive(CONNECTIONS, OPERATIONS_MAX, stage.put(from)).await?;
    let cost = meter.settle().await?;
    let row = Measurement::new(format!("PUT new, {CONNECTIONS} connections, among {}", grouped(size)), stage.target);
    Ok(row.outcome(&outcome, 1).cost(&cost).fsyncs(&cost, CONNECTIONS as u64))
}

/// Pages through the feed from the start, each page's `since` from the one before, as a device catching up.
async fn follow(stage: &Stage<'_>, size: u64) -> Result<Measurement, Error> {
    let mut connection = stage.target.connect().await?;
    let (mut latencies, mut rows, mut since) = (Latencies::default(), 0, "0".to_owned());
    let meter = stage.target.meter().await?;
    let started = Instant::now();
    while started.elapsed() < stage.plan.time_max {
        let path = format!("{}/_changes?limit={PAGE_ROWS}&since={since}", stage.database);
        let asked = Instant::now();
        let page = connection.json(Request::new("GET", &path)).await?;
        latencies.record(asked.elapsed());
        let count = page.get("results").and_then(serde_json::Value::as_array).map_or(0, Vec::len) as u64;
        rows += count;
        since = match page.get("last_seq") {
            Some(last) if count == PAGE_ROWS => crate::client::seq_text(last),
            Some(_) | None => "0".to_owned(),
        };
    }
    let elapsed = started.elapsed();
    let row = Measurement::new(format!("_changes in pages of 1,000, among {}", grouped(size)), stage.target);
    Ok(row.counted(rows, elapsed).latencies(&latencies).cost(&meter.stop().await?))
}
