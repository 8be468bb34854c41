//! Ranges of keys, and the two directions to read them in.

use std::ops::{Bound, Range, RangeBounds};

/// A range of keys in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it starts.
    pub start: Bound<Vec<u8>>,
    /// Where it ends.
    pub end: Bound<Vec<u8>>,
}

/// The order in which a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys, beginning at the range's end.
    Backward,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let start = prefix.into();
        let end = successor(&start).map_or(Bound::Unbounded, Bound::Excluded);
        Self { start: Bound::Included(start), end }
    }

    /// The same range, without the keys up to and including `key`: where a forward scan goes on after its last row.
    #[must_use]
    pub fn after(self, key: impl Into<Vec<u8>>) -> Self {
        Self { start: Bound::Excluded(key.into()), end: self.end }
    }

    /// The same range, without `key` and the keys after it: where a backward scan goes on after its last row.
    #[must_use]
    pub fn before(self, key: impl Into<Vec<u8>>) -> Self {
        Self { start: self.start, end: Bound::Excluded(key.into()) }
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
                start >= end
            }
        }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        RangeBounds::<[u8]>::contains(&self.bounds(), key)
    }

    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.start.as_ref().map(Vec::as_slice), self.end.as_ref().map(Vec::as_slice))
    }
}

impl<K: Into<Vec<u8>>> From<Range<K>> for KeyRange {
    fn from(range: Range<K>) -> Self {
        Self { start: Bound::Included(range.start.into()), end: Bound::Excluded(range.end.into()) }
    }
}

/// The least key greater than every key that begins with `prefix`; none if there is no such key.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut next = prefix.get(..=last)?.to_vec();
    if let Some(byte) = next.last_mut() {
        *byte += 1;
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        let end = |prefix: &[u8]| KeyRange::prefix(prefix).end;
        assert_eq!(end(b"ab"), Bound::Excluded(b"ac".to_vec()));
        assert_eq!(end(b"a\xff\xff"), Bound::Excluded(b"b".to_vec()));
        assert_eq!(end(b"\xff\xff"), Bound::Unbounded);
        assert_eq!(end(b""), Bound::Unbounded);
        assert!(KeyRange::prefix("a\u{7f}").contains(b"a\x7fz"));
        assert!(!KeyRange::prefix("a").contains(b"b"));
    }

    #[test]
    fn a_range_whose_end_is_not_after_its_start_is_empty() {
        let check = |start, end, empty| assert_eq!(KeyRange { start, end }.is_empty(), empty);
        let key = |text: &str| text.as_bytes().to_vec();
        check(Bound::Included(key("a")), Bound::Included(key("a")), false);
        check(Bound::Included(key("a")), Bound::Excluded(key("a")), true);
        check(Bound::Excluded(key("a")), Bound::Included(key("a")), true);
        check(Bound::Included(key("b")), Bound::Included(key("a")), true);
        check(Bound::Excluded(key("a")), Bound::Excluded(key("b")), false);
        check(Bound::Unbounded, Bound::Excluded(key("")), false);
    }
}
