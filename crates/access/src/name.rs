//! Names of users and of roles.

use std::{fmt, str::FromStr, sync::Arc};

/// A user's name: 1 to 256 bytes without control characters.
///
/// That is all that every way to log in has in common: a name from a token may hold a colon, one in `_users` may not
/// (see [`user::check_update`](crate::user::check_update)). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(Arc<str>);

/// A role: 1 to 256 bytes without control characters. Those with `_` in front are the server's own. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(Arc<str>);

/// Why a text is no name of a user or role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is none.
    #[error("is empty")]
    Empty,
    /// Longer than [`NAME_BYTES_MAX`].
    #[error("is longer than {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// A control character would garble logs and headers.
    #[error("holds a control character")]
    Control,
}

/// The longest name of a user or role, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

impl UserName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Role {
    /// The role of server administrators.
    pub const ADMIN: &str = "_admin";
    /// The role of those who may read figures; the one system role that `_users` may give.
    pub const METRICS: &str = "_metrics";

    /// The role as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the role is one of the server's own.
    pub fn is_system(&self) -> bool {
        self.0.starts_with('_')
    }

    /// [`Role::ADMIN`].
    pub fn admin() -> Self {
        Self(Self::ADMIN.into())
    }

    /// The roles of a header or claim: separated by commas, with white space around them. Empty ones don't count.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, NameError> {
        text.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::parse).collect()
    }
}

fn check(text: &str) -> Result<Arc<str>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control);
    }
    Ok(text.into())
}

impl FromStr for UserName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check(text).map(Self)
    }
}

impl FromStr for Role {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check(text).map(Self)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(text: &str, expected: Result<(), NameError>) {
        assert_eq!(text.parse::<UserName>().map(|_| ()), expected, "{text:?}");
        assert_eq!(text.parse::<Role>().map(|_| ()), expected, "{text:?}");
    }

    #[test]
    fn names_are_short_text() {
        check_name("ada", Ok(()));
        check_name("ada@example.org", Ok(()));
        check_name("Ädä 日本", Ok(()));
        check_name("_admin", Ok(()));
        check_name("", Err(NameError::Empty));
        check_name("a\nb", Err(NameError::Control));
        check_name("a\u{0}", Err(NameError::Control));
        check_name(&"a".repeat(256), Ok(()));
        check_name(&"a".repeat(257), Err(NameError::TooLong));
    }

    #[track_caller]
    fn check_list(text: &str, expected: &[&str]) {
        let roles = Role::parse_list(text).unwrap();
        assert_eq!(roles.iter().map(Role::as_str).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn lists_of_roles_have_commas() {
        check_list("", &[]);
        check_list("a", &["a"]);
        check_list("a , b,,c,", &["a", "b", "c"]);
        check_list("two words,_admin", &["two words", "_admin"]);
    }
}
