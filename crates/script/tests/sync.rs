//! What sync functions may say and what comes of it.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use tidegate_script::{
    Error, Expiry, Limits, LogLevel, LogLine, Machine, Place, Pool, PoolLimits, Program, Rejection, SyncCaller,
    SyncInput, SyncOutcome, SyncUser,
};
use tidegate_types::Channel;

const DOCUMENT: &str = r#"{"_id":"a","_rev":"2-b","owner":"jo","channels":["x","y"],"nested":{"list":["n"]},"n":3,"expires":"2030-01-01T00:00:00Z"}"#;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn user(name: &str, roles: &[&str], channels: &[&str]) -> SyncCaller {
    let user = SyncUser { name: name.to_owned(), roles: names(roles), channels: names(channels) };
    SyncCaller::User(Arc::new(user))
}

fn input(caller: SyncCaller) -> SyncInput {
    SyncInput {
        document: Bytes::from_static(DOCUMENT.as_bytes()),
        old_document: Some(Bytes::from_static(br#"{"_id":"a","_rev":"1-a","owner":"al","channels":["old"]}"#)),
        meta: Some(Bytes::from_static(br#"{"xattrs":{"team":{"id":7}}}"#)),
        caller,
    }
}

/// Runs the body of a function some times: it learns what it reads, and must be right the first time and later.
fn run(body: &str, caller: &SyncCaller) -> Result<SyncOutcome, Error> {
    let source = format!("function (doc, oldDoc, meta) {{ {body} }}");
    let mut machine = Machine::new(Limits::default());
    let program = Program::sync("k", source);
    let first = machine.sync(&program, &input(caller.clone()));
    for round in 1..4 {
        assert_eq!(machine.sync(&program, &input(caller.clone())), first, "{body}, round {round}");
    }
    first
}

#[track_caller]
fn outcome_of(body: &str, caller: &SyncCaller) -> SyncOutcome {
    let outcome = run(body, caller);
    assert!(outcome.is_ok(), "{body}: {outcome:?}");
    outcome.unwrap_or_default()
}

#[track_caller]
fn decided(body: &str) -> SyncOutcome {
    let outcome = outcome_of(body, &SyncCaller::Unrestricted);
    assert_eq!(outcome.rejection, None, "{body}");
    outcome
}

#[track_caller]
fn check_channels(body: &str, expected: &[&str], warnings: usize) {
    let outcome = decided(body);
    let channels: Vec<&str> = outcome.channels.iter().map(Channel::as_str).collect();
    assert_eq!(channels, expected, "{body}");
    assert_eq!(outcome.log.len(), warnings, "{body}: {:?}", outcome.log);
    assert!(outcome.log.iter().all(|line| line.level == LogLevel::Warning));
}

#[test]
fn channels_are_collected() {
    check_channels("", &[], 0);
    check_channels("channel(doc.channels)", &["x", "y"], 0);
    check_channels("channel('b'); channel('a', ['c', 'b'], null, undefined)", &["a", "b", "c"], 0);
    check_channels("channel(doc.nested.list); channel(doc.missing)", &["n"], 0);
    check_channels("channel(oldDoc.channels, oldDoc.owner)", &["al", "old"], 0);
    check_channels("channel('team-' + meta.xattrs.team.id)", &["team-7"], 0);
    check_channels("channel('*', '!')", &["!", "*"], 0);
    check_channels("channel(1, {}, true, ['a', 2, null, ['b']])", &["a"], 5);
    check_channels("channel('', 'a,b', 'a')", &["a"], 2);
    check_channels("channel('\\ud800', 'a')", &["a"], 1);
    check_channels("channel('x'.repeat(1024))", &["x".repeat(1_024).as_str()], 1);
    check_channels("channel('x'.repeat(1025), 'a')", &["a"], 1);
    check_channels("var list = ['a']; channel(list); list[0] = 'b'", &["a"], 0);
    check_channels("channel('é'.repeat(250))", &["é".repeat(250).as_str()], 0);
    check_channels("channel('é'.repeat(251))", &["é".repeat(251).as_str()], 1);
    check_channels("for (var i = 0; i < 10; i++) for (var j = 0; j < 50; j++) channel('c')", &["c"], 0);
    let outcome = decided("for (var i = 0; i < 51; i++) channel('c' + i)");
    assert_eq!((outcome.channels.len(), outcome.log.len()), (51, 1));
}

fn parsed<N: FromStr>(names: &[&str]) -> Vec<N> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

#[track_caller]
fn check_access(body: &str, expected: &[(&str, &[&str])], warnings: usize) {
    let outcome = decided(body);
    let expected: Vec<_> =
        expected.iter().filter_map(|(to, channels)| Some((to.parse().ok()?, parsed(channels)))).collect();
    assert_eq!((outcome.access, outcome.log.len()), (expected, warnings), "{body}");
}

#[test]
fn access_is_granted() {
    check_access("access('jo', 'a')", &[("jo", &["a"])], 0);
    check_access(
        "access(['jo', 'role:editor'], ['b', 'a']); access('jo', 'c'); access('jo', 'a')",
        &[("jo", &["a", "b", "c"]), ("role:editor", &["a", "b"])],
        0,
    );
    check_access("access(doc.owner, doc.channels)", &[("jo", &["x", "y"])], 0);
    check_access(
        "access(null, 'a'); access('jo', undefined); access(['jo', null], ['a', null]); access()",
        &[("jo", &["a"])],
        0,
    );
    check_access("access(1, 'a'); access('jo', [1, {}])", &[], 3);
    check_access(
        "access('jo', 'a,b'); access('jo', ''); access('', 'a'); access('role:', 'a'); access('a:b', 'a')",
        &[],
        5,
    );
    check_access("access(['jo', '._-', 'x'.repeat(240), 'role:' + 'x'.repeat(240)], 'a')", &[("jo", &["a"])], 3);
    check_access("access('jo', ['a', 'x'.repeat(1025)])", &[("jo", &["a"])], 1);
    check_access("access('jo', '*')", &[("jo", &["*"])], 0);
}

#[track_caller]
fn check_roles(body: &str, expected: &[(&str, &[&str])], warnings: usize) {
    let outcome = decided(body);
    let expected: Vec<_> =
        expected.iter().filter_map(|(user, roles)| Some((user.parse().ok()?, parsed(roles)))).collect();
    assert_eq!((outcome.roles, outcome.log.len()), (expected, warnings), "{body}");
}

#[test]
fn roles_are_granted() {
    check_roles("role('jo', 'role:editor')", &[("jo", &["editor"])], 0);
    check_roles("role(['jo', 'al'], ['role:b', 'role:a', 'role:b'])", &[("al", &["a", "b"]), ("jo", &["a", "b"])], 0);
    check_roles("role(null, 'role:a'); role('jo', null); role()", &[], 0);
    check_roles("role('jo', 'editor'); role('jo', 'role:'); role('role:x', 'role:y'); role('jo', 5)", &[], 4);
    check_roles("role('jo', ['role:a', 'role:' + 'x'.repeat(240)]); role('-', 'role:a')", &[("jo", &["a"])], 2);
}

#[track_caller]
fn check_require(body: &str, caller: &SyncCaller, expected: Option<&str>) {
    let outcome = outcome_of(&format!("channel('c'); access('jo', 'c'); {body}"), caller);
    let rejection = expected.map(|message| Rejection::Forbidden(message.to_owned()));
    assert_eq!(outcome.rejection, rejection, "{body} for {caller:?}");
    assert_eq!(outcome.channels.is_empty() && outcome.access.is_empty(), expected.is_some(), "{body} for {caller:?}");
}

#[test]
fn users_have_what_is_required_or_are_turned_away() {
    let jo = user("jo", &["editor", "x"], &["news", "!"]);
    let (wrong, role, access) = (Some("sg wrong user"), Some("sg missing role"), Some("sg missing channel access"));
    for (body, expected) in [
        ("requireUser('jo')", None),
        ("requireUser(['al', 'jo'])", None),
        ("requireUser(doc.owner)", None),
        ("requireUser('al')", wrong),
        ("requireUser(oldDoc.owner)", wrong),
        ("requireUser([])", wrong),
        ("requireUser(null)", wrong),
        ("requireUser()", wrong),
        ("requireUser('')", wrong),
        ("requireUser([['jo'], 1, null])", wrong),
        ("requireUser({ jo: 1 })", wrong),
        ("requireUser('\\ud800')", wrong),
        ("requireRole('editor')", None),
        ("requireRole(['admin', 'x'])", None),
        ("requireRole('admin')", role),
        ("requireRole('jo')", role),
        ("requireAccess('news')", None),
        ("requireAccess(['old', 'news'])", None),
        ("requireAccess('old')", access),
        ("requireAccess(doc.channels)", access),
        ("requireAdmin()", Some("sg admin required")),
        ("try { requireUser('al') } catch (e) { if (e.forbidden !== 'sg wrong user') throw e }", None),
    ] {
        check_require(body, &jo, expected);
        check_require(body, &SyncCaller::Unrestricted, None);
    }
    check_require("requireAccess('whatever')", &user("root", &[], &["*"]), None);
    check_require("requireUser('')", &user("", &[], &["!"]), wrong);
    check_require("requireAccess('!')", &user("", &[], &["!"]), None);
}

#[test]
fn one_call_knows_nothing_of_another() {
    let source =
        "function (doc) { requireUser(doc.owner); channel('c'); role('jo', 'role:r'); access('jo', 'a'); expiry(5) }";
    let (mut machine, program) = (Machine::new(Limits::default()), Program::sync("k", source));
    for _ in 0..3 {
        let rejected = machine.sync(&program, &input(user("al", &[], &[]))).unwrap();
        assert_eq!(rejected.rejection, Some(Rejection::Forbidden("sg wrong user".to_owned())));
        let outcome = machine.sync(&program, &input(user("jo", &[], &[]))).unwrap();
        assert_eq!((outcome.channels.len(), outcome.access.len(), outcome.roles.len()), (1, 1, 1));
        assert_eq!(outcome.expiry, Some(Expiry::After(5)));
        assert_eq!(rejected, SyncOutcome { rejection: rejected.rejection.clone(), ..SyncOutcome::default() });
    }
}

#[track_caller]
fn check_rejection(body: &str, expected: &Rejection) {
    for caller in [SyncCaller::Unrestricted, user("jo", &[], &[])] {
        let outcome = outcome_of(&format!("channel('c'); expiry(5); {body}"), &caller);
        assert_eq!(outcome, SyncOutcome { rejection: Some(expected.clone()), ..SyncOutcome::default() }, "{body}");
    }
}

#[test]
fn what_is_thrown_rejects() {
    check_rejection("throw({forbidden: 'no ' + doc.owner})", &Rejection::Forbidden("no jo".to_owned()));
    check_rejection("throw {unauthorized: 'who?'}", &Rejection::Unauthorized("who?".to_owned()));
    check_rejection("throw {forbidden: ['a', 1]}", &Rejection::Forbidden("[\"a\",1]".to_owned()));
}

#[track_caller]
fn check_thrown(source: &str, error: &str, reason: &str, place: Option<(u32, u32)>) {
    let place = place.map(|(line, column)| Place { line, column });
    let expected = Error::Thrown { error: error.to_owned(), reason: reason.to_owned(), place };
    let fault = Machine::new(Limits::default()).sync(&Program::sync("k", source), &input(SyncCaller::Unrestricted));
    assert_eq!(fault, Err(expected), "{source}");
}

#[test]
fn exceptions_tell_where() {
    let kind = "TypeError";
    check_thrown(
        "function (doc) { doc.missing.deep }",
        kind,
        "cannot read property 'deep' of undefined",
        Some((1, 18)),
    );
    check_thrown(
        "function (doc) {\n  doc.missing.deep;\n}",
        kind,
        "cannot read property 'deep' of undefined",
        Some((2, 3)),
    );
    check_thrown(
        "var x = 1; (function (doc) { nothing() })",
        "ReferenceError",
        "nothing is not defined",
        Some((1, 30)),
    );
    // Within what is given, it is the caller's place that counts.
    check_thrown(
        "function (doc) {\n  _.each([1], function () { throw new Error('x') }) }",
        "Error",
        "x",
        Some((2, 39)),
    );
    check_thrown(
        "function (doc) {\n channel(new Proxy([], { get() { null.x } })) }",
        kind,
        "cannot read property 'x' of null",
        Some((2, 34)),
    );
    check_thrown("function (doc) { throw 'text' }", "unknown_error", "text", None);
    check_thrown("function (doc) { throw {other: 1} }", "unknown_error", "1", None);
    check_thrown(
        "function (doc) { for (;;) channel('c') }",
        "too_many_channels",
        "More than 1000 channels for one document",
        None,
    );
    check_thrown(
        "function (doc) { for (var i = 0;; i++) access('jo', ['a', 'b' + i]) }",
        "too_many_grants",
        "More than 10000 grants for one document",
        None,
    );
}

#[test]
fn limits_end_the_call_alone() {
    let limits =
        Limits { time_max: std::time::Duration::from_millis(100), memory_bytes_max: 16 << 20, ..Limits::default() };
    let mut machine = Machine::new(limits);
    let good = Program::sync("good", "function (doc) { channel(doc.channels) }");
    for (body, expected) in [
        ("for (;;) {}", Error::Timeout),
        ("var a = []; for (;;) a.push(new Array(1000).fill('x'))", Error::Memory),
        ("(function f() { f() })()", Error::Stack),
        ("for (;;) console.log('x')", Error::Timeout),
    ] {
        let bad = Program::sync(body, format!("function () {{ {body} }}"));
        assert_eq!(machine.sync(&bad, &input(SyncCaller::Unrestricted)), Err(expected), "{body}");
        assert_eq!(
            machine.sync(&good, &input(SyncCaller::Unrestricted)).unwrap().channels,
            parsed(&["x", "y"]),
            "after {body}"
        );
    }
    let broken = SyncInput { document: Bytes::from_static(b"{\"a\":"), ..input(SyncCaller::Unrestricted) };
    assert_eq!(machine.sync(&good, &broken), Err(Error::Input));
    let other = Program::new("other", "function (doc) {}", None);
    assert!(matches!(machine.sync(&other, &input(SyncCaller::Unrestricted)), Err(Error::Internal(_))));
}

#[track_caller]
fn check_expiry(body: &str, expected: Option<Expiry>, warnings: usize) {
    let outcome = decided(body);
    assert_eq!((outcome.expiry, outcome.log.len()), (expected, warnings), "{body}");
}

#[test]
fn documents_expire() {
    check_expiry("", None, 0);
    check_expiry("expiry(60)", Some(Expiry::After(60)), 0);
    check_expiry("expiry('60')", Some(Expiry::After(60)), 0);
    check_expiry("expiry(doc.expires)", Some(Expiry::At(1_893_456_000)), 0);
    check_expiry("expiry(1893456000); expiry(null); expiry(undefined); expiry()", Some(Expiry::At(1_893_456_000)), 0);
    check_expiry("expiry(60); expiry(70)", Some(Expiry::After(70)), 0);
    check_expiry(
        "expiry(60); expiry('soon'); expiry(-1); expiry(NaN); expiry({}); expiry(true)",
        Some(Expiry::After(60)),
        5,
    );
}

#[test]
fn lines_are_logged() {
    let line = |level, text: &str| LogLine { level, text: text.to_owned() };
    let outcome =
        decided("console.log('a', 1, {b: [doc.n]}); console.error(new Error('e')); console.warn(null); log('l')");
    let expected = [
        line(LogLevel::Info, "a 1 {\"b\":[3]}"),
        line(LogLevel::Error, r#"{"error":"Error","message":"e"}"#),
        line(LogLevel::Warning, "null"),
        line(LogLevel::Info, "l"),
    ];
    assert_eq!(outcome.log, expected);
    assert_eq!(
        decided("var a = {}; a.a = a; console.log('x', a)").log,
        [line(LogLevel::Info, "x (what can't be printed)")]
    );
    assert_eq!(decided("for (var i = 0; i < 1000; i++) console.log(i)").log.len(), Limits::default().log_lines_max);
    let mut machine = Machine::new(Limits::default());
    let program = Program::sync("k", "function () { console.log('before'); throw new Error('x') }");
    assert!(machine.sync(&program, &input(SyncCaller::Unrestricted)).is_err());
    assert_eq!(machine.take_log(), [line(LogLevel::Info, "before")]);
}

#[test]
fn arguments_may_be_missing() {
    let source = "function (doc, oldDoc, meta) { channel(oldDoc === null ? 'new' : 'old', typeof meta.xattrs.team) }";
    let first = SyncInput { old_document: None, meta: None, ..input(SyncCaller::Unrestricted) };
    let outcome = Machine::new(Limits::default()).sync(&Program::sync("k", source), &first).unwrap();
    assert_eq!(outcome.channels, parsed(&["new", "undefined"]));
}

#[test]
fn documents_are_in_the_channels_they_name_by_default() {
    let mut machine = Machine::new(Limits::default());
    let mut channels = |program: &Program, document: &'static str| {
        let input = SyncInput { document: Bytes::from_static(document.as_bytes()), ..input(user("jo", &[], &[])) };
        machine.sync(program, &input).unwrap().channels
    };
    let program = Program::default_sync("k", None);
    assert_eq!(channels(&program, r#"{"channels":["b","a"]}"#), parsed(&["a", "b"]));
    assert_eq!(channels(&program, r#"{"channels":"a"}"#), parsed(&["a"]));
    assert!(channels(&program, "{}").is_empty());
    assert_eq!(channels(&Program::default_sync("c", Some("it's \"x\"")), "{}"), parsed(&["it's \"x\""]));
}

#[test]
fn sources_are_checked() {
    let check = |source: &str| Program::sync("k", source).check(Limits::default());
    assert_eq!(check("function (doc) { channel(doc.channels) }"), Ok(()));
    assert_eq!(check("(doc, oldDoc) => { channel('a') };"), Ok(()));
    let fault = |message: &str, line, column| {
        Err(Error::Compile { message: message.to_owned(), place: Some(Place { line, column }) })
    };
    assert_eq!(check("function (doc) { channel( }"), fault("SyntaxError: unexpected token in expression: '}'", 1, 27));
    assert_eq!(check("function (doc) {\n  var 1x;\n}"), fault("SyntaxError: invalid number literal", 2, 7));
    assert!(matches!(check("42"), Err(Error::Compile { place: None, .. })));
    assert!(matches!(check("async function (doc) {}"), Err(Error::Compile { .. })));
}

#[test]
fn other_globals_are_those_of_sync_functions() {
    check_channels(
        "channel([typeof emit, typeof require, typeof sum, typeof _.each, typeof console.log].join('-'))",
        &["undefined-undefined-undefined-function-function"],
        0,
    );
    check_channels("channel = 1; _ = 2; channel.call; channel(typeof _)", &["number"], 0);
    check_channels("leak = typeof leak; channel(leak)", &["undefined"], 0);
}

#[track_caller]
fn check_underscore(expression: &str, expected: &str) {
    assert_eq!(
        decided(&format!("console.log(JSON.stringify({expression}))")).log.first().map(|line| &*line.text),
        Some(expected),
        "{expression}"
    );
}

#[test]
fn the_common_part_of_underscore_is_there() {
    check_underscore("_.isEqual({a: [1, {b: 2}], c: 3}, {c: 3, a: [1, {b: 2}]})", "true");
    check_underscore(
        "[_.isEqual([1], {0: 1}), _.isEqual({a: undefined}, {b: 1}), _.isEqual(NaN, NaN), _.isEqual(1, '1')]",
        "[false,false,true,false]",
    );
    check_underscore("_.isEqual(doc, JSON.parse(JSON.stringify(doc)))", "true");
    check_underscore(
        "[_.contains(doc.channels, 'x'), _.include(null, 'x'), _.contains({a: 1}, 1)]",
        "[true,false,true]",
    );
    check_underscore("_.difference([1, 2, 3], [2], [3])", "[1]");
    check_underscore("_.intersection([1, 2, 2, 3], [2, 3], [2])", "[2]");
    check_underscore("_.union([1], [2, 1], null)", "[1,2]");
    check_underscore("_.map({a: 1, b: 2}, function (v, k) { return k + v })", "[\"a1\",\"b2\"]");
    check_underscore("_.pluck([{n: 1}, {n: 2}, null], 'n')", "[1,2,null]");
    check_underscore("_.filter([1, 2, 3], function (n) { return n > this.min }, {min: 1})", "[2,3]");
    check_underscore("_.reduce([1, 2, 3], function (a, b) { return a + b }, 10)", "16");
    check_underscore("_.reduce([1, 2, 3], function (a, b) { return a + b })", "6");
    check_underscore(
        "[_.where([{a: 1, b: 1}, {a: 2}], {a: 1}), _.find([1, 2], function (n) { return n > 1 })]",
        "[[{\"a\":1,\"b\":1}],2]",
    );
    check_underscore(
        "[_.every([1, 0]), _.any([0, 1]), _.isEmpty({}), _.isEmpty('a'), _.isEmpty(null)]",
        "[false,true,true,false,true]",
    );
    check_underscore("[_.keys({a: 1}), _.values({a: 1}), _.has({a: 1}, 'a'), _.size({a: 1})]", "[[\"a\"],[1],true,1]");
    check_underscore(
        "[_.pick(doc, 'n', ['owner']), _.omit({a: 1, b: 2}, 'a'), _.extend({a: 1}, {b: 2})]",
        "[{\"owner\":\"jo\",\"n\":3},{\"b\":2},{\"a\":1,\"b\":2}]",
    );
    check_underscore(
        "[_.first([1, 2]), _.last([1, 2, 3], 2), _.compact([0, 1, '']), _.flatten([1, [2, [3]]]), _.uniq([1, 1])]",
        "[1,[2,3],[1],[1,2,3],[1]]",
    );
}

#[tokio::test]
async fn a_pool_runs_them() {
    let pool = Pool::start(PoolLimits::default()).unwrap();
    let program = Program::sync("k", "function (doc) { requireUser(doc.owner); channel(doc.channels) }");
    assert_eq!(pool.compile(&program).await, Ok(()));
    assert_eq!(pool.sync(&program, input(user("jo", &[], &[]))).await.unwrap().channels, parsed(&["x", "y"]));
    let rejected = pool.sync(&program, input(user("al", &[], &[]))).await.unwrap();
    assert_eq!(rejected.rejection, Some(Rejection::Forbidden("sg wrong user".to_owned())));
    pool.stop();
}
