//! Starting with an empty folder: how soon the server is ready, and how much memory it holds then.

use super::Stage;
use crate::{
    Error,
    load::Latencies,
    measurement::{Figure, Measurement, float},
    target::Target,
};

const STARTS: u64 = 10;

pub(super) async fn measure(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    let Some(binary) = stage.plan.binary.as_ref().filter(|_binary| !stage.target.is_peer()) else {
        return Ok(Vec::new());
    };
    let mut ready = Latencies::default();
    let mut rss_bytes = 0;
    for _ in 0..STARTS {
        let target = Target::launch(binary).await?;
        ready.record(target.ready_after().unwrap_or_default());
        rss_bytes = rss_bytes.max(target.settle().await?.rss_bytes);
        target.finish(None).await?;
    }
    let mut row = Measurement::new("start, empty", stage.target).latencies(&ready);
    row.count = STARTS;
    row.rss_megabytes = Some(float(rss_bytes) / 1e6);
    let row = row.budget(Figure::P50Millis, 100.0, None).budget(Figure::RssMegabytes, 15.0, Some(10.0));
    Ok(vec![row.note("time to `ready`; the greatest RSS of the starts")])
}
