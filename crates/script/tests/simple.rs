//! What a simple sync function decides without JavaScript is what it decides with it.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_script::{Limits, Machine, Pool, PoolLimits, Program, SyncCaller, SyncInput, SyncUser};

const NAMES: &[&str] = &["channels", "owner", "team", "é", "__proto__", "toString", "_id"];

/// Bodies of functions that are simple.
const BODIES: &[&str] = &[
    "",
    "channel(doc.channels);",
    "channel(doc.channels, 'fixed', doc.owner)",
    "if (oldDoc) requireAccess(oldDoc.channels); requireAccess(doc.channels); channel(doc.channels);",
    "if (!oldDoc) { requireUser(doc.owner); } if (oldDoc) { requireUser(oldDoc.owner) } channel(doc.team)",
    "requireRole(doc.team); requireRole('editor'); channel(doc.channels); channel(oldDoc.channels)",
    "access(doc.owner, doc.channels); access('jo', doc.team); access('role:x', 'a'); channel('b', \"a\")",
];

fn program(body: &str) -> Program {
    Program::sync(body, format!("function (doc, oldDoc, meta) {{ {body} }}"))
}

fn callers() -> [SyncCaller; 3] {
    let user = |name: &str, roles: &[&str], channels: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        SyncCaller::User(Arc::new(SyncUser { name: name.to_owned(), roles: names(roles), channels: names(channels) }))
    };
    [SyncCaller::Unrestricted, user("jo", &["editor", "a"], &["a", "b", "!"]), user("", &[], &["*"])]
}

fn input(new: &str, old: Option<&str>, caller: SyncCaller) -> SyncInput {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    SyncInput { document: bytes(new), old_document: old.map(bytes), meta: None, caller }
}

/// Decides both ways. Whether the decision was sure.
fn check(machine: &mut Machine, body: &str, input: &SyncInput) -> bool {
    let program = program(body);
    let decided = program.decide(input);
    if let Some(decided) = &decided {
        assert_eq!(machine.sync(&program, input).as_ref(), Ok(decided), "{body} on {input:?}");
    }
    decided.is_some()
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "c", "jo", "editor", "role:editor"]).prop_map(str::to_owned),
        1 => "[a-cé,:\\\\\"\n]{0,4}",
        1 => (249..252_usize).prop_map(|length| "x".repeat(length)),
    ];
    let leaf = prop_oneof![4 => text.prop_map(Value::from), 1 => Just(json!(null)), 1 => (0..5).prop_map(Value::from)];
    leaf.prop_recursive(2, 8, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
}

/// Texts of objects, with members repeated now and then.
fn document() -> impl Strategy<Value = String> {
    let member = (prop::sample::select(NAMES), value()).prop_map(|(name, value)| format!("{} :{value}", json!(name)));
    prop::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(", ")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn both_ways_decide_the_same(new in document(), old in prop::option::of(document())) {
        let mut machine = Machine::new(Limits::default());
        for body in BODIES {
            for caller in callers() {
                check(&mut machine, body, &input(&new, old.as_deref(), caller));
            }
        }
    }
}

#[test]
fn it_is_sure_of_what_is_usual_and_of_nothing_odd() {
    let mut machine = Machine::new(Limits::default());
    let usual = [
        (r#"{"_id":"a","owner":"jo","channels":["a","b","a"],"team":"editor"}"#, None),
        (r#"{"owner":"jo","channels":"b"}"#, Some(r#"{"owner":"al","channels":["c",null]}"#)),
        (r#"{"channels":[1],"channels":["a"],"channe\u006cs":["b"]}"#, Some("{}")),
    ];
    for (new, old) in usual {
        for body in BODIES.iter().take(5) {
            for caller in callers() {
                assert!(check(&mut machine, body, &input(new, old, caller)), "{body} on {new}");
            }
        }
    }
    let many = format!(r#"{{"channels":[{}]}}"#, vec![r#""a""#; 51].join(","));
    let long = format!(r#"{{"channels":"{}"}}"#, "x".repeat(251));
    let odd = [
        (many.as_str(), None),
        (long.as_str(), None),
        (r#"{"channels":1}"#, None),
        (r#"{"channels":["a",["b"]]}"#, None),
        (r#"{"channels":"a\u0062"}"#, None),
        (r#"{"channels":"a,b"}"#, None),
        (r#"{"channels":""}"#, None),
        ("[1]", None),
        (r#"{"channels":"a""#, None),
        ("{}", Some("3")),
    ];
    for (new, old) in odd {
        assert!(!check(&mut machine, BODIES[1], &input(new, old, SyncCaller::Unrestricted)), "{new}");
    }
    // `null` has no members.
    assert!(!check(&mut machine, BODIES[5], &input("{}", None, SyncCaller::Unrestricted)));
    let told = SyncInput { meta: Some(Bytes::from_static(b"{")), ..input("{}", None, SyncCaller::Unrestricted) };
    assert!(!check(&mut machine, BODIES[1], &told));
}

#[tokio::test]
async fn each_of_many_has_an_outcome_of_its_own() {
    let pool = Pool::start(PoolLimits::default()).unwrap();
    let body = "if (doc.channels == 'no') throw {forbidden: 'no'}; if (doc.channels == 'bad') nothing(); channel(doc.channels)";
    let (simple, other) = (program(BODIES[1]), program(body));
    let texts: Vec<String> = (0..500)
        .map(|number| match number % 7 {
            3 => r#"{"channels":"no"}"#.to_owned(),
            5 => r#"{"channels":"bad"}"#.to_owned(),
            6 => "[]".to_owned(),
            _ => format!(r#"{{"channels":"c{number}"}}"#),
        })
        .collect();
    let inputs: Vec<_> = texts.iter().map(|text| input(text, None, SyncCaller::Unrestricted)).collect();
    for program in [&simple, &other] {
        let outcomes = pool.sync_each(program, inputs.clone()).await;
        assert_eq!(outcomes.len(), inputs.len());
        for (input, outcome) in inputs.iter().zip(outcomes) {
            assert_eq!(outcome, pool.sync(program, input.clone()).await, "{input:?}");
        }
    }
    assert!(pool.sync_each(&other, Vec::new()).await.is_empty());
    pool.stop();
    let stopped = pool.sync_each(&other, inputs).await;
    assert!(stopped.iter().all(|outcome| *outcome == Err(tidegate_script::Error::Stopped)));
}
