//! Request targets with characters that a URI can't hold, such as the quotes of `?startkey="a"`.
//!
//! People type them, CouchDB takes them, and hyper refuses the request before anybody sees it. [`Targets`] wraps a
//! connection and escapes them in what is read: in request lines alone, never in a body. To know where a request line
//! begins it follows heads and declared lengths; behind a head it can't follow (a chunked body, HTTP/2) it changes
//! nothing any more.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection on which such targets arrive escaped.
#[derive(Debug)]
pub struct Targets<S> {
    stream: S,
    scanner: Scanner,
    /// Read and escaped, for lack of room not handed on yet.
    waiting: Vec<u8>,
}

/// Follows the requests of a connection, however their bytes are cut.
#[derive(Debug)]
struct Scanner {
    place: Place,
    /// The beginning of the present line.
    line: Vec<u8>,
    /// What the present head declares.
    body: Declared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    RequestLine,
    Headers,
    /// So many bytes before the next request line.
    Body(u64),
    /// Nothing is known of what comes.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Nothing,
    Length(u64),
    /// Something else than one length.
    Unclear,
}

/// As much of a line as is looked at.
const LINE_BYTES_MAX: usize = 64;

impl<S> Targets<S> {
    /// Over a connection from which nothing was read yet.
    pub fn new(stream: S) -> Self {
        Self { stream, scanner: Scanner::new(), waiting: Vec::new() }
    }
}

impl Scanner {
    fn new() -> Self {
        Self { place: Place::RequestLine, line: Vec::new(), body: Declared::Nothing }
    }

    /// Which of these bytes, the next of the connection, must be escaped.
    fn scan(&mut self, bytes: &[u8]) -> Vec<usize> {
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.place {
                Place::RequestLine => {
                    let taken = self.take_line(rest);
                    let line = rest.get(..taken).unwrap_or_default();
                    if memchr::memchr3(b'"', b'<', b'>', line).is_some() || memchr::memchr(b'`', line).is_some() {
                        let refused = line.iter().enumerate().filter(|(_, byte)| refused(**byte));
                        found.extend(refused.map(|(index, _)| at + index));
                    }
                    taken
                }
                Place::Headers => self.take_line(rest),
                Place::Body(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let left = left - taken as u64;
                    self.place = if left == 0 { Place::RequestLine } else { Place::Body(left) };
                    taken
                }
                Place::Unknown => rest.len(),
            };
        }
        found
    }

    /// Takes the rest of the present line, or as much of it as there is. How many bytes that was.
    fn take_line(&mut self, rest: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', rest).map(|end| end + 1);
        let taken = end.unwrap_or(rest.len());
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        let looked_at = rest.get(..taken.min(room)).unwrap_or_default();
        match end {
            // Mostly a line comes in one piece: it isn't copied then.
            Some(_) if self.line.is_empty() => self.end_line(looked_at),
            Some(_) => {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(looked_at);
                self.end_line(&line);
            }
            None => self.line.extend_from_slice(looked_at),
        }
        taken
    }

    fn end_line(&mut self, line: &[u8]) {
        let is_empty = line.trim_ascii_end().is_empty();
        self.place = match self.place {
            // Empty lines before a request are skipped, as hyper does.
            Place::RequestLine if is_empty => Place::RequestLine,
            Place::RequestLine if line.starts_with(b"PRI ") => Place::Unknown,
            Place::RequestLine => {
                self.body = Declared::Nothing;
                Place::Headers
            }
            Place::Headers if is_empty => match self.body {
                Declared::Nothing | Declared::Length(0) => Place::RequestLine,
                Declared::Length(length) => Place::Body(length),
                Declared::Unclear => Place::Unknown,
            },
            Place::Headers => {
                self.body = declared(line, self.body);
                Place::Headers
            }
            place @ (Place::Body(_) | Place::Unknown) => place,
        };
    }
}

/// What a head declares of its body, with one header more.
fn declared(line: &[u8], before: Declared) -> Declared {
    let Some((name, value)) = memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) else {
        return before;
    };
    if name.eq_ignore_ascii_case(b"transfer-encoding") || name.eq_ignore_ascii_case(b"upgrade") {
        return Declared::Unclear;
    }
    if !name.eq_ignore_ascii_case(b"content-length") {
        return before;
    }
    let whole = value.strip_prefix(b":").map(<[u8]>::trim_ascii).filter(|_| line.len() < LINE_BYTES_MAX);
    let length = whole.and_then(|value| str::from_utf8(value).ok()?.parse().ok());
    match (before, length) {
        (Declared::Nothing, Some(length)) => Declared::Length(length),
        (Declared::Nothing | Declared::Length(_) | Declared::Unclear, _) => Declared::Unclear,
    }
}

/// What hyper refuses in a path or a query, of what clients send.
fn refused(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`')
}

impl<S: AsyncRead + Unpin> AsyncRead for Targets<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.waiting.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let found = this.scanner.scan(buf.filled().get(before..).unwrap_or_default());
            if found.is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.waiting = escape(buf.filled().get(before..).unwrap_or_default(), &found);
            buf.set_filled(before);
        }
        let handed_on = this.waiting.len().min(buf.remaining());
        buf.put_slice(this.waiting.get(..handed_on).unwrap_or_default());
        drop(this.waiting.drain(..handed_on));
        Poll::Ready(Ok(()))
    }
}

/// The bytes, with those at `places` percent-encoded.
fn escape(bytes: &[u8], places: &[usize]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2 * places.len());
    let mut copied = 0;
    for place in places {
        out.extend_from_slice(bytes.get(copied..*place).unwrap_or_default());
        if let Some(byte) = bytes.get(*place) {
            out.extend_from_slice(percent_encoding::percent_encode_byte(*byte).as_bytes());
        }
        copied = place + 1;
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    out
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Targets<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use tokio::io::AsyncReadExt;

    /// A connection on which these pieces arrive, one at a time.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if let Some(mut piece) = self.0.pop_front() {
                let rest = piece.split_off(piece.len().min(buf.remaining()));
                buf.put_slice(&piece);
                if !rest.is_empty() {
                    self.0.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    /// What is read of `sent`, which arrives in pieces of `piece` bytes, with room for `room` at a time.
    async fn read(sent: &str, piece: usize, room: usize) -> String {
        let pieces = sent.as_bytes().chunks(piece).map(<[u8]>::to_vec).collect();
        let mut targets = Targets::new(Pieces(pieces));
        let (mut out, mut buffer) = (Vec::new(), vec![0; room]);
        loop {
            match targets.read(&mut buffer).await.unwrap() {
                0 => return String::from_utf8(out).unwrap(),
                length => out.extend_from_slice(&buffer[..length]),
            }
        }
    }

    #[track_caller]
    fn check(sent: &str, expected: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (piece, room) in [(usize::MAX, 4096), (1, 4096), (2, 1), (3, 7), (7, 3), (64, 64)] {
            assert_eq!(runtime.block_on(read(sent, piece, room)), expected, "in pieces of {piece}, room for {room}");
        }
    }

    const SEARCH: &str = "GET /db/_all_docs?key=\"a\" HTTP/1.1\r\nHost: \"h\"\r\n\r\n";
    const ESCAPED: &str = "GET /db/_all_docs?key=%22a%22 HTTP/1.1\r\nHost: \"h\"\r\n\r\n";

    #[test]
    fn targets_are_escaped_and_nothing_else_is() {
        check(SEARCH, ESCAPED);
        check("GET /<a>`b HTTP/1.1\n\n", "GET /%3Ca%3E%60b HTTP/1.1\n\n");
        check("GET /db/a%22b?x=%3C HTTP/1.1\r\n\r\n", "GET /db/a%22b?x=%3C HTTP/1.1\r\n\r\n");
        check("", "");
    }

    #[test]
    fn bodies_stay_as_they_are() {
        let put = "PUT /db/a HTTP/1.1\r\ncontent-LENGTH:  42\r\n\r\nGET /db/_all_docs?key=\"a\" HTTP/1.1\r\n\r\n<>\"`";
        check(&format!("{put}{SEARCH}"), &format!("{put}{ESCAPED}"));
        let empty = "POST /db/_compact HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
        check(&format!("{empty}\r\n{SEARCH}{SEARCH}"), &format!("{empty}\r\n{ESCAPED}{ESCAPED}"));
        let other = "PUT /a HTTP/1.1\r\nContent-Length-Of-It: 900\r\n\r\n";
        check(&format!("{other}{SEARCH}"), &format!("{other}{ESCAPED}"));
    }

    #[test]
    fn what_can_not_be_followed_is_left_alone() {
        let heads = [
            "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "PUT /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "PUT /a HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "PUT /a HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ];
        for head in heads {
            let sent = format!("{head}{SEARCH}");
            check(&sent, &sent);
        }
    }

    #[test]
    fn lengths_beyond_what_is_looked_at_are_unclear() {
        let head = format!("PUT /a HTTP/1.1\r\nContent-Length: {}1\r\n\r\nx", " ".repeat(80));
        let sent = format!("{head}{SEARCH}");
        check(&sent, &sent);
    }
}
