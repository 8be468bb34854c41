//! Entity tags and the conditions made of them: `If-None-Match`, `If-Match`, `If-Range`.

use std::borrow::Cow;
use std::fmt;

use http::header::HeaderValue;

/// An entity tag: `"text"`, or weak, `W/"text"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag<'a> {
    weak: bool,
    text: Cow<'a, str>,
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// `*`: any present representation.
    Any,
    /// One of these.
    Tags(Vec<ETag<'a>>),
}

impl<'a> ETag<'a> {
    /// A strong tag. Quotes and control characters, which a tag can't hold, are dropped.
    pub fn strong(text: impl Into<Cow<'a, str>>) -> Self {
        let mut text = text.into();
        if text.chars().any(forbidden) {
            text = Cow::Owned(text.chars().filter(|char| !forbidden(*char)).collect());
        }
        Self { weak: false, text }
    }

    /// A weak tag, of what goes out in several forms. As for [`strong`](Self::strong), not all characters can be in it.
    pub fn weak(text: impl Into<Cow<'a, str>>) -> Self {
        Self { weak: true, ..Self::strong(text) }
    }

    /// Reads one tag. A text without quotes is a tag as well: clients send bare revisions, and CouchDB takes them.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (weak, text) = text.strip_prefix("W/").map_or((false, text), |text| (true, text));
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        (!text.is_empty() && !text.chars().any(forbidden)).then_some(Self { weak, text: Cow::Borrowed(text) })
    }

    /// What lies between the quotes.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the tag promises only an equivalent text, not the same bytes.
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// Equal texts, weak or not: the comparison of `If-None-Match`.
    pub fn matches_weak(&self, other: &ETag<'_>) -> bool {
        self.text == other.text
    }

    /// Equal texts and both strong: the comparison of `If-Match` and `If-Range`.
    pub fn matches_strong(&self, other: &ETag<'_>) -> bool {
        !self.weak && !other.weak && self.text == other.text
    }

    /// The header's value; `None` only if the text isn't one a header can hold, which [`strong`](Self::strong) excludes.
    pub fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

impl fmt::Display for ETag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.weak { "W/" } else { "" };
        write!(f, "{prefix}\"{}\"", self.text)
    }
}

impl<'a> Condition<'a> {
    /// Reads a header's value; tags that can't be read match nothing.
    pub fn parse(value: &'a str) -> Self {
        if value.trim() == "*" {
            return Self::Any;
        }
        Self::Tags(split_tags(value).filter_map(ETag::parse).collect())
    }

    /// Whether an `If-None-Match` of this value says that the client has `current` already: 304 for a read.
    pub fn none_match_hits(&self, current: &ETag<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.matches_weak(current)),
        }
    }

    /// Whether an `If-Match` of this value holds for `current`, or for nothing being there: 412 or 409 if not.
    pub fn match_holds(&self, current: Option<&ETag<'_>>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Tags(tags), Some(current)) => tags.iter().any(|tag| tag.matches_strong(current)),
        }
    }
}

/// Whether an `If-Range` lets a `Range` apply. A date never does: there are no modification dates here.
pub fn if_range_holds(value: &str, current: &ETag<'_>) -> bool {
    value.contains('"') && ETag::parse(value).is_some_and(|tag| tag.matches_strong(current))
}

fn forbidden(char: char) -> bool {
    char == '"' || char.is_control()
}

/// Splits at the commas outside quotes.
fn split_tags(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value.split(move |char| {
        quoted ^= char == '"';
        char == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_none_match(value: &str, current: &str, hits: bool) {
        let current = ETag::parse(current).unwrap();
        assert_eq!(Condition::parse(value).none_match_hits(&current), hits, "{value} {current}");
    }

    #[track_caller]
    fn check_match(value: &str, current: Option<&str>, holds: bool) {
        let current = current.and_then(ETag::parse);
        assert_eq!(Condition::parse(value).match_holds(current.as_ref()), holds, "{value} {current:?}");
    }

    #[test]
    fn tags_read_and_print() {
        for text in ["\"1-a\"", "W/\"1-a\"", "\"a,b\"", "\"é\""] {
            assert_eq!(ETag::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ETag::parse(" 1-a ").unwrap().to_string(), "\"1-a\"");
        for bad in ["", "\"\"", "W/", "a\"b", "\"a\"b\""] {
            assert_eq!(ETag::parse(bad), None, "{bad}");
        }
        assert_eq!(ETag::strong("1-\"a\r\n").to_header().unwrap(), "\"1-a\"");
        assert_eq!(ETag::strong("é").to_header().unwrap().as_bytes(), "\"é\"".as_bytes());
    }

    #[test]
    fn none_match_compares_weakly() {
        check_none_match("\"1-a\"", "\"1-a\"", true);
        check_none_match("W/\"1-a\"", "\"1-a\"", true);
        check_none_match("\"x\", \"1-a\"", "W/\"1-a\"", true);
        check_none_match("\"x,y\",\"a,b\"", "\"a,b\"", true);
        check_none_match("1-a", "\"1-a\"", true);
        check_none_match("*", "\"1-a\"", true);
        check_none_match("\"1-b\"", "\"1-a\"", false);
        check_none_match("", "\"1-a\"", false);
        check_none_match("\"a\", *", "\"b\"", false);
    }

    #[test]
    fn match_compares_strongly() {
        check_match("\"1-a\"", Some("\"1-a\""), true);
        check_match("\"x\", \"1-a\"", Some("\"1-a\""), true);
        check_match("W/\"1-a\"", Some("\"1-a\""), false);
        check_match("\"1-a\"", Some("W/\"1-a\""), false);
        check_match("*", Some("\"1-a\""), true);
        check_match("*", None, false);
        check_match("\"1-a\"", None, false);
    }

    #[test]
    fn if_range_wants_a_strong_tag() {
        let current = ETag::strong("a");
        assert!(if_range_holds("\"a\"", &current));
        assert!(!if_range_holds("W/\"a\"", &current));
        assert!(!if_range_holds("\"b\"", &current));
        assert!(!if_range_holds("Wed, 21 Oct 2015 07:28:00 GMT", &current));
    }
}
