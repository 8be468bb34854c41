//! Bytes in records: variable-length integers, length-prefixed text, revisions.

use crate::Corrupt;
use std::str::FromStr;
use tidegate_types::{Digest, Rev};

/// Takes a record apart from front to back.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    record: &'static str,
}

impl<'a> Reader<'a> {
    /// A reader of a versioned record. Its first byte must be `version`.
    pub(crate) fn versioned(record: &'static str, version: u8, bytes: &'a [u8]) -> Result<Self, Corrupt> {
        let mut reader = Self { rest: bytes, record };
        if reader.byte()? == version { Ok(reader) } else { Err(reader.corrupt("unknown version")) }
    }

    pub(crate) fn corrupt(&self, what: &'static str) -> Corrupt {
        Corrupt { record: self.record, what }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.rest.split_first().ok_or(self.corrupt("cut short"))?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Corrupt> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.corrupt("number too long"))
    }

    pub(crate) fn length(&mut self) -> Result<usize, Corrupt> {
        let number = self.number()?;
        usize::try_from(number).map_err(|_invalid| self.corrupt("length too great"))
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(self.corrupt("cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(self.corrupt("cut short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Bytes with their length before them.
    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Corrupt> {
        let length = self.length()?;
        self.bytes(length)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Corrupt> {
        let bytes = self.sized()?;
        str::from_utf8(bytes).map_err(|_invalid| self.corrupt("text is not UTF-8"))
    }

    /// A text that is legal as something.
    pub(crate) fn parsed<T: FromStr>(&mut self, what: &'static str) -> Result<T, Corrupt> {
        self.text()?.parse().map_err(|_invalid| self.corrupt(what))
    }

    pub(crate) fn rev(&mut self) -> Result<Rev, Corrupt> {
        let generation = self.number()?;
        let digest = match self.length()? {
            0 => Digest::Md5(self.array()?),
            length => {
                let text =
                    str::from_utf8(self.bytes(length - 1)?).map_err(|_invalid| self.corrupt("digest is not UTF-8"))?;
                Digest::Text(text.into())
            }
        };
        Ok(Rev::new(generation, digest))
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_byte(number) | 0x80);
        number >>= 7;
    }
    out.push(low_byte(number));
}

fn low_byte(number: u64) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    put_number(out, length as u64);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Generation, then a zero and 16 bytes, or one more than the length of a text and the text.
pub(crate) fn put_rev(out: &mut Vec<u8>, rev: &Rev) {
    put_number(out, rev.generation());
    match rev.digest() {
        Digest::Md5(bytes) => {
            out.push(0);
            out.extend_from_slice(bytes);
        }
        Digest::Text(text) => {
            put_length(out, text.len() + 1);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_read(number: u64, text: String, generation in 1u64.., digest in "[a-z0-9]{0,40}") {
            let rev = Rev::new(generation, digest.parse().unwrap());
            let mut out = vec![7];
            put_number(&mut out, number);
            put_text(&mut out, &text);
            put_rev(&mut out, &rev);
            let mut reader = Reader::versioned("test", 7, &out).unwrap();
            prop_assert_eq!(reader.number().unwrap(), number);
            prop_assert_eq!(reader.text().unwrap(), text);
            prop_assert_eq!(reader.rev().unwrap(), rev);
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn cut_records_are_corrupt_and_nothing_worse(bytes: Vec<u8>) {
            if let Ok(mut reader) = Reader::versioned("test", 1, &bytes) {
                while reader.rev().is_ok() && reader.text().is_ok() {}
            }
        }
    }
}
