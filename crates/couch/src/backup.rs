//! `GET _node/_local/_backup`: everything the server holds, as one file, while it runs. Tidegate's own.
//!
//! The file is made as fast as the client takes it. Its last block tells a whole one from one that was cut.

use crate::{
    context::{Answer, Context},
    error::Error,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;
use tidegate_engine::Backup;
use tidegate_http::respond::{self, Aborted, Source};
use tokio::sync::OwnedSemaphorePermit;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.tidegate.backup");
const ATTACHMENT: HeaderValue = HeaderValue::from_static("attachment; filename=\"tidegate.backup\"");

/// Backups at the same time: each keeps the storage from reusing space.
pub(crate) const BACKUPS_MAX: usize = 2;

struct Pieces {
    backup: Backup,
    /// Given back when the client has everything, or is gone.
    _place: OwnedSemaphorePermit,
}

impl Source for Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
        self.backup.next().await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a backup was given up");
            Aborted
        })
    }
}

pub(crate) async fn get(cx: &Context) -> Answer {
    let place = Arc::clone(&cx.shared.backups).try_acquire_owned().map_err(|_taken| busy())?;
    let backup = cx.engine.backup(&cx.caller).await?;
    let pieces = Pieces { backup, _place: place };
    let mut response = respond::stream(StatusCode::OK, CONTENT_TYPE, respond::pulled(pieces));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, ATTACHMENT);
    Ok(response)
}

fn busy() -> Error {
    let reason = format!("{BACKUPS_MAX} backups are running; try again when one has ended");
    Error::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", reason)
}
