//! The query string as an ordered list of decoded pairs, with typed access.
//!
//! Decoding is that of HTML forms: `+` is a space and a `%` without two hexadecimal digits stays a percent sign
//! (CouchDB reads both so). Order and repetitions are kept; what an unknown parameter means is the caller's.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode;

/// The parameters of a query string (or of a form body), in the order sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Why a query string can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A name or value is not UTF-8 once decoded.
    #[error("the query string is not valid UTF-8")]
    NotUtf8,
    /// The value of a parameter is not what it has to be.
    #[error("invalid value for {parameter}: {value:?} is not {expected}")]
    BadValue {
        /// The parameter's decoded name.
        parameter: String,
        /// Its decoded value, as sent.
        value: String,
        /// What it has to be, such as "an integer".
        expected: &'static str,
    },
}

impl<'a> Query<'a> {
    /// Decodes a raw query string; `None` and the empty text have no parameters.
    ///
    /// # Errors
    /// [`QueryError::NotUtf8`].
    pub fn parse(raw: Option<&'a str>) -> Result<Self, QueryError> {
        let mut pairs = Vec::new();
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// Whether there is no parameter at all.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// All pairs, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The value of a parameter; of several with one name, the first.
    pub fn get(&self, parameter: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == parameter).map(|(_, value)| value)
    }

    /// `true` or `false`, in any case.
    ///
    /// # Errors
    /// [`QueryError::BadValue`] for any other text, the empty one included.
    pub fn flag(&self, parameter: &str) -> Result<Option<bool>, QueryError> {
        self.read(parameter, "a boolean", |value| match value {
            _ if value.eq_ignore_ascii_case("true") => Some(true),
            _ if value.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    /// An integer that fits into `T`.
    ///
    /// # Errors
    /// [`QueryError::BadValue`].
    pub fn integer<T: FromStr>(&self, parameter: &str) -> Result<Option<T>, QueryError> {
        self.read(parameter, "an integer", |value| value.parse().ok())
    }

    /// The value as `parse` reads it; a `None` from it is an error that says what was `expected`.
    ///
    /// # Errors
    /// [`QueryError::BadValue`].
    pub fn read<'q, T>(
        &'q self,
        parameter: &str,
        expected: &'static str,
        parse: impl FnOnce(&'q str) -> Option<T>,
    ) -> Result<Option<T>, QueryError> {
        let Some(value) = self.get(parameter) else { return Ok(None) };
        match parse(value) {
            Some(read) => Ok(Some(read)),
            None => Err(QueryError::BadValue { parameter: parameter.to_owned(), value: value.to_owned(), expected }),
        }
    }
}

fn decode(raw: &str) -> Result<Cow<'_, str>, QueryError> {
    if memchr::memchr2(b'%', b'+', raw.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(raw));
    }
    let spaced: Vec<u8> = raw.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_not_utf8| QueryError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, pairs: &[(&str, &str)]) {
        assert_eq!(Query::parse(Some(raw)).unwrap().iter().collect::<Vec<_>>(), pairs, "{raw}");
    }

    #[test]
    fn pairs_keep_order_and_repetitions() {
        check("", &[]);
        check("&&", &[]);
        check("b=1&a=2&b=3", &[("b", "1"), ("a", "2"), ("b", "3")]);
        check("key", &[("key", "")]);
        check("key=", &[("key", "")]);
        check("=v", &[("", "v")]);
        check("k=a=b", &[("k", "a=b")]);
        assert!(Query::parse(None).unwrap().is_empty());
    }

    #[test]
    fn text_is_decoded_as_forms_are() {
        check("k=%22a+b%22&%C3%A9=%2B", &[("k", "\"a b\""), ("é", "+")]);
        check("k=100%&j=%zz", &[("k", "100%"), ("j", "%zz")]);
        assert_eq!(Query::parse(Some("k=%ff")), Err(QueryError::NotUtf8));
    }

    #[test]
    fn typed_access_names_the_culprit() {
        let query = Query::parse(Some("a=true&b=FALSE&n=-3&big=99999999999999999999&e=")).unwrap();
        assert_eq!(query.flag("a"), Ok(Some(true)));
        assert_eq!(query.flag("b"), Ok(Some(false)));
        assert_eq!(query.flag("none"), Ok(None));
        assert_eq!(query.integer::<i64>("n"), Ok(Some(-3)));
        let bad = |parameter: &str, value: &str, expected| QueryError::BadValue {
            parameter: parameter.to_owned(),
            value: value.to_owned(),
            expected,
        };
        assert_eq!(query.integer::<u64>("n"), Err(bad("n", "-3", "an integer")));
        assert_eq!(query.integer::<u64>("big"), Err(bad("big", "99999999999999999999", "an integer")));
        assert_eq!(query.flag("e"), Err(bad("e", "", "a boolean")));
        assert_eq!(bad("n", "-3", "an integer").to_string(), "invalid value for n: \"-3\" is not an integer");
    }
}
