//! Sort keys: bytes in the order of [`compare`](crate::compare).
//!
//! Each value begins with the byte of its type and ends by itself, so that no key is the beginning of another:
//!
//! - `null`, `false`, `true`: nothing more.
//! - a number: its sign; for others than zero the power of ten and pairs of digits up to a 0. All of it inverted below
//!   zero.
//! - a string: its ICU sort key, which has no 0 in it, up to a 0.
//! - an array, an object: its values, names being strings, up to a 0.

use std::cmp::Ordering;

use tidegate_json::{Kind, Literal, Reader};

use crate::number::Decimal;
use crate::string;

/// The version of the keys [`sort_key`] makes. Keep it beside stored keys: keys of another version have another order and
/// must be made anew. It counts every change of the format and of the collation data behind it.
pub const VERSION: u16 = 1;

const END: u8 = 0;
const STRING: u8 = 5;

/// Bytes whose order is that of the values: `sort_key(a).cmp(&sort_key(b)) == compare(a, b)`.
///
/// No key is the beginning of another one. For strings it takes about twice their length.
pub fn sort_key(value: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(value.len() * 2 + 8);
    write_sort_key(&mut key, value);
    key
}

/// Appends what [`sort_key`] returns.
pub fn write_sort_key(out: &mut Vec<u8>, value: &[u8]) {
    let mut reader = Reader::new(value);
    let mut open = Vec::new();
    loop {
        write_value(out, &mut reader, &mut open);
        while let Some(&kind) = open.last() {
            if step(out, &mut reader, kind) {
                break;
            }
            open.pop();
        }
        if open.is_empty() {
            return;
        }
    }
}

/// Writes the value at the cursor; of an array or object the beginning, which is then open.
fn write_value(out: &mut Vec<u8>, reader: &mut Reader<'_>, open: &mut Vec<Kind>) {
    let kind = reader.kind();
    out.push(match kind {
        Kind::Null => 1,
        Kind::False => 2,
        Kind::True => 3,
        Kind::Number => 4,
        Kind::String => STRING,
        Kind::Array => 6,
        Kind::Object => 7,
    });
    match kind {
        Kind::Null | Kind::False | Kind::True => reader.skip(),
        Kind::Number => write_number(out, reader.value()),
        Kind::String => write_string(out, &reader.string()),
        Kind::Array | Kind::Object => {
            reader.open();
            open.push(kind);
        }
    }
}

/// Steps to the next value of what is open, and says `false` where there is none.
fn step(out: &mut Vec<u8>, reader: &mut Reader<'_>, kind: Kind) -> bool {
    let name = if kind == Kind::Object { reader.next_name() } else { None };
    let more = if kind == Kind::Object { name.is_some() } else { reader.next_element() };
    if let Some(name) = name {
        out.push(STRING);
        write_string(out, &name);
    }
    if !more {
        out.push(END);
    }
    more
}

fn write_string(out: &mut Vec<u8>, literal: &Literal<'_>) {
    string::write_sort_key(out, &literal.to_str());
    out.push(END);
}

fn write_number(out: &mut Vec<u8>, text: &[u8]) {
    let number = Decimal::parse(text);
    let start = out.len();
    match number.sign {
        Ordering::Equal => return out.push(0x80),
        Ordering::Less | Ordering::Greater => out.push(0x81),
    }
    write_exponent(out, number.exponent);
    write_digits(out, number.digits());
    if number.sign == Ordering::Less {
        out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
    }
}

/// One byte for the usual ones, nine for others.
fn write_exponent(out: &mut Vec<u8>, exponent: i64) {
    match u8::try_from(exponent + 0x80) {
        Ok(byte @ 1..=0xfe) => out.push(byte),
        Ok(_) | Err(_) => {
            out.push(if exponent < 0 { 0 } else { 0xff });
            out.extend_from_slice(&(exponent ^ i64::MIN).to_be_bytes());
        }
    }
}

/// Two digits a byte, counted from 1; a last single one stands for itself and a zero.
fn write_digits(out: &mut Vec<u8>, mut digits: impl Iterator<Item = u8>) {
    let value = |digit: u8| digit.saturating_sub(b'0');
    while let Some(first) = digits.next() {
        let second = digits.next().map_or(0, value);
        out.push(value(first) * 10 + second + 1);
    }
    out.push(END);
}
