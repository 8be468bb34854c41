//! A sync function can't tell whether it was handed a few members of a document, a document that is read lazily, or all of it.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_script::{Error, Limits, Machine, Program, SyncCaller, SyncInput, SyncOutcome};

const NAMES: &[&str] = &["owner", "channels", "tags", "n", "type", "_id", "__proto__", "toString", "constructor", "é"];

/// Bodies of functions: some prove what they read, most don't, in one of the many ways not to.
const BODIES: &[&str] = &[
    "channel(doc.channels); access(doc.owner, doc.tags)",
    "channel(doc.type); if (oldDoc && oldDoc.owner !== doc.owner) throw({forbidden: 'owner'})",
    "if (!oldDoc) channel('new'); else channel('was-' + oldDoc.type, oldDoc.channels)",
    "channel(doc.n + '', typeof doc.missing, doc.channels ? 'yes' : 'no', oldDoc == null ? 'a' : 'b')",
    "if (doc.n > 2) { channel('big') } else if (doc.tags) { channel(doc.tags[0]); expiry(doc.n) }",
    "if (doc.tags && doc.tags.push) { doc.tags.push('more'); channel(doc.tags) }",
    "channel(doc.toString === Object.toString ? 'a' : typeof doc.toString, typeof doc.constructor, typeof doc.é)",
    "role(doc.owner, 'role:' + doc.type); console.log(doc.n, doc.tags)",
    "channel(doc.channels.length + ''); channel(doc?.tags?.length + '')",
    "var owner = doc.owner, tags = doc.tags; channel([owner, tags && tags.length].join('.'))",
    "channel(Object.keys(doc))",
    "console.log(JSON.stringify(doc), JSON.stringify(oldDoc))",
    "var x = 'own' + 'er'; channel(doc[x], typeof doc[x])",
    "let d = doc; channel(d.channels); channel(d.type)",
    "const { owner, channels, ...rest } = doc; channel(owner, channels, Object.keys(rest))",
    "console.log({ ...doc, more: 1 })",
    "for (var name in doc) channel(name)",
    "delete doc.owner; channel(doc.owner, Object.keys(doc))",
    "doc.owner = 'me'; channel(doc.owner, Object.keys(doc))",
    "doc.n += 1; doc.n++; channel(String(doc.n))",
    "doc.fresh = doc; channel(Object.keys(doc.fresh))",
    "[doc.n] = ['x']; channel(doc.n, Object.keys(doc))",
    "for (doc.n of ['y']) {} channel(doc.n, Object.keys(doc))",
    "channel(arguments[0].owner, arguments[1] && arguments[1].type)",
    "channel(eval('doc.owner'))",
    "with (doc) { channel(typeof owner, typeof type) }",
    "(function (d) { channel(d.owner, Object.keys(d)) })(doc)",
    "channel(`${doc.owner}`, `${Object.keys(doc).length}`)",
    "channel('owner' in doc ? 'in' : 'out', doc.hasOwnProperty('n') ? 'has' : 'not')",
    "channel(_.keys(doc), _.isEqual(doc, oldDoc) ? 'same' : 'other')",
    "Object.freeze(doc); doc.n = 1; channel(String(doc.n), Object.isFrozen(doc) + '')",
    "var o = oldDoc || {}; channel(o.channels, Object.keys(o))",
    "channel(Object.entries(doc).map(e => e[0] + '-' + typeof e[1]))",
    "if (/owner/.test(JSON.stringify(doc))) channel('found')",
];

fn run(machine: &mut Machine, program: &Program, (new, old): (&str, Option<&str>)) -> Result<SyncOutcome, Error> {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let input =
        SyncInput { document: bytes(new), old_document: old.map(bytes), meta: None, caller: SyncCaller::Unrestricted };
    match machine.sync(program, &input) {
        Err(Error::Thrown { error, reason, .. }) => Err(Error::Thrown { error, reason, place: None }),
        other => other,
    }
}

/// Two programs: the function as it is, and one that always gets whole documents, made anew.
fn programs(body: &str) -> [Program; 2] {
    let source = format!("function (doc, oldDoc, meta) {{ {body} }}");
    let whole = format!(
        "function (d, o, m) {{ var copy = v => JSON.parse(JSON.stringify(v)); return ({source})(copy(d), copy(o), m) }}"
    );
    [Program::sync("as it is", source), Program::sync("whole", whole)]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), (0..5).prop_map(Value::from), "[a-cé,]{0,3}".prop_map(Value::from)];
    leaf.prop_recursive(2, 6, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from))
}

/// Texts of objects, with members repeated now and then.
fn document() -> impl Strategy<Value = String> {
    let member = (prop::sample::select(NAMES), value()).prop_map(|(name, value)| format!("{} :{value}", json!(name)));
    prop::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(", ")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]
    #[test]
    fn what_is_handed_over_makes_no_difference(
        documents in prop::collection::vec((document(), prop::option::of(document())), 1..4)
    ) {
        for body in BODIES {
            let mut machine = Machine::new(Limits::default());
            let [as_is, whole] = programs(body);
            // Again and again, so that it learns.
            for (new, old) in documents.iter().cycle().take(7) {
                let pair = (&**new, old.as_deref());
                let expected = run(&mut machine, &whole, pair);
                prop_assert_eq!(run(&mut machine, &as_is, pair), expected, "{} on {:?}", body, pair);
            }
        }
    }
}

#[test]
fn each_function_alone() {
    let documents = [
        (r#"{"_id":"a","owner":"jo","channels":["x","y"],"tags":["t"],"n":3,"type":"note"}"#, None),
        (r#"{"owner":"jo","type":"note"}"#, Some(r#"{"owner":"al","type":"old","channels":"z"}"#)),
        (r#"{"owner":"jo","owner":"al","__proto__":{"n":1},"toString":1,"constructor":{},"é":[]}"#, Some("{}")),
        ("{}", None),
        ("[1]", Some("3")),
    ];
    for body in BODIES {
        let mut machine = Machine::new(Limits::default());
        let [as_is, whole] = programs(body);
        for pair in documents.iter().cycle().take(25) {
            let expected = run(&mut machine, &whole, *pair);
            assert_eq!(run(&mut machine, &as_is, *pair), expected, "{body} on {pair:?}");
        }
    }
}
