//! The feed over a WebSocket: the client's first message has the options, the server's are arrays of rows.
//!
//! An empty array says once that the feed has caught up; an empty message is a sign of life. With
//! `accept_encoding: "gzip"` messages are binary: pieces of one gzip stream.

use super::{
    params::Params,
    reading::{Reading, Waited},
};
use crate::{
    context::{Answer, Context},
    error::Error,
};
use futures_util::{SinkExt, StreamExt};
use http::{Method, StatusCode, Version, header};
use serde_json::Value;
use std::time::Duration;
use tidegate_engine::Database;
use tidegate_http::{
    gzip::Encoder,
    upgrade::{self, Socket},
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

/// How long a client may take to say what it wants.
const OPTIONS_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take for a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest message of a client: its options, which may name many channels.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// A feed on its socket.
struct Session {
    cx: Context,
    db: Database,
    socket: WebSocketStream<Socket>,
    encoder: Option<Encoder>,
    /// Its place among the feeds that may be open.
    _place: OwnedSemaphorePermit,
}

/// Why a session ends.
enum End {
    /// The client is gone, or wants no more.
    Gone,
    /// It is told why, if there is a reason.
    Closed(Option<Error>),
}

/// The answer that makes a WebSocket of the connection.
pub(super) fn upgrade(cx: &Context, db: &Database, place: OwnedSemaphorePermit) -> Answer {
    let request = &cx.request;
    let key = request.headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_upgrade(cx));
    let Some(key) = key else { return Err(Error::bad_request("feed=websocket needs a WebSocket handshake")) };
    if request.header(header::SEC_WEBSOCKET_VERSION) != Some("13") {
        let error = Error::new(StatusCode::UPGRADE_REQUIRED, "only version 13 of WebSocket is spoken here");
        return Err(error.with_header(header::SEC_WEBSOCKET_VERSION, "13"));
    }
    let accept = derive_accept_key(key.as_bytes());
    let (cx, db) = (cx.clone(), db.clone());
    let mut response = upgrade::response(move |socket| serve(cx, db, place, socket));
    response.headers_mut().insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
    let accept = http::HeaderValue::try_from(accept);
    response.headers_mut().extend(accept.map(|value| (header::SEC_WEBSOCKET_ACCEPT, value)));
    Ok(response)
}

fn is_upgrade(cx: &Context) -> bool {
    let names = |name, wanted: &str| {
        let value = cx.header(name).unwrap_or_default();
        value.split(',').any(|option| option.trim().eq_ignore_ascii_case(wanted))
    };
    cx.request.version == Version::HTTP_11
        && cx.request.method == Method::GET
        && names(header::CONNECTION, "upgrade")
        && names(header::UPGRADE, "websocket")
}

async fn serve(cx: Context, db: Database, place: OwnedSemaphorePermit, socket: Socket) {
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
    let socket = WebSocketStream::from_raw_socket(socket, Role::Server, Some(config)).await;
    let mut session = Session { cx, db, socket, encoder: None, _place: place };
    let Err(end) = session.run().await;
    let End::Closed(error) = end else { return };
    if let Some(error) = error {
        tracing::debug!(reason = %error.reason, "a feed over a WebSocket ends");
    }
    // Whoever doesn't take the last word is gone.
    drop(timeout(SEND_TIMEOUT, session.socket.close(None)).await);
}

impl Session {
    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        let options = self.options().await?;
        let query = respond_query(&self.cx)?;
        let params = Params::parse(&self.cx, &query, &options).map_err(|error| End::Closed(Some(error)))?;
        drop(query);
        if options.get("accept_encoding").and_then(Value::as_str) == Some("gzip") {
            self.encoder = Some(Encoder::default());
        }
        let mut reading = Reading::new(&self.db, &self.cx.caller, params).map_err(|error| End::Closed(Some(error)))?;
        let mut is_told = false;
        loop {
            let mut rows = Vec::new();
            let write = |row: &[u8]| {
                rows.push(if rows.is_empty() { b'[' } else { b',' });
                rows.extend_from_slice(row);
            };
            reading.next(write).await.map_err(|error| End::Closed(Some(error)))?;
            if !rows.is_empty() {
                rows.push(b']');
                self.send(&rows).await?;
            }
            if reading.is_full() {
                return Err(End::Closed(None));
            }
            if !rows.is_empty() || !reading.has_caught_up() {
                continue;
            }
            if !std::mem::replace(&mut is_told, true) {
                self.send(b"[]").await?;
            }
            self.rest(&mut reading).await?;
        }
    }

    /// The client's first message.
    async fn options(&mut self) -> Result<Value, End> {
        let draining = self.cx.draining.clone();
        let receiving = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str::<Value>(text.as_str())),
                    Some(Ok(Message::Binary(bytes))) => return Ok(serde_json::from_slice::<Value>(&bytes)),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
                }
            }
        };
        let received = tokio::select! {
            received = timeout(OPTIONS_TIMEOUT, receiving) => received.map_err(|_elapsed| End::Closed(None))??,
            () = draining.cancelled() => return Err(End::Closed(None)),
        };
        received.map_err(|error| End::Closed(Some(error.into())))
    }

    /// Waits for changes; signs of life go out, and what the client says is heard.
    async fn rest(&mut self, reading: &mut Reading) -> Result<(), End> {
        let mut quiet_since = Instant::now();
        loop {
            let waited = tokio::select! {
                waited = reading.wait(quiet_since, &self.cx.draining) => waited,
                heard = self.socket.next() => match heard {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
                    // Pings are answered below; nothing else is expected.
                    Some(Ok(_)) => continue,
                },
            };
            match waited {
                Waited::Changed => return Ok(()),
                Waited::Heartbeat => {
                    self.send_message(Message::text("")).await?;
                    quiet_since = Instant::now();
                }
                Waited::Over => return Err(End::Closed(None)),
            }
        }
    }

    async fn send(&mut self, text: &[u8]) -> Result<(), End> {
        let message = match &mut self.encoder {
            None => Message::text(String::from_utf8_lossy(text).into_owned()),
            Some(encoder) => Message::binary(encoder.push_now(text).map_err(|_damaged| End::Closed(None))?),
        };
        self.send_message(message).await
    }

    async fn send_message(&mut self, message: Message) -> Result<(), End> {
        match timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }
}

fn respond_query(cx: &Context) -> Result<tidegate_http::query::Query<'_>, End> {
    cx.query().map_err(|error| End::Closed(Some(error)))
}
