//! Reading: an empty handler (what HTTP alone costs), one hot document, random documents.

use super::{DOCUMENTS, Stage, grouped};
use crate::{
    Error,
    client::Request,
    document,
    load::Outcome,
    measurement::{Figure, Measurement},
    target::Cost,
};

const CONNECTIONS: usize = 16;
const OPERATIONS_MAX: u64 = 500_000;

pub(super) async fn measure(stage: &Stage<'_>) -> Result<Vec<Measurement>, Error> {
    let filled = stage.fill_and_settle(0, DOCUMENTS).await?;
    let (empty_path, note) = empty_handler(stage).await?;
    let ask = |path: String| move |_number: u64, wire: &mut Vec<u8>| Request::new("GET", &path).encode(wire);
    let empty = get(stage, ask(empty_path)).await?;
    let hot = get(stage, ask(format!("{}/{}", stage.database, document::id(stage.first)))).await?;
    let random = get(stage, stage.random_get(filled)).await?;

    let row = |name: String, (outcome, cost): &(Outcome, Cost)| {
        Measurement::new(name, stage.target).outcome(outcome, 1).cost(cost)
    };
    let empty = row("empty handler".to_owned(), &empty).note(note);
    let over = |row: Measurement| {
        let above = row.cpu_micros.zip(empty.cpu_micros).map(|(cpu, empty)| cpu - empty);
        let note = above.map(|micros| format!("{micros:.1} µs over the empty handler"));
        row.budget(Figure::CpuMicros, 18.0, Some(12.0)).note(note.unwrap_or_default())
    };
    let hot = over(row("GET document, one".to_owned(), &hot));
    let random = over(row(format!("GET document, random of {}", grouped(filled)), &random));
    Ok(vec![empty, hot, random])
}

/// `/_up`, or the welcome where a peer has no `/_up`.
async fn empty_handler(stage: &Stage<'_>) -> Result<(String, &'static str), Error> {
    let answer = stage.target.connect().await?.request(Request::new("GET", "/_up")).await?;
    Ok(if answer.is_success() { ("/_up".to_owned(), "GET /_up") } else { ("/".to_owned(), "GET /") })
}

async fn get<E>(stage: &Stage<'_>, encode: E) -> Result<(Outcome, Cost), Error>
where
    E: Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
{
    let meter = stage.target.meter().await?;
    let outcome = stage.drive(CONNECTIONS, OPERATIONS_MAX, encode).await?;
    Ok((outcome, meter.stop().await?))
}
