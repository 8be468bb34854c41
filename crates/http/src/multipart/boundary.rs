//! The text that separates parts.

use std::fmt;

use super::MultipartError;
use crate::media::MediaType;

/// The longest boundary RFC 2046 allows, in bytes.
const BOUNDARY_BYTES_MAX: usize = 70;

/// A checked boundary: 1 to 70 characters RFC 2046 allows, the last not a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// Checks a boundary.
    ///
    /// # Errors
    /// [`MultipartError::BadBoundary`].
    pub fn new(text: &str) -> Result<Self, MultipartError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? !#$%&*;<>@[]^`{|}~".contains(&byte);
        let fits = (1..=BOUNDARY_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(allowed) && !text.ends_with(' ') {
            Ok(Self(text.to_owned()))
        } else {
            Err(MultipartError::BadBoundary)
        }
    }

    /// A boundary from 16 random bytes: 32 hexadecimal digits, as CouchDB makes them.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(random)))
    }

    /// The boundary a `Content-Type` declares, quoted or not.
    ///
    /// # Errors
    /// [`MultipartError::NotMultipart`], [`MultipartError::NoBoundary`], [`MultipartError::BadBoundary`].
    pub fn from_content_type(content_type: &str) -> Result<Self, MultipartError> {
        let media = MediaType::parse(content_type).filter(|media| media.is("multipart/*"));
        let boundary = media.ok_or(MultipartError::NotMultipart)?.parameter("boundary");
        Self::new(&boundary.ok_or(MultipartError::NoBoundary)?)
    }

    /// The boundary, without the hyphens before it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `Content-Type` of a body with this boundary: `multipart/SUBTYPE; boundary="…"`.
    pub fn content_type(&self, subtype: &str) -> String {
        format!("multipart/{subtype}; boundary=\"{self}\"")
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, expected: &str) {
        assert_eq!(Boundary::from_content_type(content_type).unwrap().as_str(), expected);
    }

    #[test]
    fn boundaries_quoted_or_not() {
        check("multipart/related; boundary=abc", "abc");
        check("Multipart/Mixed;type=\"application/json\" ; Boundary=\"a b:c\"; x=y", "a b:c");
        let boundary = Boundary::from_random([0xab; 16]);
        check(&boundary.content_type("related"), &"ab".repeat(16));
    }

    #[test]
    fn what_is_refused() {
        let error = |content_type: &str| Boundary::from_content_type(content_type).unwrap_err();
        assert!(matches!(error("application/json; boundary=a"), MultipartError::NotMultipart));
        assert!(matches!(error(""), MultipartError::NotMultipart));
        assert!(matches!(error("multipart/related"), MultipartError::NoBoundary));
        assert!(matches!(error("multipart/related; boundary="), MultipartError::BadBoundary));
        assert!(matches!(error("multipart/related; boundary=\"a \""), MultipartError::BadBoundary));
        assert!(matches!(error("multipart/related; boundary=\"a\rb\""), MultipartError::BadBoundary));
        assert!(matches!(
            error(&format!("multipart/related; boundary={}", "a".repeat(71))),
            MultipartError::BadBoundary
        ));
    }
}
