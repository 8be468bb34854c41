//! Members' names: their order, and which of the same name counts.

use std::borrow::Cow;

use crate::cursor::Cursor;
use crate::string::unescape_into;

/// A member's name, by its place: within the text, or among the unescaped ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    /// The first eight bytes as a number that orders as they do, so that most comparisons need not look further.
    pub(crate) prefix: u64,
    start: usize,
    end: usize,
    is_escaped: bool,
}

impl Name {
    /// A name that stands in the text.
    #[inline(always)]
    pub(crate) fn literal(text: &Cursor<'_>, start: usize, end: usize) -> Self {
        let prefix = match text.bytes(start, start + 8).first_chunk::<8>() {
            Some(chunk) => u64::from_be_bytes(*chunk) & first_bytes(end - start),
            None => prefix(text.bytes(start, end)),
        };
        Self { prefix, start, end, is_escaped: false }
    }
}

/// A mask for so many bytes at the front of eight.
#[inline(always)]
fn first_bytes(count: usize) -> u64 {
    match count {
        0 => 0,
        1..=7 => u64::MAX << (64 - 8 * count),
        _ => u64::MAX,
    }
}

/// The first eight bytes, zeros for those there aren't.
fn prefix(name: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded.iter_mut().zip(name).for_each(|(to, &byte)| *to = byte);
    u64::from_be_bytes(padded)
}

/// Whether a name begins with `_`.
#[inline]
pub(crate) fn is_special(name: &Name) -> bool {
    name.prefix >> 56 == u64::from(b'_')
}

/// Unescaped names, and the members picked last.
#[derive(Debug, Default)]
pub(crate) struct Names {
    unescaped: String,
    /// Prefixes above, members' numbers below.
    keys: Vec<u128>,
    /// Numbers of members, by name.
    pub(crate) sorted: Vec<usize>,
    /// The same in their own order: of the same name the last, in the first one's place.
    pub(crate) listed: Vec<usize>,
}

impl Names {
    pub(crate) fn clear(&mut self) {
        self.unescaped.clear();
    }

    /// Bytes held.
    pub(crate) fn size(&self) -> usize {
        self.unescaped.capacity()
            + self.keys.capacity() * size_of::<u128>()
            + (self.sorted.capacity() + self.listed.capacity()) * size_of::<usize>()
    }

    /// The name that a literal's inside is, when that has escapes.
    pub(crate) fn unescape(&mut self, inside: &str) -> Name {
        let start = self.unescaped.len();
        unescape_into(&mut self.unescaped, inside);
        let end = self.unescaped.len();
        Name {
            prefix: prefix(self.unescaped.as_bytes().get(start..).unwrap_or_default()),
            start,
            end,
            is_escaped: true,
        }
    }

    /// A name's text.
    pub(crate) fn text<'a>(&self, text: &Cursor<'a>, name: &Name) -> Cow<'a, str> {
        if name.is_escaped {
            Cow::Owned(self.unescaped.get(name.start..name.end).unwrap_or_default().to_owned())
        } else {
            Cow::Borrowed(text.slice(name.start, name.end))
        }
    }

    /// Whether every name is greater than the one before.
    #[inline]
    pub(crate) fn is_ascending(&self, text: &Cursor<'_>, names: &[Name]) -> bool {
        names.is_sorted_by(|name, next| {
            name.prefix < next.prefix
                || (name.prefix == next.prefix
                    && resolve(&self.unescaped, text, name) < resolve(&self.unescaped, text, next))
        })
    }

    /// Picks the wanted ones among an object's names, each once. Returns how many of them come before `_`.
    #[inline]
    pub(crate) fn pick(&mut self, text: &Cursor<'_>, names: &[Name], is_wanted: impl Fn(&Name) -> bool) -> usize {
        self.keys.clear();
        self.sorted.clear();
        self.listed.clear();
        for (at, name) in names.iter().enumerate() {
            if is_wanted(name) {
                self.keys.push(u128::from(name.prefix) << 64 | at as u128);
                self.listed.push(at);
            }
        }
        self.keys.sort_unstable();
        if self.keys.is_sorted_by(|a, b| a >> 64 < b >> 64) {
            self.sorted.extend(self.keys.iter().map(|&key| number(key)));
        } else {
            self.pick_among_alike(text, names);
        }
        let starts_before = |&at: &usize| names.get(at).is_some_and(|name| name.prefix < u64::from(b'_') << 56);
        self.sorted.partition_point(starts_before)
    }

    /// Finishes a pick where prefixes are alike: sorts by whole names, and leaves one of each.
    #[inline(never)]
    fn pick_among_alike(&mut self, text: &Cursor<'_>, names: &[Name]) {
        let name = |&key: &u128| names.get(number(key)).map_or(&[][..], |name| resolve(&self.unescaped, text, name));
        let mut places = Vec::with_capacity(self.keys.len());
        for alike in self.keys.chunk_by_mut(|a, b| a >> 64 == b >> 64) {
            if let &mut [only] = alike {
                self.sorted.push(number(only));
                places.push((number(only), number(only)));
                continue;
            }
            // Stable: the same names stay in the order of their numbers.
            alike.sort_by(|a, b| name(a).cmp(name(b)));
            for same in alike.chunk_by(|a, b| name(a) == name(b)) {
                let (Some(&first), Some(&last)) = (same.first(), same.last()) else { continue };
                self.sorted.push(number(last));
                places.push((number(first), number(last)));
            }
        }
        if places.len() == self.keys.len() {
            return;
        }
        places.sort_unstable();
        self.listed.clear();
        self.listed.extend(places.iter().map(|&(_, member)| member));
    }
}

fn resolve<'n>(unescaped: &'n str, text: &Cursor<'n>, name: &Name) -> &'n [u8] {
    if name.is_escaped {
        unescaped.as_bytes().get(name.start..name.end).unwrap_or_default()
    } else {
        text.bytes(name.start, name.end)
    }
}

/// The member's number in a key.
fn number(key: u128) -> usize {
    key as usize
}
