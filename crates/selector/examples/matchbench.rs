//! How long a match takes: `cargo run --release -p tidegate-selector --example matchbench`.

#![expect(clippy::print_stdout, reason = "a measuring tool")]

use std::hint::black_box;
use std::time::Instant;

use tidegate_selector::{Document, Limits, Selector};

const ROUNDS: u32 = 500;
const MATCHES: u32 = 200;

const SELECTORS: [(&str, &str); 12] = [
    ("everything", "{}"),
    ("id", r#"{"_id":"doc-000123"}"#),
    ("first field", r#"{"type":"invoice"}"#),
    ("field in the middle", r#"{"customer":"c-0042"}"#),
    ("last field, equal", r#"{"last":"z"}"#),
    ("last field, not equal", r#"{"last":"y"}"#),
    ("missing field", r#"{"absent":1}"#),
    ("nested field and range", r#"{"address.city":"Zürich","total":{"$gte":100,"$lt":900}}"#),
    ("string range outside ASCII", r#"{"address.city":{"$gt":"Zug","$lt":"Zürn"}}"#),
    ("elements", r#"{"lines":{"$elemMatch":{"sku":"sku-6","quantity":{"$gt":3}}}}"#),
    ("regular expression", r#"{"notes":{"$regex":"deliver.*door$"}}"#),
    ("one of 1000 ids", ""),
];

fn main() {
    let members = members();
    println!("members of {} bytes, best of {ROUNDS} rounds", members.len());
    for (name, text) in SELECTORS {
        measure(name, text, &members);
    }
}

fn measure(name: &str, text: &str, members: &str) {
    let ids: Vec<String> = (0..1000).map(|id| format!("\"doc-{id:06}\"")).collect();
    let among = format!(r#"{{"_id":{{"$in":[{}]}}}}"#, ids.join(","));
    let text = if text.is_empty() { &among } else { text };
    let Ok(selector) = Selector::parse(text.as_bytes(), Limits::default()) else { return };
    let special: [(&str, &[u8]); 2] =
        [("_id", br#""doc-000123""#), ("_rev", br#""1-0123456789abcdef0123456789abcdef""#)];
    let document = Document { special: &special, members: members.as_bytes() };
    let round = || {
        let start = Instant::now();
        for _ in 0..MATCHES {
            black_box(selector.matches(black_box(&document)));
        }
        start.elapsed().as_nanos() / u128::from(MATCHES)
    };
    let nanos = (0..ROUNDS).map(|_| round()).min().unwrap_or_default();
    let matches = selector.matches(&document);
    println!("{name:30} {nanos:6} ns  {}", if matches { "matches" } else { "doesn't match" });
}

/// A kilobyte of an invoice.
fn members() -> String {
    let lines: Vec<String> = (0..8)
        .map(|line| {
            format!(r#"{{"sku":"sku-{line}","quantity":{line},"price":{line}9.95,"title":"Thing number {line}"}}"#)
        })
        .collect();
    format!(
        r#""type":"invoice","number":12345,"customer":"c-0042","address":{{"street":"Bahnhofstrasse 1","zip":"8001","city":"Zürich","country":"CH"}},"lines":[{}],"total":559.60,"currency":"CHF","paid":false,"created":"2026-01-02T03:04:05.678Z","tags":["a","b","c"],"notes":"Please {} and deliver it to the back door","last":"z""#,
        lines.join(","),
        "do not ring the bell, ".repeat(9),
    )
}
