//! What functions may say and what comes of it.

use bytes::Bytes;
use tidegate_script::{Error, Limits, Machine, Place, Program, Row, Validation, Verdict};

fn machine() -> Machine {
    Machine::new(Limits::default())
}

fn program(source: &str) -> Program {
    Program::new(source, source, None)
}

fn thrown(error: &str, reason: &str) -> Error {
    Error::Thrown { error: error.to_owned(), reason: reason.to_owned(), place: None }
}

#[track_caller]
fn check_validation(source: &str, expected: &Result<Verdict, Error>) {
    let input = Validation {
        document: br#"{"_id":"a","type":"note","n":3,"tags":["x","y"]}"#,
        old_document: Some(br#"{"_id":"a","_rev":"1-a","author":"jo"}"#),
        user: br#"{"db":"d","name":"jo","roles":["editor"]}"#,
        security: br#"{"admins":{"names":["root"],"roles":[]}}"#,
    };
    let mut machine = machine();
    // A function learns what it reads: it must be right the first time and later.
    for round in 0..3 {
        assert_eq!(&machine.validate(&program(source), &input), expected, "{source}, round {round}");
    }
}

#[test]
fn validations_come_to_verdicts() {
    let accepted = || Ok(Verdict::Accepted);
    let forbidden = |message: &str| Ok(Verdict::Forbidden(message.to_owned()));
    check_validation("function(newDoc, oldDoc, userCtx, secObj) {}", &accepted());
    check_validation("function(d) { return false }", &accepted());
    check_validation("function(d) { throw({forbidden: 'no ' + d.type}) }", &forbidden("no note"));
    check_validation("function(d) { throw({unauthorized: 'who?'}) }", &Ok(Verdict::Unauthorized("who?".to_owned())));
    check_validation(
        "(d, o, u, s) => { throw {forbidden: [o.author, u.name, s.admins.names[0]].join()} }",
        &forbidden("jo,jo,root"),
    );
    check_validation("function(d) { throw {forbidden: {a: 1}} }", &forbidden(r#"{"a":1}"#));
    check_validation("function(d) { throw {forbidden: '\\ud800'} }", &forbidden("\u{fffd}"));
    check_validation(
        "function(newDoc, oldDoc, userCtx) {
           function require(field, message) { if (!newDoc[field]) throw({forbidden: message || 'Must have ' + field}) }
           require('type'); require('title');
         }",
        &forbidden("Must have title"),
    );
    check_validation("function(d) { throw 'text' }", &Err(thrown("unknown_error", "text")));
    check_validation("function(d) { throw {other: 'text'} }", &Err(thrown("unknown_error", "text")));
    check_validation("function(d) { throw null }", &Err(Error::Memory));
    check_validation("function(d) { throw undefined }", &Err(thrown("unknown_error", "undefined")));
    check_validation("function(d) { throw new Error('broken') }", &Err(thrown("Error", "broken")));
    check_validation(
        "function(d) { d.missing.deep }",
        &Err(thrown("TypeError", "cannot read property 'deep' of undefined")),
    );
    check_validation("function(d) { nothing() }", &Err(thrown("ReferenceError", "nothing is not defined")));
    check_validation("function(d) { throw ['error', 'my_kind', 'my reason'] }", &Err(thrown("my_kind", "my reason")));
}

#[test]
fn the_first_write_has_no_old_document() {
    let input = Validation { document: b"{}", old_document: None, user: b"{}", security: b"{}" };
    let program = program("function(d, old) { if (old !== null) throw {forbidden: 'old'} }");
    assert_eq!(machine().validate(&program, &input), Ok(Verdict::Accepted));
}

#[track_caller]
fn check_filter(source: &str, expected: &Result<&[bool], Error>) {
    let documents: [&[u8]; 3] =
        [br#"{"_id":"a","type":"x","n":1}"#, br#"{"_id":"b","type":"y","n":0}"#, br#"{"_id":"c"}"#];
    let mut machine = machine();
    for round in 0..3 {
        let passed = machine.filter(&program(source), &documents, br#"{"query":{"type":"x"},"userCtx":{"name":null}}"#);
        assert_eq!(passed.as_deref(), expected.as_ref().copied(), "{source}, round {round}");
    }
}

#[test]
fn filters_pass_what_is_truthy() {
    check_filter("function(doc, req) { return doc.type === req.query.type; }", &Ok(&[true, false, false]));
    check_filter("function(doc, req) { return doc.n }", &Ok(&[true, false, false]));
    check_filter("function(doc, req) { }", &Ok(&[false, false, false]));
    check_filter("function(doc, req) { return 'type' in doc && doc.hasOwnProperty('n') }", &Ok(&[true, true, false]));
    check_filter("doc => Object.keys(doc).length > 1", &Ok(&[true, true, false]));
    check_filter("function(doc) { return doc.valueOf() === doc && 'toString' in doc }", &Ok(&[true, true, true]));
    check_filter("function(doc) { if (doc._id === 'b') throw new RangeError('b') }", &Err(thrown("RangeError", "b")));
    check_filter("function(doc) { throw {forbidden: 'x'} }", &Err(thrown("unnamed_error", r#"{"forbidden":"x"}"#)));
}

#[test]
fn functions_come_in_many_shapes() {
    let all = Ok(&[true, true, true] as &[bool]);
    for source in [
        "function(doc, req) { return true };",
        "function named(doc, req) { return typeof named == 'function' } // why\n",
        "/* first */ function(doc) { return true } /* last */ ;;",
        "// first\n(function(doc) { return true })",
        "(doc, req) => true",
        "doc => { return doc._id }",
        "const limit = 3; (doc) => limit > 2",
        "(function() { var made = 1; return function(doc) { return made } })()",
        "new Function('doc', 'return doc._id')",
    ] {
        check_filter(source, &all);
    }
}

#[track_caller]
fn check_compile(source: &str, message: &str, place: Option<(u32, u32)>) {
    let place = place.map(|(line, column)| Place { line, column });
    let expected = Error::Compile { message: message.to_owned(), place };
    assert_eq!(machine().compile(&program(source)), Err(expected), "{source}");
}

#[test]
fn what_is_no_function_does_not_compile() {
    check_compile("", "missing function", None);
    check_compile("42", "Expression does not eval to a function.", None);
    check_compile("function(doc) {\n  return }}\n", "SyntaxError: unexpected token in expression: '}'", Some((2, 11)));
    check_compile("async function(doc) {}", "A function must be an ordinary one, not AsyncFunction.", None);
    check_compile("function*(doc) {}", "A function must be an ordinary one, not GeneratorFunction.", None);
    check_compile("function(doc) { \0 }", "NUL in source", None);
    check_compile("(function() { throw new Error('early') })()", "Error: early", Some((1, 25)));
}

#[test]
fn maps_emit_rows() {
    let row = |key: &str, value: &str| Row { key: key.to_owned(), value: value.to_owned() };
    let source =
        "function(doc) { emit(doc._id, null); emit([doc.n, 'é'], {a: 1}); emit(); emit(sum([1, 2]), isArray([])) }";
    let document = br#"{"_id":"a","n":1}"#;
    let mut machine = machine();
    let rows = vec![row("\"a\"", "null"), row("[1,\"é\"]", "{\"a\":1}"), row("null", "null"), row("3", "true")];
    assert_eq!(machine.map(&program(source), document), Ok(rows));
    assert_eq!(machine.map(&program("function(doc) {}"), document), Ok(vec![]));
    let documents: [&[u8]; 2] = [document, br#"{"_id":"b"}"#];
    let passed = machine.filter_by_view(&program("function(doc) { if (doc.n) emit() }"), &documents);
    assert_eq!(passed, Ok(vec![true, false]));
}

#[test]
fn the_design_document_is_this_and_can_not_be_changed() {
    let design = Bytes::from_static(br#"{"_id":"_design/d","settings":{"min":2}}"#);
    let source = "function(doc) { this.settings.min = 0; this.more = 1; return this.settings.min == 2 && !this.more }";
    let program = Program::new("k", source, Some(design));
    assert_eq!(machine().filter(&program, &[b"{}"], b"{}"), Ok(vec![true]));
}

#[test]
fn texts_that_are_not_json_are_refused() {
    let program = program("function(doc, req) { return doc.a }");
    let mut machine = machine();
    for (document, request) in [("{", "{}"), ("{\"a\":01}", "{}"), ("{}", "nope"), ("", "{}"), ("{}", "")] {
        assert_eq!(
            machine.filter(&program, &[document], request.as_bytes()),
            Err(Error::Input),
            "{document} {request}"
        );
    }
    assert_eq!(machine.filter(&program, &[b"{\"a\":\"\xff\"}"], b"{}"), Err(Error::Input));
    assert_eq!(machine.filter(&program, &["{\"a\":1}"], b"null"), Ok(vec![true]));
}

#[test]
fn lines_are_logged_up_to_a_limit() {
    let limits = Limits { log_lines_max: 2, log_line_bytes_max: 4, ..Limits::default() };
    let mut machine = Machine::new(limits);
    let program = program("function(doc) { log('ééé'); log({a: 1}); log('third') }");
    machine.filter(&program, &["{}"], b"{}").unwrap();
    let lines: Vec<_> = machine.take_log().into_iter().map(|line| line.text).collect();
    assert_eq!(lines, ["éé", "{\"a\""]);
    assert!(machine.take_log().is_empty());
}
