//! Answers of many rows, made as they are sent, so that a large answer is never in memory as a whole.

use crate::{
    Delivery, Error, Pieces,
    pieces::{CHUNKS_MAX, Cut},
};
use http::{HeaderValue, Response, StatusCode};
use std::time::Duration;
use tidegate_engine::Database;
use tidegate_http::{
    Body,
    respond::{self, Sender},
};

/// Text that is gathered before it is sent.
const FILL_BYTES: u64 = 64 << 10;

/// Makes the rows of an answer.
pub trait RowSource: Send + 'static {
    /// The database the rows are of.
    fn database(&self) -> &Database;

    /// Writes the next row, with what stands before it; behind the last, the end of the answer. Whether there was one.
    fn next(&mut self, out: &mut Pieces) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// The answer behind `begun`: whole if it is small, streamed if it isn't.
///
/// # Errors
/// The storage failed before anything was sent.
pub async fn respond_rows(
    mut rows: impl RowSource,
    delivery: &Delivery<'_>,
    mut begun: Pieces,
    content_type: HeaderValue,
) -> Result<Response<Body>, Error> {
    if fill(&mut rows, &mut begun).await? {
        return begun.respond(delivery, rows.database(), StatusCode::OK, content_type).await;
    }
    let (sender, body) = respond::channel(CHUNKS_MAX);
    let deadline = delivery.deadline;
    delivery.tasks.spawn(async move {
        match stream(rows, begun, &sender, deadline).await {
            Ok(()) => drop(sender.finish().await),
            Err(Cut::ClientGone | Cut::Failed) => sender.abort(),
        }
    });
    Ok(respond::stream(StatusCode::OK, content_type, body))
}

/// Makes rows until there is enough to send; whether that was all.
async fn fill(rows: &mut impl RowSource, out: &mut Pieces) -> Result<bool, Error> {
    while out.length() < FILL_BYTES {
        if !rows.next(out).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn stream(mut rows: impl RowSource, mut pieces: Pieces, sender: &Sender, deadline: Duration) -> Result<(), Cut> {
    loop {
        pieces.stream(rows.database(), sender, deadline).await?;
        pieces = Pieces::default();
        if fill(&mut rows, &mut pieces).await? {
            return pieces.stream(rows.database(), sender, deadline).await;
        }
    }
}
