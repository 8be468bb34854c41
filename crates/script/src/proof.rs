//! Which members of its documents a function reads, where its text proves it.
//!
//! A function that uses a parameter only as in `doc.name`, and never writes to it or hands it on, gets an object with those
//! members and can't miss the others. Whatever isn't surely that isn't proved; then documents are lazy (see `harness.js`).
//! This is no parser: it knows tokens, and gives up on each token it isn't sure of.

use crate::tokens::{Token, split, tokens};

/// For each of the two documents, the members read, or `None` where it isn't proved.
pub(crate) fn proved(source: &str) -> [Option<Vec<String>>; 2] {
    let Some(tokens) = tokens(source).filter(|tokens| is_plain(tokens)) else { return [None, None] };
    let Some((parameters, body)) = split(&tokens) else { return [None, None] };
    [0, 1].map(|index| match parameters.get(index) {
        Some(parameter) => members(body, parameter),
        None => Some(Vec::new()),
    })
}

/// With these, what a name means or who sees a value isn't plain.
const TRICKY: &[&str] = &[
    "eval",
    "arguments",
    "with",
    "caller",
    "prototype",
    "getPrototypeOf",
    "setPrototypeOf",
    "__proto__",
    "defineProperty",
    "defineProperties",
    "__defineGetter__",
    "__defineSetter__",
];
fn is_plain(tokens: &[Token<'_>]) -> bool {
    let is_tricky = |token: &Token<'_>| matches!(token, Token::Word(word) if TRICKY.contains(word));
    // What stands before such a `=` may be a pattern, with targets anywhere in it.
    let is_pattern = |pair: &[Token<'_>]| matches!(pair, [Token::Mark("]" | "}"), Token::Mark("=")]);
    !tokens.iter().any(is_tricky) && !tokens.windows(2).any(is_pattern)
}

/// The members of `parameter` that are read, if nothing else is done with it.
fn members(body: &[Token<'_>], parameter: &str) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for (at, token) in body.iter().enumerate() {
        let (before, behind) = (body.get(..at)?, body.get(at + 1..)?);
        let is_member = matches!(before, [.., Token::Mark("." | "?.")]);
        if *token != Token::Word(parameter) || is_member {
            continue;
        }
        if let [Token::Mark("." | "?."), Token::Word(name), next, ..] = behind {
            if !is_read(before, next) {
                return None;
            }
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        } else if !is_test(before, behind) {
            return None;
        }
    }
    Some(names)
}

/// Whether the member between these is read: not written to, deleted, or called with the document as `this`.
fn is_read(before: &[Token<'_>], next: &Token<'_>) -> bool {
    let is_target = match next {
        Token::Mark(mark) => {
            matches!(*mark, "(" | "++" | "--" | "=" | "=>")
                || mark.ends_with('=') && !matches!(*mark, "==" | "===" | "!=" | "!==" | "<=" | ">=")
        }
        Token::Word(word) => matches!(*word, "in" | "of"),
        Token::Literal(_) => true,
    };
    let is_changed = matches!(before, [.., Token::Mark("++" | "--")] | [.., Token::Word("delete")]);
    !is_target && !is_changed
}

/// Whether a document between these is only asked whether it is there.
fn is_test(before: &[Token<'_>], behind: &[Token<'_>]) -> bool {
    match (before, behind) {
        // `!doc`, but not `!doc[x]` or `!doc(x)`.
        ([.., Token::Mark("!")], [Token::Mark(")" | "&&" | "||" | ";" | "," | "?"), ..])
        | ([.., Token::Word("if"), Token::Mark("(")], [Token::Mark(")"), ..])
        | (_, [Token::Mark("?" | "&&"), ..])
        | (_, [Token::Mark("==" | "!=" | "===" | "!=="), Token::Word("null" | "undefined"), ..]) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, first: Option<&str>, second: Option<&str>) {
        let told = proved(source).map(|names| names.map(|names| names.join(" ")));
        assert_eq!(told.each_ref().map(Option::as_deref), [first, second], "{source}");
    }

    #[test]
    fn plain_reads_are_proved() {
        check("function (doc) { channel(doc.channels); }", Some("channels"), Some(""));
        check("function sync(doc, oldDoc) { access(doc.owner, doc.a.b[0]); doc.a.push(1) }", Some("owner a"), Some(""));
        check("(doc, old) => { if (old && old.a !== doc.a) throw {forbidden: 'doc[x]'} };", Some("a"), Some("a"));
        check(
            "function (d, o) { if (!o) return; if (o) x(); y(o ? 1 : 2, o == null, o !== undefined) }",
            Some(""),
            Some(""),
        );
        check("function () { // doc, eval\n /* doc */ }", Some(""), Some(""));
        check("function (doc, x, y) { x.doc = y.doc; a[1] / doc.n; doc?.m }", Some("n m"), None);
        check(
            "function (doc) { if (doc.a == 1 && doc.b <= 2) [...doc.c, typeof doc.d, ++n] }",
            Some("a b c d"),
            Some(""),
        );
    }

    #[test]
    fn whatever_else_is_not() {
        for body in [
            "doc",
            "f(doc)",
            "doc[x]",
            "var d = doc",
            "for (k in doc) {}",
            "({ ...doc })",
            "({ doc })",
            "doc.a = 1",
            "doc.a += 1",
            "doc.a++",
            "--doc.a",
            "delete doc.a",
            "doc.a()",
            "({ a } = doc)",
            "[doc.a] = [1]",
            "for (doc.a of b) {}",
            "doc?.[x]",
            "for (doc.a in b) {}",
            "doc || {}",
            "doc ?? {}",
            "!doc[x]",
            "`${doc.a}`",
            "eval('x')",
            "arguments[0]",
            "with (doc) {}",
            "x(/'/, doc)",
            "d\\u006fc",
            "<!-- it's\nf(doc)",
            "return doc",
            "doc.a ||= 1",
            "doc\n.a = 1",
            "doc.a `x`",
            "Object.prototype.x = 1",
            "({ a: doc.a } = b)",
            "function f(doc) {}",
            "if (x) /doc.a/",
            "doc == other",
            "(doc)",
            "class A extends doc {}",
            "'a\nb'",
            "/* x",
            "var doc = f()",
            "doc.a => 1",
        ] {
            let told = proved(&format!("function (doc) {{ {body} }}"));
            assert_eq!(told.first(), Some(&None), "{body}");
        }
        for source in [
            "var x; function (doc) { doc.a }",
            "(function (doc) { doc.a })",
            "function ({ a }) { a }",
            "function (doc = 1) { doc.a }",
            "function (...doc) { doc.a }",
            "doc => doc.a",
            "(doc) => doc",
            "function (doc) { doc.a } other",
            "function (doc, doc) {}",
            "async function (doc) {}",
            "function* (doc) {}",
            "function (doc) { doc.a",
            "",
            "function",
        ] {
            assert_eq!(proved(source).first(), Some(&None), "{source}");
        }
    }
}
