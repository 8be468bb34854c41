//! `_changes` read from the start, again and again.

use std::time::Instant;

use super::{DOCUMENTS, Extent, Stage, grouped};
use crate::{
    Error,
    client::Request,
    load::Latencies,
    measurement::{Figure, Measurement},
};

pub(super) async fn measure(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    let filled = stage.fill_and_settle(0, DOCUMENTS).await?;
    let mut rows = vec![read(stage).await?.budget(Figure::CpuMicros, 0.5, Some(0.35))];
    if stage.plan.extent == Extent::Full {
        stage.fill_and_settle(filled, 10 * DOCUMENTS - filled).await?;
        rows.push(read(stage).await?.budget(Figure::CpuMicros, 0.7, None));
    }
    Ok(rows)
}

async fn read(stage: &Stage<'_>) -> Result<Measurement, Error> {
    let path = format!("{}/_changes", stage.database);
    let request = Request::new("GET", &path);
    let mut connection = stage.target.connect().await?;
    let whole = connection.json(request).await?;
    let results = whole.get("results").and_then(serde_json::Value::as_array);
    let rows = results.ok_or(Error::Member { request: request.line(), member: "results" })?.len() as u64;
    drop(whole);

    let mut wire = Vec::new();
    request.encode(&mut wire);
    let (mut latencies, mut reads) = (Latencies::default(), 0);
    let meter = stage.target.meter().await?;
    let started = Instant::now();
    while started.elapsed() < stage.plan.time_max {
        let asked = Instant::now();
        connection.drain(&wire, |_piece| {}).await?;
        latencies.record(asked.elapsed());
        reads += 1;
    }
    let elapsed = started.elapsed();
    let row = Measurement::new(format!("_changes, {} rows", grouped(rows)), stage.target);
    let row = row.counted(rows * reads, elapsed).latencies(&latencies).cost(&meter.stop().await?);
    Ok(row.note("latency of the whole feed, CPU of a row"))
}
