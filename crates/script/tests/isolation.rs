//! Nothing of one call is seen by another program, and little by the next call.

use tidegate_script::{Error, Limits, Machine, Program, Validation, Verdict};

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

/// Users and security objects are the same call after call, and are not made anew each time. `source` tells by `forbidden`
/// what it found; it must find the same however often it is called, also when another user comes in between.
#[track_caller]
fn check_given(source: &str, user: &str, security: &str, expected: &str) {
    let mut machine = Machine::new(Limits::default());
    let program = Program::new(source, source, None);
    for round in 0..200 {
        let is_other = round % 90 == 89;
        let input = Validation {
            document: br#"{"_id":"a"}"#,
            old_document: None,
            user: if is_other { br#"{"name":"other","roles":[]}"# } else { user.as_bytes() },
            security: security.as_bytes(),
        };
        let verdict = machine.validate(&program, &input);
        if !is_other {
            assert_eq!(verdict, Ok(Verdict::Forbidden(expected.to_owned())), "{source}, round {round}");
        }
    }
}

#[test]
fn users_and_security_objects_are_as_good_as_new() {
    let (user, security) = (r#"{"name":"jo","roles":["b","a"]}"#, r#"{"admins":{"names":["root"]}}"#);
    check_given("(d, o, u, s) => { throw {forbidden: 'unread'} }", user, security, "unread");
    check_given(
        "(d, o, u, s) => { u.roles.sort(); u.roles.push('x'); u.name += '!'; u.more = 1; throw {forbidden: [u.name, ...u.roles].join()} }",
        user,
        security,
        "jo!,a,b,x",
    );
    check_given(
        "(d, o, u, s) => { s.admins.names.push('x'); throw {forbidden: toJSON(s)} }",
        user,
        security,
        r#"{"admins":{"names":["root","x"]}}"#,
    );
    check_given(
        "(d, o, u, s) => { delete u.name; delete s.admins; throw {forbidden: toJSON([u, s])} }",
        user,
        security,
        r#"[{"roles":["b","a"]},{}]"#,
    );
    // What is kept from one call doesn't change what the next one gets.
    check_given(
        "(function() { var kept; return (d, o, u, s) => {
           if (kept) { kept.name = 'x'; kept.roles = [] } else if (u.name === 'jo') kept = u;
           throw {forbidden: [u.name, u.roles.length].join()} } })()",
        user,
        security,
        "jo,2",
    );
    // Only what is JSON in JavaScript's eyes, too, may be made by compiled code.
    for name in ["__proto__", "\\u005f_proto__"] {
        let user = format!(r#"{{"{name}":{{"x":1}},"y":2}}"#);
        check_given(
            "(d, o, u, s) => { throw {forbidden: [Object.keys(u), u.x].join()} }",
            &user,
            security,
            "__proto__,y,",
        );
    }
    // Until it is touched, one serves all: then this call has it alone.
    let source = "(function() { var n = 0; return (d, o, u, s) => {
        n++; if (n % 3 === 0) { u.name = 'x'; s.y = 1 }
        throw {forbidden: n % 3 === 1 ? u.name + s.y : 'joundefined'} } })()";
    check_given(source, user, security, "joundefined");
}
