//! A function, and what it may `require`.

use std::sync::Arc;

use bytes::Bytes;

/// A function of a design document: immutable, cheap to clone.
#[derive(Clone, Debug)]
pub struct Program(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    key: Box<str>,
    source: Box<str>,
    design: Option<Bytes>,
}

impl Program {
    /// The function `source`, known as `key`.
    ///
    /// Programs with one key must have the same source and design document: what is compiled is kept by key. A good key
    /// names the database, the design document, its revision and the function's path in it. With `design`, the JSON text
    /// of the design document, the function has it as `this` and can `require` modules from it.
    pub fn new(key: impl Into<Box<str>>, source: impl Into<Box<str>>, design: Option<Bytes>) -> Self {
        Self(Arc::new(Parts { key: key.into(), source: source.into(), design }))
    }

    /// What the program is known as.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    pub(crate) fn source(&self) -> &str {
        &self.0.source
    }

    pub(crate) fn design(&self) -> Option<&[u8]> {
        self.0.design.as_deref()
    }
}
