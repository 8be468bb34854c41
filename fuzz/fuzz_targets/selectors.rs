//! Mango selectors on any text, matched against any document: what is refused is refused each time, and an answer is the
//! same each time.
//!
//! The first line is the selector, the rest a document.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_selector::{Document, Limits, Selector};

fuzz_target!(|text: &str| {
    let (selector, document) = text.split_once('\n').unwrap_or((text, "{}"));
    let Ok(selector) = Selector::parse(selector.as_bytes(), Limits::default()) else { return };
    let Ok(scanned) = tidegate_json::scan_document(document.as_bytes(), tidegate_json::Limits::default()) else {
        return;
    };
    let special = [("_id", br#""a""#.as_slice()), ("_rev", br#""1-a""#.as_slice())];
    let members = scanned.members.as_ref();
    let document = Document { special: &special, members };
    assert_eq!(selector.matches(&document), selector.matches(&document));
});
