//! The changes feed over a WebSocket: options in, arrays of rows out. Source: `spec/gateway.md` 2.4.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may panic")]

use flate2::write::GzDecoder;
use futures_util::{SinkExt, StreamExt};
use std::{io::Write as _, time::Duration};
use tempfile::TempDir;
use tidegate_testkit::{http::Client, server::Server};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// For one message.
const PATIENCE: Duration = Duration::from_secs(20);

struct Site {
    server: Server,
    admin: Client,
    _data: TempDir,
}

/// A socket on which a feed runs.
struct Socket(WebSocketStream<TcpStream>);

impl Site {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let binary = env!("CARGO_BIN_EXE_tidegate");
        let server = Server::start_with(binary, &data.path().join("data"), &["gateway", "admin"], &[]).unwrap();
        let admin = Client::new(server.address("admin").unwrap());
        assert_eq!(admin.put("/db/", "{}").unwrap().status, 201);
        Self { server, admin, _data: data }
    }

    async fn follow(&self, options: &str) -> Socket {
        let address = self.server.address("admin").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/db/_changes?feed=websocket");
        let (mut socket, response) = client_async(url, stream).await.unwrap();
        assert_eq!(response.status(), 101);
        socket.send(Message::text(options)).await.unwrap();
        Socket(socket)
    }
}

impl Socket {
    async fn next(&mut self) -> Message {
        timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap()
    }

    async fn text(&mut self) -> String {
        let message = self.next().await;
        let Message::Text(text) = &message else { panic!("{message:?} is no text") };
        text.to_string()
    }
}

#[tokio::test]
async fn rows_come_in_arrays_and_an_empty_one_says_that_there_are_no_more() {
    let site = Site::start();
    assert_eq!(site.admin.put("/db/a", "{}").unwrap().status, 201);
    assert_eq!(site.admin.put("/db/b", "{}").unwrap().status, 201);
    let mut socket = site.follow(r#"{"since":1}"#).await;
    let row = |seq: u64, id: &str| {
        format!(r#"[{{"seq":{seq},"id":"{id}","changes":[{{"rev":"1-ca9ad22802b66f662ff171f226211d5c"}}]}}]"#)
    };
    assert_eq!(socket.text().await, row(2, "b"));
    assert_eq!(socket.text().await, "[]");
    assert_eq!(site.admin.put("/db/c", "{}").unwrap().status, 201);
    assert_eq!(socket.text().await, row(3, "c"));
    socket.0.send(Message::Ping("x".into())).await.unwrap();
    assert_eq!(socket.next().await, Message::Pong("x".into()));
    assert_eq!(site.admin.put("/db/d", "{}").unwrap().status, 201);
    assert_eq!(socket.text().await, row(4, "d"));
}

#[tokio::test]
async fn a_limit_ends_it_and_bad_options_do() {
    let site = Site::start();
    assert_eq!(site.admin.put("/db/a", "{}").unwrap().status, 201);
    let mut socket = site.follow(r#"{"limit":1}"#).await;
    assert!(socket.text().await.starts_with(r#"[{"seq":1,"#));
    assert!(socket.next().await.is_close());
    let mut socket = site.follow(r#"{"since":"abc"}"#).await;
    assert!(socket.next().await.is_close());
    let mut socket = site.follow("nonsense").await;
    assert!(socket.next().await.is_close());
}

#[tokio::test]
async fn messages_are_pieces_of_one_gzip_stream_for_those_who_take_it() {
    let site = Site::start();
    assert_eq!(site.admin.put("/db/a", "{}").unwrap().status, 201);
    let mut socket = site.follow(r#"{"accept_encoding":"gzip"}"#).await;
    let mut decoder = GzDecoder::new(Vec::new());
    let mut texts = Vec::new();
    for _ in 0..2 {
        decoder.write_all(&socket.next().await.into_data()).unwrap();
        decoder.flush().unwrap();
        texts.push(String::from_utf8(std::mem::take(decoder.get_mut())).unwrap());
    }
    assert!(texts[0].starts_with(r#"[{"seq":1,"id":"a""#), "{texts:?}");
    assert_eq!(texts[1], "[]");
}

#[tokio::test]
async fn it_ends_when_the_server_stops() {
    let mut site = Site::start();
    let mut socket = site.follow("{}").await;
    assert_eq!(socket.text().await, "[]");
    let stopped = tokio::task::spawn_blocking(move || site.server.stop().unwrap());
    assert!(socket.next().await.is_close());
    assert!(stopped.await.unwrap().success());
}
