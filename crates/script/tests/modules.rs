//! `require`, as in CouchDB's design documents.

use bytes::Bytes;
use serde_json::json;
use tidegate_script::{Error, Limits, Machine, Program, Row};

fn design() -> Bytes {
    let design = json!({
        "_id": "_design/d",
        "version": 7,
        "top": "exports.name = 'top ' + module.id",
        "lib": {
            "x": "exports.x = 1; exports.id = module.id",
            "whole": "module.exports = function (n) { return n + 1 }; // no newline at the end",
            "near": "exports.x = require('./x').x",
            "far": "exports.id = require('../other/deep/y').id",
            "absolute": "exports.id = require('lib/x').id",
            "up_and_down": "exports.id = require('lib/../lib/x').id",
            "a": "exports.early = 'a'; exports.seen = require('./b').early; exports.late = 1",
            "b": "exports.early = 'b:' + require('./a').early + require('./a').late",
            "myself": "exports.me = require('./myself') === exports",
            "broken": "exports.x = ;",
            "angry": "throw new Error('angry')",
            "count": "exports.n = 0; exports.next = function() { return ++exports.n }",
            "loop": "for (;;) {}",
        },
        "other": { "deep": { "y": "exports.id = module.id + require('../z').z", "here": "exports.y = require('././y').id" }, "z": "exports.z = '!'" },
    });
    Bytes::from(design.to_string())
}

fn run(expression: &str) -> Result<String, Error> {
    let source = format!("function(doc) {{ emit({expression}) }}");
    let program = Program::new(&*source, &*source, Some(design()));
    let limits = Limits { time_max: std::time::Duration::from_millis(200), ..Limits::default() };
    let rows = Machine::new(limits).map(&program, b"{}")?;
    Ok(rows.into_iter().map(|Row { key, .. }| key).collect())
}

#[track_caller]
fn check(expression: &str, expected: &str) {
    assert_eq!(run(expression).as_deref(), Ok(expected), "{expression}");
}

#[track_caller]
fn check_fault(expression: &str, error: &str, reason: &str) {
    let expected = Error::Thrown { error: error.to_owned(), reason: reason.to_owned(), place: None };
    assert_eq!(run(expression), Err(expected), "{expression}");
}

#[test]
fn modules_are_found_by_path() {
    check("require('lib/x')", r#"{"x":1,"id":"lib/x"}"#);
    check("require('top').name", "\"top top\"");
    check("require('lib/whole')(1)", "2");
    check("require('lib/near').x", "1");
    check("require('lib/far').id", "\"other/deep/y!\"");
    check("require('lib/absolute').id", "\"lib/x\"");
    check("require('lib/up_and_down').id", "\"lib/x\"");
    check("require('./lib/x').x", "1");
    check("require('other/deep/here').y", "\"other/deep/y!\"");
}

#[test]
fn a_module_runs_once() {
    check("[require('lib/count').next(), require('./lib/count').next()]", "[1,2]");
}

#[test]
fn cycles_end() {
    check("require('lib/a')", r#"{"early":"a","seen":"b:aundefined","late":1}"#);
    check("require('lib/myself').me", "true");
}

#[test]
fn paths_to_nothing_are_invalid() {
    let invalid = "invalid_require_path";
    check_fault("require('version')", invalid, "Must require a JavaScript string, not: number");
    check_fault("require('lib')", invalid, "Must require a JavaScript string, not: object");
    check_fault(
        "require('other/nope')",
        invalid,
        r#"Object has no property "nope". {"deep":{"y":"exports.id = module.id + require('../z').z","here":"exports.y = require('././y').id"},"z":"exports.z = '!'"}"#,
    );
    check_fault(
        "require('top/length')",
        invalid,
        r#"Object has no property "length". "exports.name = 'top ' + module.id""#,
    );
    let fault = run("require('lib/toString')").unwrap_err();
    assert!(matches!(fault, Error::Thrown { error, .. } if error == invalid));
    let fault = run("require('../x')").unwrap_err();
    assert!(matches!(fault, Error::Thrown { reason, .. } if reason.starts_with("Object has no parent {")));
}

#[test]
fn a_module_that_fails_is_told_by_name() {
    let kind = "compilation_error";
    check_fault(
        "require('lib/broken')",
        kind,
        "Module require('lib/broken') raised error SyntaxError: unexpected token in expression: ';'",
    );
    check_fault("require('lib/angry')", kind, "Module require('lib/angry') raised error Error: angry");
    assert_eq!(run("require('lib/loop')"), Err(Error::Timeout));
}

#[test]
fn without_a_design_document_there_is_no_require() {
    let program = Program::new("k", "function(doc) { emit(typeof require) }", None);
    let rows = Machine::new(Limits::default()).map(&program, b"{}").unwrap();
    assert_eq!(rows.first().map(|row| row.key.as_str()), Some("\"undefined\""));
}
