//! The order of strings: ICU's root locale, with a short way for ASCII.

use std::cmp::Ordering;
use std::sync::LazyLock;

use icu_collator::options::{AlternateHandling, CollatorOptions, Strength};
use icu_collator::{Collator, CollatorBorrowed};
use icu_locale_core::Locale;
use tidegate_json::Literal;

static ROOT: LazyLock<CollatorBorrowed<'static>> = LazyLock::new(|| {
    let mut options = CollatorOptions::default();
    options.strength = Some(Strength::Tertiary);
    options.alternate_handling = Some(AlternateHandling::NonIgnorable);
    #[expect(clippy::expect_used, reason = "the data of the root locale is compiled in")]
    Collator::try_new(Locale::UNKNOWN.into(), options).expect("the root locale has data")
});

/// The printable characters of ASCII in their order; a capital letter is at its small letter's place.
const PRINTABLE: &[u8] = b" _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz";

/// The place of each byte in [`PRINTABLE`], counted from 1; 0 for all others.
static PLACES: [u8; 256] = places();

#[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler")]
const fn places() -> [u8; 256] {
    let mut places = [0; 256];
    let mut at = 0;
    while at < PRINTABLE.len() {
        let byte = PRINTABLE[at];
        places[byte as usize] = at as u8 + 1;
        places[byte.to_ascii_uppercase() as usize] = at as u8 + 1;
        at += 1;
    }
    places
}

/// How two strings are ordered. Different strings may be equal: most control characters count for nothing.
pub fn compare_strings(a: &str, b: &str) -> Ordering {
    compare_bytes(a.as_bytes(), b.as_bytes())
}

#[inline]
pub(crate) fn compare_literals(a: &Literal<'_>, b: &Literal<'_>) -> Ordering {
    compare_bytes(&a.to_bytes(), &b.to_bytes())
}

fn compare_bytes(a: &[u8], b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    if is_printable(a) && is_printable(b) {
        return compare_printable(a, b);
    }
    ROOT.compare_utf8(a, b)
}

pub(crate) fn write_sort_key(out: &mut Vec<u8>, text: &str) {
    let Ok(()) = ROOT.write_sort_key_to(text, out);
}

#[inline]
fn place(byte: u8) -> u8 {
    PLACES.get(usize::from(byte)).copied().unwrap_or_default()
}

fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// No two printable characters combine into something with a place of its own, so places decide; case does where all
/// places are equal, and small letters come first.
fn compare_printable(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(|&byte| place(byte)).cmp(b.iter().map(|&byte| place(byte))).then_with(|| b.cmp(a))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_short_way_knows_every_printable_character() {
        let all: Vec<u8> = (b' '..=b'~').collect();
        assert!(all.iter().all(|&byte| place(byte) > 0));
        for a in &all {
            for b in &all {
                assert_eq!(compare_printable(&[*a], &[*b]), ROOT.compare_utf8(&[*a], &[*b]), "{a} {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_short_way_agrees_with_icu(a in "[ -~]{0,8}", b in "[ -~]{0,8}", alike in "[aAbB-]{0,5}", other in "[aAbB-]{0,5}") {
            prop_assert_eq!(compare_strings(&a, &b), ROOT.compare(&a, &b));
            prop_assert_eq!(compare_strings(&alike, &other), ROOT.compare(&alike, &other));
        }
    }
}
