//! Name and password in an `Authorization` header.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::Error;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Name and password as they were sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    /// As whom; the name needn't exist, nor be legal.
    pub name: String,
    /// With which password.
    pub password: String,
}

impl Basic {
    /// The credentials in the value of an `Authorization` header; `None` when there are none: another scheme, no colon,
    /// or `_:_`, with which browsers are made to forget what they had. Source: `couch_httpd_auth:basic_name_pw`.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it isn't base64 of text.
    pub fn parse(header: &str) -> Result<Option<Self>, Error> {
        let Some(encoded) = scheme(header, "Basic") else { return Ok(None) };
        let invalid = || Error::bad_request("Authorization header has invalid base64 value");
        let bytes = BASE64.decode(encoded).ok().ok_or_else(invalid)?;
        let text = String::from_utf8(bytes).ok().ok_or_else(invalid)?;
        let credentials = text.split_once(':').filter(|credentials| *credentials != ("_", "_"));
        Ok(credentials.map(|(name, password)| Self { name: name.to_owned(), password: password.to_owned() }))
    }
}

/// What follows the name of an authorization scheme, which is told in any case.
pub(crate) fn scheme<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case(name).then(|| rest.trim())
}

/// Without the password.
impl std::fmt::Debug for Basic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Basic").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<(&str, &str)>) {
        let found = Basic::parse(header).unwrap();
        assert_eq!(found.as_ref().map(|basic| (&*basic.name, &*basic.password)), expected, "{header}");
    }

    #[test]
    fn name_and_password_are_split_at_the_first_colon() {
        check("Basic YWRhOnNlY3JldA==", Some(("ada", "secret")));
        check("basic YWRhOnNlY3JldA", Some(("ada", "secret")));
        check("Basic YWRhOmE6Yg==", Some(("ada", "a:b")));
        check("Basic Og==", Some(("", "")));
        check("Basic Xzpf", None);
        check("Basic YWRh", None);
        check("Bearer abc", None);
        check("Basic", None);
    }

    #[test]
    fn what_isnt_base64_of_text_is_refused() {
        for header in ["Basic *", "Basic //8="] {
            let refused = Basic::parse(header).unwrap_err();
            assert_eq!(refused, Error::bad_request("Authorization header has invalid base64 value"), "{header}");
        }
        assert!(!format!("{:?}", Basic::parse("Basic YWRhOnNlY3JldA==")).contains("secret"));
    }
}
