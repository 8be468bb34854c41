//! The pure multipart parser: bytes in, events out.
//!
//! What the events say does not depend on how the bytes were cut. Data is handed out as slices of the input; only a
//! possible beginning of a delimiter at the end of a chunk (under 400 bytes) and a part's headers are ever held back.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;

use super::{Boundary, MultipartError, PartHead};

/// The longest headers of one part, in bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most blanks after a delimiter; with more it isn't one.
const PADDING_BYTES_MAX: usize = 256;

/// What the scanner found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing more can be said: [`feed`](Scanner::feed) a chunk or [`close`](Scanner::close).
    NeedInput,
    /// A part begins.
    Part(PartHead),
    /// Some bytes of the part's body, at least one.
    Data(Bytes),
    /// The part is complete.
    PartEnd,
    /// The closing delimiter was read; what follows is ignored.
    End,
}

/// A multipart parser without I/O.
#[derive(Debug)]
pub struct Scanner {
    /// Finds CRLF, two hyphens, the boundary.
    delimiter: Finder<'static>,
    /// What was fed and isn't used yet.
    input: Bytes,
    closed: bool,
    state: State,
    /// The bytes of the headers being read.
    head: BytesMut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the very beginning, where the delimiter has no line break before it.
    Start,
    Preamble,
    Head,
    Body,
    /// After the closing delimiter.
    Epilogue,
    /// After an error.
    Failed,
}

/// What follows the text of a delimiter.
#[derive(Clone, Copy)]
enum Tail {
    /// Too little to say.
    Unknown,
    /// The end of the line, after so many bytes.
    Line(usize),
    /// Two hyphens: the last delimiter.
    Close,
    /// Anything else: a longer text that only begins like the delimiter.
    Other,
}

/// What the search for a delimiter found at the front of the input.
enum Found {
    /// So many bytes before any delimiter, at least one.
    Text(usize),
    /// A delimiter and its line, of so many bytes; another part follows.
    Delimiter(usize),
    Close,
    /// It depends on what comes next.
    Unknown,
}

impl Scanner {
    /// A parser at the beginning of a body.
    pub fn new(boundary: &Boundary) -> Self {
        let delimiter = Finder::new(format!("\r\n--{boundary}").as_bytes()).into_owned();
        Self { delimiter, input: Bytes::new(), closed: false, state: State::Start, head: BytesMut::new() }
    }

    /// Adds a chunk. Costs nothing if the scanner was at [`Event::NeedInput`] with nothing held back, else a copy.
    pub fn feed(&mut self, chunk: Bytes) {
        if self.input.is_empty() {
            self.input = chunk;
            return;
        }
        let mut joined = BytesMut::with_capacity(self.input.len() + chunk.len());
        joined.extend_from_slice(&self.input);
        joined.extend_from_slice(&chunk);
        self.input = joined.freeze();
    }

    /// No more chunks will come.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The next event. After an error only errors follow.
    ///
    /// # Errors
    /// [`MultipartError::Unclosed`], [`MultipartError::HeadTooLong`], [`MultipartError::BadHead`].
    pub fn next_event(&mut self) -> Result<Event, MultipartError> {
        let event = self.advance();
        match &event {
            Err(_) => self.state = State::Failed,
            Ok(Event::NeedInput) if self.closed => {
                self.state = State::Failed;
                return Err(MultipartError::Unclosed);
            }
            Ok(_) => {}
        }
        event
    }

    fn advance(&mut self) -> Result<Event, MultipartError> {
        loop {
            match self.state {
                State::Start => match self.find_at_start() {
                    Found::Unknown => return Ok(Event::NeedInput),
                    Found::Text(_) => self.state = State::Preamble,
                    Found::Delimiter(bytes) => self.enter_head(bytes),
                    Found::Close => self.state = State::Epilogue,
                },
                State::Preamble => match self.find_delimiter(1) {
                    Found::Unknown => return Ok(Event::NeedInput),
                    Found::Text(bytes) => self.input.advance(bytes),
                    Found::Delimiter(bytes) => self.enter_head(bytes),
                    Found::Close => self.state = State::Epilogue,
                },
                State::Head => return self.read_head(),
                State::Body => return Ok(self.read_body()),
                State::Epilogue => {
                    self.input = Bytes::new();
                    return Ok(Event::End);
                }
                State::Failed => return Err(MultipartError::Unclosed),
            }
        }
    }

    fn enter_head(&mut self, delimiter_bytes: usize) {
        self.input.advance(delimiter_bytes);
        self.head.clear();
        self.state = State::Head;
    }

    fn read_body(&mut self) -> Event {
        match self.find_delimiter(0) {
            Found::Unknown => Event::NeedInput,
            Found::Text(bytes) => Event::Data(self.input.split_to(bytes)),
            Found::Delimiter(bytes) => {
                self.enter_head(bytes);
                Event::PartEnd
            }
            Found::Close => {
                self.state = State::Epilogue;
                Event::PartEnd
            }
        }
    }

    /// Moves input into `head` until it holds the empty line; what lies beyond stays in the input.
    fn read_head(&mut self) -> Result<Event, MultipartError> {
        let held = self.head.len();
        let room = (HEAD_BYTES_MAX + 4).saturating_sub(held).min(self.input.len());
        self.head.extend_from_slice(self.input.get(..room).unwrap_or_default());
        let Some((lines, all)) = head_end(&self.head, held) else {
            self.input.advance(room);
            return if self.head.len() >= HEAD_BYTES_MAX + 4 {
                Err(MultipartError::HeadTooLong)
            } else {
                Ok(Event::NeedInput)
            };
        };
        self.input.advance(all.saturating_sub(held));
        let head = PartHead::parse(self.head.get(..lines).unwrap_or_default())?;
        self.state = State::Body;
        Ok(Event::Part(head))
    }

    /// Looks for the delimiter without its line break, which must stand at the very front.
    fn find_at_start(&self) -> Found {
        let text = self.delimiter_from(2);
        if let Some(rest) = self.input.strip_prefix(text) {
            return found(tail(rest), text.len());
        }
        if text.starts_with(&self.input) { Found::Unknown } else { Found::Text(0) }
    }

    /// Looks for the delimiter, less its first `skip` bytes (1 accepts a bare line feed before it).
    fn find_delimiter(&self, skip: usize) -> Found {
        let text = self.delimiter_from(skip);
        let position = match skip {
            0 => self.delimiter.find(&self.input),
            _ => memchr::memmem::find(&self.input, text),
        };
        match position {
            Some(0) => found(tail(self.input.get(text.len()..).unwrap_or_default()), text.len()),
            Some(bytes) => Found::Text(bytes),
            None => match self.input.len() - held_back(&self.input, text) {
                0 => Found::Unknown,
                bytes => Found::Text(bytes),
            },
        }
    }

    fn delimiter_from(&self, skip: usize) -> &[u8] {
        self.delimiter.needle().get(skip..).unwrap_or_default()
    }
}

fn found(tail: Tail, text_bytes: usize) -> Found {
    match tail {
        Tail::Unknown => Found::Unknown,
        Tail::Line(bytes) => Found::Delimiter(text_bytes + bytes),
        Tail::Close => Found::Close,
        Tail::Other => Found::Text(text_bytes),
    }
}

fn tail(rest: &[u8]) -> Tail {
    if rest.starts_with(b"--") {
        return Tail::Close;
    }
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match rest.get(padding..).unwrap_or_default() {
        _ if padding > PADDING_BYTES_MAX => Tail::Other,
        [b'\r', b'\n', ..] => Tail::Line(padding + 2),
        [] | [b'\r'] => Tail::Unknown,
        [b'-'] if padding == 0 => Tail::Unknown,
        _ => Tail::Other,
    }
}

/// How many bytes at the end of `input` may be the beginning of `text`, whose first byte occurs in it only once.
fn held_back(input: &[u8], text: &[u8]) -> usize {
    let window = input.get(input.len().saturating_sub(text.len() - 1)..).unwrap_or_default();
    let start = text.first().and_then(|first| memchr::memrchr(*first, window));
    let end = start.and_then(|start| window.get(start..)).unwrap_or_default();
    if text.starts_with(end) { end.len() } else { 0 }
}

/// Where the header lines end, and where the empty line after them ends. The first `seen` bytes were looked at before.
fn head_end(head: &[u8], seen: usize) -> Option<(usize, usize)> {
    if head.starts_with(b"\r\n") {
        return Some((0, 2));
    }
    let from = seen.saturating_sub(3);
    let at = from + memchr::memmem::find(head.get(from..)?, b"\r\n\r\n")?;
    Some((at, at + 4))
}
