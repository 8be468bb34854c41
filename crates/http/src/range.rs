//! `Range: bytes=…` against a known length, and what answers it.
//!
//! RFC 9110, with CouchDB's choices where the RFC leaves one (`chttpd_db:parse_ranges`): `bytes=0-` alone is the whole
//! and a range that ends before it begins is unsatisfiable. Lists that ask for more than there is, or for too many
//! pieces, are answered with the whole, so that a small request can't cause a large answer.

use crate::multipart::{Boundary, Layout};

/// The most ranges answered at once; CouchDB answers fewer than ten.
pub const RANGES_MAX: usize = 9;

/// Bytes `first` to `last`, both included and both below the length they were computed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    first: u64,
    last: u64,
}

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// Everything: there was no such header, it is malformed, or it is one we may ignore.
    Whole,
    /// One piece.
    One(ByteRange),
    /// Several, in the order asked for; at least two, at most [`RANGES_MAX`], together no longer than the whole.
    Many(Vec<ByteRange>),
    /// Nothing of it exists.
    Unsatisfiable,
}

/// One range as written.
#[derive(Clone, Copy)]
enum Spec {
    From(u64),
    Between(u64, u64),
    Suffix(u64),
}

impl ByteRange {
    /// The first byte.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last byte, included.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How many bytes; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// The `Content-Range` of this piece of a text of `length` bytes.
    pub fn content_range(&self, length: u64) -> String {
        format!("bytes {}-{}/{length}", self.first, self.last)
    }
}

/// The `Content-Range` of a 416 answer.
pub fn content_range_unsatisfied(length: u64) -> String {
    format!("bytes */{length}")
}

/// The bytes around the pieces of a `multipart/byteranges` body, with its length.
pub fn byteranges(boundary: Boundary, content_type: &str, ranges: &[ByteRange], length: u64) -> Layout {
    let content_ranges: Vec<String> = ranges.iter().map(|range| range.content_range(length)).collect();
    let headers: Vec<[(&str, &str); 2]> =
        content_ranges.iter().map(|range| [("Content-Type", content_type), ("Content-Range", range)]).collect();
    Layout::new(boundary, headers.iter().zip(ranges).map(|(headers, range)| (&headers[..], range.len())))
}

impl Ranges {
    /// Reads a `Range` header for a text of `length` bytes.
    pub fn parse(header: Option<&str>, length: u64) -> Self {
        let Some(specs) = header.and_then(parse_specs) else { return Self::Whole };
        if matches!(specs[..], [Spec::From(0)]) || specs.len() > RANGES_MAX {
            return Self::Whole;
        }
        if specs.iter().any(|spec| matches!(spec, Spec::Between(first, last) if last < first)) {
            return Self::Unsatisfiable;
        }
        let ranges: Vec<ByteRange> = specs.iter().filter_map(|spec| spec.resolve(length)).collect();
        match ranges[..] {
            [] => Self::Unsatisfiable,
            [range] => Self::One(range),
            _ if ranges.iter().map(ByteRange::len).try_fold(0, u64::checked_add).is_none_or(|sum| sum > length) => {
                Self::Whole
            }
            _ => Self::Many(ranges),
        }
    }
}

impl Spec {
    fn resolve(self, length: u64) -> Option<ByteRange> {
        let end = length.checked_sub(1)?;
        let (first, last) = match self {
            Self::From(first) => (first, end),
            Self::Between(first, last) => (first, last.min(end)),
            Self::Suffix(0) => return None,
            Self::Suffix(bytes) => (length.saturating_sub(bytes), end),
        };
        (first <= last).then_some(ByteRange { first, last })
    }
}

/// The ranges as written; `None` if any is malformed or the unit isn't bytes. Stops just above [`RANGES_MAX`].
fn parse_specs(header: &str) -> Option<Vec<Spec>> {
    let (unit, list) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let texts = list.split(',').map(str::trim).filter(|text| !text.is_empty());
    let specs: Vec<Spec> = texts.take(RANGES_MAX + 1).map(parse_spec).collect::<Option<_>>()?;
    (!specs.is_empty()).then_some(specs)
}

fn parse_spec(text: &str) -> Option<Spec> {
    let (first, last) = text.split_once('-')?;
    match (first.trim_end(), last.trim_start()) {
        ("", last) => Some(Spec::Suffix(parse_number(last)?)),
        (first, "") => Some(Spec::From(parse_number(first)?)),
        (first, last) => Some(Spec::Between(parse_number(first)?, parse_number(last)?)),
    }
}

/// Digits only; a number beyond 64 bits is as good as the largest.
fn parse_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(first: u64, last: u64) -> ByteRange {
        ByteRange { first, last }
    }

    /// Against 29 bytes, the length CouchDB's own tests use.
    #[track_caller]
    fn check(header: &str, expected: &Ranges) {
        assert_eq!(&Ranges::parse(Some(header), 29), expected, "{header}");
    }

    #[test]
    fn one_range() {
        check("bytes=0-28", &Ranges::One(range(0, 28)));
        check("bytes=2-5", &Ranges::One(range(2, 5)));
        check("Bytes = 2 - 5 ", &Ranges::One(range(2, 5)));
        check("bytes=2-", &Ranges::One(range(2, 28)));
        check("bytes=2-99999999999999999999999", &Ranges::One(range(2, 28)));
        check("bytes=-3", &Ranges::One(range(26, 28)));
        check("bytes=-300", &Ranges::One(range(0, 28)));
        check("bytes=0-,50-", &Ranges::One(range(0, 28)));
    }

    #[test]
    fn several_ranges() {
        check("bytes=0-1,5-6, -1", &Ranges::Many(vec![range(0, 1), range(5, 6), range(28, 28)]));
        check("bytes=5-6,0-5", &Ranges::Many(vec![range(5, 6), range(0, 5)]));
        check("bytes=0-1,50-60", &Ranges::One(range(0, 1)));
        check("bytes=0-,0-", &Ranges::Whole);
        check("bytes=0-20,1-20", &Ranges::Whole);
        check("bytes=1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10", &Ranges::Whole);
    }

    #[test]
    fn nothing_there() {
        check("bytes=29-", &Ranges::Unsatisfiable);
        check("bytes=29-30,400-500", &Ranges::Unsatisfiable);
        check("bytes=5-3", &Ranges::Unsatisfiable);
        check("bytes=-0", &Ranges::Unsatisfiable);
        assert_eq!(Ranges::parse(Some("bytes=1-"), 0), Ranges::Unsatisfiable);
        assert_eq!(Ranges::parse(Some("bytes=-1"), 0), Ranges::Unsatisfiable);
        assert_eq!(content_range_unsatisfied(29), "bytes */29");
    }

    #[test]
    fn what_is_ignored() {
        for header in ["bytes=0-", "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "items=1-2", "bytes=1--2"]
        {
            check(header, &Ranges::Whole);
        }
        check("bytes=1-2,x", &Ranges::Whole);
        check("bytes=+1-2", &Ranges::Whole);
        assert_eq!(Ranges::parse(None, 29), Ranges::Whole);
        assert_eq!(Ranges::parse(Some("bytes=0-"), 0), Ranges::Whole);
    }

    #[test]
    fn pieces_are_laid_out() {
        let layout = byteranges(Boundary::new("XX").unwrap(), "text/plain", &[range(0, 1), range(5, 6)], 29);
        assert_eq!(layout.heads[0], "--XX\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/29\r\n\r\n");
        assert_eq!(layout.heads[1], "\r\n--XX\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-6/29\r\n\r\n");
        let around: usize = layout.heads.iter().map(bytes::Bytes::len).sum();
        assert_eq!(layout.content_length, (around + layout.end.len() + 4) as u64);
    }

    proptest! {
        #[test]
        fn answers_stay_inside(header in "bytes=[0-9]{0,3}-[0-9]{0,3}(, ?[0-9]{0,3}-[0-9]{0,3}){0,9}", length in 0_u64..500) {
            let ranges = match Ranges::parse(Some(&header), length) {
                Ranges::Whole | Ranges::Unsatisfiable => Vec::new(),
                Ranges::One(range) => vec![range],
                Ranges::Many(ranges) => ranges,
            };
            prop_assert!(ranges.len() <= RANGES_MAX);
            prop_assert!(ranges.iter().all(|range| range.first <= range.last && range.last < length));
            prop_assert!(ranges.iter().map(ByteRange::len).sum::<u64>() <= length);
        }
    }
}
