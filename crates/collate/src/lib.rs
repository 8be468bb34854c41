//! The order of JSON values that CouchDB's views and Mango selectors go by.
//!
//! `null < false < true < numbers < strings < arrays < objects`. Arrays go element by element and objects by name and
//! value in stored order, the shorter first where the longer goes on. Strings are in the order of ICU's root locale
//! (tertiary strength, punctuation not ignored); U+FFFF is above every other character. Numbers are compared as they
//! are written, never rounded: `1` and `1.0` are equal, and no integer is too long.
//!
//! [`compare`] works on JSON text and builds nothing from it. [`sort_key`] gives bytes that have the same order.
//!
//! Texts must be valid JSON, as `tidegate-json` lets in; of others the order means nothing.
//!
//! Source: CouchDB, "View Collation" and `couch_ejson_compare`.

mod compare;
mod key;
mod number;
mod string;

pub use compare::{compare, compare_by};
pub use key::{VERSION, sort_key, write_sort_key};
pub use number::compare_numbers;
pub use string::compare_strings;
