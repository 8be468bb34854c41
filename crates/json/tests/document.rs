//! What `scan_document` takes, refuses and makes of a text: a table for every rule.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use md5::{Digest, Md5};
use tidegate_json::{Document, Error, Limits, scan_document};

fn scan(text: &str) -> Document<'_> {
    scan_document(text.as_bytes(), Limits::default()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn check(text: &str, members: &str, canonical: &str) {
    let document = scan(text);
    assert_eq!(utf8(&document.members), members, "members of {text}");
    assert_eq!(utf8(&document.canonical), canonical, "canonical form of {text}");
}

#[track_caller]
fn check_special(text: &str, members: &str, special: &[(&str, &str)]) {
    let document = scan(text);
    let found: Vec<_> = document.special.iter().map(|(name, value)| (&**name, utf8(value))).collect();
    assert_eq!(found, special, "special members of {text}");
    assert_eq!(utf8(&document.members), members, "members of {text}");
}

#[track_caller]
fn refuse(text: impl AsRef<[u8]>, error: Error) {
    let text = text.as_ref();
    assert_eq!(scan_document(text, Limits::default()), Err(error), "{}", String::from_utf8_lossy(text));
}

#[test]
fn order_and_white_space() {
    check("{}", "", "{}");
    check(" \r\n\t{ \n } \n", "", "{}");
    check(r#"{"a":1}"#, r#""a":1"#, r#"{"a":1}"#);
    check(r#"{"b":1,"a":2}"#, r#""b":1,"a":2"#, r#"{"a":2,"b":1}"#);
    check(r#"{ "b" : [ 1 , { } , [ ] ] , "a" : null }"#, r#""b":[1,{},[]],"a":null"#, r#"{"a":null,"b":[1,{},[]]}"#);
    // At every depth, through arrays too, and where an object in order holds one that isn't.
    check(
        r#"{"x":[{"d":1,"c":{"f":true,"e":false}}],"y":{"a":{"z":1,"y":2},"b":3}}"#,
        r#""x":[{"d":1,"c":{"f":true,"e":false}}],"y":{"a":{"z":1,"y":2},"b":3}"#,
        r#"{"x":[{"c":{"e":false,"f":true},"d":1}],"y":{"a":{"y":2,"z":1},"b":3}}"#,
    );
    check(
        "{\"b\" :{ \"d\":\"x y\" ,\"c\": 1 },\n\"a\":[{\"f\":1,\"e\":2} ]}",
        r#""b":{"d":"x y","c":1},"a":[{"f":1,"e":2}]"#,
        r#"{"a":[{"e":2,"f":1}],"b":{"c":1,"d":"x y"}}"#,
    );
}

#[test]
fn names_order_by_their_unescaped_bytes() {
    check(r#"{"ab":1,"a":2,"":3}"#, r#""ab":1,"a":2,"":3"#, r#"{"":3,"a":2,"ab":1}"#);
    // The closing quote (0x22) takes no part: `a!` is 0x61 0x21.
    check(r#"{"a!":1,"a":2}"#, r#""a!":1,"a":2"#, r#"{"a":2,"a!":1}"#);
    check(r#"{"é":1,"z":2,"Z":3}"#, r#""é":1,"z":2,"Z":3"#, r#"{"Z":3,"z":2,"é":1}"#);
    // By bytes of UTF-8, not by UTF-16: U+FFFD before U+10000.
    check("{\"\u{10000}\":1,\"\u{fffd}\":2}", "\"\u{10000}\":1,\"\u{fffd}\":2", "{\"\u{fffd}\":2,\"\u{10000}\":1}");
    check(r#"{"b":1,"\u0061":2}"#, r#""b":1,"\u0061":2"#, r#"{"a":2,"b":1}"#);
    check(r#"{"a\\b":1,"a\"b":2}"#, r#""a\\b":1,"a\"b":2"#, r#"{"a\"b":2,"a\\b":1}"#);
    // A prefix of eight bytes decides most comparisons: longer ones, and NUL against nothing.
    check(
        r#"{"12345678b":1,"12345678a":2,"12345678":3}"#,
        r#""12345678b":1,"12345678a":2,"12345678":3"#,
        r#"{"12345678":3,"12345678a":2,"12345678b":1}"#,
    );
    check(r#"{"a\u0000":1,"a":2}"#, r#""a\u0000":1,"a":2"#, r#"{"a":2,"a\u0000":1}"#);
}

#[test]
fn last_duplicate_wins_in_the_first_ones_place() {
    check(r#"{"a":1,"b":2,"a":3}"#, r#""a":3,"b":2"#, r#"{"a":3,"b":2}"#);
    check(r#"{"b":1,"a":2,"b":3,"c":4,"b":5}"#, r#""b":5,"a":2,"c":4"#, r#"{"a":2,"b":5,"c":4}"#);
    check(r#"{"a":1,"a":2}"#, r#""a":2"#, r#"{"a":2}"#);
    check(
        r#"{"x":[{"b":1,"a":{"d":1,"d":2},"b":3}]}"#,
        r#""x":[{"b":3,"a":{"d":2}}]"#,
        r#"{"x":[{"a":{"d":2},"b":3}]}"#,
    );
    check(
        r#"{"a":{"c":1,"c":2},"b":[{"e":{}}, {"d":1,"d":{"g":1,"f":2}}]}"#,
        r#""a":{"c":2},"b":[{"e":{}},{"d":{"g":1,"f":2}}]"#,
        r#"{"a":{"c":2},"b":[{"e":{}},{"d":{"f":2,"g":1}}]}"#,
    );
    check(r#"{"a":1,"\u0061":2}"#, r#""\u0061":2"#, r#"{"a":2}"#);
    check(r#"{"a":{"y":1,"x":2},"a":{"w":1,"v":2}}"#, r#""a":{"w":1,"v":2}"#, r#"{"a":{"v":2,"w":1}}"#);
    check_special(r#"{"_a":1,"x":0,"_b":2,"_a":3}"#, r#""x":0"#, &[("_a", "3"), ("_b", "2")]);
    check_special(r#"{"_a":{"b":1,"b":2}}"#, "", &[("_a", r#"{"b":2}"#)]);
}

#[test]
fn special_members() {
    check_special(
        r#"{"_id":"a","_rev":"1-b","x":1,"_attachments":{"n" : { "stub":true }},"y":2}"#,
        r#""x":1,"y":2"#,
        &[("_id", r#""a""#), ("_rev", r#""1-b""#), ("_attachments", r#"{"n":{"stub":true}}"#)],
    );
    // The unescaped name counts; below the top level `_` is nothing special.
    check_special(r#"{"\u005fid":"a"}"#, "", &[("_id", r#""a""#)]);
    check_special(r#"{"_":1,"a":{"_x":1}}"#, r#""a":{"_x":1}"#, &[("_", "1")]);
    check(
        r#"{"_id":"a","b":1,"_rev":"1-b","a":{"_z":1,"_y":2}}"#,
        r#""b":1,"a":{"_z":1,"_y":2}"#,
        r#"{"a":{"_y":2,"_z":1},"b":1}"#,
    );
    check(r#"{"_id":1}"#, "", "{}");
    assert_eq!(scan(r#"{"_rev":"1-a"}"#).special("_rev"), Some(&br#""1-a""#[..]));
    assert_eq!(scan(r#"{"_rev":"1-a"}"#).special("_id"), None);
}

#[test]
fn numbers_stay_as_written() {
    for number in ["0", "-0", "1.0", "1E5", "1e+5", "-0.10e-0", "123456789012345678901234567890", "1e999999"] {
        let text = format!(r#"{{"n":{number},"a":[{number}]}}"#);
        check(&text, &text[1..text.len() - 1], &format!(r#"{{"a":[{number}],"n":{number}}}"#));
    }
    for (number, at) in
        [("01", 6), ("+1", 5), (".5", 5), ("1.", 7), ("1e", 7), ("-", 6), ("1e+", 8), ("0x1", 6), ("NaN", 5)]
    {
        refuse(format!(r#"{{"n":{number}}}"#), Error::Syntax { offset: at });
    }
}

#[test]
fn strings_have_one_canonical_form() {
    for (written, canonical) in [
        (r#""\/""#, r#""/""#),
        (r#""\u0041\u00e9\u20AC""#, r#""Aé€""#),
        (r#""\ud83d\ude00x""#, r#""😀x""#),
        (r#""\ud800\udc00\uDBFF\uDFFF""#, "\"\u{10000}\u{10ffff}\""),
        (r#""\"\\\b\f\n\r\t""#, r#""\"\\\b\f\n\r\t""#),
        (r#""\u0008\u0009\u000a\u000C\u000d""#, r#""\b\t\n\f\r""#),
        (r#""\u001F\u0000\u007f""#, "\"\\u001f\\u0000\u{7f}\""),
        (r#""\u0022\u005C""#, r#""\"\\""#),
        // Lone surrogates keep their escape.
        (r#""\uD800""#, r#""\ud800""#),
        (r#""\udfff\ud800\uD800\uDC00""#, "\"\\udfff\\ud800\u{10000}\""),
        (r#""\ud800\n\udc00""#, r#""\ud800\n\udc00""#),
        (r#""\ud800\u0041""#, r#""\ud800A""#),
    ] {
        let text = format!(r#"{{"s":{written},"a":[{written},0]}}"#);
        check(&text, &text[1..text.len() - 1], &format!(r#"{{"a":[{canonical},0],"s":{canonical}}}"#));
        let text = format!(r#"{{{written}:{{{written}:1}}}}"#);
        check(&text, &text[1..text.len() - 1], &format!(r#"{{{canonical}:{{{canonical}:1}}}}"#));
    }
    // Names with lone surrogates compare with U+FFFD in their place.
    check("{\"\\ud800\":1,\"\u{fffd}\":2}", "\"\u{fffd}\":2", "{\"\u{fffd}\":2}");
}

#[test]
fn bad_strings() {
    for (text, offset) in [
        (&b"{\"a\":\"\n\"}"[..], 6),
        (b"{\"a\":\"\0\"}", 6),
        (b"{\"a\":\"12345678\x1f\"}", 14),
        (br#"{"a":"\x"}"#, 6),
        (br#"{"a":"\u12g4"}"#, 6),
        (br#"{"a":"\u12"#, 6),
        (br#"{"a":"b"#, 7),
        (br#"{"a":"b\"#, 7),
        (br#"{'a':1}"#, 1),
        (br#"{"a:1}"#, 6),
    ] {
        refuse(text, Error::Syntax { offset });
    }
    refuse(b"{\"a\":\"\xff\"}", Error::Utf8 { offset: 6 });
    refuse(b"{\"a\":\"\xed\xa0\x80\"}", Error::Utf8 { offset: 6 });
    refuse(b"{\"a\":\"\xc0\x80\"}", Error::Utf8 { offset: 6 });
}

#[test]
fn bad_structure() {
    for (text, offset) in [
        ("", 0),
        ("  ", 2),
        ("{", 1),
        ("{,}", 1),
        (r#"{"a"}"#, 4),
        (r#"{"a":}"#, 5),
        (r#"{"a":1,}"#, 7),
        (r#"{"a":1"b":2}"#, 6),
        (r#"{"a":1]"#, 6),
        (r#"{"a":[1}"#, 7),
        (r#"{"a":[1,]}"#, 8),
        (r#"{"a":[,]}"#, 6),
        (r#"{"a":tru}"#, 8),
        (r#"{"a":nul"#, 8),
        ("{a:1}", 1),
        ("\u{feff}{}", 0),
        ("{\u{a0}}", 1),
        ("nope", 1),
        ("{\"a\":1 2}", 7),
        ("/**/{}", 0),
    ] {
        refuse(text, Error::Syntax { offset });
    }
    refuse("{}{}", Error::TrailingData { offset: 2 });
    refuse(r#"{"a":1} x"#, Error::TrailingData { offset: 8 });
    for text in ["[]", "1", "null", r#""a""#, r#"[{"a":1}]"#] {
        refuse(text, Error::NotAnObject { offset: 0 });
    }
    refuse(" [] ", Error::NotAnObject { offset: 1 });
    refuse("[] 1", Error::TrailingData { offset: 3 });
    refuse("[", Error::Syntax { offset: 1 });
}

#[test]
fn depth_is_limited() {
    let limits = Limits { depth_max: 3 };
    assert!(scan_document(br#"{"a":[{}],"b":[[]]}"#, limits).is_ok());
    for text in [r#"{"a":[[{}]]}"#, r#"{"a":[{"b":[]}]}"#] {
        let offset = text.rfind(['[', '{']).unwrap();
        assert_eq!(scan_document(text.as_bytes(), limits), Err(Error::TooDeep { offset, limit: 3 }));
    }
    assert_eq!(scan_document(b"{}", Limits { depth_max: 0 }), Err(Error::TooDeep { offset: 0, limit: 0 }));
}

/// Depth costs neither stack nor, with names out of order on every level, more than linear time.
#[test]
fn very_deep() {
    let levels = 200_000;
    let text = r#"{"b":"#.repeat(levels) + "1" + &r#","a":0}"#.repeat(levels);
    let document = scan_document(text.as_bytes(), Limits { depth_max: levels }).unwrap();
    assert_eq!(utf8(&document.canonical), r#"{"a":0,"b":"#.repeat(levels) + "1" + &"}".repeat(levels));
    let twice = r#"{"b":0,"b":"#.repeat(levels) + "1" + &"}".repeat(levels);
    let document = scan_document(twice.as_bytes(), Limits { depth_max: levels }).unwrap();
    assert_eq!(utf8(&document.canonical), r#"{"b":"#.repeat(levels) + "1" + &"}".repeat(levels));
    assert_eq!(*document.members, document.canonical[1..document.canonical.len() - 1]);
}

#[test]
fn one_stretch_is_borrowed() {
    let is_borrowed = |text: &str| matches!(scan(text).members, std::borrow::Cow::Borrowed(_));
    assert!(is_borrowed(r#" {"_id":"a","_rev":"b","c":{"y":1,"x":2},"b":"\/"} "#));
    assert!(is_borrowed(r#"{"c":1,"_id":"a"}"#));
    assert!(is_borrowed(r#"{"_id":"a"}"#));
    assert!(!is_borrowed(r#"{"c":1,"_id":"a","b":2}"#));
    assert!(!is_borrowed(r#"{"c": 1}"#));
}

#[test]
fn more_members_take_their_places() {
    for (text, expected) in [
        ("{}", r#"{"_a":1,"_deleted":true}"#),
        (r#"{"a":1}"#, r#"{"_a":1,"_deleted":true,"a":1}"#),
        (r#"{"A":1}"#, r#"{"A":1,"_a":1,"_deleted":true}"#),
        (r#"{"é":1,"^":2,"`":3,"":4}"#, r#"{"":4,"^":2,"_a":1,"_deleted":true,"`":3,"é":1}"#),
        (r#"{"_id":"x","b":1,"_deleted":true,"B":2}"#, r#"{"B":2,"_a":1,"_deleted":true,"b":1}"#),
    ] {
        let document = scan(text);
        assert_eq!(utf8(&document.canonical_with(&[("_deleted", b"true"), ("_a", b"1")])), expected, "{text}");
        assert_eq!(document.canonical_with(&[]), document.canonical, "{text}");
    }
}

#[test]
fn revision_digests_of_other_servers() {
    for (text, digest) in [
        ("{}", "ca9ad22802b66f662ff171f226211d5c"),
        (r#"{"_id":"x","channels":["x"],"a":1}"#, "9af8362a1d70822632752c71b4e6bb49"),
    ] {
        let found = Md5::new().chain_update([0]).chain_update(scan(text).canonical).finalize();
        assert_eq!(found.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), digest, "{text}");
    }
}

#[test]
fn owned_is_the_same() {
    let text = r#"{"_id":"x","a":1}"#.to_owned();
    assert_eq!(scan(&text).into_owned(), scan(&text));
}
