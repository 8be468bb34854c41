//! Media types and `;`-separated parameters, as `Content-Type` and `Content-Disposition` write them.

use std::borrow::Cow;

/// A media type with its parameters, such as `multipart/related; boundary="x"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    essence: &'a str,
    parameters: &'a str,
}

impl<'a> MediaType<'a> {
    /// Splits a header's value; `None` when it has no `type/subtype`.
    pub fn parse(value: &'a str) -> Option<Self> {
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let essence = essence.trim();
        let (kind, subtype) = essence.split_once('/')?;
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
        (is_token(kind) && is_token(subtype)).then_some(Self { essence, parameters })
    }

    /// `type/subtype`, as sent.
    pub fn essence(&self) -> &'a str {
        self.essence
    }

    /// Whether this is `type/subtype` (`application/json`) or, with a star, any subtype (`multipart/*`).
    pub fn is(&self, essence: &str) -> bool {
        match essence.strip_suffix("/*") {
            None => self.essence.eq_ignore_ascii_case(essence),
            Some(kind) => self.essence.split('/').next().is_some_and(|own| own.eq_ignore_ascii_case(kind)),
        }
    }

    /// A parameter's value, unquoted; its name is compared without case.
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        find_parameter(self.parameters, name)
    }
}

/// The value of the parameter `name` in `a=b; c="d"`.
pub(crate) fn find_parameter<'a>(text: &'a str, name: &str) -> Option<Cow<'a, str>> {
    parameters(text).find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The parameters of `a=b; c="d"`; what isn't one is skipped.
pub(crate) fn parameters(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([';', ' ', '\t']);
            if rest.is_empty() {
                return None;
            }
            let end = rest.find(['=', ';']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            let Some(value) = after.strip_prefix('=') else {
                rest = after;
                continue;
            };
            let (value, after) = take_value(value.trim_start());
            rest = after;
            return Some((name.trim(), value));
        }
    })
}

/// A token or quoted string off the front of `text`, and what follows the next semicolon.
fn take_value(text: &str) -> (Cow<'_, str>, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return (Cow::Borrowed(value.trim()), rest);
    };
    let (value, rest) = unquote(quoted);
    (value, rest.split_once(';').map_or("", |(_, rest)| rest))
}

/// Reads to the closing quote (a missing one is forgiven); returns what follows it.
///
/// A backslash escapes only quotes and backslashes: browsers send file names with others in them unescaped.
fn unquote(quoted: &str) -> (Cow<'_, str>, &str) {
    let mut value = String::new();
    let mut rest = quoted;
    while let Some(at) = rest.find(['"', '\\']) {
        let (plain, from) = rest.split_at(at);
        if let Some(after) = from.strip_prefix('"') {
            let whole = if value.is_empty() { Cow::Borrowed(plain) } else { Cow::Owned(value + plain) };
            return (whole, after);
        }
        value.push_str(plain);
        let escaped = from.strip_prefix('\\').unwrap_or(from);
        let taken = escaped.starts_with(['"', '\\']);
        value.push_str(if taken { escaped.get(..1).unwrap_or_default() } else { "\\" });
        rest = if taken { escaped.get(1..).unwrap_or_default() } else { escaped };
    }
    value.push_str(rest);
    (Cow::Owned(value), "")
}

/// RFC 9110 `tchar`.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found: Vec<_> = parameters(text).collect();
        let found: Vec<_> = found.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn parameters_quoted_or_not() {
        check("", &[]);
        check("; ;;", &[]);
        check("a=b", &[("a", "b")]);
        check(" a = b ; C=\"d;e\" ;f=", &[("a", "b"), ("C", "d;e"), ("f", "")]);
        check("junk; a=1", &[("a", "1")]);
        check(r#"a="q\"q\\"; b=2"#, &[("a", r#"q"q\"#), ("b", "2")]);
        check(r#"a="C:\dir\é.txt""#, &[("a", r"C:\dir\é.txt")]);
        check(r#"a="open"#, &[("a", "open")]);
        check(r#"a="x\"#, &[("a", r"x\")]);
    }

    #[test]
    fn media_types() {
        let media = MediaType::parse(" Application/JSON ; charset=utf-8").unwrap();
        assert_eq!(media.essence(), "Application/JSON");
        assert!(media.is("application/json"));
        assert!(media.is("application/*"));
        assert!(!media.is("multipart/*"));
        assert_eq!(media.parameter("Charset").as_deref(), Some("utf-8"));
        assert_eq!(media.parameter("boundary"), None);
        for bad in ["", "json", "/json", "text/", "a b/c", ";"] {
            assert_eq!(MediaType::parse(bad), None, "{bad}");
        }
    }
}
