//! Writing one document a request, durable: alone, and as many as the commit group takes.

use super::{Stage, grouped};
use crate::{
    Error,
    measurement::{Figure, Measurement},
};

const OPERATIONS_MAX: u64 = 100_000;
/// Connections, budget and goal of the server's CPU in microseconds.
const CASES: [(u16, f64, Option<f64>); 3] = [(1, 200.0, None), (16, 75.0, None), (64, 50.0, Some(38.0))];

pub(super) async fn measure(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    let mut rows = Vec::new();
    let mut from = 0;
    for (connections, limit, goal) in CASES {
        let meter = stage.target.meter().await?;
        let outcome = stage.drive(usize::from(connections), OPERATIONS_MAX, stage.put(from)).await?;
        let cost = meter.settle().await?;
        from += OPERATIONS_MAX;
        let row = Measurement::new(format!("PUT new, {} connections", grouped(connections.into())), stage.target);
        let row = row.outcome(&outcome, 1).cost(&cost).fsyncs(&cost, connections.into()).budget(
            Figure::CpuMicros,
            limit,
            goal,
        );
        rows.push(row);
    }
    Ok(rows)
}
