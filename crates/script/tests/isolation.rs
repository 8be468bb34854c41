//! Nothing of one call is seen by another program, and little by the next call.

use tidegate_script::{Error, Limits, Machine, Program};

fn call(machine: &mut Machine, source: &str, document: &str) -> Result<bool, Error> {
    machine.filter(&Program::new(source, source, None), &[document], b"{}").map(|passed| passed == [true])
}

#[test]
fn programs_share_nothing() {
    let mut machine = Machine::new(Limits::default());
    for crime in [
        "function() { leak = 1; globalThis.other = 2; this.third = 3; return true }",
        "function() { Array.prototype.leak = 1; Object.prototype.other = 1; String.prototype.trim = null; return true }",
        "function() { Math.max = () => 42; JSON.parse = null; return true }",
        "function() { Object.defineProperty(globalThis, 'leak', { value: 1 }); return true }",
    ] {
        assert_eq!(call(&mut machine, crime, "{}"), Ok(true), "{crime}");
        let clean = "function(doc) {
            return typeof leak === 'undefined' && typeof other === 'undefined' && typeof third === 'undefined'
                && !('leak' in []) && !('other' in {}) && ' a'.trim() === 'a' && Math.max(1, 2) === 2
                && JSON.parse('1') === 1 }";
        assert_eq!(call(&mut machine, clean, "{}"), Ok(true), "after {crime}");
    }
}

#[test]
fn undeclared_variables_end_with_the_call() {
    let mut machine = Machine::new(Limits::default());
    let source =
        "function(doc) { var was = typeof seen; seen = doc._id; for (i in doc) {}; return was === 'undefined' && i }";
    for _ in 0..3 {
        assert_eq!(call(&mut machine, source, r#"{"_id":"a"}"#), Ok(true));
    }
}

#[test]
fn what_is_given_can_not_be_replaced() {
    let mut machine = Machine::new(Limits::default());
    let source = "function(doc) { log = emit = JSON = Object = 1; return typeof log === 'function' && typeof JSON === 'object' }";
    assert_eq!(call(&mut machine, source, "{}"), Ok(true));
}

#[test]
fn a_changed_document_is_new_the_next_time() {
    let mut machine = Machine::new(Limits::default());
    let source = "function(doc, req) {
        var good = doc.n === 1 && doc.inner.n === 1 && !doc.more;
        doc.n = 2; doc.inner.n = 2; doc.more = 1; delete doc._id;
        return good && doc.n === 2 && doc.inner.n === 2 && doc.more === 1 && !('_id' in doc) }";
    for _ in 0..20 {
        assert_eq!(call(&mut machine, source, r#"{"_id":"a","n":1,"inner":{"n":1}}"#), Ok(true));
    }
}

#[test]
fn a_document_kept_from_an_earlier_call_stays_what_it_was() {
    let mut machine = Machine::new(Limits::default());
    let source = "(function() {
        var first;
        return function(doc) {
            if (!first) { first = doc; return first.a === 1 }
            return doc.b === 3 && first.b === 2 && first.a === 1 && first.c === 5 && JSON.stringify(first) === '{\"a\":1,\"b\":2,\"c\":5}'
        } })()";
    assert_eq!(call(&mut machine, source, r#"{"a":1,"b":2,"c":5}"#), Ok(true));
    for _ in 0..3 {
        assert_eq!(call(&mut machine, source, r#"{"a":2,"b":3}"#), Ok(true));
    }
}
