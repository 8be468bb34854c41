//! The bytes around the parts of a multipart body.
//!
//! The form is CouchDB's: no line break before the first delimiter or after the last, so that lengths add up as its
//! clients expect.

use bytes::{BufMut, Bytes, BytesMut};

use super::Boundary;

/// Makes the bytes before each part and after the last.
#[derive(Clone, Debug)]
pub struct Writer {
    boundary: Boundary,
    started: bool,
}

/// All the bytes around parts of known lengths, with the length of the whole.
///
/// A body of its own kind nests: give its [`content_length`](Self::content_length) as the length of an outer part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What goes before each part, in order.
    pub heads: Vec<Bytes>,
    /// What goes after the last.
    pub end: Bytes,
    /// The length of the whole body.
    pub content_length: u64,
}

impl Writer {
    /// A writer at the beginning of a body. The boundary must not occur in any part.
    pub fn new(boundary: Boundary) -> Self {
        Self { boundary, started: false }
    }

    /// The boundary, for the `Content-Type`.
    pub fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// The bytes before the next part's body: delimiter, headers, empty line.
    ///
    /// A line break in a header would let its author write headers of their own; it becomes a space.
    pub fn part(&mut self, headers: &[(&str, &str)]) -> Bytes {
        let mut head = BytesMut::with_capacity(128);
        self.put_delimiter(&mut head);
        for (name, value) in headers {
            head.put_slice(b"\r\n");
            put_line(&mut head, name);
            head.put_slice(b": ");
            put_line(&mut head, value);
        }
        head.put_slice(b"\r\n\r\n");
        head.freeze()
    }

    /// The bytes after the last part's body.
    pub fn end(mut self) -> Bytes {
        let mut end = BytesMut::with_capacity(80);
        self.put_delimiter(&mut end);
        end.put_slice(b"--");
        end.freeze()
    }

    fn put_delimiter(&mut self, out: &mut BytesMut) {
        out.put_slice(if self.started { b"\r\n--" } else { b"--" });
        out.put_slice(self.boundary.as_str().as_bytes());
        self.started = true;
    }
}

impl Layout {
    /// Lays out `parts`, each given by its headers and the length of its body.
    pub fn new<'a>(boundary: Boundary, parts: impl IntoIterator<Item = (&'a [(&'a str, &'a str)], u64)>) -> Self {
        let mut writer = Writer::new(boundary);
        let mut heads = Vec::new();
        let mut content_length = 0;
        for (headers, body_bytes) in parts {
            let head = writer.part(headers);
            content_length += head.len() as u64 + body_bytes;
            heads.push(head);
        }
        let end = writer.end();
        content_length += end.len() as u64;
        Self { heads, end, content_length }
    }
}

fn put_line(out: &mut BytesMut, text: &str) {
    out.extend(text.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
}
