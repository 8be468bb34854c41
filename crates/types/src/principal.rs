//! Users and roles of a database.

use std::{fmt, str::FromStr, sync::Arc};

/// The name of a user or a role: at least one letter or digit, none of ``: , / ` ``; at most 239 bytes. Cheap to clone.
///
/// Source: Sync Gateway 4.2, `_user` and `_role`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalName(Arc<str>);

/// Why a text is no principal's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalNameError {
    /// It has one of the characters that can't be in a name.
    #[error("contains '/', ':', ',', or '`'")]
    Illegal,
    /// There is no letter and no digit in it.
    #[error("must contain at least one alphanumeric character")]
    NoLetter,
    /// Longer than [`PrincipalName::BYTES_MAX`].
    #[error("length exceeds {}", PrincipalName::BYTES_MAX)]
    TooLong,
}

/// Who may be granted channels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// A user.
    User(PrincipalName),
    /// A role.
    Role(PrincipalName),
}

impl PrincipalName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 239;

    /// `GUEST`: who comes without credentials.
    pub fn guest() -> Self {
        Self("GUEST".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PrincipalName {
    type Err = PrincipalNameError;

    fn from_str(text: &str) -> Result<Self, PrincipalNameError> {
        if text.contains(['/', ':', ',', '`']) {
            return Err(PrincipalNameError::Illegal);
        }
        if !text.chars().any(char::is_alphanumeric) {
            return Err(PrincipalNameError::NoLetter);
        }
        if text.len() > Self::BYTES_MAX { Err(PrincipalNameError::TooLong) } else { Ok(Self(text.into())) }
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Principal {
    /// Its name.
    pub fn name(&self) -> &PrincipalName {
        match self {
            Self::User(name) | Self::Role(name) => name,
        }
    }
}

/// As sync functions write it: a role with `role:` before its name.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => name.fmt(f),
            Self::Role(name) => write!(f, "role:{name}"),
        }
    }
}

impl FromStr for Principal {
    type Err = PrincipalNameError;

    fn from_str(text: &str) -> Result<Self, PrincipalNameError> {
        match text.strip_prefix("role:") {
            Some(role) => role.parse().map(Self::Role),
            None => text.parse().map(Self::User),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_sync_gateway_allows() {
        let parse = |text: &str| text.parse::<PrincipalName>().map(|name| name.to_string());
        assert_eq!(parse("ada lovelace@x"), Ok("ada lovelace@x".to_owned()));
        assert_eq!(parse("ü"), Ok("ü".to_owned()));
        for illegal in ["a/b", "a:b", "a,b", "a`b"] {
            assert_eq!(parse(illegal), Err(PrincipalNameError::Illegal), "{illegal}");
        }
        assert_eq!(parse("._-"), Err(PrincipalNameError::NoLetter));
        assert_eq!(parse(""), Err(PrincipalNameError::NoLetter));
        assert_eq!(parse(&"x".repeat(240)), Err(PrincipalNameError::TooLong));
    }

    #[test]
    fn roles_have_a_prefix() {
        let parse = |text: &str| text.parse::<Principal>().unwrap();
        assert_eq!(parse("role:nurse"), Principal::Role("nurse".parse().unwrap()));
        assert_eq!(parse("nurse"), Principal::User("nurse".parse().unwrap()));
        assert_eq!(parse("role:nurse").to_string(), "role:nurse");
    }
}
