//! Envelopes and strings: `Members`, `split_array`, `write_string`, `read_string`.

use std::borrow::Cow;

use tidegate_json::{Document, Error, Limits, Members, read_string, scan_document, split_array, write_string};

fn open(text: &str) -> Result<Members<'_>, Error> {
    Members::new(text.as_bytes(), Limits::default())
}

type Member<'a> = (Cow<'a, str>, &'a [u8]);

fn collect(text: &str) -> Result<Vec<Member<'_>>, Error> {
    open(text)?.collect()
}

fn elements(text: &str) -> Result<Vec<&[u8]>, Error> {
    let mut found = Vec::new();
    split_array(text.as_bytes(), Limits::default(), |element| {
        found.push(element);
        Ok::<_, Error>(())
    })?;
    Ok(found)
}

/// Documents of the member `docs`, as a bulk request reads them.
fn documents(text: &str) -> Result<Vec<Document<'_>>, Error> {
    let mut found = Vec::new();
    let mut members = open(text)?;
    while let Some(name) = members.next_name()? {
        if name == "docs" {
            members.documents(|raw, document| {
                assert_eq!(scan_document(raw, Limits::default()).as_ref(), Ok(&document));
                found.push(document);
                Ok::<_, Error>(())
            })?;
        }
    }
    Ok(found)
}

#[test]
fn members_in_order_as_written() {
    for (text, expected) in [
        ("{}", &[][..]),
        (" { } ", &[]),
        (r#"{"a":1,"a":[ 2 ]}"#, &[("a", "1"), ("a", "[ 2 ]")]),
        (" {\n\"\\u0061\" : {\"x\": 1} , \"b\":\"}\" } ", &[("a", r#"{"x": 1}"#), ("b", r#""}""#)]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(name, value)| (Cow::Borrowed(*name), value.as_bytes())).collect();
        assert_eq!(collect(text), Ok(expected), "{text}");
    }
}

#[test]
fn elements_in_order_as_written() {
    for (text, expected) in [
        ("[]", &[][..]),
        (" [ ] ", &[]),
        ("[1,[ 2 ] ,{\"a\": 3}\n]", &["1", "[ 2 ]", "{\"a\": 3}"]),
        (r#"["]",true]"#, &[r#""]""#, "true"]),
    ] {
        assert_eq!(elements(text), Ok(expected.iter().map(|element| element.as_bytes()).collect()), "{text}");
    }
}

#[test]
fn a_bad_envelope_is_refused() {
    for (text, offset) in [
        ("", 0),
        ("{", 1),
        ("{,}", 1),
        (r#"{"a"}"#, 4),
        (r#"{"a":}"#, 5),
        (r#"{"a":1,}"#, 7),
        (r#"{"a":1"b":2}"#, 6),
        (r#"{"a":1]"#, 6),
        (r#"{"a":[1}"#, 7),
        (r#"{"a":1"#, 6),
        (r#"{"docs":[{}"#, 11),
        (r#"{"docs":[{"a":[1,]}]}"#, 17),
    ] {
        let error = Error::Syntax { offset };
        assert_eq!(collect(text), Err(error), "{text}");
        assert_eq!(documents(text), Err(error), "{text}");
    }
    for (text, error) in [
        ("[]", Error::NotAnObject { offset: 0 }),
        ("{} 1", Error::TrailingData { offset: 3 }),
        (r#"{"docs":[{},]}"#, Error::NotAnObject { offset: 12 }),
        (r#"{"docs":1}"#, Error::NotAnArray { offset: 8 }),
        (r#"{"docs":[{},[]]}"#, Error::NotAnObject { offset: 12 }),
    ] {
        assert_eq!(documents(text), Err(error), "{text}");
    }
    assert_eq!(Members::new(b"{\"\xff\"", Limits::default()).map(drop), Err(Error::Utf8 { offset: 2 }));
    assert_eq!(elements("[1,]"), Err(Error::Syntax { offset: 3 }));
    assert_eq!(elements("[1"), Err(Error::Syntax { offset: 2 }));
    assert_eq!(elements("[1] 2"), Err(Error::TrailingData { offset: 4 }));
    assert_eq!(elements("{}"), Err(Error::NotAnArray { offset: 0 }));
}

#[test]
fn values_are_taken_once_and_errors_are_final() {
    let mut members = open(r#"{"a":[1,2],"b":3}"#).unwrap();
    assert_eq!(members.value(), Ok(&b""[..]));
    assert_eq!(members.next_name(), Ok(Some("a".into())));
    assert_eq!(members.value(), Ok(&b"[1,2]"[..]));
    assert_eq!(members.value(), Ok(&b""[..]));
    assert_eq!(members.elements(|_| Err(Error::Syntax { offset: 0 })), Ok(()));
    assert_eq!(members.next_name(), Ok(Some("b".into())));
    assert_eq!(members.next_name(), Ok(None));
    assert_eq!(members.next_name(), Ok(None));

    let mut members = open(r#"{"a":[1,2],"b":3}"#).unwrap();
    assert_eq!(members.next_name(), Ok(Some("a".into())));
    assert_eq!(members.elements(|_| Err(Error::Syntax { offset: 99 })), Err(Error::Syntax { offset: 99 }));
    assert_eq!(members.next_name(), Ok(None));
    assert_eq!(open(r#"{"a":x,"b":1}"#).unwrap().filter(Result::is_ok).count(), 0);
}

#[test]
fn depth_counts_from_the_outside() {
    let limits = Limits { depth_max: 2 };
    let read = |text: &'static str| {
        Members::new(text.as_bytes(), limits).and_then(|members| members.collect::<Result<Vec<_>, _>>())
    };
    assert!(read(r#"{"a":[1]}"#).is_ok());
    assert_eq!(read(r#"{"a":[{}]}"#), Err(Error::TooDeep { offset: 6, limit: 2 }));
    // A document in an envelope has the depth it would have alone.
    let mut members = Members::new(br#"{"docs":[{"a":[]}]}"#, limits).unwrap();
    members.next_name().unwrap();
    assert_eq!(members.documents(|_, _| Ok::<_, Error>(())), Ok(()));
    assert_eq!(members.next_name(), Ok(None));
    let each = |_: &[u8]| Ok::<_, Error>(());
    assert_eq!(split_array(b"[[]]", limits, each), Ok(()));
    assert_eq!(split_array(b"[[[]]]", limits, each), Err(Error::TooDeep { offset: 2, limit: 2 }));
}

#[test]
fn a_string_is_written_and_read_back() {
    for (text, literal) in [
        ("", r#""""#),
        ("plain text", r#""plain text""#),
        ("12345678\"é\\😀/\u{7f}", "\"12345678\\\"é\\\\😀/\u{7f}\""),
        ("\u{8}\t\n\u{c}\r\0\u{1f}\u{1b}", r#""\b\t\n\f\r\u0000\u001f\u001b""#),
    ] {
        let mut out = b"x".to_vec();
        write_string(&mut out, text);
        assert_eq!(std::str::from_utf8(&out).unwrap(), format!("x{literal}"));
        assert_eq!(read_string(literal.as_bytes()).as_deref(), Some(text));
    }
    for (literal, text) in
        [(r#" "\ud800\u00E9\/" "#, Some("\u{fffd}é/")), ("1", None), (r#""a"b"#, None), (r#""a"#, None)]
    {
        assert_eq!(read_string(literal.as_bytes()).as_deref(), text, "{literal}");
    }
}
