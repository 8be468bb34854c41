//! A small blocking HTTP/1.1 client for tests: whole answers, and endless ones read line by line.
//!
//! It shows what the server sent, adding nothing: no redirects, no cookies, no decompression.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the server may be silent before a read fails.
const SILENCE: Duration = Duration::from_secs(30);

/// Makes one connection for each request.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    address: SocketAddr,
}

/// A connection for several requests, one after the other.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    address: SocketAddr,
}

/// An answer, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// Its header lines, in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, out of its chunks.
    pub body: Vec<u8>,
}

/// An answer that comes in lines, such as a continuous feed.
#[derive(Debug)]
pub struct Stream {
    /// Its status code.
    pub status: u16,
    /// Its header lines, in order, names in lower case.
    pub headers: Vec<(String, String)>,
    body: BufReader<Body<BufReader<TcpStream>>>,
}

impl Client {
    /// A client of the server at `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the server cannot be reached, ends the answer early, is silent for 30 seconds or doesn't speak HTTP/1.1.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        Connection::open(self.address)?.request(method, path, headers, body)
    }

    /// Sends a request and returns as soon as the head of the answer is there.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn stream(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Stream> {
        let mut connection = Connection::open(self.address)?;
        connection.send(method, path, headers, body)?;
        let head = Head::read(&mut connection.reader)?;
        let body = Body::new(connection.reader, head.framing(method)?);
        Ok(Stream { status: head.status, headers: head.headers, body: BufReader::new(body) })
    }

    /// `GET`.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn get(&self, path: &str) -> io::Result<Response> {
        self.request("GET", path, &[], b"")
    }

    /// `PUT` of JSON.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn put(&self, path: &str, json: &str) -> io::Result<Response> {
        self.request("PUT", path, &[("content-type", "application/json")], json.as_bytes())
    }

    /// `POST` of JSON.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn post(&self, path: &str, json: &str) -> io::Result<Response> {
        self.request("POST", path, &[("content-type", "application/json")], json.as_bytes())
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn delete(&self, path: &str) -> io::Result<Response> {
        self.request("DELETE", path, &[], b"")
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, SILENCE)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream), address })
    }

    /// Sends a request and reads the whole answer; the connection stays open if the server lets it.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        self.send(method, path, headers, body)?;
        self.answer(method)
    }

    /// Waits until the server asks for the body of a request that expects to be asked.
    ///
    /// # Errors
    /// When something else comes.
    pub fn wait_for_continue(&mut self) -> io::Result<()> {
        let head = Head::read_one(&mut self.reader)?;
        if head.status == 100 { Ok(()) } else { Err(invalid(format!("not asked for a body but told {}", head.status))) }
    }

    /// Reads the whole answer to a request of this method that was sent by [`Connection::send_raw`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn answer(&mut self, method: &str) -> io::Result<Response> {
        let head = Head::read(&mut self.reader)?;
        let mut body = Vec::new();
        Body::new(&mut self.reader, head.framing(method)?).read_to_end(&mut body)?;
        Ok(Response { status: head.status, headers: head.headers, body })
    }

    /// Sends bytes as they are: for requests that are wrong.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "PUT" | "POST") {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        self.send_raw(&[request.as_bytes(), body].concat())
    }
}

impl Response {
    /// The first header of this name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text; what isn't UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Stream {
    /// The first header of this name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The next line without its end, or `None` at the end of the answer. Heartbeats are empty lines.
    ///
    /// # Errors
    /// When the connection breaks, or the server is silent for too long (30 seconds, or as set).
    pub fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        if self.body.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The next line that isn't empty.
    ///
    /// # Errors
    /// As [`Stream::next_line`].
    pub fn next_row(&mut self) -> io::Result<Option<String>> {
        loop {
            match self.next_line()? {
                Some(line) if line.is_empty() => {}
                line => return Ok(line),
            }
        }
    }

    /// How long the server may be silent before a read fails.
    ///
    /// # Errors
    /// When the duration is zero.
    pub fn set_silence(&self, silence: Duration) -> io::Result<()> {
        self.body.get_ref().reader.get_ref().set_read_timeout(Some(silence))
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a head, passing over interim answers such as `100 Continue`.
    fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        loop {
            let head = Self::read_one(reader)?;
            if !(100..200).contains(&head.status) {
                return Ok(head);
            }
        }
    }

    fn read_one(reader: &mut impl BufRead) -> io::Result<Self> {
        let status_line = read_line(reader)?;
        let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| invalid(format!("not a status line: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = read_line(reader)?;
            if line.is_empty() {
                return Ok(Self { status, headers });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(format!("not a header: {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn framing(&self, method: &str) -> io::Result<Framing> {
        if method == "HEAD" || matches!(self.status, 204 | 304) {
            return Ok(Framing::Length(0));
        }
        if find(&self.headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Framing::Chunked { left: 0, first: true });
        }
        match find(&self.headers, "content-length") {
            Some(text) => {
                text.parse().map(Framing::Length).map_err(|_not_a_number| invalid(format!("content-length: {text}")))
            }
            None => Ok(Framing::UntilClose),
        }
    }
}

/// How the end of a body is known.
#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunked { left: u64, first: bool },
    Ended,
    UntilClose,
}

/// The bytes of a body, without what frames them.
#[derive(Debug)]
struct Body<R> {
    reader: R,
    framing: Framing,
}

impl<R: BufRead> Body<R> {
    fn new(reader: R, framing: Framing) -> Self {
        Self { reader, framing }
    }

    /// Reads the size of the next chunk; the last one has none, and is followed by trailers.
    fn next_chunk(&mut self, first: bool) -> io::Result<()> {
        if !first {
            read_line(&mut self.reader)?;
        }
        let line = read_line(&mut self.reader)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let left =
            u64::from_str_radix(size, 16).map_err(|_not_a_number| invalid(format!("not a chunk size: {line:?}")))?;
        self.framing = Framing::Chunked { left, first: false };
        if left == 0 {
            while !read_line(&mut self.reader)?.is_empty() {}
            self.framing = Framing::Ended;
        }
        Ok(())
    }

    /// Reads from a part of which `left` bytes are still to come.
    fn read_part(&mut self, buffer: &mut [u8], left: u64) -> io::Result<usize> {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.reader.read(buffer.get_mut(..most).unwrap_or_default())?;
        if count == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer ends early"));
        }
        Ok(count)
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Framing::Chunked { left: 0, first } = self.framing {
            self.next_chunk(first)?;
        }
        match self.framing {
            // An empty read would wait for the server's next bytes.
            Framing::Ended | Framing::Length(0) => Ok(0),
            Framing::UntilClose => self.reader.read(buffer),
            Framing::Length(left) => {
                let count = self.read_part(buffer, left)?;
                self.framing = Framing::Length(left - count as u64);
                Ok(count)
            }
            Framing::Chunked { left, first } => {
                let count = self.read_part(buffer, left)?;
                self.framing = Framing::Chunked { left: left - count as u64, first };
                Ok(count)
            }
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that answers one connection with these bytes.
    fn answering(bytes: &'static str) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = BufReader::new(stream.try_clone().unwrap());
            while !read_line(&mut request).unwrap().is_empty() {}
            stream.write_all(bytes.as_bytes()).unwrap();
        });
        client
    }

    fn body_of(answer: &'static str) -> Result<String, io::ErrorKind> {
        answering(answer).get("/").map(|response| response.text()).map_err(|error| error.kind())
    }

    #[test]
    fn bodies_end_where_they_say() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(body_of("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"), ok("abc"));
        assert_eq!(body_of("HTTP/1.1 200 OK\r\n\r\nabcdef"), ok("abcdef"));
        assert_eq!(body_of("HTTP/1.1 204 No Content\r\n\r\nabc"), ok(""));
        assert_eq!(
            body_of(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nt: x\r\n\r\nno"
            ),
            ok("abc0123456789")
        );
        assert_eq!(body_of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx"), ok("x"));
        assert_eq!(body_of("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(
            body_of("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab"),
            Err(io::ErrorKind::UnexpectedEof)
        );
        assert_eq!(body_of("SMTP"), Err(io::ErrorKind::InvalidData));
    }

    #[test]
    fn streams_are_read_by_line() {
        let client = answering(
            "HTTP/1.1 200 OK\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\n4\r\none\n\r\n5\r\n\ntwo\n\r\n0\r\n\r\n",
        );
        let mut stream = client.stream("GET", "/", &[("accept", "*/*")], b"").unwrap();
        assert_eq!((stream.status, stream.header("x")), (200, Some("y")));
        let rows: Vec<String> = std::iter::from_fn(|| stream.next_row().unwrap()).collect();
        assert_eq!(rows, ["one", "two"]);
    }
}
