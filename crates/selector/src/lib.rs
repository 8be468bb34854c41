//! Mango selectors: which documents match, decided on their text.
//!
//! [`Selector::parse`] checks a selector and brings it into a normal form, [`Selector::matches`] reads a document once,
//! from front to back, takes out the members the selector names, and stops behind the last of them. No tree is built of
//! a document.
//!
//! What matches is what matches in CouchDB 3.5 (`mango_selector.erl`), its oddities included:
//!
//! - A missing field matches `$exists:false` and nothing else: not `$ne`, `$nin` or `$not`, as a negation is brought down
//!   to the field it is about. Within `$elemMatch`, `$allMatch` and `$keyMapMatch` it isn't: there `$not` matches
//!   whatever its argument doesn't.
//! - A field below a value that isn't an object, or beyond an array's end, doesn't match `$exists:false` either.
//! - Values of different types are ordered as `tidegate-collate` has it. `_id` is compared by its bytes.
//! - `$and`, `$or` and `$nor` of nothing match everything; `$all` and `$in` of nothing match nothing.
//! - `$all` takes `1` and `1.0` for two values, comparisons don't.
//!
//! Where it differs on purpose:
//!
//! - `$nor` within `$elemMatch` and its kin means what it says; there CouchDB fails and takes that for "no".
//! - `$regex` goes by characters, not bytes, and has the syntax of the crate `fancy-regex`, which is close to PCRE:
//!   lookaround, back references, atomic groups. One that takes too many steps on a string doesn't match it, in CouchDB
//!   neither.
//! - `$mod` by zero is refused; CouchDB fails at the first integer it meets.
//! - `$text` needs a text index, and is refused.

mod clause;
mod document;
mod error;
mod field;
mod paths;
mod plan;
mod test;

pub use document::Document;
pub use error::Error;

use clause::Clause;
use plan::Plan;

/// How much a selector may demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long its text may be.
    pub bytes_max: usize,
    /// How many arrays and objects may be open at once in it, the outermost one included.
    pub depth_max: usize,
    /// How many names a field's path may have.
    pub path_len_max: usize,
    /// How long a regular expression may be.
    pub regex_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 1 << 20, depth_max: 128, path_len_max: 128, regex_bytes_max: 8 << 10 }
    }
}

/// A selector, ready to match documents.
///
/// ```
/// # use tidegate_selector::{Document, Error, Limits, Selector};
/// let selector = Selector::parse(br#"{"type":"invoice","total":{"$gte":100}}"#, Limits::default())?;
/// let special = [("_id", br#""a""#.as_slice())];
/// assert!(selector.matches(&Document { special: &special, members: br#""type":"invoice","total":250"# }));
/// assert!(!selector.matches(&Document { special: &special, members: br#""type":"invoice""# }));
/// # Ok::<_, Error>(())
/// ```
#[derive(Debug)]
pub struct Selector {
    plan: Plan,
}

impl Selector {
    /// Reads a selector from JSON text.
    ///
    /// # Errors
    /// [`Error`], as CouchDB tells it.
    pub fn parse(text: &[u8], limits: Limits) -> Result<Self, Error> {
        let clause = Clause::parse(text, &limits)?;
        Ok(Self { plan: Plan::of_selector(clause, &limits)? })
    }

    /// Whether the document matches.
    pub fn matches(&self, document: &Document<'_>) -> bool {
        self.plan.matches_document(document)
    }

    /// Whether [`matches`](Self::matches) may look at the top-level member `name`. Others can be left out of the document.
    pub fn reads(&self, name: &str) -> bool {
        self.plan.reads(name)
    }

    /// Whether only documents match that have the field `path`, written as in a selector (`a.b`).
    ///
    /// An index that leaves out documents without its fields can serve a selector that requires them all. A path that is
    /// none is required by no selector.
    pub fn requires(&self, path: &str) -> bool {
        field::parse(path).is_ok_and(|path| self.plan.requires(&path))
    }
}
