//! The text of a function as tokens, where it is surely those.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Word(&'a str),
    /// A number or a string, as it is written.
    Literal(&'a str),
    Mark(&'a str),
}

/// Longer ones first.
const MARKS: &[&str] = &[
    ">>>=", "...", "===", "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "??=", "=>", "==", "!=", "<=", ">=", "&&",
    "||", "??", "?.", "++", "--", "+=", "-=", "*=", "%=", "&=", "|=", "^=", "<<", ">>", "**", "{", "}", "(", ")", "[",
    "]", ";", ",", "<", ">", "+", "-", "*", "%", "&", "|", "^", "!", "~", "?", ":", "=", ".",
];
/// Behind these words a slash begins a regular expression.
const BEFORE_VALUES: &[&str] = &[
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "delete",
    "void",
    "throw",
    "new",
    "instanceof",
    "else",
    "do",
    "yield",
    "await",
];

/// The tokens, if they are surely those. Templates, regular expressions and escapes in names are given up.
pub(crate) fn tokens(source: &str) -> Option<Vec<Token<'_>>> {
    // Old forms of comments, and line ends of another kind.
    if ["<!--", "-->", "\u{2028}", "\u{2029}", "\u{feff}"].iter().any(|odd| source.contains(odd)) {
        return None;
    }
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, len) = match first {
            '/' if rest.starts_with("//") => (None, rest.find(['\n', '\r']).unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (None, rest.find("*/")? + 2),
            '/' if divides(tokens.last()?) => (Some(Token::Mark("/")), 1),
            '"' | '\'' => {
                let len = string_len(rest, first)?;
                (Some(Token::Literal(rest.get(..len)?)), len)
            }
            '0'..='9' => {
                let len = word_len(rest, '.');
                (Some(Token::Literal(rest.get(..len)?)), len)
            }
            _ if is_word(first) => {
                let len = word_len(rest, '$');
                (Some(Token::Word(rest.get(..len)?)), len)
            }
            _ => {
                let mark = MARKS.iter().find(|mark| rest.starts_with(**mark))?;
                (Some(Token::Mark(mark)), mark.len())
            }
        };
        tokens.extend(token);
        rest = rest.get(len..)?.trim_start();
    }
    Some(tokens)
}

fn divides(before: &Token<'_>) -> bool {
    match before {
        Token::Word(word) => !BEFORE_VALUES.contains(word),
        Token::Literal(_) => true,
        // Behind a parenthesis or a brace it may be either.
        Token::Mark(mark) => *mark == "]",
    }
}

fn is_word(each: char) -> bool {
    each.is_ascii_alphanumeric() || each == '_' || each == '$' || !each.is_ascii() && !each.is_whitespace()
}

fn word_len(rest: &str, also: char) -> usize {
    rest.find(|each| !is_word(each) && each != also).unwrap_or(rest.len())
}

/// The length of a string literal, quotes included.
fn string_len(rest: &str, quote: char) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, each)) = chars.next() {
        match each {
            '\\' => drop(chars.next()?),
            '\n' | '\r' => return None,
            _ if each == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The parameters of the one function that the tokens are, and what follows them.
pub(crate) fn split<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<(Vec<&'a str>, &'t [Token<'a>])> {
    let (head, is_arrow) = match tokens {
        [Token::Word("function"), Token::Word(_), rest @ ..] | [Token::Word("function"), rest @ ..] => (rest, false),
        rest => (rest, true),
    };
    let [Token::Mark("("), list @ ..] = head else { return None };
    let end = list.iter().position(|token| *token == Token::Mark(")"))?;
    let (list, body) = list.split_at_checked(end)?;
    let body = match body {
        [Token::Mark(")"), Token::Mark("=>"), body @ ..] if is_arrow => body,
        [Token::Mark(")"), body @ ..] if !is_arrow => body,
        _ => return None,
    };
    let mut parameters = Vec::new();
    for each in list.split(|token| *token == Token::Mark(",")) {
        match each {
            [Token::Word(name)] if !parameters.contains(name) => parameters.push(*name),
            [] if list.is_empty() => {}
            _ => return None,
        }
    }
    is_one_block(body).then_some((parameters, body))
}

/// Whether it is one block in braces, with nothing behind it but semicolons.
fn is_one_block(body: &[Token<'_>]) -> bool {
    let mut depth = 0_usize;
    for (at, token) in body.iter().enumerate() {
        match token {
            Token::Mark("{") => depth += 1,
            Token::Mark("}") => depth = depth.saturating_sub(1),
            Token::Mark(_) | Token::Word(_) | Token::Literal(_) => {}
        }
        if depth == 0 {
            let behind = body.get(at + 1..).unwrap_or_default();
            return *token == Token::Mark("}") && behind.iter().all(|token| *token == Token::Mark(";"));
        }
    }
    false
}
