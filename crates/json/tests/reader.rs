//! `Reader` against `serde_json`, on valid text; on any other text it returns.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::Value;
use tidegate_json::{Kind, Reader};

/// Reads the value at the cursor by way of every method.
fn read(reader: &mut Reader<'_>) -> Value {
    match reader.kind() {
        Kind::Null | Kind::False | Kind::True | Kind::Number => serde_json::from_slice(reader.value()).unwrap(),
        Kind::String => Value::String(reader.string().to_str().into_owned()),
        Kind::Array => {
            let mut elements = Vec::new();
            reader.open();
            while reader.next_element() {
                elements.push(read(reader));
            }
            Value::Array(elements)
        }
        Kind::Object => {
            let mut members = serde_json::Map::new();
            reader.open();
            while let Some(name) = reader.next_name() {
                assert!(name.is(&name.to_str()));
                assert_eq!(name.to_bytes(), name.to_str().as_bytes());
                members.insert(name.to_str().into_owned(), read(reader));
            }
            Value::Object(members)
        }
    }
}

fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..5).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn reads_what_is_written(value in values(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let mut reader = Reader::new(&text);
        prop_assert_eq!(read(&mut reader), value);
        let mut skipped = Reader::new(&text);
        skipped.skip();
        prop_assert_eq!(skipped.since(&Reader::new(&text)), &text[..]);
    }

    #[test]
    fn any_text_comes_to_an_end(text in r#"[\[\]{},:"\\ a1]{0,40}"#) {
        let mut reader = Reader::new(text.as_bytes());
        reader.open();
        let mut steps = 0;
        while reader.next_element() && steps <= text.len() {
            reader.value();
            steps += 1;
        }
        prop_assert!(steps <= text.len());
        let mut reader = Reader::new(text.as_bytes());
        let mut steps = 0;
        while reader.next_name().is_some() && steps <= text.len() {
            reader.skip();
            steps += 1;
        }
        prop_assert!(steps <= text.len());
    }
}

#[test]
fn members_need_no_braces() {
    let mut reader = Reader::new(br#""a":1 , "\u0062" : {"c":[2,"]"]},"d":null"#);
    let mut seen = Vec::new();
    while let Some(name) = reader.next_name() {
        seen.push(format!("{} {}", name.to_str(), String::from_utf8_lossy(reader.value())));
    }
    assert_eq!(seen, ["a 1", r#"b {"c":[2,"]"]}"#, "d null"]);
}

#[test]
fn a_container_is_left_from_anywhere() {
    let mut reader = Reader::new(br#"[1,{"a":[2,"}"],"b":3},4]"#);
    reader.open();
    assert!(reader.next_element());
    reader.skip();
    assert!(reader.next_element());
    reader.open();
    assert!(reader.next_name().is_some_and(|name| name.is("a")));
    reader.skip();
    reader.close();
    assert!(reader.next_element());
    assert_eq!(reader.value(), b"4");
    assert!(!reader.next_element());
}
