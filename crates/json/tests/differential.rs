//! The scanner beside serde_json, and the laws of the canonical form, on generated and damaged texts.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod oracle;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use tidegate_json::{Limits, read_string, scan_document, write_string};

/// Pieces of string literals, few enough that names repeat in different spellings.
const PIECES: &[&str] = &[
    "a",
    "b",
    "_",
    "a",
    "\\u0061",
    "\\u005f",
    "é",
    "\\u00e9",
    "\\u00E9",
    "\\n",
    "\\u000a",
    "\\/",
    "/",
    "\\\\",
    "\\\"",
    "\\u0000",
    "\\u001F",
    "😀",
    "\\ud83d\\ude00",
    "12345678",
    " ",
    "\u{7f}",
    "\u{fffd}",
];
const LONE: &[&str] = &["\\ud800", "\\uDfff", "\\ud83d"];
const SCALARS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1.50",
    "-12e5",
    "1E+3",
    "123456789012345678901234567890",
    "\"\"",
    "{}",
    "[]",
];
const BYTES: &[u8] = b"{}[]\",:\\u0129aefnrt-+.E \t\n\r_/\x00\x1f\x7f\x80\xc3\xed\xa0\xf0\xff";

fn white() -> impl Strategy<Value = &'static str> {
    select(&["", "", "", "", " ", "\n", "\t\r "][..])
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![30 => select(PIECES), 1 => select(LONE)];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![select(SCALARS).prop_map(str::to_owned), string()];
    leaf.prop_recursive(5, 48, 6, |inner| {
        let item = (white(), inner.clone(), white()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        prop_oneof![
            2 => object(inner),
            1 => prop::collection::vec(item, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (white(), string(), white(), white(), value, white())
        .prop_map(|(a, name, b, c, value, d)| format!("{a}{name}{b}:{c}{value}{d}"));
    prop::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")))
}

#[derive(Clone, Debug)]
enum Damage {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), select(BYTES)).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        4 => (any::<Index>(), select(BYTES)).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        4 => any::<Index>().prop_map(Damage::Remove),
        1 => any::<Index>().prop_map(Damage::Cut),
    ]
}

fn apply(text: &mut Vec<u8>, damage: &Damage) {
    if text.is_empty() {
        return;
    }
    match damage {
        Damage::Replace(at, byte) => {
            let at = at.index(text.len());
            text[at] = *byte;
        }
        Damage::Insert(at, byte) => text.insert(at.index(text.len()), *byte),
        Damage::Remove(at) => drop(text.remove(at.index(text.len()))),
        Damage::Cut(at) => text.truncate(at.index(text.len())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_serde_json(before in white(), text in object(json()), after in white()) {
        oracle::check(format!("{before}{text}{after}").as_bytes());
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_texts(text in json(), damages in prop::collection::vec(damage(), 1..4)) {
        let mut text = text.into_bytes();
        damages.iter().for_each(|damage| apply(&mut text, damage));
        oracle::check(&text);
    }

    /// The order of members, at the top level and below, is not part of the canonical form.
    #[test]
    fn order_does_not_matter(
        (members, shuffled) in prop::collection::btree_map("[a-c_\u{e9}]{0,10}", json(), 0..40)
            .prop_map(|members| members.into_iter().collect::<Vec<_>>())
            .prop_flat_map(|members| (Just(members.clone()), Just(members).prop_shuffle())),
    ) {
        let write = |members: &[(String, String)]| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let inner = format!("{{{}}}", members.join(","));
            format!("{{\"a\":[{inner}],\"b\":{inner}}}")
        };
        let (one, other) = (write(&members), write(&shuffled));
        let canonical = |text: &str| scan_document(text.as_bytes(), Limits::default()).unwrap().canonical;
        prop_assert_eq!(canonical(&one), canonical(&other));
    }

    #[test]
    fn strings_come_back(text in any::<String>()) {
        let mut literal = Vec::new();
        write_string(&mut literal, &text);
        prop_assert_eq!(std::str::from_utf8(&literal).unwrap(), serde_json::to_string(&text).unwrap());
        let read = read_string(&literal);
        prop_assert_eq!(read.as_deref(), Some(&*text));
    }
}
