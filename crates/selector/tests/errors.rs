//! What is refused, in CouchDB's words, and the limits.

#![expect(clippy::unwrap_used, reason = "tests")]

use tidegate_selector::{Error, Limits, Selector};

#[track_caller]
fn check(selector: &str, name: &str, reason: &str) {
    let error = Selector::parse(selector.as_bytes(), Limits::default()).unwrap_err();
    assert_eq!((error.name(), &*error.to_string()), (name, reason), "{selector}");
}

#[test]
fn operators_that_are_none() {
    check(r#"{"x":{"$foo":1}}"#, "invalid_operator", "Invalid operator: $foo");
    check(r#"{"$foo":[]}"#, "invalid_operator", "Invalid operator: $foo");
    check(r#"{"x":{"$":1}}"#, "invalid_operator", "Invalid operator: $");
    check(r#"{"x":{"$elemMatch":{"y":{"$EQ":1}}}}"#, "invalid_operator", "Invalid operator: $EQ");
    for operator in ["$where", "$near", "$nearSphere", "$geoWithin", "$geoIntersects", "$text", "$default"] {
        check(&format!(r#"{{"{operator}":"a"}}"#), "not_supported", &format!("Unsupported operator: {operator}"));
    }
}

#[test]
fn arguments_that_do_not_fit() {
    let cases: [(&str, &[&str]); 13] = [
        ("$and", &["1", "{}", "null"]),
        ("$or", &["1", "{}"]),
        ("$nor", &[r#""a""#]),
        ("$not", &["1", "[]", "null"]),
        ("$in", &["1", "{}"]),
        ("$nin", &["null"]),
        ("$all", &["true"]),
        ("$exists", &["1", r#""true""#, "null"]),
        ("$type", &["1", "[]"]),
        ("$mod", &["1", "[1]", "[1,2,3]", "[1.0,2]", r#"["1",2]"#, "[0,0]", "[1e2,1]", "[9223372036854775808,1]"]),
        ("$size", &["-1", "1.0", r#""1""#, "[]"]),
        ("$regex", &["1", r#""(""#, r#""[a""#, r#""*""#, r#""a)""#]),
        ("$beginsWith", &["1", "null"]),
    ];
    for (operator, arguments) in cases {
        for argument in arguments {
            let reason = format!("Bad argument for operator {operator}: {argument}");
            check(&format!(r#"{{"x":{{"{operator}":{argument}}}}}"#), "bad_arg", &reason);
        }
    }
    for operator in ["$elemMatch", "$allMatch", "$keyMapMatch"] {
        check(
            &format!(r#"{{"x":{{"{operator}":[1]}}}}"#),
            "bad_arg",
            &format!("Bad argument for operator {operator}: [1]"),
        );
    }
}

#[test]
fn long_arguments_are_cut() {
    let error = Selector::parse(format!(r#"{{"x":{{"$in":"{}"}}}}"#, "ä".repeat(9999)).as_bytes(), Limits::default());
    let reason = error.unwrap_err().to_string();
    assert!(reason.chars().count() < 250 && reason.ends_with('…'), "{reason}");
}

#[test]
fn fields_without_names() {
    for field in ["", "a.", "a..b", "."] {
        check(&format!(r#"{{"{field}":1}}"#), "invalid_field_name", &format!("Invalid field name: {field}"));
    }
    let reason = "One or more conditions is missing a field name.";
    for selector in [r#"{"$gt":5}"#, r#"{"$not":{"$eq":1}}"#, r#"{"$not":{}}"#, r#"{"$elemMatch":{"a":1}}"#] {
        check(selector, "invalid_selector", reason);
    }
}

#[test]
fn texts_that_are_no_selector() {
    check(" [1]", "invalid_selector_json", "Selector must be a JSON object, not: [1]");
    check("null", "invalid_selector_json", "Selector must be a JSON object, not: null");
    for text in ["", "{", r#"{"a":1}}"#, r#"{"a":01}"#, "nul"] {
        check(text, "bad_request", "invalid UTF-8 JSON");
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { bytes_max: 60, depth_max: 4, path_len_max: 3, regex_bytes_max: 5 };
    let parse = |selector: &str| Selector::parse(selector.as_bytes(), limits);
    assert!(parse(&format!(r#"{{"x":"{}"}}"#, "a".repeat(52))).is_ok());
    assert!(matches!(parse(&format!(r#"{{"x":"{}"}}"#, "a".repeat(53))), Err(Error::TooLarge { max: 60, .. })));
    assert!(parse(r#"{"x":{"$in":[[]]}}"#).is_ok());
    assert!(matches!(parse(r#"{"x":{"$in":[[[]]]}}"#), Err(Error::Json(tidegate_json::Error::TooDeep { .. }))));
    assert!(parse(r#"{"a.b":{"c":1}}"#).is_ok());
    assert!(matches!(parse(r#"{"a.b":{"c.d":1}}"#), Err(Error::TooLarge { max: 3, .. })));
    assert!(parse(r#"{"a":{"$regex":"abcde"}}"#).is_ok());
    assert!(matches!(parse(r#"{"a":{"$regex":"abcdef"}}"#), Err(Error::TooLarge { max: 5, .. })));
}

#[test]
fn hostile_selectors_are_harmless() {
    let parse = |selector: &str| Selector::parse(selector.as_bytes(), Limits::default());
    assert!(parse(&format!("{}{}", r#"{"$not":"#.repeat(10_000), "{}".repeat(10_000))).is_err());
    assert!(parse(&format!(r#"{{"a":{{"$regex":"{}a{}"}}}}"#, "(".repeat(4000), ")".repeat(4000))).is_err());
    assert!(parse(r#"{"a":{"$regex":"((a{1000}){1000}){1000}"}}"#).is_err());
    assert!(parse(r#"{"a":{"$regex":"(?=((a{1000}){1000}){1000})"}}"#).is_err());
    assert!(parse(&format!(r#"{{"a{}":1}}"#, ".a".repeat(100_000))).is_err());
    let nested = format!("{}{}{}", r#"{"a":"#.repeat(128), 1, "}".repeat(128));
    assert!(parse(&nested).is_ok());
}
