//! Random selectors on random documents, against the evaluator in `oracle`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

mod oracle;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tidegate_selector::{Document, Limits, Selector};

fn scalars() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-3),
        json!(4),
        json!(1.5),
        json!("a"),
        json!("A"),
        json!("b"),
        json!("ä\"\\"),
        json!(""),
    ])
}

const NAMES: [&str; 5] = ["a", "b", "c", "0", "1"];

fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(&NAMES[..]), inner), 0..4).prop_map(object),
        ]
    })
}

fn object<N: Into<String>>(members: Vec<(N, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn single(name: &str, value: Value) -> Value {
    json!({ name: value })
}

fn terminals() -> impl Strategy<Value = Value> {
    let comparison = prop::sample::select(vec!["$lt", "$lte", "$eq", "$ne", "$gte", "$gt"]);
    let listed = prop::sample::select(vec!["$in", "$nin", "$all"]);
    let types = prop::sample::select(vec!["null", "boolean", "number", "string", "array", "object", "date"]);
    prop_oneof![
        4 => (comparison, values()).prop_map(|(name, value)| single(name, value)),
        2 => (listed, prop::collection::vec(values(), 0..3)).prop_map(|(name, values)| single(name, json!(values))),
        2 => any::<bool>().prop_map(|wanted| json!({ "$exists": wanted })),
        1 => types.prop_map(|name| json!({ "$type": name })),
        1 => (0..4).prop_map(|size| json!({ "$size": size })),
        1 => (prop_oneof![-3..0, 1..4], -2..3).prop_map(|(divisor, remainder)| json!({ "$mod": [divisor, remainder] })),
        1 => prop::sample::select(vec!["", "a", "ä\""]).prop_map(|prefix| json!({ "$beginsWith": prefix })),
        1 => scalars(),
    ]
}

/// What may stand for a field's condition, or below one.
fn conditions() -> impl Strategy<Value = Value> {
    terminals().prop_recursive(4, 24, 3, |inner| {
        let objects = inner.clone().prop_map(|value| if value.is_object() { value } else { json!({ "$eq": value }) });
        let lists = prop::collection::vec(objects.clone(), 0..3);
        let joined = prop::sample::select(vec!["$and", "$or", "$nor"]);
        let each = prop::sample::select(vec!["$elemMatch", "$allMatch", "$keyMapMatch", "$not"]);
        prop_oneof![
            2 => fields(inner),
            2 => (joined, lists).prop_map(|(name, list)| single(name, json!(list))),
            2 => (each, objects.clone()).prop_map(|(name, one)| single(name, one)),
            1 => (objects.clone(), objects).prop_map(|(one, other)| merged(one, other)),
        ]
    })
}

fn fields(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let names =
        prop::sample::select(vec!["a", "b", "c", "a.b", "a.0", "b.c.1", "c.1.a", "0", "_id", "_rev", "_deleted"]);
    prop::collection::vec((names, inner), 1..3).prop_map(object)
}

fn merged(one: Value, other: Value) -> Value {
    let members = |value: Value| value.as_object().cloned().unwrap_or_default();
    Value::Object(members(one).into_iter().chain(members(other)).collect::<Map<_, _>>())
}

fn documents() -> impl Strategy<Value = Value> {
    let ids = prop::sample::select(vec!["a", "A", "b", "ä\""]);
    (ids, any::<bool>(), prop::collection::vec((prop::sample::select(&NAMES[..]), values()), 0..5)).prop_map(
        |(id, deleted, members)| {
            let mut document = json!({ "_id": id, "_rev": "1-a" });
            if deleted {
                document["_deleted"] = json!(true);
            }
            merged(document, object(members))
        },
    )
}

/// Whether the document matches when it is given as the storage has it.
fn matches(selector: &Value, document: &Value) -> bool {
    let selector = Selector::parse(selector.to_string().as_bytes(), Limits::default()).unwrap();
    let (special, members): (Vec<_>, Vec<_>) =
        document.as_object().unwrap().iter().partition(|(name, _)| name.starts_with('_'));
    let special: Vec<(&str, String)> = special.into_iter().map(|(name, value)| (&**name, value.to_string())).collect();
    // What the selector doesn't read it must not need.
    let special: Vec<(&str, &[u8])> =
        special.iter().filter(|(name, _)| selector.reads(name)).map(|(name, text)| (*name, text.as_bytes())).collect();
    let members: Vec<String> = members.into_iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    selector.matches(&Document { special: &special, members: members.join(",").as_bytes() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn text_matches_as_trees_do(selector in fields(conditions()), document in documents()) {
        prop_assert_eq!(matches(&selector, &document), oracle::matches(&selector, &document));
    }

    #[test]
    fn on_one_field(condition in conditions(), value in values()) {
        let selector = json!({ "a": condition });
        let document = json!({ "_id": "x", "b": [1], "a": value, "c": {} });
        prop_assert_eq!(matches(&selector, &document), oracle::matches(&selector, &document));
    }

    #[test]
    fn required_fields_are_required(selector in fields(conditions()), document in documents()) {
        let parsed = Selector::parse(selector.to_string().as_bytes(), Limits::default()).unwrap();
        let members = document.as_object().unwrap();
        for name in ["a", "b", "c", "_deleted"] {
            prop_assert!(
                members.contains_key(name) || !parsed.requires(name) || !oracle::matches(&selector, &document),
                "{}", name
            );
        }
    }
}
