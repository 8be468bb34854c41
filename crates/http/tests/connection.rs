//! Connections over real sockets: feeds that leave hyper, targets that hyper would refuse, words for its refusals.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on may panic"
)]

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{sync::Arc, time::Duration};
use tidegate_http::{
    Body,
    body::{BodyLimits, read_whole},
    connection::{Options, serve},
    feed::{Circle, Feed, Rest},
    respond::{self, Aborted, Source},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

/// The latest number, and whether it is the last.
type Latest = (u64, bool);

/// A server whose feed `/feed` says each number up to the latest, and which answers anything else with what it was
/// asked.
#[derive(Clone)]
struct Server {
    latest: watch::Sender<Latest>,
    circle: Arc<Circle>,
    draining: CancellationToken,
    quiet_max: Duration,
}

struct Numbers {
    server: Server,
    latest: watch::Receiver<Latest>,
    last: u64,
    quiet_since: Instant,
}

impl Source for Numbers {
    async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
        let last = self.last;
        let more = self.latest.wait_for(|(latest, ended)| *latest > last || *ended);
        let (latest, _) = match tokio::time::timeout_at(self.quiet_since + self.server.quiet_max, more).await {
            Ok(latest) => *latest.unwrap(),
            Err(_quiet) => {
                self.quiet_since = Instant::now();
                return Ok(Some(Bytes::from_static(b"\n")));
            }
        };
        if latest == last {
            return Ok(None);
        }
        (self.last, self.quiet_since) = (latest, Instant::now());
        Ok(Some(lines(last, latest).into()))
    }
}

impl Feed for Numbers {
    fn rest(&mut self) -> Option<Rest> {
        let (circle, position) = (Arc::clone(&self.server.circle), self.last);
        Some(Rest { place: circle, position, quiet_since: self.quiet_since, quiet_max: self.server.quiet_max })
    }

    fn resume(&mut self, position: u64, sent_at: Instant) {
        assert!(position >= self.last);
        (self.last, self.quiet_since) = (position, sent_at);
    }
}

/// Those after one number up to another.
fn lines(after: u64, until: u64) -> String {
    let dashes = |number: u64| "-".repeat(usize::try_from(number % 7 * 100).unwrap());
    (after + 1..=until).map(|number| format!("{number}{}\n", dashes(number))).collect()
}

impl Server {
    fn new() -> Self {
        let (latest, circle) = (watch::Sender::new((0, false)), Arc::new(Circle::new(0)));
        Self { latest, circle, draining: CancellationToken::new(), quiet_max: PATIENCE * 9 }
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let text = HeaderValue::from_static("text/plain");
        if head.uri.path() == "/feed" {
            let (latest, quiet_since) = (self.latest.subscribe(), Instant::now());
            let body = respond::feed(Numbers { server: self, latest, last: 0, quiet_since });
            return respond::stream(StatusCode::OK, text, body);
        }
        let limits = BodyLimits { bytes_max: 1 << 20, frame_timeout: PATIENCE, rate_min: 0 };
        let body = read_whole(&head.headers, body, limits).await.unwrap();
        let asked = format!("{} {} {}\n", head.method, head.uri, String::from_utf8_lossy(&body));
        respond::bytes(StatusCode::OK, text, asked.into())
    }

    /// A connection to it.
    async fn connect(&self) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let options = Options {
            header_timeout: PATIENCE,
            head_bytes_max: 64 << 10,
            streams_max: 10,
            draining: self.draining.clone(),
            refusal: |status| respond::json(status, format!("{{\"refused\":{}}}", status.as_u16()).into()),
        };
        let (stream, server) = (listener.accept().await.unwrap().0, self.clone());
        client.set_nodelay(true).unwrap();
        tokio::spawn(serve(stream, Arc::new(options), move |request| server.clone().answer(request)));
        client
    }

    /// Goes on to a number, as the circle's speaker.
    async fn say(&self, until: u64) {
        let (last, _) = self.latest.send_replace((until, false));
        self.circle.say(lines(last, until).as_bytes(), until).await;
    }

    fn end(&self) {
        self.latest.send_modify(|latest| latest.1 = true);
        self.circle.close();
    }
}

/// Reads up to and including `end`.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let byte = timeout(PATIENCE, stream.read_u8()).await;
        match byte.map_err(|_elapsed| "late").and_then(|byte| byte.map_err(|_error| "closed")) {
            Ok(byte) => read.push(byte),
            Err(error) => panic!("{error} before {end:?}: {:?}", String::from_utf8_lossy(&read)),
        }
    }
    String::from_utf8(read).unwrap()
}

async fn to_its_end(stream: &mut TcpStream) -> String {
    let mut read = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut read)).await.unwrap().unwrap();
    read
}

/// Waits until so many feeds sit in the circle.
async fn seated(server: &Server, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while !format!("{:?}", server.circle).ends_with(&format!("seats: {count} }}")) {
        assert!(Instant::now() < deadline, "{:?}", server.circle);
        sleep(Duration::from_millis(1)).await;
    }
}

/// The content of a chunked body.
fn unchunked(mut body: &str) -> String {
    let mut content = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        content.push_str(&rest[..size]);
        assert_eq!(&rest[size..size + 2], "\r\n");
        body = &rest[size + 2..];
    }
    content
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\ndate: ";

#[tokio::test]
async fn a_feed_runs_without_hyper_and_the_connection_goes_on() {
    let server = Server::new();
    let mut client = server.connect().await;
    for round in 0..2 {
        // What is sent ahead is answered when the feed has ended, mended like any other.
        let feed = &b"GET /feed HTTP/1.1\r\n\r\n"[..];
        let ahead = &b"GET /\"ahead HTTP/1.1\r\n\r\nPUT /x HTTP/1.1\r\ncontent-length: 3\r\n\r\n\"<>"[..];
        client.write_all(&if round == 0 { feed.to_vec() } else { [feed, ahead].concat() }).await.unwrap();
        assert!(until(&mut client, "\r\n\r\n").await.starts_with(HEAD));
        if round == 0 {
            seated(&server, 1).await;
            server.say(1).await;
            server.say(3).await;
            client.write_all(ahead).await.unwrap();
            let said = until(&mut client, "3---").await;
            assert!(said.starts_with("66\r\n1---"), "{said:?}");
            server.end();
        }
        until(&mut client, "0\r\n\r\n").await;
        assert!(until(&mut client, "GET /%22ahead \n").await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(until(&mut client, "PUT /x \"<>\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
}

#[tokio::test]
async fn all_get_all_in_order_however_slow_they_read() {
    const LATEST: u64 = 40_000;
    let server = Server::new();
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect().await;
        client.write_all(b"GET /feed HTTP/1.1\r\nConnection: Close\r\n\r\n").await.unwrap();
        until(&mut client, "\r\n\r\n").await;
        clients.push(client);
    }
    seated(&server, 8).await;
    let speaker = server.clone();
    let speaking = tokio::spawn(async move {
        for until in (0..=LATEST).step_by(100).skip(1) {
            speaker.say(until).await;
        }
    });
    let mut reading = tokio::task::JoinSet::new();
    for (place, mut client) in clients.into_iter().enumerate() {
        reading.spawn(async move {
            if place % 2 == 0 {
                // Long enough for its socket to fill up.
                sleep(Duration::from_millis(300)).await;
            }
            to_its_end(&mut client).await
        });
    }
    speaking.await.unwrap();
    server.end();
    let expected = lines(0, LATEST);
    while let Some(read) = reading.join_next().await {
        assert!(unchunked(&read.unwrap()) == expected);
    }
}

#[tokio::test]
async fn heartbeats_come_from_the_feed_and_seats_do_not_pile_up() {
    let server = Server { quiet_max: Duration::from_millis(5), ..Server::new() };
    let mut client = server.connect().await;
    client.write_all(b"GET /feed HTTP/1.1\r\n\r\n").await.unwrap();
    until(&mut client, "\r\n\r\n").await;
    for _ in 0..20 {
        assert_eq!(until(&mut client, "\n\r\n").await, "1\r\n\n\r\n");
    }
    seated(&server, 1).await;
    for number in 1..200 {
        server.say(number).await;
        until(&mut client, &lines(number - 1, number)).await;
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_its_seat() {
    let server = Server::new();
    for _ in 0..200 {
        let mut client = server.connect().await;
        client.write_all(b"GET /feed HTTP/1.1\r\n\r\n").await.unwrap();
        until(&mut client, "\r\n\r\n").await;
    }
    let deadline = Instant::now() + PATIENCE;
    while !server.circle.close_if_empty() {
        assert!(Instant::now() < deadline, "{:?}", server.circle);
        sleep(Duration::from_millis(1)).await;
    }
}

/// What a connection gets for `sent`, which the client ends.
async fn answered(server: &Server, sent: &str) -> String {
    let mut client = server.connect().await;
    client.write_all(sent.as_bytes()).await.unwrap();
    to_its_end(&mut client).await
}

#[tokio::test]
async fn the_connection_is_closed_where_going_on_is_not_safe() {
    let server = Server::new();
    server.say(1).await;
    server.end();
    // A body that nobody read would be taken for a request.
    let unread = "GET /feed HTTP/1.1\r\ncontent-length: 100\r\n\r\nGET /smuggled HTTP/1.1\r\nx: y\r\n\r\n";
    let close = "GET /feed HTTP/1.1\r\nconnection: x, Close\r\n\r\nGET /x HTTP/1.1\r\n\r\n";
    for sent in [unread, close] {
        let answer = answered(&server, sent).await;
        assert!(answer.ends_with(&format!("\r\n\r\n66\r\n{}\r\n0\r\n\r\n", lines(0, 1))), "{answer}");
    }
}

#[tokio::test]
async fn where_it_cannot_leave_a_feed_is_pulled() {
    let server = Server::new();
    server.say(1).await;
    server.end();
    let answer = answered(&server, "GET /feed HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with(&format!("\r\n\r\n{}", lines(0, 1))),
        "{answer}"
    );
    let head = answered(&server, "HEAD /feed HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn http2s_head_has_the_length_of_a_body_and_none_of_it() {
    let server = Server::new();
    let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = handshake.handshake(TokioIo::new(server.connect().await)).await.unwrap();
    drop(tokio::spawn(connection));
    let mut ask = async |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(format!("http://localhost{path}"));
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        let length = answer.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
        (length, answer.into_body().collect().await.unwrap().to_bytes())
    };
    let body = Bytes::from("HEAD http://localhost/a?b=c \n");
    assert_eq!(ask("HEAD", "/a?b=c").await, (Some(body.len().to_string()), Bytes::new()));
    // A feed, which nobody reads, has no length.
    assert_eq!(ask("HEAD", "/feed").await, (None, Bytes::new()));
    assert_eq!(ask("GET", "/").await.1, "GET http://localhost/ \n");
}

#[tokio::test]
async fn a_drain_ends_the_connection_behind_the_feed() {
    let server = Server::new();
    let mut client = server.connect().await;
    client.write_all(b"GET /feed HTTP/1.1\r\n\r\n").await.unwrap();
    until(&mut client, "\r\n\r\n").await;
    seated(&server, 1).await;
    server.draining.cancel();
    server.end();
    assert_eq!(to_its_end(&mut client).await, "0\r\n\r\n");
    assert_eq!(to_its_end(&mut server.connect().await).await, "");
}

#[tokio::test]
async fn targets_are_taken_as_they_come() {
    let server = Server::new();
    let body = "GET /\"<>` HTTP/1.1\r\n\r\n";
    let sent = format!(
        "GET /a?k=\"<é>` HTTP/1.1\r\nhost: \"x\"\r\n\r\nPUT /b\" HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}\
         PUT /c\" HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n\
         GET /d\" HTTP/1.1\r\nconnection: close\r\n\r\n",
        body.len(),
        body.len(),
    );
    let expected = [
        "GET /a?k=%22%3C%C3%A9%3E%60 \n",
        &format!("PUT /b%22 {body}\n"),
        &format!("PUT /c%22 {body}\n"),
        "GET /d%22 \n",
    ];
    for cut in 0..sent.len() {
        let mut client = server.connect().await;
        client.write_all(&sent.as_bytes()[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        client.write_all(&sent.as_bytes()[cut..]).await.unwrap();
        for answer in expected {
            until(&mut client, answer).await;
        }
    }
    let mut client = server.connect().await;
    for byte in sent.as_bytes() {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    for answer in expected {
        until(&mut client, answer).await;
    }
}

#[tokio::test]
async fn what_is_not_http_is_refused_in_words() {
    let server = Server::new();
    let long = "x".repeat(70_000);
    let cases = [
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\n\r\n", 400),
        (&format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n"), 431),
        (&format!("GET /{} HTTP/1.1\r\n\r\n", long), 414),
    ];
    for (sent, status) in cases {
        let answer = answered(&server, sent).await;
        let start = format!("HTTP/1.1 {}\r\nconnection: close\r\n", StatusCode::from_u16(status).unwrap());
        assert!(answer.starts_with(&start), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{{\"refused\":{status}}}")), "{answer}");
    }
    // After an answer, too, and never in an answer's place.
    let answer = answered(&server, "GET / HTTP/1.1\r\n\r\nbad\r\n\r\n").await;
    assert!(answer.contains("GET / \nHTTP/1.1 400"), "{answer}");
}
