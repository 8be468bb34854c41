//! What a call costs on its thread, in µs of processor time, through the pool in µs of the clock:
//! `cargo run --release -p tidegate-script --example scriptbench`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a measurement prints, and stops on an error"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tidegate_script::{Limits, Machine, Pool, PoolLimits, Program, SyncCaller, SyncInput, SyncUser, Validation};

const ROUNDS: u32 = 50_000;
const VALIDATE: &str = "function(newDoc, oldDoc, userCtx, secObj) {
  function require(field) { if (!newDoc[field]) throw({forbidden: 'Must have ' + field}) }
  if (newDoc._deleted === true) return;
  if (userCtx.roles.indexOf('_admin') !== -1) return;
  require('type'); require('author');
  if (oldDoc && oldDoc.author !== newDoc.author) throw({forbidden: 'The author stays'});
  if (newDoc.author !== userCtx.name) throw({unauthorized: 'Not yours'});
}";

/// A document of about 1 KB with 20 members.
fn document() -> String {
    let words = "the quick brown fox jumps over";
    let members = (0..14).map(|n| format!(r#","field{n}":"{words} {n}""#)).collect::<String>();
    format!(
        r#"{{"_id":"note:1","_rev":"3-0123456789abcdef0123456789abcdef","type":"note","author":"jo","n":42,"tags":["a","b","c"],"at":{{"x":1.5,"y":2}}{members},"last":true,"body":"{}"}}"#,
        "x".repeat(250)
    )
}

/// Time this thread was on a processor: what others do doesn't count.
fn thread_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn measure(name: &str, documents_per_call: u32, mut call: impl FnMut()) {
    for _ in 0..ROUNDS / 10 / documents_per_call {
        call();
    }
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = thread_seconds();
        for _ in 0..ROUNDS / documents_per_call {
            call();
        }
        best = best.min((thread_seconds() - start) * 1e6 / f64::from(ROUNDS));
    }
    println!("{name:<58} {best:6.2} µs");
}

fn filters(document: &str) {
    let mut machine = Machine::new(Limits::default());
    let batch = vec![document; 100];
    let request = br#"{"query":{"type":"note"},"userCtx":{"name":"jo","roles":["editor"]}}"#;
    for (name, source) in [
        ("nothing read", "function(doc, req) { return true }"),
        ("one member", "function(doc, req) { return doc.type === req.query.type }"),
        ("three members", "function(doc, req) { return doc.type === 'note' && doc.author === 'jo' && !doc._deleted }"),
        (
            "a member in a loop",
            "function(doc, req) { for (var i = 0; i < doc.tags.length; i++) if (doc.tags[i] === 'c') return true }",
        ),
        ("all members (parsed whole)", "function(doc, req) { return Object.keys(doc).length > 3 }"),
        ("one member changed (parsed whole)", "function(doc, req) { doc.type = 'x'; return true }"),
    ] {
        let program = Program::new(name, source, None);
        measure(&format!("filter, {name}, batches of 100"), 100, || {
            black_box(machine.filter(&program, &batch, request).unwrap());
        });
    }
    let program = Program::new("single", "function(doc, req) { return doc.type === req.query.type }", None);
    measure("filter, one member, singly", 1, || {
        black_box(machine.filter(&program, &[document], request).unwrap());
    });
    let program = Program::new("view", "function(doc) { if (doc.type === 'note') emit(doc._id, null) }", None);
    measure("map as a filter, batches of 100", 100, || {
        black_box(machine.filter_by_view(&program, &batch).unwrap());
    });
    measure("map with rows, singly", 1, || {
        black_box(machine.map(&program, document.as_bytes()).unwrap());
    });
}

/// One call for a profiler to look at.
fn one(document: &str, source: &str) {
    let mut machine = Machine::new(Limits::default());
    let program = Program::new("one", source, None);
    let batch = vec![document; 100];
    measure(source, 100, || {
        black_box(machine.filter(&program, &batch, b"{}").unwrap());
    });
}

fn validations(document: &str) {
    let mut machine = Machine::new(Limits::default());
    let input = Validation {
        document: document.as_bytes(),
        old_document: Some(document.as_bytes()),
        user: br#"{"db":"notes","name":"jo","roles":["editor"]}"#,
        security: br#"{"admins":{"names":[],"roles":["_admin"]},"members":{"names":[],"roles":["_admin"]}}"#,
    };
    let program = Program::new("validate", VALIDATE, None);
    measure("validate, old document", 1, || {
        black_box(machine.validate(&program, &input).unwrap());
    });
    let first = Validation { old_document: None, ..input };
    measure("validate, new document", 1, || {
        black_box(machine.validate(&program, &first).unwrap());
    });
    let program = Program::new("empty", "function() {}", None);
    measure("validate, empty function", 1, || {
        black_box(machine.validate(&program, &first).unwrap());
    });
}

const SYNC: &str = "function(doc, oldDoc) {
  if (oldDoc) requireUser(oldDoc.author);
  requireUser(doc.author);
  if (doc.type !== 'note') throw({forbidden: 'Only notes'});
  channel(doc.tags);
  access(doc.author, 'author-' + doc.author);
}";

fn synced(document: &str) {
    let mut machine = Machine::new(Limits::default());
    let user = SyncUser { name: "jo".to_owned(), ..SyncUser::default() };
    let document = Bytes::copy_from_slice(document.as_bytes());
    let first = SyncInput { document, old_document: None, meta: None, caller: SyncCaller::User(Arc::new(user)) };
    let next = SyncInput { old_document: Some(first.document.clone()), ..first.clone() };
    for (name, source, input) in [
        ("default", "function(doc) { channel(doc.channels) }", &first),
        ("typical, new document", SYNC, &first),
        ("typical, old document", SYNC, &next),
        ("all members (parsed whole)", "function(doc) { channel(Object.keys(doc)) }", &first),
    ] {
        let program = Program::sync(name, source);
        measure(&format!("sync, {name}"), 1, || {
            black_box(machine.sync(&program, input).unwrap());
        });
    }
}

fn compilation() {
    let mut number = 0;
    let mut machine = Machine::new(Limits::default());
    let start = thread_seconds();
    for _ in 0..200 {
        number += 1;
        machine.compile(&Program::new(format!("{number}"), VALIDATE, None)).unwrap();
    }
    println!("{:<58} {:6.0} µs", "compile, with a context", (thread_seconds() - start) * 1e6 / 200.0);
}

async fn hop(document: &str) {
    let pool = Pool::start(PoolLimits::default()).unwrap();
    let program = Program::new("hop", "function(doc, req) { return doc.type === 'note' }", None);
    let document = Bytes::copy_from_slice(document.as_bytes());
    let request = Bytes::from_static(b"{}");
    for _ in 0..1000 {
        pool.filter(&program, vec![document.clone()], request.clone()).await.unwrap();
    }
    let start = Instant::now();
    for _ in 0..10_000 {
        pool.filter(&program, vec![document.clone()], request.clone()).await.unwrap();
    }
    println!(
        "{:<58} {:6.2} µs",
        "filter, one member, through the pool",
        start.elapsed().as_secs_f64() * 1e6 / 10_000.0
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let document = document();
    if let Some(only) = std::env::args().nth(1) {
        return match &*only {
            "validate" => validations(&document),
            "sync" => synced(&document),
            source => one(&document, source),
        };
    }
    println!("a document of {} bytes", document.len());
    filters(&document);
    validations(&document);
    synced(&document);
    compilation();
    hop(&document).await;
}
