//! Operators on values of every type and on none; what CouchDB does is the rule.

#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "tests")]

use serde_json::{Value, json};
use tidegate_selector::{Document, Limits, Selector};

fn parse(selector: &Value) -> Selector {
    Selector::parse(selector.to_string().as_bytes(), Limits::default()).unwrap()
}

/// Whether the document that has `members` (JSON without braces) matches.
fn matches(selector: &Value, members: &str) -> bool {
    let special: [(&str, &[u8]); 2] = [("_id", br#""note""#), ("_rev", br#""1-a""#)];
    parse(selector).matches(&Document { special: &special, members: members.as_bytes() })
}

/// `condition` on the field `x` matches these values of it and not those; its negation the other way round. Neither
/// matches a document without the field.
#[track_caller]
fn check(condition: Value, matching: &[&str], others: &[&str]) {
    let selector = json!({ "x": condition });
    let negated =
        json!({ "x": { "$not": if condition.is_object() { condition } else { json!({ "$eq": condition }) } } });
    for (values, expected) in [(matching, true), (others, false)] {
        for value in values {
            let members = format!(r#""w":[{{"x":0}}],"x":{value},"y":1"#);
            assert_eq!(matches(&selector, &members), expected, "{selector} on {value}");
            assert_eq!(matches(&negated, &members), !expected, "{negated} on {value}");
        }
    }
    assert!(!matches(&selector, r#""y":1"#), "{selector} on nothing");
    assert!(!matches(&negated, r#""y":1"#), "{negated} on nothing");
}

/// The selector matches these documents, and not those.
#[track_caller]
fn check_documents(selector: Value, matching: &[&str], others: &[&str]) {
    for (documents, expected) in [(matching, true), (others, false)] {
        for members in documents {
            assert_eq!(matches(&selector, members), expected, "{selector} on {members}");
        }
    }
}

/// Every type, in order.
const ALL: [&str; 12] = ["null", "false", "true", "-1", "5", "5.5", "6", r#""5""#, r#""a""#, "[]", "[5]", "{}"];

#[test]
fn comparisons_go_across_types() {
    for (at, pivot) in ALL.iter().enumerate() {
        let (below, rest) = ALL.split_at(at);
        let (own, above) = rest.split_at(1);
        let pivot: Value = serde_json::from_str(pivot).unwrap();
        check(json!({ "$lt": pivot }), below, rest);
        check(json!({ "$lte": pivot }), &ALL[..=at], above);
        check(json!({ "$eq": pivot }), own, &[below, above].concat());
        check(json!({ "$ne": pivot }), &[below, above].concat(), own);
        check(json!({ "$gte": pivot }), rest, below);
        check(json!({ "$gt": pivot }), above, &ALL[..=at]);
    }
}

#[test]
fn equality() {
    check(json!(5), &["5", "5.0", "50e-1"], &["6", r#""5""#, "[5]", "null", "5.0000000000000000000001"]);
    check(json!("ab"), &[r#""ab""#, r#""\u0061b""#, "\"ab\u{1}\""], &[r#""AB""#, r#""a""#, "0", r#"["ab"]"#]);
    check(json!(null), &["null"], &["false", "0", r#""""#, "{}"]);
    check(json!([1, [2]]), &["[1,[2]]", "[ 1, [2.0] ]"], &["[1]", "[1,[2],3]", "[[2],1]", "1"]);
    // An object of conditions is no object to be equal to; an empty one is, and so is one that is given to $eq.
    check(json!({}), &["{}"], &[r#"{"a":1}"#, "[]", "null"]);
    check(json!({ "$eq": { "a": 1 } }), &[r#"{"a":1}"#], &[r#"{"a":1,"b":2}"#, "{}", r#"{"a":2}"#]);
    check_documents(
        json!({ "x": { "a": 1 } }),
        &[r#""x":{"a":1}"#, r#""x":{"a":1,"b":2}"#],
        &[r#""x":{}"#, r#""x":[]"#],
    );
}

#[test]
fn big_numbers_are_exact() {
    let big = r#"{"x":12345678901234567890123}"#;
    let selector = Selector::parse(big.as_bytes(), Limits::default()).unwrap();
    let matches = |members: &str| selector.matches(&Document { special: &[], members: members.as_bytes() });
    assert!(matches(r#""x":12345678901234567890123"#));
    assert!(!matches(r#""x":12345678901234567890124"#));
}

#[test]
fn lists() {
    let wanted = json!([42, false, "bar", [["n"], "l"], { "b": 2 }]);
    let among = ["42", "42.0", "false", r#""bar""#, r#"{"b":2}"#, "[0,42]", r#"["bar"]"#, r#"[0,[["n"],"l"]]"#];
    let others = ["43", "true", r#""bars""#, r#"{"b":2,"c":3}"#, "[]", "[0]", r#"[["n"],"l"]"#, "null"];
    check(json!({ "$in": wanted }), &among, &others);
    check(json!({ "$nin": wanted }), &others, &among);
    check(json!({ "$in": [] }), &[], &ALL);
    check(json!({ "$nin": [] }), &ALL, &[]);
    check(json!({ "$all": [] }), &[], &ALL);
    check(
        json!({ "$all": [1, "a"] }),
        &[r#"["a",1]"#, r#"[0,1,"a",2]"#],
        &["[1]", "1", "[]", "[1.0,\"a\"]", r#"[1,"A"]"#],
    );
    // One array stands for itself, too.
    check(json!({ "$all": [[1, 2]] }), &["[1,2]", "[1.0,2]", "[0,[1,2]]"], &["[2,1]", "[1,2,3]", "[]"]);
    check(json!({ "$all": [{ "a": 1 }] }), &[r#"[{"a":1}]"#], &[r#"[{"a":1,"b":2}]"#, r#"{"a":1}"#]);
    check(json!({ "$size": 2 }), &["[1,2]", "[[],{}]"], &["[]", "[1]", "[1,2,3]", "2", r#""ab""#, r#"{"a":1,"b":2}"#]);
}

#[test]
fn types() {
    for (name, matching) in [
        ("null", &ALL[..1]),
        ("boolean", &ALL[1..3]),
        ("number", &ALL[3..7]),
        ("string", &ALL[7..9]),
        ("array", &ALL[9..11]),
        ("object", &ALL[11..]),
        ("date", &[]),
    ] {
        let others: Vec<&str> = ALL.into_iter().filter(|value| !matching.contains(value)).collect();
        check(json!({ "$type": name }), matching, &others);
    }
}

#[test]
fn existence() {
    let there = json!({ "x": { "$exists": true } });
    let absent = json!({ "x": { "$exists": false } });
    for value in ALL {
        check_documents(there.clone(), &[&format!(r#""x":{value}"#)], &[]);
        check_documents(absent.clone(), &[], &[&format!(r#""x":{value}"#)]);
    }
    check_documents(there, &[], &["", r#""y":{"x":1}"#]);
    check_documents(absent, &["", r#""y":{"x":1}"#], &[]);
    check_documents(json!({ "x": { "$not": { "$exists": true } } }), &[""], &[r#""x":1"#]);
    check_documents(json!({ "$nor": [{ "x": { "$exists": false } }] }), &[r#""x":1"#], &[""]);
    check_documents(json!({ "x": { "$not": { "$exists": true, "$eq": 0 } } }), &["", r#""x":1"#], &[r#""x":0"#]);
    // Where the way there is no object, the field isn't missing, but the path wrong.
    let below = json!({ "x.y": { "$exists": false } });
    check_documents(
        below,
        &["", r#""x":{}"#, r#""x":{"z":{}}"#],
        &[r#""x":1"#, r#""x":[]"#, r#""x":null"#, r#""x":{"y":null}"#],
    );
    let within = json!({ "x.1.y": { "$exists": false } });
    check_documents(within, &[r#""x":[0,{}]"#, r#""x":{}"#], &[r#""x":[{}]"#, r#""x":[0,1]"#, r#""x":[0,{"y":0}]"#]);
}

#[test]
fn numbers_and_strings() {
    check(json!({ "$mod": [28, 1] }), &["1", "29", "280000000000000000000001"], &["2", "1.0", "29e0", r#""1""#, "[1]"]);
    check(json!({ "$mod": [-4, -3] }), &["-3", "-7"], &["3", "7", "0"]);
    check(json!({ "$mod": [2, 0] }), &["0", "-0", "4"], &["1", "2.0"]);
    check(
        json!({ "$beginsWith": "fo" }),
        &[r#""fo""#, r#""food""#, r#""f\u006fo""#],
        &[r#""f""#, r#""Food""#, "0", r#"["fo"]"#],
    );
    check(json!({ "$beginsWith": "" }), &[r#""""#, r#""a""#], &["0", "[]"]);
    check(json!({ "$regex": "^[0-9a-f]+$" }), &[r#""3a0f""#], &[r#""""#, r#""3g""#, "42", r#"["3a"]"#]);
    check(json!({ "$regex": "ä.c" }), &[r#""xä😀cx""#], &[r#""äc""#]);
    check(json!({ "$regex": "(?i)^HELLO" }), &[r#""hello you""#], &[r#""oh hello""#]);
}

#[test]
fn regular_expressions_look_around_and_back() {
    check(json!({ "$regex": "^(?!x)." }), &[r#""a""#], &[r#""xa""#]);
    check(json!({ "$regex": "(?<=a)b" }), &[r#""ab""#], &[r#""cb""#]);
    check(json!({ "$regex": r"^(.)\1$" }), &[r#""aa""#], &[r#""ab""#]);
    check(json!({ "$regex": "^(?>a+)b" }), &[r#""aab""#], &[r#""aac""#]);
    // Too many steps are no match, and are soon given up.
    let long = format!("\"{}\"", "ab".repeat(200));
    check(json!({ "$regex": "(a|b|ab)*(?>c)" }), &[], &[&long]);
    check(json!({ "$regex": "(a|b|ab)*(?>c)" }), &[r#""ababc""#], &[r#""abab""#]);
}

#[test]
fn elements_and_names() {
    check(json!({ "$elemMatch": { "$gte": 80, "$lt": 85 } }), &["[1,82]"], &["[1,90]", "[]", "82", "{}"]);
    check(
        json!({ "$elemMatch": { "a": 1, "b.c": 2 } }),
        &[r#"[0,{"b":{"c":2},"a":1}]"#],
        &[r#"[{"a":1},{"b":{"c":2}}]"#],
    );
    check(json!({ "$elemMatch": { "0": 1 } }), &["[[1]]"], &["[1]", "[[2]]"]);
    check(json!({ "$elemMatch": {} }), &["[{}]"], &["[]", "[1]"]);
    check(json!({ "$allMatch": { "$eq": 0 } }), &["[0]", "[0,0.0]"], &["[]", "[0,1]", "0"]);
    check(json!({ "$allMatch": { "a": { "$exists": true } } }), &[r#"[{"a":null}]"#], &[r#"[{"a":1},{}]"#]);
    check(
        json!({ "$keyMapMatch": { "$eq": "a" } }),
        &[r#"{"b":1,"a":2}"#, r#"{"\u0061":1}"#],
        &["{}", r#"{"b":"a"}"#, r#"["a"]"#],
    );
    check(json!({ "$keyMapMatch": { "$regex": "^[a-z]+$" } }), &[r#"{"b4":1,"b":2}"#], &[r#"{"b4":1}"#]);
}

#[test]
fn within_elements_a_negation_matches_what_is_missing() {
    check(
        json!({ "$elemMatch": { "b": { "$not": { "$eq": 1 } } } }),
        &["[{}]", r#"[{"b":2}]"#, "[0]"],
        &[r#"[{"b":1}]"#, "[]"],
    );
    check(json!({ "$elemMatch": { "b": { "$ne": 1 } } }), &[r#"[{"b":2}]"#], &["[{}]", r#"[{"b":1}]"#]);
    check(json!({ "$elemMatch": { "$nor": [{ "b": 1 }, { "c": 1 }] } }), &["[{}]", r#"[{"b":2}]"#], &[r#"[{"c":1}]"#]);
}

#[test]
fn combinations() {
    let (a, b) = (json!({ "a": 1 }), json!({ "b": 1 }));
    let (both, first, none, other) = (r#""a":1,"b":1"#, r#""a":1,"b":2"#, "", r#""b":2,"a":2"#);
    check_documents(json!({ "a": 1, "b": 1 }), &[both], &[first, none, other]);
    check_documents(json!({ "$and": [a, b] }), &[both], &[first, none, other]);
    check_documents(json!({ "$or": [a, b] }), &[both, first], &[none, other]);
    // Negations come down to $ne, which a missing field doesn't match.
    check_documents(json!({ "$nor": [a, b] }), &[other], &[both, first, none]);
    check_documents(json!({ "$not": { "$or": [a, b] } }), &[other], &[both, first, none]);
    check_documents(json!({ "$not": { "$and": [a, b] } }), &[first, other], &[both, none]);
    check_documents(json!({ "$not": { "$nor": [a, b] } }), &[both, first], &[none, other]);
    check_documents(json!({ "$not": { "$not": a } }), &[both, first], &[none, other]);
    check_documents(json!({ "a": { "$or": [1, { "$gt": 5 }] } }), &[both, r#""a":6"#], &[other, none]);
    for of_nothing in ["$and", "$or", "$nor"] {
        check_documents(json!({ of_nothing: [] }), &[both, none], &[]);
    }
    check_documents(json!({}), &[both, none], &[]);
}

#[test]
fn paths() {
    check_documents(
        json!({ "x.y.z": 1 }),
        &[r#""x":{"a":{},"y":{"z":1}}"#],
        &[r#""x.y.z":1"#, r#""x":{"y":1}"#, r#""x":{"y":{}}"#],
    );
    check_documents(json!({ "x": { "y": { "z": 1 } } }), &[r#""x":{"y":{"z":1,"w":2}}"#], &[r#""x":{"z":1}"#]);
    check_documents(json!({ "x": { "y.z": 1, "w": 2 } }), &[r#""x":{"w":2,"y":{"z":1}}"#], &[r#""x":{"y":{"z":1}}"#]);
    check_documents(json!({ r"x\.y": 1 }), &[r#""x.y":1"#, r#""x\u002ey":1"#], &[r#""x":{"y":1}"#]);
    check_documents(json!({ r"\$x": 1 }), &[r#""$x":1"#], &[r#""x":1"#]);
    check_documents(
        json!({ "x.1": "b" }),
        &[r#""x":["a","b"]"#, r#""x":{"1":"b"}"#],
        &[r#""x":["b"]"#, r#""x":["b","a"]"#],
    );
    check_documents(
        json!({ "x.1": "b", "x.01": "b", "x.+1": { "$exists": true } }),
        &[r#""x":["a","b"]"#],
        &[r#""x":["b"]"#],
    );
    check_documents(
        json!({ "x.0.y.1.z": 1 }),
        &[r#""x":[{"y":[0,{"z":1}]},0]"#],
        &[r#""x":[{"y":[{"z":1}]}]"#, r#""x":[[]]"#],
    );
    check_documents(json!({ "x.-1": 1 }), &[r#""x":{"-1":1}"#], &[r#""x":[1]"#]);
    // A field and what is below it, and names that begin alike.
    check_documents(
        json!({ "x": { "$type": "object" }, "x.y": 1, "xy": 2 }),
        &[r#""xy":2,"x":{"y":1}"#],
        &[r#""x":{"y":1}"#],
    );
    // More fields than find room without asking for memory.
    let many = json!({ "a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1, "i": 1 });
    let members = r#""i":1,"h":1,"g":1,"f":1,"e":1,"d":1,"c":1,"b":1,"a":1"#;
    check_documents(many, &[members], &[&members.replace(r#""a":1"#, r#""a":2"#), ""]);
}

#[test]
fn special_members() {
    check_documents(json!({ "_id": "note", "_rev": { "$beginsWith": "1-" } }), &["", r#""x":1"#], &[]);
    check_documents(json!({ "_deleted": { "$exists": false } }), &[""], &[]);
    // Ids are in the order of bytes, above all that isn't a string.
    check_documents(json!({ "_id": { "$gt": null } }), &[""], &[]);
    check_documents(json!({ "_id": { "$gt": "Z", "$lt": "o" } }), &[""], &[]);
    check_documents(json!({ "_id": { "$gt": {} } }), &[""], &[]);
    check_documents(json!({ "_id": { "$in": [{}, "z", "note", 5, "Note"] } }), &[""], &[]);
    check_documents(json!({ "_id": { "$in": ["Note", "z"] } }), &[], &[""]);
    // The whole document can be compared, where a condition within $and has no field.
    check_documents(json!({ "$and": [{ "$type": "object" }] }), &["", r#""x":1"#], &[]);
    check_documents(json!({ "$and": [{ "$eq": { "_id": "note", "_rev": "1-a", "x": 1 } }] }), &[r#""x":1"#], &[""]);
}

#[test]
fn a_selector_says_what_it_reads_and_requires() {
    let selector =
        parse(&json!({ "_id": "a", "x.y": 1, "z": { "$exists": false }, "$or": [{ "a": 1, "b": 1 }, { "a": 2 }] }));
    for (name, expected) in [("_id", true), ("x", true), ("z", true), ("b", true), ("_rev", false), ("y", false)] {
        assert_eq!(selector.reads(name), expected, "{name}");
    }
    for (path, expected) in
        [("_id", true), ("x.y", true), ("x", false), ("z", false), ("a", true), ("b", false), ("", false)]
    {
        assert_eq!(selector.requires(path), expected, "{path}");
    }
    assert!(parse(&json!({ "$and": [{ "$type": "object" }] })).reads("_attachments"));
}

#[test]
fn repeated_names_in_a_selector_count_once() {
    let selector = Selector::parse(br#"{"x":1, "x":2}"#, Limits::default()).unwrap();
    assert!(selector.matches(&Document { special: &[], members: br#""x":2"# }));
}
