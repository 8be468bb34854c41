//! Reads values out of a text that is known to be valid JSON: nothing is checked, and what isn't asked for is passed over.
//!
//! For text this crate has scanned before, such as stored members. Of other text the answers mean nothing, but every
//! method still returns: it neither panics nor loops. Of repeated names all are handed out.

use std::borrow::Cow;

use crate::cursor::plain_len;
use crate::string::unescape;

/// A position in a text that is known to be valid JSON.
///
/// What a method needs to stand at the cursor is said there; text that begins with members, without the brace around
/// them, is read with [`next_name`](Self::next_name) straight away.
///
/// ```
/// # use tidegate_json::{Kind, Reader};
/// let mut reader = Reader::new(br#""a":[1,2],"b":{}"#);
/// while let Some(name) = reader.next_name() {
///     if name.is("b") {
///         assert_eq!(reader.kind(), Kind::Object);
///     }
///     reader.skip();
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `false`
    False,
    /// `true`
    True,
    /// A number, of whatever form.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A string literal.
#[derive(Clone, Copy, Debug)]
pub struct Literal<'a> {
    inside: &'a [u8],
    escaped: bool,
}

impl<'a> Literal<'a> {
    /// Whether the string is `text`.
    #[inline]
    pub fn is(&self, text: &str) -> bool {
        if self.escaped { self.to_str() == text } else { self.inside == text.as_bytes() }
    }

    /// The string itself, as bytes of UTF-8; borrowed where the literal has no escapes, and then not looked at.
    #[inline]
    pub fn to_bytes(&self) -> Cow<'a, [u8]> {
        match self.escaped {
            false => Cow::Borrowed(self.inside),
            true => Cow::Owned(self.to_str().into_owned().into_bytes()),
        }
    }

    /// The string itself; borrowed where the literal has no escapes. Lone surrogates become U+FFFD.
    pub fn to_str(&self) -> Cow<'a, str> {
        let inside = String::from_utf8_lossy(self.inside);
        if self.escaped { Cow::Owned(unescape(&inside)) } else { inside }
    }
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `text`.
    #[inline]
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// What the value at the cursor is.
    #[inline]
    pub fn kind(&mut self) -> Kind {
        match self.peek_token() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't') => Kind::True,
            Some(b'f') => Kind::False,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(_) | None => Kind::Null,
        }
    }

    /// Passes over the value at the cursor.
    #[inline]
    pub fn skip(&mut self) {
        match self.peek_token() {
            Some(b'"') => {
                self.string();
            }
            Some(b'{' | b'[') => {
                self.at += 1;
                self.close();
            }
            Some(_) => self.skip_scalar(),
            None => {}
        }
    }

    /// Passes over the value at the cursor and returns its text.
    #[inline]
    pub fn value(&mut self) -> &'a [u8] {
        self.peek_token();
        let start = *self;
        self.skip();
        self.since(&start)
    }

    /// The text between `start`, an earlier state of this reader, and the cursor.
    #[inline]
    pub fn since(&self, start: &Self) -> &'a [u8] {
        self.text.get(start.at..self.at).unwrap_or_default()
    }

    /// Reads the string at the cursor.
    #[inline]
    pub fn string(&mut self) -> Literal<'a> {
        self.peek_token();
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_len(self.rest());
            match self.peek() {
                Some(b'\\') => {
                    escaped = true;
                    self.at = self.text.len().min(self.at + 2);
                }
                Some(b'"') => break,
                Some(_) => self.at += 1,
                None => break,
            }
        }
        let inside = self.text.get(start..self.at).unwrap_or_default();
        self.at = self.text.len().min(self.at + 1);
        Literal { inside, escaped }
    }

    /// Steps into the array or object at the cursor: before its first element or name.
    #[inline]
    pub fn open(&mut self) {
        if let Some(b'[' | b'{') = self.peek_token() {
            self.at += 1;
        }
    }

    /// From within an array or object, after any of its values, steps behind its end.
    pub fn close(&mut self) {
        let mut depth = 1_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// In an array: steps before the next element, or behind the array and says `false`.
    #[inline]
    pub fn next_element(&mut self) -> bool {
        match self.peek_next() {
            Some(b']' | b'}') => {
                self.at += 1;
                false
            }
            Some(_) => true,
            None => false,
        }
    }

    /// In an object, or among members that no braces are around: the next name, whose value is then at the cursor; or
    /// steps behind the object and says `None`.
    #[inline]
    pub fn next_name(&mut self) -> Option<Literal<'a>> {
        match self.peek_next() {
            Some(b'"') => {
                let name = self.string();
                if self.peek_token() == Some(b':') {
                    self.at += 1;
                }
                Some(name)
            }
            Some(_) => {
                self.at += 1;
                None
            }
            None => None,
        }
    }

    /// The first byte of the next element or name, or of the end.
    #[inline]
    fn peek_next(&mut self) -> Option<u8> {
        if self.peek_token() == Some(b',') {
            self.at += 1;
        }
        self.peek_token()
    }

    /// A number, `true`, `false` or `null`; at least one byte, whatever it is.
    #[inline]
    fn skip_scalar(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            if matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r') {
                break;
            }
            self.at += 1;
        }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The first byte that isn't white space.
    #[inline(always)]
    fn peek_token(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }
}
