//! The changes feed in its four shapes: normal, longpoll, continuous and websocket.
//!
//! All four are one reading of one [`source`], which is subscribed before the first read, so that no change falls
//! between the last read and the wait. They differ in how rows are framed and in when the feed ends.
//!
//! Source: `spec/gateway.md` 2.4.

mod by_ids;
mod hall;
mod params;
mod position;
mod reading;
mod row;
mod run;
mod source;
mod websocket;

use crate::{
    context::{Answer, Context, json},
    error::Error,
};
pub(crate) use hall::Halls;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use params::{FeedKind, Filter, Params};
use reading::Reading;
use run::Run;
use serde_json::Value;
use tidegate_engine::Database;
use tidegate_http::respond;
use tokio::sync::OwnedSemaphorePermit;

pub(crate) async fn get(cx: &Context, db: &Database) -> Answer {
    answer(cx, db, &Value::Null).await
}

pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_slice(&text)? };
    if !matches!(body, Value::Null | Value::Object(_)) {
        return Err(Error::bad_json("the options of a feed are an object"));
    }
    answer(cx, db, &body).await
}

async fn answer(cx: &Context, db: &Database, body: &Value) -> Answer {
    let query = cx.query()?;
    let kind = FeedKind::parse(&query, body)?;
    if kind == FeedKind::WebSocket {
        return websocket::upgrade(cx, db, feed_place(cx)?);
    }
    let params = Params::parse(cx, &query, body)?;
    if let Filter::DocIds(ids) = &params.filter {
        if kind != FeedKind::Normal {
            return Err(Error::bad_request("Filter '_doc_ids' is only valid for feed=normal replications"));
        }
        return Ok(json(StatusCode::OK, by_ids::list(db, &params, ids).await?));
    }
    let run = Run::new(cx, Reading::new(db, &cx.caller, params)?, kind);
    let content_type = match kind {
        FeedKind::Normal | FeedKind::Longpoll | FeedKind::WebSocket => "application/json",
        FeedKind::Continuous => "application/octet-stream",
    };
    let content_type = HeaderValue::from_static(content_type);
    if kind == FeedKind::Normal {
        return run.answer(content_type).await;
    }
    let body = respond::feed(run.with_place(feed_place(cx)?));
    let mut response = respond::stream(StatusCode::OK, content_type, body);
    response
        .headers_mut()
        .insert(http::header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=0, no-cache, no-store"));
    Ok(response)
}

fn feed_place(cx: &Context) -> Result<OwnedSemaphorePermit, Error> {
    cx.shared.feeds.clone().try_acquire_owned().map_err(|_full| {
        let reason = format!("more than {} feeds are open (max_feeds)", cx.shared.settings.feeds_max);
        Error::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    })
}
