//! Clients of the changes feeds, in all their shapes in both dialects: they are cut off after any row, and go on from it.

use crate::site::{Door, Site, basic};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// How a feed is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) door: Door,
    pub(crate) feed: &'static str,
    /// More of its parameters.
    pub(crate) more: &'static str,
}

/// A device of a user: what it was told, and what it holds.
pub(crate) struct Device<'s> {
    pub(crate) site: &'s Site,
    pub(crate) user: &'static str,
    pub(crate) shape: Shape,
    pub(crate) holds: BTreeMap<String, String>,
    since: String,
    /// All rows, for the reader of a failure.
    pub(crate) log: Vec<String>,
}

/// The document after which there is nothing more.
pub(crate) const END: &str = "end";

impl Shape {
    fn is(self, parameter: &str) -> bool {
        self.more.contains(parameter)
    }

    /// Whether it tells of what is lost.
    pub(crate) fn tells_losses(self) -> bool {
        self.is("revocations=true") && !self.is("active_only")
    }
}

impl<'s> Device<'s> {
    pub(crate) fn new(site: &'s Site, user: &'static str, shape: Shape) -> Self {
        Self { site, user, shape, holds: BTreeMap::new(), since: "0".to_owned(), log: Vec::new() }
    }

    fn who(&self) -> String {
        format!("{0}:{0}", self.user)
    }

    fn path(&self) -> String {
        let Shape { feed, more, .. } = self.shape;
        format!("/db/_changes?feed={feed}&since={}&timeout=5000&{more}", self.since)
    }

    /// Follows until the end; it is cut off after as many rows as `patience` says each time.
    pub(crate) fn run(mut self, mut patience: impl FnMut() -> usize) -> Self {
        loop {
            let rows = patience();
            let is_over = match self.shape.feed {
                "normal" | "longpoll" => self.ask(rows),
                "websocket" => self.listen(rows),
                _ => self.stream(rows),
            };
            if is_over {
                return self;
            }
            self.log.push("cut off".to_owned());
        }
    }

    fn ask(&mut self, most: usize) -> bool {
        let answer = self.site.ask(self.shape.door, Some(&self.who()), &format!("GET {}", self.path()), "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}", answer.text()));
        let rows = body["results"].as_array().unwrap();
        for row in rows.iter().take(most) {
            if self.heed(row) {
                return true;
            }
        }
        if rows.len() <= most {
            self.since = position(&body["last_seq"]);
        }
        false
    }

    fn stream(&mut self, most: usize) -> bool {
        let authorization = basic(&self.who());
        let headers = [("authorization", authorization.as_str())];
        let mut stream = self.site.client(self.shape.door).stream("GET", &self.path(), &headers, b"").unwrap();
        let mut rows = 0;
        while let Some(line) = stream.next_row().unwrap() {
            let text = if self.shape.feed == "eventsource" {
                let Some(data) = line.strip_prefix("data: ").or(line.strip_prefix("data:")) else { continue };
                data
            } else {
                &line
            };
            let Ok(row) = serde_json::from_str::<Value>(text) else { continue };
            if row.get("id").is_none() {
                return false;
            }
            if self.heed(&row) {
                return true;
            }
            rows += 1;
            if rows == most {
                return false;
            }
        }
        false
    }

    fn listen(&mut self, most: usize) -> bool {
        let mut options = serde_json::json!({ "since": self.since });
        for (name, value) in self.shape.more.split('&').filter_map(|pair| pair.split_once('=')) {
            options[name] = value.parse::<u64>().map_or_else(|_| value.into(), Value::from);
        }
        let mut socket = WebSocket::open(self.site, &self.who(), &options.to_string());
        let mut rows = 0;
        while let Some(message) = socket.next() {
            let told: Vec<Value> = serde_json::from_str(&message).unwrap_or_default();
            for row in &told {
                if self.heed(row) {
                    return true;
                }
                rows += 1;
                if rows >= most {
                    return false;
                }
            }
        }
        false
    }

    /// Does what a row says. Whether it was the last.
    fn heed(&mut self, row: &Value) -> bool {
        self.log.push(row.to_string());
        assert!(self.log.len() < 20_000, "{self:?}");
        self.since = position(&row["seq"]);
        let id = row["id"].as_str().unwrap();
        assert!(!id.starts_with("never"), "{self:?}");
        if id == END {
            return true;
        }
        if id.starts_with('_') {
            return false;
        }
        let is_gone = |name: &str| row.get(name).is_some_and(|value| *value != Value::Bool(false));
        if is_gone("deleted") || is_gone("removed") || is_gone("revoked") {
            self.holds.remove(id);
            return false;
        }
        let rev = row["changes"][0]["rev"].as_str().unwrap();
        let document = if self.shape.is("include_docs") { row["doc"].clone() } else { self.fetch(id, rev) };
        // Clients of CouchDB can do nothing with a row that has no document.
        let has_to_be_whole = self.shape.door == Door::Couch && self.shape.is("include_docs");
        assert!(!has_to_be_whole || document.is_object(), "{self:?}");
        let Some(held) = document["_rev"].as_str().filter(|_| document.get("_removed").is_none()) else { return false };
        let channels = document["channels"].as_array().unwrap_or_else(|| panic!("{document}: {self:?}"));
        assert!(!channels.iter().all(|channel| channel == "never"), "{self:?}");
        self.holds.insert(id.to_owned(), held.to_owned());
        false
    }

    /// The revision that a row names; nothing if it can't be seen (any more): then that is told later.
    fn fetch(&self, id: &str, rev: &str) -> Value {
        let answer = self.site.ask(self.shape.door, Some(&self.who()), &format!("GET /db/{id}?rev={rev}"), "");
        assert!(matches!(answer.status, 200 | 403 | 404), "{}", answer.text());
        if answer.status == 200 { serde_json::from_slice(&answer.body).unwrap() } else { Value::Null }
    }
}

impl std::fmt::Debug for Device<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, shape, holds, log, .. } = self;
        write!(f, "{user} by {shape:?} holds {holds:#?} after\n{}", log.join("\n"))
    }
}

fn position(seq: &Value) -> String {
    seq.as_str().map_or_else(|| seq.to_string(), str::to_owned)
}

/// A feed over a WebSocket, as far as a test needs it.
pub(crate) struct WebSocket {
    stream: TcpStream,
}

impl WebSocket {
    pub(crate) fn open(site: &Site, who: &str, options: &str) -> Self {
        let address = site.client(Door::Gateway).address();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!(
            "GET /db/_changes?feed=websocket HTTP/1.1\r\nhost: {address}\r\nauthorization: {}\r\nupgrade: websocket\r\n\
             connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            basic(who)
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
        let length = u16::try_from(options.len()).unwrap().to_be_bytes();
        // One text frame, masked with zeros.
        let frame = [&[0x81, 0xfe], &length[..], &[0; 4], options.as_bytes()].concat();
        stream.write_all(&frame).unwrap();
        Self { stream }
    }

    /// The next message; nothing once the server has closed.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut message = Vec::new();
        loop {
            let [first, second] = self.bytes()?;
            let length = match second & 0x7f {
                126 => u64::from(u16::from_be_bytes(self.bytes()?)),
                127 => u64::from_be_bytes(self.bytes()?),
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).ok()?;
            if first & 0x0f == 8 {
                return None;
            }
            message.extend(payload);
            if first & 0x80 != 0 {
                return Some(String::from_utf8(message).unwrap());
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}
