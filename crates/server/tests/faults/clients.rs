//! Clients that are too many, too slow or send too much.

use super::{BINARY, serve, until, up, wrapper};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tidegate_testkit::{http::Client, server::Server};

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// All that comes until the connection ends.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    String::from_utf8(bytes).unwrap()
}

fn resident_bytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn one_connection_too_many_is_told_to_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), "max_connections = 3\nheader_timeout_ms = 60_000", Vec::new());
    let client = server.couch().unwrap();
    let held: Vec<TcpStream> = (0..3).map(|_| connect(client.address())).collect();
    until("all places are taken", || up(&client).0 == 503);
    let refused = client.get("/").unwrap();
    let headers = ["content-type", "retry-after", "connection"].map(|name| refused.header(name));
    assert_eq!(headers, [Some("application/json"), Some("2"), Some("close")]);
    let words = "{\"error\":\"service_unavailable\",\"reason\":\"The server has as many connections as it may \
                 (max_connections).\"}\n";
    assert_eq!((refused.status, refused.text().as_str()), (503, words));
    // Whoever brings a body reads the answer, too.
    assert_eq!(client.put("/db/a", &format!("\"{}\"", "x".repeat(20_000))).unwrap().status, 503);
    // Those who watch have places of their own.
    assert_eq!(super::health(&server).0, 200);
    // Silent ones beyond the limit are let go, however many there are.
    let silent: Vec<TcpStream> = (0..200).map(|_| connect(client.address())).collect();
    silent.into_iter().for_each(|stream| drop(rest(stream)));
    drop(held);
    until("there is a place again", || up(&client).0 == 200);
}

#[test]
fn slow_heads_are_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), "max_connections = 100\nheader_timeout_ms = 500", Vec::new());
    let client = server.couch().unwrap();
    let mut slow: Vec<TcpStream> = (0..100).map(|_| connect(client.address())).collect();
    // A byte now and then, for ever.
    until("all are let go", || slow.iter_mut().filter_map(|stream| stream.write_all(b"G").ok()).count() == 0);
    assert_eq!(up(&client).0, 200);
}

#[test]
fn running_out_of_files_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = wrapper(folder.path(), &format!("ulimit -n 160; exec {BINARY} \"$@\""));
    let server = Server::start(script, &folder.path().join("data")).unwrap();
    let client = server.couch().unwrap();
    assert_eq!(client.put("/db", "").unwrap().status, 201);
    let mut held: Vec<TcpStream> = (0..400).map(|_| connect(client.address())).collect();
    until("new clients are told", || client.get("/").is_ok_and(|answer| answer.status == 503));
    // Those who are in can write, more than one segment of the log takes.
    let body = format!("{{\"text\":\"{}\"}}", "z".repeat(4_000_000));
    for number in 0..8 {
        let head =
            format!("PUT /db/{number} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}", body.len());
        let mut stream = held.remove(0);
        stream.write_all(format!("{head}\r\ncontent-type: application/json\r\n\r\n{body}").as_bytes()).unwrap();
        assert!(rest(stream).starts_with("HTTP/1.1 201"));
    }
    drop(held);
    until("everybody gets in", || client.get("/db").is_ok_and(|answer| answer.status == 200));
    assert_eq!(up(&client).0, 200);
}

#[test]
fn a_body_beyond_the_limit_is_refused_by_what_it_declares() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(BINARY, &folder.path().join("data")).unwrap();
    let client = server.couch().unwrap();
    assert_eq!(client.put("/db", "").unwrap().status, 201);
    for path in ["/db/a", "/db/a/file", "/db/_bulk_docs"] {
        let method = if path.ends_with("docs") { "POST" } else { "PUT" };
        let mut stream = connect(client.address());
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10737418240\r\n");
        stream.write_all(format!("{head}content-type: application/json\r\n\r\n{{").as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413", "{path}");
    }
}

#[test]
fn a_body_without_a_length_is_cut_at_the_limit_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let limits = "max_http_request_size = 40_000_000\nmax_attachment_size = 30_000_000";
    let server = serve(folder.path(), limits, Vec::new());
    let client = server.couch().unwrap();
    let ada = "authorization: Basic YWRhOnNlY3JldA==";
    let put = |path: &str, sent_max: usize| {
        let mut stream = connect(client.address());
        let head = format!("PUT {path} HTTP/1.1\r\nhost: x\r\n{ada}\r\ntransfer-encoding: chunked\r\n");
        stream.write_all(format!("{head}content-type: application/json\r\n\r\n").as_bytes()).unwrap();
        let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x1_0000], b"\r\n"].concat();
        let mut sent = 0;
        while sent < sent_max && stream.write_all(&chunk).is_ok() {
            sent += 0x1_0000;
        }
        sent
    };
    assert_eq!(
        Client::new(client.address())
            .request("PUT", "/db", &[("authorization", "Basic YWRhOnNlY3JldA==")], b"")
            .unwrap()
            .status,
        201
    );
    let before = resident_bytes(&server);
    for path in ["/db/a/file", "/db/a/file"] {
        let sent = put(path, 10 << 30);
        assert!(sent < 100 << 20, "{sent} bytes were taken");
    }
    let grown = resident_bytes(&server).saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes more");
    assert_eq!(up(&client).0, 200);
}
