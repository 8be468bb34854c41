//! What holding things costs: continuous feeds and databases that do nothing.

use super::{Extent, Stage, audience::Audience, grouped};
use crate::{
    Error,
    client::Request,
    document,
    load::{Load, drive},
    measurement::{Figure, Measurement},
};

const FEEDS: u64 = 1_000;

pub(super) async fn measure_feeds(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    if stage.target.has_one_database() {
        return Err(Error::Unsupported("it has no continuous feed"));
    }
    stage.fill_and_settle(0, 1).await?;
    let since = stage.target.update_seq(&stage.database).await?;
    let meter = stage.target.meter().await?;
    let audience = Audience::gather(stage.target.address(), &stage.database, &since, FEEDS).await?;
    let cost = meter.settle().await?;
    drop(audience);
    let mut row = Measurement::new(format!("{} idle continuous feeds", grouped(FEEDS)), stage.target);
    row.count = FEEDS;
    Ok(vec![row.held(&cost).budget(Figure::KilobytesEach, 3.0, Some(1.5))])
}

pub(super) async fn measure_databases(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    let count = match (stage.target.is_peer(), stage.target.has_one_database(), stage.plan.extent) {
        (_, true, _) => return Err(Error::Unsupported("it has one database")),
        (true, false, _) => 100,
        (false, false, Extent::Usual) => 1_000,
        (false, false, Extent::Full) => 10_000,
    };
    stage.fill_and_settle(0, 1).await?;
    let meter = stage.target.meter().await?;
    each_database(stage, count, |path, wire| Request::new("PUT", path).encode(wire)).await?;
    let made = each_database(stage, count, |path, wire| {
        let mut body = Vec::new();
        document::write_body(0, &mut body);
        Request::json("PUT", &format!("{path}/document"), &body).encode(wire);
    });
    made.await?;
    let cost = meter.settle().await?;
    if stage.target.is_peer() {
        each_database(stage, count, |path, wire| Request::new("DELETE", path).encode(wire)).await?;
    }
    let mut row = Measurement::new(format!("{} idle databases", grouped(count)), stage.target);
    row.count = count;
    Ok(vec![row.held(&cost).budget(Figure::KilobytesEach, 50.0, None).note("each with one document")])
}

async fn each_database(stage: &Stage<'_>, count: u64, encode: fn(&str, &mut Vec<u8>)) -> Result<(), Error> {
    let base = stage.database.clone();
    let load = Load { connections: 4, numbers: (0, count), time_max: super::FILL_WITHIN };
    drive(stage.target.address(), load, move |number, wire| encode(&format!("{base}-{number}"), wire)).await.map(drop)
}
