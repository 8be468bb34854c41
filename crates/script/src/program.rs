//! A function, and what it may `require`.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_json::write_string;

use crate::simple::Simple;
use crate::{Error, Limits, Machine, SyncInput, SyncOutcome};

/// A function of a design document, or a sync function: immutable, cheap to clone.
#[derive(Clone, Debug)]
pub struct Program(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    key: Box<str>,
    source: Box<str>,
    dialect: Dialect,
}

/// What the function finds around itself.
#[derive(Debug)]
enum Dialect {
    /// What CouchDB gives a design document's functions; with the document, if there is one.
    Design(Option<Bytes>),
    /// What Sync Gateway gives a sync function; which may be so simple that it needs none of it.
    Sync(Option<Simple>),
}

impl Program {
    /// The function `source`, known as `key`.
    ///
    /// Programs with one key must have the same source and design document: what is compiled is kept by key. A good key
    /// names the database, the design document, its revision and the function's path in it. With `design`, the JSON text
    /// of the design document, the function has it as `this` and can `require` modules from it.
    pub fn new(key: impl Into<Box<str>>, source: impl Into<Box<str>>, design: Option<Bytes>) -> Self {
        Self(Arc::new(Parts { key: key.into(), source: source.into(), dialect: Dialect::Design(design) }))
    }

    /// The sync function `source`, known as `key`, as in [`new`](Self::new). It runs by [`Machine::sync`](crate::Machine::sync).
    ///
    /// It has `channel`, `access`, `role`, `requireUser`, `requireRole`, `requireAccess`, `requireAdmin`, `expiry`,
    /// `console` and, of Underscore, the part of `underscore.js`.
    pub fn sync(key: impl Into<Box<str>>, source: impl Into<Box<str>>) -> Self {
        let source = source.into();
        let dialect = Dialect::Sync(Simple::of(&source));
        Self(Arc::new(Parts { key: key.into(), source, dialect }))
    }

    /// The sync function of those who have none: a document is in the channels that its member `channels` names; or, in a
    /// collection that has a name, in the channel of that name.
    pub fn default_sync(key: impl Into<Box<str>>, collection: Option<&str>) -> Self {
        let source = match collection {
            Some(name) => {
                let mut literal = Vec::new();
                write_string(&mut literal, name);
                format!("function (doc) {{ channel({}); }}", String::from_utf8_lossy(&literal))
            }
            None => "function (doc) { channel(doc.channels); }".to_owned(),
        };
        Self::sync(key, source)
    }

    /// Compiles the program on this thread and throws the result away: for whoever is about to store it.
    ///
    /// # Errors
    /// Those of [`Machine::compile`](crate::Machine::compile).
    pub fn check(&self, limits: Limits) -> Result<(), Error> {
        Machine::new(limits).compile(self)
    }

    /// What a sync function decides, where that is known without running it: exactly what running it would come to.
    pub fn decide(&self, input: &SyncInput) -> Option<SyncOutcome> {
        match &self.0.dialect {
            Dialect::Sync(Some(simple)) => simple.decide(input),
            Dialect::Sync(None) | Dialect::Design(_) => None,
        }
    }

    /// What the program is known as.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    pub(crate) fn source(&self) -> &str {
        &self.0.source
    }

    pub(crate) fn design(&self) -> Option<&[u8]> {
        match &self.0.dialect {
            Dialect::Design(design) => design.as_deref(),
            Dialect::Sync(_) => None,
        }
    }

    pub(crate) fn is_sync(&self) -> bool {
        matches!(self.0.dialect, Dialect::Sync(_))
    }
}
