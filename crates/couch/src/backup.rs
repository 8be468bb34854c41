//! `GET _node/_local/_backup`: everything the server holds, as one file, while it runs. Tidegate's own.
//!
//! The file is made as fast as the client takes it. Its last block tells a whole one from one that was cut.

use crate::context::{Answer, Context};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tidegate_engine::Backup;
use tidegate_http::respond::{self, Aborted, Source};

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.tidegate.backup");
const ATTACHMENT: HeaderValue = HeaderValue::from_static("attachment; filename=\"tidegate.backup\"");

struct Pieces(Backup);

impl Source for Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
        self.0.next().await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a backup was given up");
            Aborted
        })
    }
}

pub(crate) async fn get(cx: &Context) -> Answer {
    let backup = cx.engine.backup(&cx.caller).await?;
    let mut response = respond::stream(StatusCode::OK, CONTENT_TYPE, respond::pulled(Pieces(backup)));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, ATTACHMENT);
    Ok(response)
}
