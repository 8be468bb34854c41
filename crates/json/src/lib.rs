//! One-pass JSON scanner for documents.
//!
//! [`scan_document`] takes a document apart on its way in: the members to store, the `_` members to interpret and the
//! canonical form to digest, in one pass over the text and without building a tree of values. [`Members`] and
//! [`split_array`] walk the envelopes that carry documents (`_bulk_docs`), [`write_string`] and [`read_string`] are the
//! two directions of a string literal. [`Reader`] takes values out of text that has been scanned before, without checking it
//! again.
//!
//! What is accepted is RFC 8259 to the letter, in UTF-8, without a byte order mark. Decisions where it leaves room:
//!
//! - **Repeated names**: the last value wins and takes the first one's place, at every depth.
//! - **Numbers** are text: never rounded, never rewritten, of any size. `1.0` and `1` are different documents.
//! - **Lone surrogates** (`"\ud800"`) are accepted and kept as they are written. Names are compared, and handed out,
//!   with U+FFFD in their place.
//! - **Depth** is limited by [`Limits`]; no input makes the crate recurse.
//!
//! Every operation is O(n log n) at worst in the length of the text, whatever the nesting.

mod cursor;
mod document;
mod envelope;
mod error;
mod names;
mod outline;
mod reader;
mod render;
mod string;
mod walk;

pub use document::{Document, scan_document};
pub use envelope::{Members, split_array};
pub use error::Error;
pub use reader::{Kind, Literal, Reader};
pub use string::{read_string, write_string};

/// How much a text may demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many arrays and objects may be open at once, the outermost one included.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth_max: 512 }
    }
}
