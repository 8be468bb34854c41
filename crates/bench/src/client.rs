//! An HTTP/1.1 client that costs little: it shares the cores with the server it measures.
//!
//! Keep-alive, one request at a time on a connection, no redirects, no retries, no TLS. [`Connection`] asks and waits;
//! [`Stream`] reads an answer that goes on (a continuous feed).

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Error, chunked};

const READ_BYTES: usize = 64 * 1024;
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A request to be written to a connection.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `PUT`…
    pub method: &'a str,
    /// Path and query, already escaped.
    pub path: &'a str,
    /// The body and its content type.
    pub body: Option<(&'a str, &'a [u8])>,
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// A request without a body.
    pub fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, body: None, authorization: None }
    }

    /// A request with a JSON body.
    pub fn json(method: &'a str, path: &'a str, body: &'a [u8]) -> Self {
        Self { body: Some(("application/json", body)), ..Self::new(method, path) }
    }

    /// The same, on behalf of somebody.
    #[must_use]
    pub fn authorized(self, authorization: &'a str) -> Self {
        Self { authorization: Some(authorization), ..self }
    }

    /// Appends the request as it goes over the wire.
    pub fn encode(&self, wire: &mut Vec<u8>) {
        for part in [self.method, " ", self.path, " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"] {
            wire.extend_from_slice(part.as_bytes());
        }
        if let Some(authorization) = self.authorization {
            for part in ["Authorization: ", authorization, "\r\n"] {
                wire.extend_from_slice(part.as_bytes());
            }
        }
        let (content_type, body) = self.body.unwrap_or_default();
        if !content_type.is_empty() {
            let head = format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
            wire.extend_from_slice(head.as_bytes());
        } else if self.method != "GET" {
            wire.extend_from_slice(b"Content-Length: 0\r\n");
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(body);
    }

    /// Method and path, for messages.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body, transfer coding undone.
    pub body: Bytes,
}

impl Response {
    /// Whether the status is a 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The start of the body as text, for messages.
    pub fn excerpt(&self) -> String {
        String::from_utf8_lossy(self.body.get(..300).unwrap_or(&self.body)).trim().to_owned()
    }
}

/// One keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: BytesMut,
    wire: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Io`] if nobody listens.
    pub async fn open(address: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await.map_err(Error::io(format!("connecting to {address}")))?;
        stream.set_nodelay(true).map_err(Error::io("setting TCP_NODELAY"))?;
        Ok(Self { stream, received: BytesMut::new(), wire: Vec::new() })
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// When the connection ends or the answer isn't HTTP.
    pub async fn request(&mut self, request: Request<'_>) -> Result<Response, Error> {
        let mut wire = std::mem::take(&mut self.wire);
        wire.clear();
        request.encode(&mut wire);
        let response = self.exchange(&wire).await;
        self.wire = wire;
        response
    }

    /// Sends a request and reads its answer as JSON; any status but 2xx is an error.
    ///
    /// # Errors
    /// Also [`Error::Status`] and [`Error::Json`].
    pub async fn json(&mut self, request: Request<'_>) -> Result<Value, Error> {
        let response = self.request(request).await?;
        if !response.is_success() {
            return Err(Error::Status { request: request.line(), status: response.status, body: response.excerpt() });
        }
        serde_json::from_slice(&response.body).map_err(|source| Error::Json { request: request.line(), source })
    }

    /// Sends an encoded request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection ends or the answer isn't HTTP.
    pub async fn exchange(&mut self, wire: &[u8]) -> Result<Response, Error> {
        let mut body = BytesMut::new();
        let (status, mut framing) = self.send(wire).await?;
        if let Framing::Length(length) = framing {
            self.receive_at_least(length).await?;
            return Ok(Response { status, body: self.received.split_to(length).freeze() });
        }
        while self.receive_body(&mut framing, &mut body).await? {}
        Ok(Response { status, body: body.freeze() })
    }

    /// Sends an encoded request and hands the answer's body on piece by piece, so that a long one needs no memory.
    ///
    /// # Errors
    /// When the connection ends or the answer isn't HTTP.
    pub async fn drain(&mut self, wire: &[u8], mut on_piece: impl FnMut(&[u8])) -> Result<u16, Error> {
        let (status, mut framing) = self.send(wire).await?;
        let mut piece = BytesMut::new();
        loop {
            let more = self.receive_body(&mut framing, &mut piece).await?;
            on_piece(&piece);
            piece.clear();
            if !more {
                return Ok(status);
            }
        }
    }

    /// Sends an encoded request whose answer goes on, and reads the answer's head.
    ///
    /// # Errors
    /// When the connection ends or the answer isn't HTTP.
    pub async fn follow(mut self, wire: &[u8]) -> Result<Stream, Error> {
        let (status, framing) = self.send(wire).await?;
        Ok(Stream { connection: self, status, framing, piece: BytesMut::new() })
    }

    async fn send(&mut self, wire: &[u8]) -> Result<(u16, Framing), Error> {
        self.stream.write_all(wire).await.map_err(Error::io("sending a request"))?;
        loop {
            if let Some(end) = memchr::memmem::find(&self.received, b"\r\n\r\n") {
                let head = self.received.split_to(end + 4);
                return parse_head(&head);
            }
            if self.received.len() > HEAD_BYTES_MAX {
                return Err(Error::Protocol("endless head"));
            }
            self.receive().await?;
        }
    }

    /// Appends what the body's next bytes are to `piece`; false after the last.
    async fn receive_body(&mut self, framing: &mut Framing, piece: &mut BytesMut) -> Result<bool, Error> {
        match framing {
            Framing::Length(0) => Ok(false),
            Framing::Length(left) => {
                self.receive_at_least(1).await?;
                let taken = self.received.split_to((*left).min(self.received.len()));
                *left -= taken.len();
                piece.unsplit(taken);
                Ok(*left > 0)
            }
            Framing::Chunked(decoder) => {
                let before = piece.len();
                decoder.decode(&mut self.received, piece)?;
                if !decoder.is_done() && piece.len() == before {
                    self.receive().await?;
                    decoder.decode(&mut self.received, piece)?;
                }
                Ok(!decoder.is_done())
            }
        }
    }

    async fn receive_at_least(&mut self, bytes: usize) -> Result<(), Error> {
        self.received.reserve(bytes.saturating_sub(self.received.len()));
        while self.received.len() < bytes {
            self.receive().await?;
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<(), Error> {
        self.received.reserve(READ_BYTES / 8);
        match self.stream.read_buf(&mut self.received).await.map_err(Error::io("receiving an answer"))? {
            0 => Err(Error::Closed),
            _ => Ok(()),
        }
    }
}

/// The body of an answer that goes on.
#[derive(Debug)]
pub struct Stream {
    connection: Connection,
    status: u16,
    framing: Framing,
    piece: BytesMut,
}

impl Stream {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The next bytes as they came, at least one; `None` at the end.
    ///
    /// # Errors
    /// When the connection ends without an end of the body.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let more = self.connection.receive_body(&mut self.framing, &mut self.piece).await?;
            if !self.piece.is_empty() {
                return Ok(Some(self.piece.split().freeze()));
            }
            if !more {
                return Ok(None);
            }
        }
    }
}

#[derive(Debug)]
enum Framing {
    Length(usize),
    Chunked(chunked::Decoder),
}

fn parse_head(head: &[u8]) -> Result<(u16, Framing), Error> {
    let text = std::str::from_utf8(head).map_err(|_error| Error::Protocol("a head that isn't text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.ok_or(Error::Protocol("a bad status line"))?;
    let mut framing = None;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.trim().parse().map_err(|_error| Error::Protocol("a bad content-length"))?;
            framing = Some(Framing::Length(length));
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Some(Framing::Chunked(chunked::Decoder::default()));
        }
    }
    match (status, framing) {
        (204 | 304, _) => Ok((status, Framing::Length(0))),
        (_, Some(framing)) => Ok((status, framing)),
        (_, None) => Err(Error::Protocol("a body without a length")),
    }
}

/// A sequence as text for `since`, whether the server writes it as a string or as a number.
pub fn seq_text(seq: &Value) -> String {
    seq.as_str().map_or_else(|| seq.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let length = |head: &str| match parse_head(head.as_bytes()).unwrap() {
            (status, Framing::Length(length)) => (status, Some(length)),
            (status, Framing::Chunked(_)) => (status, None),
        };
        assert_eq!(length("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"), (200, Some(12)));
        assert_eq!(length("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n"), (201, None));
        assert_eq!(length("HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n"), (304, Some(0)));
        for bad in ["HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "nonsense\r\n\r\n"] {
            assert!(parse_head(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn requests() {
        let encoded = |request: Request<'_>| {
            let mut wire = Vec::new();
            request.encode(&mut wire);
            String::from_utf8(wire).unwrap()
        };
        let start = "HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n";
        assert_eq!(encoded(Request::new("GET", "/a")), format!("GET /a {start}\r\n"));
        assert_eq!(encoded(Request::new("PUT", "/a")), format!("PUT /a {start}Content-Length: 0\r\n\r\n"));
        let posted = format!("POST /a {start}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}");
        assert_eq!(encoded(Request::json("POST", "/a", b"{}")), posted);
    }
}
