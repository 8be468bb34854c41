//! The changes feed in its four shapes: normal, longpoll, continuous and eventsource.
//!
//! All four are one loop over one engine feed, which is subscribed before the first read, so that no change falls
//! between the last read and the wait. They differ in how rows are framed and in when the loop ends.
//!
//! Source: `spec/couch.md` 3.7, `chttpd_changes`.

mod circles;
mod content;
mod filter;
mod frame;
mod params;
mod request;
mod row;
mod run;

use crate::{
    context::{Answer, Context, json},
    error::Error,
};
pub(crate) use circles::Circles;
use frame::Frame;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use params::{FeedKind, Params};
use run::Run;
use serde_json::Value;
use tidegate_engine::Database;
use tidegate_http::{Body, respond};
use tokio::sync::OwnedSemaphorePermit;

pub(crate) async fn get(cx: &Context, db: &Database) -> Answer {
    let params = Params::parse(cx, db, &Value::Null)?;
    answer(cx, db, params, &[]).await
}

/// What happens to databases, as far as `_global_changes` tells it.
pub(crate) async fn db_updates(cx: &Context) -> Answer {
    let db = cx.engine.global_changes(&cx.caller).await?;
    let params = Params::parse_db_updates(cx, &db)?;
    answer(cx, &db, params, &[]).await
}

pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_slice(&text)? };
    if !matches!(body, Value::Null | Value::Object(_)) {
        return Err(Error::bad_request("Request body must be a JSON object"));
    }
    let params = Params::parse(cx, db, &body)?;
    answer(cx, db, params, &text).await
}

/// `body` is what a function that filters may be told of.
async fn answer(cx: &Context, db: &Database, mut params: Params, body: &[u8]) -> Answer {
    if params.filter.has_function() {
        let request = Box::pin(request::object(cx, db, body)).await?;
        params.filter = Box::pin(params.filter.read(cx, db, &request)).await?;
    }
    let (feed, frame) = (params.feed, Frame::of(params.feed));
    let mut run = Run::new(cx, db, params)?;
    if feed != FeedKind::Normal {
        return Ok(stream(respond::feed(run.with_place(feed_place(cx)?)), frame));
    }
    // Most are short: those go out whole.
    match run.first_page().await? {
        Some(whole) => Ok(json(StatusCode::OK, whole)),
        None => Ok(stream(respond::pulled(run), frame)),
    }
}

fn feed_place(cx: &Context) -> Result<OwnedSemaphorePermit, Error> {
    cx.shared.feeds.clone().try_acquire_owned().map_err(|_full| {
        let reason = format!("more than {} feeds are open (max_feeds)", cx.shared.settings.feeds_max);
        Error::new(StatusCode::SERVICE_UNAVAILABLE, "service unavailable", reason)
    })
}

fn stream(body: Body, frame: Frame) -> Response<Body> {
    let content_type = HeaderValue::from_static(frame.content_type());
    let mut response = respond::stream(StatusCode::OK, content_type, body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(frame.cache_control()));
    response
}
