//! What breaks its limits ends in an error of its own, and the next call is clean.

use std::time::{Duration, Instant};

use tidegate_script::{Error, Limits, Machine, Program};

const SOON: Duration = Duration::from_millis(100);
/// Not the limit that is to be met.
const LATE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits { time_max: SOON, memory_bytes_max: 16 << 20, ..Limits::default() }
}

fn call(machine: &mut Machine, source: &str) -> Result<Vec<bool>, Error> {
    machine.filter(&Program::new(source, source, None), &[r#"{"_id":"a","n":1}"#], b"{}")
}

/// `source` fails as expected, soon, twice, and other programs don't feel it.
#[track_caller]
fn check(source: &str, expected: &Error, time_max: Duration) {
    let good = "function(doc) { return doc.n === 1 && typeof leak === 'undefined' && typeof [].leak === 'undefined' }";
    let mut machine = Machine::new(Limits { time_max, ..limits() });
    assert_eq!(call(&mut machine, good), Ok(vec![true]));
    for _ in 0..2 {
        let start = Instant::now();
        assert_eq!(call(&mut machine, source).as_ref(), Err(expected), "{source}");
        assert!(start.elapsed() < Duration::from_secs(10), "{source} took {:?}", start.elapsed());
        assert_eq!(call(&mut machine, good), Ok(vec![true]), "after {source}");
    }
}

#[test]
fn time_is_limited() {
    for source in [
        "function() { for (;;) {} }",
        "function() { while (true) { try { for (;;) {} } catch (e) {} finally { continue } } }",
        "function() { return /^(a+)+$/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!') }",
        "function() { return /(x+x+)+y/.exec('x'.repeat(60)) }",
        "function() { return 'x'.repeat(60).replace(/(x*)*y/g, '') }",
        "function() { leak = 1; Array.prototype.leak = 1; for (;;) {} }",
        "function() { return [].indexOf.call({length: 2 ** 53 - 1}, 1) }",
        "function() { return [].includes.call({length: 2 ** 53 - 1}, 1) }",
        "function() { return [].forEach.call({length: 2 ** 53 - 1}, x => x) }",
        "(function() { for (;;) {} })()",
        "function() { Promise.resolve().then(function again() { Promise.resolve().then(again) }); for (;;) {} }",
        "function() { new Promise(r => r()).then(() => { for (;;) {} }); for (;;) {} }",
    ] {
        check(source, &Error::Timeout, SOON);
    }
}

#[test]
fn memory_is_limited() {
    for source in [
        "function() { const all = []; for (;;) all.push('x'.repeat(1000) + all.length) }",
        "function() { const all = []; for (let text = 'x';;) all.push(text += 'y'.repeat(1e5)) }",
        "function() { return 'x'.repeat(2 ** 29).length }",
        "function() { return new Array(2 ** 25).fill(1).length }",
        "function() { return new Uint8Array(2 ** 30).length }",
    ] {
        check(source, &Error::Memory, LATE);
    }
}

#[test]
fn stack_is_limited() {
    for source in [
        "function() { return (function again() { return again() + 1 })() }",
        "function(doc) { return doc.toString = function() { return '' + this }, '' + doc }",
        "function() { let text = '['.repeat(1e5); return JSON.parse(text + ']'.repeat(1e5)) }",
    ] {
        check(source, &Error::Stack, LATE);
    }
    let mut machine = Machine::new(limits());
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let program = Program::new("k", "function(doc) { return doc.a }", None);
    for _ in 0..3 {
        assert_eq!(machine.filter(&program, &[&deep], b"{}"), Err(Error::Stack));
        assert_eq!(machine.filter(&program, &["{\"a\":1}"], b"{}"), Ok(vec![true]));
    }
}

#[test]
fn an_exception_costs_nobody_else_anything() {
    check(
        "function() { leak = 1; throw new Error('x') }",
        &Error::Thrown { error: "Error".to_owned(), reason: "x".to_owned(), place: None },
        SOON,
    );
}

#[test]
fn what_a_promise_leaves_behind_is_not_run_in_the_time_of_others() {
    let mut machine = Machine::new(limits());
    assert_eq!(
        call(&mut machine, "function() { Promise.resolve().then(() => { for (;;) {} }); return true }"),
        Ok(vec![true])
    );
    assert_eq!(call(&mut machine, "function(doc) { return doc.n }"), Ok(vec![true]));
}

#[test]
fn one_deadline_is_for_a_whole_batch() {
    let mut machine = Machine::new(limits());
    let source = "function(doc) { const end = Date.now() + doc.ms; while (Date.now() < end) {} }";
    let program = Program::new("k", source, None);
    assert_eq!(machine.filter(&program, &[r#"{"ms":1}"#; 2], b"{}"), Ok(vec![false; 2]));
    assert_eq!(machine.filter(&program, &[r#"{"ms":30}"#; 20], b"{}"), Err(Error::Timeout));
}

#[test]
fn memory_that_others_hold_is_taken_back() {
    let mut machine = Machine::new(limits());
    let hoard = "(function() { const all = []; return function() { all.push('x'.repeat(13e6)) } })()";
    assert_eq!(call(&mut machine, hoard), Ok(vec![false]));
    assert_eq!(machine.programs(), 1);
    assert_eq!(call(&mut machine, "function() { return 'x'.repeat(8e6).length }"), Ok(vec![true]));
    assert_eq!(machine.programs(), 1, "the runtime was made anew");
}

#[test]
fn programs_stay_compiled_up_to_a_bound() {
    let mut machine = Machine::new(Limits { programs_max: 3, ..limits() });
    for number in 0..10 {
        assert_eq!(call(&mut machine, &format!("function(doc) {{ return {number} > 4 }}")), Ok(vec![number > 4]));
        assert_eq!(machine.programs(), 3.min(number + 1));
    }
}

#[test]
fn rows_are_limited() {
    let mut machine = Machine::new(Limits { rows_max: 10, ..limits() });
    let map = |count| format!("function() {{ for (let i = 0; i < {count}; i++) emit(i) }}");
    let rows = machine.map(&Program::new("a", map(10), None), b"{}");
    assert_eq!(rows.map(|rows| rows.len()), Ok(10));
    let fault = machine.map(&Program::new("b", map(11), None), b"{}").unwrap_err();
    assert!(matches!(fault, Error::Thrown { error, .. } if error == "too_many_rows"));
}
