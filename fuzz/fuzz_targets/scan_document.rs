//! Any bytes: accepted exactly when serde_json accepts them, with the same values, and in a form that is final.

#![no_main]

#[path = "../../crates/json/tests/oracle/mod.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|text: &[u8]| oracle::check(text));
