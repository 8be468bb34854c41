//! String literals: their escapes, both directions, and the canonical one.
//!
//! The canonical form escapes what must be and nothing else: `\"`, `\\`, control characters as `\b \t \n \f \r` or
//! `\u00xx`, lone surrogates as `\udxxx`; hexadecimal digits are lower case, everything else is literal UTF-8.

use std::borrow::Cow;

use crate::cursor::{Cursor, Form, ordinary_len};

/// One escape sequence at the front of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Escape {
    /// Bytes it takes, the backslash included; both halves of a surrogate pair.
    pub(crate) len: usize,
    /// A scalar value, or a lone surrogate.
    pub(crate) code: u32,
    /// It is what the canonical form would write.
    pub(crate) canonical: bool,
}

/// Reads the escape that `rest` begins with; `None` when it isn't one.
pub(crate) fn read_escape(rest: &[u8]) -> Option<Escape> {
    let [b'\\', kind, hex @ ..] = rest else { return None };
    let code = match kind {
        b'"' | b'\\' | b'/' => u32::from(*kind),
        b'b' => 0x08,
        b't' => 0x09,
        b'n' => 0x0a,
        b'f' => 0x0c,
        b'r' => 0x0d,
        b'u' => return read_unicode(hex),
        _ => return None,
    };
    Some(Escape { len: 2, code, canonical: *kind != b'/' })
}

fn read_unicode(hex: &[u8]) -> Option<Escape> {
    let (digits, rest) = hex.split_first_chunk::<4>()?;
    let code = read_hex(digits)?;
    if let (0xd800..=0xdbff, [b'\\', b'u', low @ ..]) = (code, rest)
        && let Some(low @ 0xdc00..=0xdfff) = low.first_chunk::<4>().and_then(read_hex)
    {
        return Some(Escape { len: 12, code: 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), canonical: false });
    }
    let must_be_hex = match code {
        0x08 | 0x09 | 0x0a | 0x0c | 0x0d => false,
        0..=0x1f | 0xd800..=0xdfff => true,
        _ => false,
    };
    Some(Escape { len: 6, code, canonical: must_be_hex && !digits.iter().any(u8::is_ascii_uppercase) })
}

fn read_hex(digits: &[u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}

/// The text of a literal's inside (without quotes), with U+FFFD for lone surrogates.
pub(crate) fn unescape(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    unescape_into(&mut text, inside);
    text
}

/// The text before the next backslash, and the rest from there. A literal's inside has nothing else out of the ordinary.
#[inline]
fn split_at_escape(inside: &str) -> Option<(&str, &str)> {
    inside.split_at_checked(ordinary_len(inside.as_bytes())).filter(|(_, escaped)| !escaped.is_empty())
}

/// Appends what [`unescape`] returns.
pub(crate) fn unescape_into(text: &mut String, inside: &str) {
    let mut rest = inside;
    while let Some((literal, escaped)) = split_at_escape(rest) {
        text.push_str(literal);
        let Some(escape) = read_escape(escaped.as_bytes()) else { break };
        text.push(char::from_u32(escape.code).unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = escaped.get(escape.len..).unwrap_or_default();
    }
    text.push_str(rest);
}

/// Appends the canonical form of a literal, given its inside (without quotes).
pub(crate) fn write_canonical(out: &mut Vec<u8>, inside: &str) {
    out.push(b'"');
    let mut rest = inside;
    while let Some((literal, escaped)) = split_at_escape(rest) {
        out.extend_from_slice(literal.as_bytes());
        let Some(escape) = read_escape(escaped.as_bytes()) else { break };
        write_code(out, escape.code);
        rest = escaped.get(escape.len..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

fn write_code(out: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(c @ ('\0'..='\u{1f}' | '"' | '\\')) => write_escape(out, c),
        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => write_hex(out, code),
    }
}

fn write_escape(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\r' => out.extend_from_slice(b"\\r"),
        _ => write_hex(out, u32::from(c)),
    }
}

fn write_hex(out: &mut Vec<u8>, code: u32) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = char::from_digit(code >> shift & 0xf, 16).unwrap_or('0');
        out.extend_from_slice(digit.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Appends `text` as a JSON string literal, in the canonical form.
///
/// One copy where nothing needs an escape.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some((literal, odd)) = rest.split_at_checked(ordinary_len(rest.as_bytes())) {
        out.extend_from_slice(literal.as_bytes());
        let mut chars = odd.chars();
        let Some(c) = chars.next() else { break };
        write_escape(out, c);
        rest = chars.as_str();
    }
    out.push(b'"');
}

/// The text of a raw value that is a string, `None` for any other text.
///
/// Lone surrogates become U+FFFD. Borrowed where the literal has no escapes.
pub fn read_string(raw: &[u8]) -> Option<Cow<'_, str>> {
    let mut cursor = Cursor::new(raw).ok()?;
    cursor.skip_white();
    let token = cursor.string()?;
    cursor.finish().ok()?;
    let inside = cursor.inside(token);
    Some(match token.form {
        Form::Plain => Cow::Borrowed(inside),
        Form::Canonical | Form::Other => Cow::Owned(unescape(inside)),
    })
}
