//! A function can't tell a document that is handed over lazily from one that `JSON.parse` made.
//!
//! Random functions do random things to both, in one runtime, again and again so that they learn; what they saw must be
//! the same.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_script::{Limits, Machine, Program};

const KEYS: &[&str] = &[
    "a",
    "b",
    "_id",
    "10",
    "9",
    "",
    "é",
    "\u{fffd}",
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "toString",
    "toJSON",
];

/// Things to do with the document `d` and the name `k`; what is worth comparing goes to `see`.
const DEEDS: &[&str] = &[
    "see(d[k])",
    "see(d.a)",
    "see(d.a === d.a && d.b === d['b'])",
    "see(k in d)",
    "see(Object.hasOwn(d, k))",
    "see(Object.prototype.hasOwnProperty.call(d, k))",
    "see(d.hasOwnProperty(k))",
    "see(Object.getOwnPropertyDescriptor(d, k))",
    "see(Object.keys(d))",
    "see(Object.entries(d))",
    "see(Reflect.ownKeys(d))",
    "see(JSON.stringify(d))",
    "see(JSON.stringify({ inner: [d] }))",
    "see(toJSON(d, null, 1))",
    "see({ ...d })",
    "see(Object.assign({}, d))",
    "for (const name in d) see(name)",
    "const { a, [k]: other, ...rest } = d; see([a, other, rest])",
    "d[k] = 5; see(d[k])",
    "d[k] = { deep: 1 }",
    "d.fresh = k; see(d.fresh)",
    "d.a += 1; see(d.a)",
    "see(delete d[k])",
    "if (Object.hasOwn(d, k) && d[k] && typeof d[k] === 'object') d[k].changed = true",
    "Object.defineProperty(d, k, { get() { return 'got' }, configurable: true, enumerable: false })",
    "Object.defineProperty(d, k, { value: 7 })",
    "see(Object.freeze(d) === d)",
    "Object.seal(d)",
    "see([Object.isFrozen(d), Object.isExtensible(d), Object.isSealed(d)])",
    "see(Object.getPrototypeOf(d) === Object.prototype)",
    "Object.setPrototypeOf(d, { a: 'inherited', z: 1 }); see(d.z)",
    "Object.setPrototypeOf(d, null)",
    "const child = Object.create(d); see(child[k]); child[k] = 'own'; see([child[k], d[k], Object.keys(child)])",
    "see(String(d))",
    "see(`${Object.prototype.toString.call(d)} ${typeof d} ${Array.isArray(d)}`)",
    "see([d[Symbol.iterator], Symbol.toStringTag in d])",
    "d[Symbol.for('s')] = 1; see(Reflect.ownKeys(d).length)",
    "see(d == d && d === d.valueOf())",
    "see(new Map([[d, 1]]).get(d))",
    "see(d instanceof Object)",
    "with (d) { see(typeof a) }",
    "see(Reflect.get(d, k, { a: 1 }))",
    "see(Reflect.set(d, k, 3, {}))",
    "see(Object.isFrozen(Object.freeze(Object.assign(d, { more: 1 }))))",
    "'use strict'; d[k] = 1",
    "(function () { 'use strict'; d[k] = 1; delete d.a })()",
    "d.__defineGetter__(k, () => 8); see(d[k])",
    "see(Object.fromEntries(Object.entries(d)))",
    "see(d.nothing?.deep ?? 'none')",
    "kept ??= d; see(kept[k])",
];

/// What `see` writes down: JSON can't tell `undefined` from its absence, nor descriptors.
const SEE: &str = r#"
    const show = (v, depth = 0) =>
        typeof v === 'function' ? 'function ' + v.name
        : v === null || typeof v !== 'object' ? typeof v + ' ' + String(v)
        : depth > 4 ? '...'
        : (Array.isArray(v) ? 'array' : 'object') + '{' + Reflect.ownKeys(v).map(k => {
            const { value, get, writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(v, k);
            return String(k) + ':' + [get ? 'get' : show(value, depth + 1), writable, enumerable, configurable];
          }).join() + '}';
    const run = (d, k, way) => {
        const seen = [];
        const see = v => seen.push(show(v));
        let kept = way.kept;
        for (const deed of deeds) {
            try { deed(d, k, see, kept) } catch (e) { seen.push(e.name) }
        }
        way.kept ??= d;
        see(d);
        return seen.join('\n');
    };
"#;

fn function(deeds: &[&str]) -> String {
    let deeds: String = deeds.iter().map(|deed| format!("(d, k, see, kept) => {{ {} }},\n", deed)).collect();
    format!(
        "{SEE} const deeds = [{deeds}]; const lazy = {{}}, plain = {{}};
        (function (doc, req) {{
            const there = run(doc, req.key, lazy), here = run(JSON.parse(req.text), req.key, plain);
            if (there !== here) throw new Error('lazy:\\n' + there + '\\nplain:\\n' + here);
            return true;
        }})"
    )
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        "[a-zé\"\\\\]{0,6}".prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(KEYS), inner), 0..3)
                .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// Texts of objects, with members repeated now and then.
fn document() -> impl Strategy<Value = String> {
    let member = (prop::sample::select(KEYS), value()).prop_map(|(key, value)| format!("{} : {value}", json!(key)));
    prop::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(", ")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn a_lazy_document_is_like_any_other(
        deeds in prop::collection::vec(prop::sample::select(DEEDS), 1..6),
        documents in prop::collection::vec((document(), prop::sample::select(KEYS)), 1..5),
    ) {
        let program = Program::new("k", function(&deeds), None);
        let mut machine = Machine::new(Limits::default());
        for (document, key) in documents.iter().cycle().take(12) {
            let request = json!({ "text": document, "key": key }).to_string();
            let passed = machine.filter(&program, &[document], request.as_bytes());
            prop_assert_eq!(passed, Ok(vec![true]), "{:?} on {}", deeds, document);
        }
    }
}

#[test]
fn each_deed_alone() {
    for deed in DEEDS {
        let program = Program::new("k", function(&[deed]), None);
        let mut machine = Machine::new(Limits::default());
        for key in KEYS {
            for text in [
                r#"{"_id":"x","a":{"n":1},"10":1,"b":[1],"9":2}"#,
                "{}",
                r#"{"__proto__":{"a":1},"toString":1,"é":2,"a":1,"a":2}"#,
                r#"{"\ud800":1,"\ufffd":2,"constructor":null}"#,
            ] {
                let request = json!({ "text": text, "key": key }).to_string();
                let passed = machine.filter(&program, &[text], request.as_bytes());
                assert_eq!(passed, Ok(vec![true]), "{deed} of {key} on {text}");
            }
        }
    }
}
