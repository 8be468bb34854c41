//! Document ids.

use std::{fmt, str::FromStr, sync::Arc};

/// A legal document id: not empty, at most [`DocId::BYTES_MAX`] bytes, and beginning with `_` only for `_design/NAME`
/// and `_local/NAME`.
///
/// Ids are ordered by their bytes, as `_all_docs` lists them. Cheap to clone. Source: `couch_doc:validate_docid`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocId(Arc<str>);

/// What an id says about its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocKind {
    /// An ordinary document.
    Plain,
    /// `_design/…`: code that the database runs.
    Design,
    /// `_local/…`: never replicated, has no history.
    Local,
}

/// Why a text is no document id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocIdError {
    /// No text at all.
    #[error("Document id must not be empty")]
    Empty,
    /// `_design/` without a name.
    #[error("Illegal document id `_design/`")]
    DesignWithoutName,
    /// `_local/` without a name.
    #[error("Illegal document id `_local/`")]
    LocalWithoutName,
    /// An underscore first, and neither `_design/` nor `_local/`.
    #[error("Only reserved document ids may start with underscore.")]
    Reserved,
    /// Longer than [`DocId::BYTES_MAX`].
    #[error("Document id is too long")]
    TooLong,
}

impl DocId {
    /// The longest id, in bytes. CouchDB has no limit by default; ours keeps a key within the store's.
    pub const BYTES_MAX: usize = 2048;

    const DESIGN: &str = "_design/";
    const LOCAL: &str = "_local/";

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the document is ordinary, a design document or local.
    pub fn kind(&self) -> DocKind {
        if self.0.starts_with(Self::DESIGN) {
            DocKind::Design
        } else if self.0.starts_with(Self::LOCAL) {
            DocKind::Local
        } else {
            DocKind::Plain
        }
    }
}

impl FromStr for DocId {
    type Err = DocIdError;

    fn from_str(text: &str) -> Result<Self, DocIdError> {
        match text {
            "" => return Err(DocIdError::Empty),
            Self::DESIGN => return Err(DocIdError::DesignWithoutName),
            Self::LOCAL => return Err(DocIdError::LocalWithoutName),
            _ if text.len() > Self::BYTES_MAX => return Err(DocIdError::TooLong),
            _ => {}
        }
        let reserved = text.starts_with(Self::DESIGN) || text.starts_with(Self::LOCAL);
        if text.starts_with('_') && !reserved {
            return Err(DocIdError::Reserved);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for DocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<DocKind, DocIdError>) {
        assert_eq!(text.parse::<DocId>().map(|id| id.kind()), expected, "{text:?}");
    }

    #[test]
    fn underscores_are_reserved() {
        check("a", Ok(DocKind::Plain));
        check("a_b/c", Ok(DocKind::Plain));
        check("_design/d", Ok(DocKind::Design));
        check("_local/x/y", Ok(DocKind::Local));
        check("_design", Err(DocIdError::Reserved));
        check("_x", Err(DocIdError::Reserved));
        check("_design/", Err(DocIdError::DesignWithoutName));
        check("_local/", Err(DocIdError::LocalWithoutName));
        check("", Err(DocIdError::Empty));
    }

    #[test]
    fn length_has_a_limit() {
        check(&"é".repeat(1024), Ok(DocKind::Plain));
        check(&"é".repeat(1025), Err(DocIdError::TooLong));
    }
}
