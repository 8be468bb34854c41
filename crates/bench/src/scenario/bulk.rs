//! `_bulk_docs` in batches of 1,000, one request after the other, as a replicator pushes.

use super::{Extent, Stage, grouped};
use crate::{
    Error,
    measurement::{Figure, Measurement},
};

pub(super) async fn measure(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    let count = match stage.plan.extent {
        Extent::Usual => 100_000,
        Extent::Full => 300_000,
    };
    let meter = stage.target.meter().await?;
    let outcome = stage.fill(0, count).await?;
    let cost = meter.settle().await?;
    let row = Measurement::new(format!("_bulk_docs × 1,000, {} documents", grouped(count)), stage.target);
    let row = row.outcome(&outcome, super::BATCH).cost(&cost).fsyncs(&cost, super::BATCH);
    Ok(vec![row.budget(Figure::CpuMicros, 28.0, Some(22.0)).note("latency of a batch, CPU of a document")])
}
