//! What must hold of any text at all, judged by serde_json. Shared by the property tests, the long run in `examples`
//! and the fuzz target.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tidegate_json::{Document, Error, Limits, Members, scan_document, split_array};

/// Deeper than any text the tests make, so that depth isn't what differs.
const LIMITS: Limits = Limits { depth_max: 1 << 20 };

/// Checks one text, and panics when something doesn't hold.
pub(crate) fn check(text: &[u8]) {
    // Unlike a parse into `Value`, this one has no limits of depth or range, and accepts lone surrogates.
    let is_json = serde_json::from_slice::<&RawValue>(text).is_ok();
    let is_object = is_json && text.trim_ascii_start().first() == Some(&b'{');
    match scan_document(text, LIMITS) {
        Ok(document) => {
            assert!(is_object, "accepted");
            check_members(text);
            check_forms(&document);
            check_envelope(text, &document);
            if let Ok(Value::Object(value)) = serde_json::from_slice(text) {
                check_values(text, &document, value);
            }
        }
        Err(Error::NotAnObject { .. }) => assert!(is_json && !is_object, "refused as no object"),
        Err(fault) => {
            assert!(!is_json, "refused: {fault}");
            assert!(Members::new(text, LIMITS).and_then(Iterator::collect::<Result<Vec<_>, _>>).is_err());
        }
    }
}

/// What is handed out is in its final form.
fn check_forms(document: &Document<'_>) {
    let canonical = scan_document(&document.canonical, LIMITS).unwrap();
    assert_eq!(canonical.canonical, document.canonical);
    assert_eq!(*canonical.members, document.canonical[1..document.canonical.len() - 1]);
    assert!(canonical.special.is_empty());
    let text = braced(&document.members);
    let members = scan_document(&text, LIMITS).unwrap();
    assert_eq!(members.canonical, document.canonical);
    assert_eq!(members.members, document.members);
    assert!(matches!(members.members, std::borrow::Cow::Borrowed(_)));
}

/// A document is the same in an envelope.
fn check_envelope(text: &[u8], document: &Document<'_>) {
    let array = [b"[", text, b" ,", text, b"]"].concat();
    let envelope = [b"{\"docs\":", &array[..], b"}"].concat();
    let mut members = Members::new(&envelope, LIMITS).unwrap();
    assert_eq!(members.next_name().unwrap().as_deref(), Some("docs"));
    let mut count = 0;
    let each = |raw: &[u8], found: Document<'_>| {
        assert_eq!(raw, text.trim_ascii());
        assert_eq!(&found, document);
        count += 1;
        Ok::<_, Error>(())
    };
    members.documents(each).unwrap();
    assert_eq!(count, 2);
    assert_eq!(members.next_name(), Ok(None));
    split_array(&array, LIMITS, |element| {
        assert_eq!(element, text.trim_ascii());
        Ok::<_, Error>(())
    })
    .unwrap();
}

/// The raw members are the text's.
fn check_members(text: &[u8]) {
    let members = Members::new(text, LIMITS).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let Ok(Value::Object(value)) = serde_json::from_slice(text) else { return };
    let mut found = Map::new();
    for (name, raw) in members {
        found.insert(name.into_owned(), serde_json::from_slice(raw).unwrap());
    }
    assert_eq!(Value::Object(found).to_string(), Value::Object(value).to_string());
}

fn check_values(text: &[u8], document: &Document<'_>, value: Map<String, Value>) {
    let (special, ordinary): (Map<_, _>, Map<_, _>) = value.into_iter().partition(|(name, _)| name.starts_with('_'));
    let members: Value = serde_json::from_slice(&braced(&document.members)).unwrap();
    assert_eq!(members.to_string(), Value::Object(ordinary.clone()).to_string());

    let mut found = Map::new();
    for (name, value) in &document.special {
        assert!(found.insert(name.to_string(), serde_json::from_slice(value).unwrap()).is_none());
    }
    assert_eq!(Value::Object(found).to_string(), Value::Object(special).to_string());

    let expected = sorted(Value::Object(ordinary.clone())).to_string();
    let canonical: Value = serde_json::from_slice(&document.canonical).unwrap();
    assert_eq!(canonical.to_string(), expected);
    // serde_json escapes strings as the canonical form does, but writes exponents its own way.
    let has_exponent = text.windows(2).any(|pair| pair[0].is_ascii_digit() && matches!(pair[1], b'e' | b'E'));
    if !has_exponent {
        assert_eq!(String::from_utf8_lossy(&document.canonical), expected);
        let mut deleted = ordinary;
        deleted.insert("_deleted".to_owned(), Value::Bool(true));
        let with = document.canonical_with(&[("_deleted", b"true")]);
        assert_eq!(String::from_utf8_lossy(&with), sorted(Value::Object(deleted)).to_string());
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar,
    }
}

fn braced(members: &[u8]) -> Vec<u8> {
    [b"{", members, b"}"].concat()
}
