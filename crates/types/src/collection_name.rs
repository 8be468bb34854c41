//! Names of collections.

use std::{fmt, str::FromStr, sync::Arc};

/// The name of a collection within its database, `scope.collection`. Cheap to clone.
///
/// Either part has up to 251 letters, digits, `_`, `-` and `%`, and begins with none of `_` and `%`; but for the scope
/// `_default`, and the collection `_default` in it. Source: Couchbase Server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CollectionName {
    text: Arc<str>,
    /// Where the dot is.
    dot: usize,
}

/// A text is no name of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no name of a collection")]
pub struct CollectionNameError;

const DEFAULT: &str = "_default";
const PART_BYTES_MAX: usize = 251;

impl CollectionName {
    /// The collection of this name in this scope.
    ///
    /// # Errors
    /// One of them can't be called so.
    pub fn new(scope: &str, name: &str) -> Result<Self, CollectionNameError> {
        let is_default = (scope, name) == (DEFAULT, DEFAULT);
        let is_legal = is_default || (scope == DEFAULT || is_part(scope)) && is_part(name);
        let text = is_legal.then(|| format!("{scope}.{name}").into());
        text.map(|text| Self { text, dot: scope.len() }).ok_or(CollectionNameError)
    }

    /// The collection that every database has: what is named by the database alone.
    pub fn of_default() -> Self {
        Self { text: format!("{DEFAULT}.{DEFAULT}").into(), dot: DEFAULT.len() }
    }

    /// Whether this is [`CollectionName::of_default`].
    pub fn is_default(&self) -> bool {
        self.name() == DEFAULT
    }

    /// Its scope.
    pub fn scope(&self) -> &str {
        self.text.get(..self.dot).unwrap_or_default()
    }

    /// Its name in the scope.
    pub fn name(&self) -> &str {
        self.text.get(self.dot + 1..).unwrap_or_default()
    }

    /// Both, with the dot between them.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_part(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-%".contains(&byte);
    (1..=PART_BYTES_MAX).contains(&text.len()) && !text.starts_with(['_', '%']) && text.bytes().all(is_legal)
}

impl FromStr for CollectionName {
    type Err = CollectionNameError;

    fn from_str(text: &str) -> Result<Self, CollectionNameError> {
        let (scope, name) = text.split_once('.').ok_or(CollectionNameError)?;
        Self::new(scope, name)
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let parsed: Option<CollectionName> = text.parse().ok();
        assert_eq!(parsed.as_ref().map(|name| (name.scope(), name.name())), expected, "{text}");
        assert_eq!(parsed.is_some_and(|name| name.is_default()), text == "_default._default");
    }

    #[test]
    fn a_scope_and_a_name() {
        check("s.c", Some(("s", "c")));
        check("Shop-1.a_%b", Some(("Shop-1", "a_%b")));
        check("_default.c", Some(("_default", "c")));
        check("_default._default", Some(("_default", "_default")));
        for illegal in ["", "s", "s.", ".c", "s._default", "_s.c", "s._c", "%s.c", "s.c.d", "s.ü", "s.a b", "s.a/b"] {
            check(illegal, None);
        }
        let long = "x".repeat(PART_BYTES_MAX);
        check(&format!("{long}.{long}"), Some((&long, &long)));
        check(&format!("{long}x.c"), None);
        assert_eq!(CollectionName::of_default(), "_default._default".parse().unwrap());
    }
}
