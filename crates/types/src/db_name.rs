//! Database names, as CouchDB allows them.

use std::{fmt, str::FromStr, sync::Arc};

/// A legal database name: `^[a-z][a-z0-9_$()+/-]*$`, or one of CouchDB's system databases; at most 238 bytes.
///
/// Cheap to clone. Source: `couch_db:validate_dbname`, `max_database_name_length`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DbName(Arc<str>);

/// Why a text is no database name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DbNameError {
    /// A character is not allowed there, or the name is empty.
    #[error("only lowercase letters, digits and _$()+-/ are allowed, and a letter must come first")]
    Illegal,
    /// Longer than [`DbName::BYTES_MAX`].
    #[error("longer than {} bytes", DbName::BYTES_MAX)]
    TooLong,
}

impl DbName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 238;

    const SYSTEM: [&str; 3] = ["_users", "_replicator", "_global_changes"];

    /// `_users`: the database of those who may log in.
    pub fn users() -> Self {
        Self("_users".into())
    }

    /// `_replicator`: the database of replications.
    pub fn replicator() -> Self {
        Self("_replicator".into())
    }

    /// `_global_changes`: the database of what happens to the others.
    pub fn global_changes() -> Self {
        Self("_global_changes".into())
    }

    /// Whether the documents of a database of this name are replications: `_replicator`, or a name that ends in
    /// `/_replicator`. Source: `couch_replicator_utils`.
    pub fn is_replicator(&self) -> bool {
        self.as_str().rsplit('/').next() == Some("_replicator")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DbName {
    type Err = DbNameError;

    fn from_str(text: &str) -> Result<Self, DbNameError> {
        let mut bytes = text.bytes();
        let letter_first = bytes.next().is_some_and(|first| first.is_ascii_lowercase());
        let legal =
            letter_first && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_$()+-/".contains(&b));
        if !legal && !Self::SYSTEM.contains(&text) {
            return Err(DbNameError::Illegal);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(DbNameError::TooLong);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for DbName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), DbNameError>) {
        assert_eq!(text.parse::<DbName>().map(|_| ()), expected, "{text:?}");
    }

    #[test]
    fn letters_first_then_couchdbs_characters() {
        check("a", Ok(()));
        check("az09_$()+-/b", Ok(()));
        check("_users", Ok(()));
        check("_replicator", Ok(()));
        check("_other", Err(DbNameError::Illegal));
        check("", Err(DbNameError::Illegal));
        check("A", Err(DbNameError::Illegal));
        check("1a", Err(DbNameError::Illegal));
        check("a.b", Err(DbNameError::Illegal));
        check("aé", Err(DbNameError::Illegal));
    }

    #[test]
    fn length_has_a_limit() {
        check(&"a".repeat(238), Ok(()));
        check(&"a".repeat(239), Err(DbNameError::TooLong));
    }
}
