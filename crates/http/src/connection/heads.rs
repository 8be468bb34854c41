//! Where the heads of requests lie in what a client sends, and which of their bytes must be escaped.
//!
//! CouchDB takes `GET /db/_all_docs?startkey="a"` as curl sends it; the parser behind us doesn't. So the few bytes that
//! it refuses in a target are replaced by their percent-encoding before it sees them. Only bytes known to belong to a
//! request line are touched: how long a body is, the parser itself tells ([`Heads::frame`]), and when it ever disagrees
//! about where a head ends, nothing more is touched on that connection.

use memchr::{memchr, memchr_iter, memchr2};

/// Follows one connection's requests.
#[derive(Debug)]
pub(super) struct Heads {
    place: Place,
    /// Bytes handed on since the last body ended.
    since_body: usize,
}

/// How the body behind a head is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; none, mostly.
    Sized(u64),
    Chunked,
}

/// In which part of a request the next byte lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a request line, where empty lines may be.
    Before,
    Method,
    /// The target, and what follows it in the request line.
    Target,
    Fields(Line),
    /// Behind a head. What follows is unknown until the head was understood.
    Behind,
    Body(u64),
    Chunks(Chunk),
    /// Nobody knows.
    Lost,
}

/// What is seen of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Empty,
    /// A carriage return and nothing else.
    Return,
    Text,
}

/// In which part of a chunked body the next byte lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Size(u64),
    Extension(u64),
    Data(u64),
    /// The line's end behind the data.
    DataEnd,
    Trailer(Line),
}

/// What is to be done about bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Hand on so many as they are; at least one.
    Pass(usize),
    /// Hand on the first one escaped.
    Escape(u8),
    /// Hand on none before the head was understood.
    Hold,
}

impl Heads {
    pub(super) fn new() -> Self {
        Self { place: Place::Before, since_body: 0 }
    }

    /// Touches nothing.
    pub(super) fn lost() -> Self {
        Self { place: Place::Lost, since_body: 0 }
    }

    /// Takes in what the parser understood since the last bytes were handed on.
    pub(super) fn frame(&mut self, framing: Option<Framing>) {
        self.place = match (self.place, framing) {
            (Place::Behind, Some(Framing::Sized(0))) => self.body_ended(),
            (Place::Behind, Some(Framing::Sized(length))) => Place::Body(length),
            (Place::Behind, Some(Framing::Chunked)) => Place::Chunks(Chunk::Size(0)),
            (Place::Behind, None) | (_, Some(_)) => Place::Lost,
            (place, None) => place,
        };
    }

    /// Whether bytes handed on, of which the parser has the last `unread` still before it, end no request's body early:
    /// another parser may go on from there.
    pub(super) fn is_between(&self, unread: usize) -> bool {
        match self.place {
            Place::Before | Place::Method | Place::Target | Place::Fields(_) | Place::Behind => {
                unread <= self.since_body
            }
            Place::Body(_) | Place::Chunks(_) | Place::Lost => false,
        }
    }

    /// Whether the bytes handed on end in a request line.
    pub(super) fn is_in_target(&self) -> bool {
        self.place == Place::Target
    }

    /// What to do about the next bytes; not for none.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Next {
        let mut passed = 0;
        loop {
            let rest = bytes.get(passed..).unwrap_or_default();
            if rest.is_empty() {
                return Next::Pass(passed);
            }
            let length = self.step(rest);
            match (length, self.place, rest.first()) {
                (0, Place::Target, Some(byte)) if passed == 0 => {
                    self.since_body += 3;
                    return Next::Escape(*byte);
                }
                (0, Place::Behind, _) if passed == 0 => return Next::Hold,
                (0, Place::Target | Place::Behind, _) => return Next::Pass(passed),
                _ => passed += length,
            }
        }
    }

    /// Goes over bytes of one place. How many they were.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let (place, length) = match self.place {
            Place::Before => match bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count() {
                length if length < bytes.len() => (Place::Method, length),
                length => (Place::Before, length),
            },
            Place::Method => match memchr2(b' ', b'\n', bytes) {
                None => (Place::Method, bytes.len()),
                Some(end) if bytes.get(end) == Some(&b' ') => (Place::Target, end + 1),
                Some(end) => (Place::Fields(Line::Empty), end + 1),
            },
            Place::Target => target(bytes),
            Place::Fields(line) => match after_empty_line(line, bytes) {
                Ok(length) => (Place::Behind, length),
                Err(line) => (Place::Fields(line), bytes.len()),
            },
            Place::Body(left) => {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                (Place::Body(left - length as u64), length)
            }
            Place::Chunks(chunk) => match chunk.step(bytes) {
                Some((Some(chunk), length)) => (Place::Chunks(chunk), length),
                Some((None, length)) => (Place::Body(0), length),
                None => (Place::Lost, 0),
            },
            Place::Behind | Place::Lost => (self.place, if self.place == Place::Lost { bytes.len() } else { 0 }),
        };
        self.since_body += length;
        self.place = if place == Place::Body(0) { self.body_ended() } else { place };
        length
    }

    fn body_ended(&mut self) -> Place {
        self.since_body = 0;
        Place::Before
    }
}

/// Goes on in a target up to a byte to escape, or over the line's end.
fn target(bytes: &[u8]) -> (Place, usize) {
    let end = memchr(b'\n', bytes);
    let line = bytes.get(..end.map_or(bytes.len(), |end| end + 1)).unwrap_or_default();
    match (line.iter().position(|byte| is_refused(*byte)), end) {
        (Some(length), _) => (Place::Target, length),
        (None, Some(_)) => (Place::Fields(Line::Empty), line.len()),
        (None, None) => (Place::Target, line.len()),
    }
}

/// Whether the parser refuses a byte in a target, where CouchDB takes it.
fn is_refused(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`' | 0x7f..)
}

/// Looks for the empty line that ends a head or trailers: how many bytes end with it, or what is seen of the last line.
fn after_empty_line(mut line: Line, bytes: &[u8]) -> Result<usize, Line> {
    let mut start = 0;
    for end in memchr_iter(b'\n', bytes) {
        if line.with(bytes.get(start..end).unwrap_or_default()) != Line::Text {
            return Ok(end + 1);
        }
        (line, start) = (Line::Empty, end + 1);
    }
    Err(line.with(bytes.get(start..).unwrap_or_default()))
}

impl Line {
    fn with(self, bytes: &[u8]) -> Self {
        match (self, bytes) {
            (line, b"") => line,
            (Self::Empty, b"\r") => Self::Return,
            (Self::Empty | Self::Return | Self::Text, _) => Self::Text,
        }
    }
}

impl Chunk {
    /// Goes over bytes of one part: the part that follows, none behind the body, and how many they were. `None` for
    /// what can't be.
    fn step(self, bytes: &[u8]) -> Option<(Option<Self>, usize)> {
        let first = *bytes.first()?;
        Some(match (self, first) {
            (Self::Size(size) | Self::Extension(size), b'\n') if size == 0 => (Some(Self::Trailer(Line::Empty)), 1),
            (Self::Size(size) | Self::Extension(size), b'\n') => (Some(Self::Data(size)), 1),
            (Self::Size(size), b';' | b' ' | b'\t' | b'\r') => (Some(Self::Extension(size)), 1),
            (Self::Size(size), digit) => {
                let digit = u64::from(char::from(digit).to_digit(16)?);
                (Some(Self::Size(size.checked_mul(16)? + digit)), 1)
            }
            (Self::Extension(_), _) => (Some(self), memchr(b'\n', bytes).unwrap_or(bytes.len())),
            (Self::Data(left), _) => {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - length as u64;
                (Some(if left == 0 { Self::DataEnd } else { Self::Data(left) }), length)
            }
            (Self::DataEnd, b'\r') => (Some(Self::DataEnd), 1),
            (Self::DataEnd, b'\n') => (Some(Self::Size(0)), 1),
            (Self::DataEnd, _) => return None,
            (Self::Trailer(line), _) => match after_empty_line(line, bytes) {
                Ok(length) => (None, length),
                Err(line) => (Some(Self::Trailer(line)), bytes.len()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands `sent` on in pieces of `size`; heads are understood as `framings` says, one after the other.
    fn handed_on(sent: &[u8], size: usize, framings: &[Framing]) -> (String, Heads) {
        let (mut heads, mut out, mut framings) = (Heads::new(), Vec::new(), framings.iter());
        for mut piece in sent.chunks(size) {
            while !piece.is_empty() {
                match heads.next(piece) {
                    Next::Pass(length) => {
                        out.extend_from_slice(&piece[..length]);
                        piece = &piece[length..];
                    }
                    Next::Escape(byte) => {
                        out.extend_from_slice(format!("%{byte:02X}").as_bytes());
                        piece = &piece[1..];
                    }
                    Next::Hold => heads.frame(framings.next().copied()),
                }
            }
        }
        (String::from_utf8(out).unwrap(), heads)
    }

    #[track_caller]
    fn check(sent: &str, framings: &[Framing], expected: &str) {
        for size in 1..=sent.len() {
            assert_eq!(handed_on(sent.as_bytes(), size, framings).0, expected, "in pieces of {size}");
        }
    }

    const BARE: Framing = Framing::Sized(0);

    #[test]
    fn only_targets_are_touched() {
        let usual = "GET /a?b=%22c HTTP/1.1\r\nx: \"<>\r\n\r\n";
        check(usual, &[BARE], usual);
        check("GET /\"?a=\"<b>` HTTP/1.1\r\n\r\n", &[BARE], "GET /%22?a=%22%3Cb%3E%60 HTTP/1.1\r\n\r\n");
        check("\r\n\nGET /é HTTP/1.1\n\n", &[BARE], "\r\n\nGET /%C3%A9 HTTP/1.1\n\n");
        check("<>\nGET \" HTTP/1.1\n\n", &[BARE], "<>\nGET \" HTTP/1.1\n\n");
    }

    #[test]
    fn each_request_of_a_connection_is_seen() {
        let get = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
        check(&get("/\"").repeat(3), &[BARE; 3], &get("/%22").repeat(3));
    }

    #[test]
    fn bodies_are_left_alone() {
        let body = "GET /\"<> HTTP/1.1\r\n\r\n";
        let sized = format!("PUT /a HTTP/1.1\r\n\r\n{body}");
        let sent = format!("{sized}{body}");
        check(&sent, &[Framing::Sized(body.len() as u64), BARE], &format!("{sized}GET /%22%3C%3E HTTP/1.1\r\n\r\n"));
        let chunked =
            format!("PUT /a HTTP/1.1\r\n\r\n15;x=\"\r\n{body}\r\n00000A\r\n\n\n\"\n\n\"\n\n\n\n\r\n0\r\na: \"\r\n\r\n");
        let sent = format!("{chunked}{body}");
        check(&sent, &[Framing::Chunked, BARE], &format!("{chunked}GET /%22%3C%3E HTTP/1.1\r\n\r\n"));
    }

    #[test]
    fn when_in_doubt_nothing_is_touched() {
        let sent = "GET / HTTP/1.1\r\n\r\nGET /\" HTTP/1.1\r\n\r\n";
        check(sent, &[], sent);
        let bad = "PUT / HTTP/1.1\r\n\r\nzz\r\nGET /\" HTTP/1.1\r\n\r\n";
        check(bad, &[Framing::Chunked], bad);
        let mut early = handed_on(b"GET / HTTP", 10, &[]).1;
        early.frame(Some(BARE));
        assert_eq!(early.next(b"\""), Next::Pass(1));
    }

    #[test]
    fn another_parser_may_go_on_where_the_first_has_read_a_whole_request() {
        let (_, mut heads) = handed_on(b"PUT / HTTP/1.1\r\n\r\n", 5, &[]);
        heads.frame(Some(Framing::Sized(3)));
        assert!(!heads.is_between(0));
        assert_eq!(heads.next(b"abc"), Next::Pass(3));
        assert!(heads.is_between(0) && !heads.is_between(1));
        assert_eq!(heads.next(b"GET /"), Next::Pass(5));
        assert!(heads.is_between(5) && !heads.is_between(6));
        assert!(!Heads::lost().is_between(0));
    }
}
