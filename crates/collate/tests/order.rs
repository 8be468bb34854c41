//! The golden order of CouchDB, numbers and strings at the edges, and the laws of an order.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::cmp::Ordering;

use proptest::prelude::*;
use serde_json::Value;
use tidegate_collate::{compare, compare_strings, sort_key};

/// Each value is less than all behind it, by comparison and by sort key.
#[track_caller]
fn check_ascending(values: &[&str]) {
    for (at, a) in values.iter().enumerate() {
        for (other, b) in values.iter().enumerate() {
            check(a, b, at.cmp(&other));
        }
    }
}

#[track_caller]
fn check(a: &str, b: &str, order: Ordering) {
    assert_eq!(compare(a.as_bytes(), b.as_bytes()), order, "{a} ? {b}");
    let (key_of_a, key_of_b) = (sort_key(a.as_bytes()), sort_key(b.as_bytes()));
    assert_eq!(key_of_a.cmp(&key_of_b), order, "keys of {a} ? {b}: {key_of_a:?} ? {key_of_b:?}");
}

#[track_caller]
fn check_equal(values: &[&str]) {
    for a in values {
        for b in values {
            check(a, b, Ordering::Equal);
        }
    }
}

#[test]
fn the_order_of_couchdb() {
    check_ascending(&[
        "null",
        "false",
        "true",
        "-1",
        "1",
        "2.5",
        r#"" ""#,
        r#""_""#,
        r#""0""#,
        r#""10""#,
        r#""9""#,
        r#""a""#,
        r#""A""#,
        r#""ä""#,
        r#""aa""#,
        r#""ae""#,
        r#""b""#,
        r#""B""#,
        r#""é""#,
        r#""ss""#,
        r#""ß""#,
        r#""z""#,
        r#""Z""#,
        "[]",
        "[null]",
        r#"["a"]"#,
        "{}",
        r#"{"a":1}"#,
        r#"{"a":2}"#,
        r#"{"b":1}"#,
    ]);
}

#[test]
fn the_order_of_couchdbs_documentation() {
    check_ascending(&[
        "null",
        "false",
        "true",
        "1",
        "2",
        "3.0",
        "4",
        r#""a""#,
        r#""A""#,
        r#""aa""#,
        r#""b""#,
        r#""B""#,
        r#""ba""#,
        r#""bb""#,
        r#"["a"]"#,
        r#"["b"]"#,
        r#"["b","c"]"#,
        r#"["b","c","a"]"#,
        r#"["b","d"]"#,
        r#"["b","d","e"]"#,
        r#"{"a":1}"#,
        r#"{"a":2}"#,
        r#"{"b":1}"#,
        r#"{"b":2}"#,
        r#"{"b":2,"a":1}"#,
        r#"{"b":2,"c":2}"#,
    ]);
}

#[test]
fn numbers_are_exact() {
    check_ascending(&[
        "-1e9223372036854775807",
        "-1e400",
        "-1e129",
        "-1e128",
        "-1e127",
        "-1e126",
        "-12345678901234567890124",
        "-12345678901234567890123",
        "-10",
        "-1.5",
        "-1",
        "-0.5",
        "-0.05",
        "-1e-400",
        "0",
        "1e-400",
        "1e-130",
        "1e-129",
        "1e-128",
        "1e-127",
        "1e-126",
        "0.05",
        "0.1",
        "0.10000000000000000000000000000000000001",
        "0.5",
        "0.99",
        "1",
        "1.5",
        "9",
        "9.5",
        "10",
        "11",
        "100",
        "9007199254740992",
        "9007199254740993",
        "12345678901234567890122",
        "12345678901234567890123",
        "12345678901234567890123.5",
        "12345678901234567890124",
        "1e125",
        "1e126",
        "1e127",
        "1e128",
        "1.5e308",
        "1e400",
        "1e401",
        "1e999999999999999999",
    ]);
    check_equal(&["1", "1.0", "1e0", "10e-1", "0.1E+1", "1.000e00", "100e-2"]);
    check_equal(&["0", "-0", "0.0", "-0.0", "0e5", "-0.000e-400"]);
    check_equal(&["1200", "1.2e3", "12E2", "0.0012e6", "1200.0"]);
}

#[test]
fn strings_at_the_edges() {
    // What applications put behind a prefix to get all that begins with it.
    check_ascending(&[
        r#""""#,
        r#""ab""#,
        r#""abz""#,
        r#""abzzzz""#,
        r#""ab字""#,
        "\"ab\u{fff0}\"",
        r#""ab\uffff""#,
        r#""ac""#,
    ]);
    check_ascending(&[r#"["ab"]"#, r#"["ab",5]"#, r#"["ab","\uffff"]"#, r#"["ab",{}]"#, r#"["ab\uffff"]"#]);
    // Many applications end ranges with {}, which objects with names are above.
    check_ascending(&[r#"["a"]"#, r#"["a",["z"]]"#, r#"["a",{}]"#, r#"["a",{"a":1}]"#]);
    check_ascending(&[r#""\tb""#, r#"" b""#, r#""-b""#, r#""a b""#, r#""a-b""#, r#""ab""#]);
    check_ascending(&[r#""a?""#, r#""a😀""#, r#""a0""#]);
    // Escapes are one way to write what they stand for; control characters count for nothing.
    check_equal(&[r#""a\u00e4/""#, r#""aä/""#, r#""\u0061ä\/""#, "\"aa\u{308}/\"", r#""\u0001aä/""#]);
    check(r#""\ud800""#, "\"\u{fffd}\"", Ordering::Equal);
}

#[test]
fn white_space_and_nesting_make_no_difference() {
    check_equal(&[r#"[1,{"a":[{}],"b":""}]"#, " [ 1 , { \"a\" : [ { } ] ,\n\"b\" : \"\" } ] "]);
    check_ascending(&["[[],[]]", "[[],[],[]]", "[[],[[]]]", "[[[]],null]"]);
    check_ascending(&[r#"{"a":{},"b":1}"#, r#"{"a":{"a":1}}"#, r#"{"a":{"a":1},"b":0}"#]);
    let deep = |inside: &str| format!("{}{inside}{}", "[".repeat(500), "]".repeat(500));
    check(&deep("1"), &deep("2"), Ordering::Less);
    check(&deep("1"), &deep("1,1"), Ordering::Less);
}

#[test]
fn keys_stay_as_they_are() {
    // What is stored relies on it: when this changes, so must `VERSION`.
    let key = |value: &str| sort_key(value.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(key("null"), "01");
    assert_eq!(key("-1.5"), "047e7eefff");
    assert_eq!(key("1200"), "0481840d00");
    assert_eq!(key(r#"["Aé",{"b":0}]"#), "06052b3301448801dc060007052d010501050004800000");
    assert_eq!(tidegate_collate::VERSION, 1);
}

/// Characters that collation treats in their own ways, and any other.
fn strings() -> impl Strategy<Value = String> {
    let odd = "[aAbBäÄåßeéЖжㄱ가각中\u{0}\u{1}\u{7f}\u{ad}\u{200b}\u{300}\u{308}\u{327}\u{fdd0}\u{fff0}\u{fffd}\u{fffe}\u{ffff}😀\u{10ffff} _-]{0,6}";
    prop_oneof![odd.boxed(), any::<String>().boxed(), "[a-c]{0,3}".boxed()]
}

fn numbers() -> impl Strategy<Value = Value> {
    let texts =
        prop_oneof!["-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,5})?(e-?[0-9]{1,3})?", "-?[1-2](\\.[01]{1,2})?(e-?[01])?"];
    texts.prop_map(|text| serde_json::from_str(&text).unwrap())
}

fn values() -> impl Strategy<Value = Value> {
    let scalar =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), numbers(), strings().prop_map(Value::from)];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((strings(), inner), 0..3).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Exact comparison by sign, and digits scaled to one power of ten.
fn scaled(text: &str) -> (bool, String) {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = 1100 + exponent.parse::<i64>().unwrap();
    let zeros = usize::try_from(point).unwrap() - fraction.len();
    let digits = format!("{whole}{fraction}{}", "0".repeat(zeros));
    (negative, format!("{digits:0>3000}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn it_is_a_total_order_and_keys_have_it(a in values(), b in values(), c in values()) {
        let texts = [a, b, c].map(|value| value.to_string());
        let order = |i: usize, j: usize| compare(texts[i].as_bytes(), texts[j].as_bytes());
        for i in 0..3 {
            prop_assert_eq!(order(i, i), Ordering::Equal);
            for j in 0..3 {
                prop_assert_eq!(order(i, j), order(j, i).reverse());
                prop_assert_eq!(
                    order(i, j),
                    sort_key(texts[i].as_bytes()).cmp(&sort_key(texts[j].as_bytes())),
                    "{} {}", texts[i], texts[j]
                );
                for k in 0..3 {
                    if order(i, j).is_le() && order(j, k).is_le() {
                        prop_assert!(order(i, k).is_le());
                    }
                }
            }
        }
    }

    #[test]
    fn no_key_is_the_beginning_of_another(a in values(), b in values()) {
        let (a, b) = (sort_key(a.to_string().as_bytes()), sort_key(b.to_string().as_bytes()));
        prop_assert!(a == b || !(a.starts_with(&b) || b.starts_with(&a)));
    }

    #[test]
    fn numbers_are_compared_by_value(a in numbers(), b in numbers()) {
        let (a, b) = (a.to_string(), b.to_string());
        let ((a_negative, a_digits), (b_negative, b_digits)) = (scaled(&a), scaled(&b));
        let zero = a_digits.bytes().chain(b_digits.bytes()).all(|digit| digit == b'0');
        let expected = match (a_negative, b_negative) {
            _ if zero => Ordering::Equal,
            (false, false) => a_digits.cmp(&b_digits),
            (true, true) => b_digits.cmp(&a_digits),
            (a_negative, b_negative) => b_negative.cmp(&a_negative),
        };
        prop_assert_eq!(compare(a.as_bytes(), b.as_bytes()), expected, "{} {}", a, b);
    }

    #[test]
    fn the_way_a_string_is_written_makes_no_difference(a in strings(), b in strings()) {
        let escaped = |text: &str| {
            let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            format!("\"{units}\"")
        };
        prop_assert_eq!(compare(escaped(&a).as_bytes(), escaped(&b).as_bytes()), compare_strings(&a, &b));
        let plain = Value::from(b.clone()).to_string();
        prop_assert_eq!(compare(escaped(&a).as_bytes(), plain.as_bytes()), compare_strings(&a, &b));
    }
}
