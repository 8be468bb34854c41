//! The raw request path, split before it is decoded.
//!
//! Document ids and attachment names may hold `/` as `%2F`, so a path must be cut at its literal slashes first.
//! [`Segments`] keeps what was sent: empty segments and a trailing slash are reported, never collapsed; what they mean
//! is the caller's.

use std::borrow::Cow;
use std::ops::Deref;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stays as it is in [`encode_segment`]: RFC 3986 "unreserved".
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a literal `+` means in a segment. `%2B` is always a plus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// A plus stays a plus, as RFC 3986 has it and as CouchDB reads database names.
    Literal,
    /// A plus is a space, as CouchDB reads document ids (`decode_plus_to_space`).
    Space,
}

/// The path of a request, cut at its literal slashes. Derefs to the list of segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments<'a> {
    list: Vec<Segment<'a>>,
    trailing_slash: bool,
}

/// One segment of a path: its text as sent, and decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    raw: &'a str,
    text: Cow<'a, str>,
}

/// Why a path can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path does not start with a slash, such as the `*` of `OPTIONS *`.
    #[error("the path does not start with a slash")]
    NotAbsolute,
    /// A `%` without two hexadecimal digits after it.
    #[error("a percent sign in the path is not followed by two hexadecimal digits")]
    BadEscape,
    /// A decoded segment is not UTF-8.
    #[error("the path is not valid UTF-8")]
    NotUtf8,
    /// A decoded segment holds a zero byte.
    #[error("the path holds a zero byte")]
    Nul,
}

impl<'a> Segments<'a> {
    /// Splits and decodes a raw path (no query, no fragment).
    ///
    /// `/` has no segments. `/a/` has one and a [trailing slash](Self::trailing_slash). `/a//b` has three, the middle
    /// one empty.
    ///
    /// # Errors
    /// [`PathError`], for the first bad segment.
    pub fn parse(path: &'a str) -> Result<Self, PathError> {
        let rest = path.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
        if rest.is_empty() {
            return Ok(Self { list: Vec::new(), trailing_slash: false });
        }
        let (inner, trailing_slash) = match rest.strip_suffix('/') {
            Some(inner) => (inner, true),
            None => (rest, false),
        };
        let mut list = Vec::with_capacity(4);
        for raw in inner.split('/') {
            list.push(Segment::parse(raw)?);
        }
        Ok(Self { list, trailing_slash })
    }

    /// The same with every run of slashes read as one, and none at the end.
    #[must_use]
    pub fn collapsed(mut self) -> Self {
        self.list.retain(|segment| !segment.raw.is_empty());
        Self { trailing_slash: false, ..self }
    }

    /// Whether a slash follows the last segment.
    pub fn trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// Everything from segment `start` on as one decoded text, slashes between and, if it was sent, after: the name of
    /// an attachment. `None` when there is no such segment.
    pub fn join_from(&self, start: usize, plus: Plus) -> Option<Cow<'_, str>> {
        let (first, more) = self.list.get(start..)?.split_first()?;
        if more.is_empty() && !self.trailing_slash {
            return Some(first.decoded(plus));
        }
        let mut joined = first.decoded(plus).into_owned();
        for segment in more {
            joined.push('/');
            joined.push_str(&segment.decoded(plus));
        }
        if self.trailing_slash {
            joined.push('/');
        }
        Some(Cow::Owned(joined))
    }
}

impl<'a> Deref for Segments<'a> {
    type Target = [Segment<'a>];

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

impl<'a> Segment<'a> {
    fn parse(raw: &'a str) -> Result<Self, PathError> {
        check_escapes(raw)?;
        let text = percent_decode_str(raw).decode_utf8().map_err(|_not_utf8| PathError::NotUtf8)?;
        if text.contains('\0') { Err(PathError::Nul) } else { Ok(Self { raw, text }) }
    }

    /// The segment as it was sent.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// The decoded segment, with `+` a plus.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The decoded segment, with `+` read as `plus` says.
    pub fn decoded(&self, plus: Plus) -> Cow<'_, str> {
        match plus {
            Plus::Space if self.raw.contains('+') => Cow::Owned(decode_plus_as_space(self.raw)),
            Plus::Space | Plus::Literal => Cow::Borrowed(&self.text),
        }
    }
}

/// Percent-encodes `text` so that it is one segment: all but letters, digits and `-_.~`. For `Location` headers.
pub fn encode_segment(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, SEGMENT).into()
}

/// `raw` must have passed [`Segment::parse`]. A plus can't lie inside an escape, so the pieces decode one by one.
fn decode_plus_as_space(raw: &str) -> String {
    let mut decoded = String::with_capacity(raw.len());
    for (index, piece) in raw.split('+').enumerate() {
        if index > 0 {
            decoded.push(' ');
        }
        decoded.push_str(&percent_decode_str(piece).decode_utf8_lossy());
    }
    decoded
}

fn check_escapes(raw: &str) -> Result<(), PathError> {
    let mut rest = raw.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {}
            Some(_) | None => return Err(PathError::BadEscape),
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(path: &str, texts: &[&str], trailing_slash: bool) {
        let segments = Segments::parse(path).unwrap();
        assert_eq!(segments.iter().map(Segment::text).collect::<Vec<_>>(), texts, "{path}");
        assert_eq!(segments.trailing_slash(), trailing_slash, "{path}");
    }

    #[track_caller]
    fn check_error(path: &str, error: PathError) {
        assert_eq!(Segments::parse(path), Err(error), "{path}");
    }

    #[test]
    fn slashes_are_reported_as_sent() {
        check("/", &[], false);
        check("/db", &["db"], false);
        check("/db/", &["db"], true);
        check("/db//x", &["db", "", "x"], false);
        check("//", &[""], true);
        check("///", &["", ""], true);
    }

    #[test]
    fn a_collapsed_path_has_no_empty_segments() {
        let collapsed = |path| Segments::parse(path).unwrap().collapsed();
        assert_eq!(collapsed("//a//b/"), Segments::parse("/a/b").unwrap());
        assert_eq!(collapsed("///"), Segments::parse("/").unwrap());
        assert_eq!(collapsed("/%2F/"), Segments::parse("/%2F").unwrap());
    }

    #[test]
    fn escapes_are_decoded_after_the_split() {
        check("/a%2Fb/_design%2fd", &["a/b", "_design/d"], false);
        check("/db/a+b", &["db", "a+b"], false);
        check("/db/%C3%A9%25", &["db", "é%"], false);
        check("/db/é", &["db", "é"], false);
    }

    #[test]
    fn what_is_refused() {
        check_error("", PathError::NotAbsolute);
        check_error("*", PathError::NotAbsolute);
        check_error("/%", PathError::BadEscape);
        check_error("/a%2", PathError::BadEscape);
        check_error("/a%zz", PathError::BadEscape);
        check_error("/a%+1", PathError::BadEscape);
        check_error("/%ff", PathError::NotUtf8);
        check_error("/%C3+%A9", PathError::NotUtf8);
        check_error("/a%00", PathError::Nul);
    }

    #[test]
    fn a_plus_is_a_space_only_when_asked() {
        let segments = Segments::parse("/a+b%2Bc%C3%A9").unwrap();
        assert_eq!(segments[0].decoded(Plus::Literal), "a+b+cé");
        assert_eq!(segments[0].decoded(Plus::Space), "a b+cé");
        assert_eq!(segments[0].raw(), "a+b%2Bc%C3%A9");
    }

    #[test]
    fn the_rest_of_a_path_joins_to_a_name() {
        let join = |path, start| Segments::parse(path).unwrap().join_from(start, Plus::Literal).map(Cow::into_owned);
        assert_eq!(join("/db/doc", 2), None);
        assert_eq!(join("/db/doc/a", 2).as_deref(), Some("a"));
        assert_eq!(join("/db/doc/a%2Fb//c/", 2).as_deref(), Some("a/b//c/"));
    }

    proptest! {
        #[test]
        fn the_raw_segments_rebuild_the_path(path in "/[a-c/+é]{0,12}") {
            let segments = Segments::parse(&path).unwrap();
            let inner = segments.iter().map(Segment::raw).collect::<Vec<_>>().join("/");
            prop_assert_eq!(format!("/{inner}{}", if segments.trailing_slash() { "/" } else { "" }), path);
        }

        #[test]
        fn an_encoded_segment_is_one_segment(text in "[^\0]+") {
            let path = format!("/{}", encode_segment(&text));
            let segments = Segments::parse(&path).unwrap();
            prop_assert_eq!(segments.len(), 1);
            prop_assert_eq!(segments[0].decoded(Plus::Space), text);
        }
    }
}
