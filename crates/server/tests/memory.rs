//! What a long attachment costs the real binary in memory: no more than the budget, however it comes and goes.
//!
//! 96 MiB stand for a gigabyte: they are many times what may stay in memory, and what passes through it is the same.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};
use tidegate_testkit::server::Server;

const LENGTH: usize = 96 << 20;
const GROWTH_MAX: u64 = 16 << 20;
const PIECE: usize = 1 << 20;

/// The server's greatest resident memory so far, in bytes.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// The content, which nothing compresses: each piece begins with its number.
fn piece(number: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let mut bytes = Vec::with_capacity(PIECE);
    while bytes.len() < PIECE {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

fn connect(address: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Sends the content after `before` and ahead of `after`; returns the answer.
fn upload(address: SocketAddr, path: &str, content_type: &str, around: [&str; 2]) -> String {
    let [before, after] = around;
    let length = before.len() + LENGTH + after.len();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{before}"
    );
    let mut stream = connect(address, &head);
    (0..LENGTH / PIECE).for_each(|number| stream.write_all(&piece(number)).unwrap());
    stream.write_all(after.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Reads the attachment, and checks it against the content.
fn download(address: SocketAddr, path: &str) {
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut stream = connect(address, &head);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
    let mut bytes = vec![0; PIECE];
    for number in 0..LENGTH / PIECE {
        stream.read_exact(&mut bytes).unwrap();
        assert!(bytes == piece(number), "piece {number}");
    }
    assert_eq!(stream.read(&mut bytes).unwrap(), 0);
}

#[test]
fn a_long_attachment_passes_through_memory_without_filling_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(env!("CARGO_BIN_EXE_tidegate"), &folder.path().join("data")).unwrap();
    let address = server.address("couch").unwrap();
    assert_eq!(server.couch().unwrap().put("/db", "").unwrap().status, 201);
    let idle = peak(&server);
    let check = |what: &str| {
        let growth = peak(&server) - idle;
        assert!(growth <= GROWTH_MAX, "{what} made the server grow by {} MiB", growth >> 20);
    };
    let answer = upload(address, "/db/put/a", "application/octet-stream", ["", ""]);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    check("an upload");
    download(address, "/db/put/a");
    check("a download");
    let stub =
        format!("{{\"a\":{{\"follows\":true,\"content_type\":\"application/octet-stream\",\"length\":{LENGTH}}}}}");
    let before =
        format!("--x\r\ncontent-type: application/json\r\n\r\n{{\"_attachments\":{stub},\"n\":1}}\r\n--x\r\n\r\n");
    let answer = upload(address, "/db/related", "multipart/related; boundary=x", [&before, "\r\n--x--"]);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    check("a multipart upload");
}
