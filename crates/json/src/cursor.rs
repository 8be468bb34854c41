//! The lexer: a position in a text, and the tokens that can begin there. It knows no nesting.

use crate::Error;
use crate::string::{Escape, read_escape};

/// A position in a text that is known to be UTF-8.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// Offset of the next byte to read.
    pub(crate) at: usize,
}

/// A string literal, quotes included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) form: Form,
}

/// How a string literal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// No escapes: the text is the literal without its quotes.
    Plain,
    /// With escapes, all of them those of the canonical form.
    Canonical,
    /// With an escape that the canonical form writes otherwise.
    Other,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Result<Self, Error> {
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Self { text, at: 0 }),
            Err(fault) => Err(Error::Utf8 { offset: fault.valid_up_to() }),
        }
    }

    /// The text between two offsets of token boundaries; empty for others, which tokens never have.
    #[inline]
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// A string literal without its quotes.
    #[inline]
    pub(crate) fn inside(&self, token: Token) -> &'a str {
        self.slice(token.start + 1, token.end - 1)
    }

    /// The same as bytes, for any two offsets.
    #[inline]
    pub(crate) fn bytes(&self, start: usize, end: usize) -> &'a [u8] {
        self.text.as_bytes().get(start..end).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline(always)]
    pub(crate) fn skip_white(&mut self) {
        if self.peek().is_none_or(|byte| byte <= b' ') {
            self.at = self.after_white();
        }
    }

    /// The next offset without white space.
    #[inline(never)]
    pub(crate) fn after_white(mut self) -> usize {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
        self.at
    }

    /// The error that what stands at the cursor can't stand there.
    pub(crate) fn syntax(&self) -> Error {
        Error::Syntax { offset: self.at }
    }

    /// Nothing but white space may follow.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.skip_white();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Error::TrailingData { offset: self.at }),
        }
    }

    /// Reads a string literal. `None` here and below: [`syntax`](Self::syntax).
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Option<Token> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return None;
        }
        self.at += 1;
        let mut form = Form::Plain;
        loop {
            self.at += ordinary_len(self.text.as_bytes().get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Some(Token { start, end: self.at, form });
                }
                Some(b'\\') => form = form.max(self.escape()?),
                Some(_) | None => return None,
            }
        }
    }

    #[inline(always)]
    fn escape(&mut self) -> Option<Form> {
        if let Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') = self.text.as_bytes().get(self.at + 1) {
            self.at += 2;
            return Some(Form::Canonical);
        }
        let escape = self.rare_escape()?;
        self.at += escape.len;
        Some(if escape.canonical { Form::Canonical } else { Form::Other })
    }

    // By value, so that the caller's cursor can stay in registers.
    #[inline(never)]
    fn rare_escape(self) -> Option<Escape> {
        read_escape(self.text.as_bytes().get(self.at..)?)
    }

    /// Reads a number.
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// One digit or more.
    #[inline(always)]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Reads `true`, `false` or `null`, as `word` says.
    #[inline(always)]
    pub(crate) fn word(&mut self, word: &str) -> Option<()> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return None;
            }
            self.at += 1;
        }
        Some(())
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes at the front of `rest` are neither a quote, a backslash nor a control character.
///
/// Eight bytes at a time: in each term the lowest high bit that is set marks a true match, false ones lie above it.
#[inline(always)]
pub(crate) fn ordinary_len(rest: &[u8]) -> usize {
    let mut len = 0;
    let mut left = rest;
    while let Some((chunk, after)) = left.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5c);
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let found = found & HIGHS;
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += 8;
        left = after;
    }
    len + left.iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').count()
}

/// How many bytes at the front of `rest` are neither a quote nor a backslash, as [`ordinary_len`].
#[inline(always)]
pub(crate) fn plain_len(rest: &[u8]) -> usize {
    let mut len = 0;
    let mut left = rest;
    while let Some((chunk, after)) = left.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5c);
        let found = ((quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash)) & HIGHS;
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += 8;
        left = after;
    }
    len + left.iter().take_while(|&&byte| byte != b'"' && byte != b'\\').count()
}
