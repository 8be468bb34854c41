//! Rust text with comments and literals blanked, so that a plain text search finds code only.
//!
//! Lines stay where they are. This isn't a parser: it knows just enough of the lexical structure (nested comments, raw
//! strings, the difference between a lifetime and a character) never to mistake a literal for code.

/// `source` with every character of comments and of string and character literals turned into a space.
pub(crate) fn mask(source: &str) -> String {
    let mut masked = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let hidden = hidden_len(rest, first);
        let (token, after) = rest.split_at(hidden.unwrap_or_else(|| word_len(rest).max(first.len_utf8())));
        match hidden {
            Some(_) => masked.extend(token.chars().map(|char| if char == '\n' { '\n' } else { ' ' })),
            None => masked.push_str(token),
        }
        rest = after;
    }
    masked
}

/// The byte after the block that the first `{` of `masked` at or after `from` opens; `None` where a `;` comes first.
pub(crate) fn block_end(masked: &str, from: usize) -> Option<usize> {
    let (mut brackets, mut braces) = (0_usize, 0_usize);
    for (offset, char) in masked.char_indices().skip_while(|(offset, _)| *offset < from) {
        match char {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if brackets == 0 && braces == 0 => return None,
            '{' if brackets == 0 || braces > 0 => braces += 1,
            '}' if braces == 1 => return Some(offset + 1),
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The bytes of the comment or literal that `rest` starts with, if it starts with one.
fn hidden_len(rest: &str, first: char) -> Option<usize> {
    match first {
        '/' if rest.starts_with("//") => Some(rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => Some(block_comment_len(rest)),
        '"' => Some(quoted_len(rest, '"')),
        '\'' => char_len(rest),
        'b' | 'c' | 'r' => prefixed_len(rest),
        _ => None,
    }
}

fn word_len(rest: &str) -> usize {
    rest.find(|char: char| !is_word(char)).unwrap_or(rest.len())
}

/// Whether `char` may stand in an identifier.
pub(crate) fn is_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

fn block_comment_len(rest: &str) -> usize {
    let (mut depth, mut length) = (0_usize, 0);
    let mut tail = rest;
    while let Some(char) = tail.chars().next() {
        let step = match () {
            () if tail.starts_with("/*") => {
                depth += 1;
                2
            }
            () if tail.starts_with("*/") => {
                depth -= 1;
                2
            }
            () => char.len_utf8(),
        };
        length += step;
        tail = tail.split_at(step).1;
        if depth == 0 {
            break;
        }
    }
    length
}

/// The length of a literal between two `quote`s, where a backslash escapes the next character.
fn quoted_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (offset, char) in rest.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return offset + char.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// A character literal, as against a lifetime or label: escaped, or closed after one character.
fn char_len(rest: &str) -> Option<usize> {
    let mut chars = rest.chars().skip(1);
    let is_literal = matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')));
    is_literal.then(|| quoted_len(rest, '\''))
}

/// `b"…"`, `c"…"`, `b'…'`, `r"…"`, `br#"…"#` and their like; `None` for words, raw identifiers included.
fn prefixed_len(rest: &str) -> Option<usize> {
    let (prefix, after) = rest.split_at(word_len(rest));
    let length = match (prefix, after.chars().next()?) {
        ("b" | "c", '"') => Some(quoted_len(after, '"')),
        ("b", '\'') => Some(quoted_len(after, '\'')),
        ("r" | "br" | "cr", '"' | '#') => raw_len(after),
        _ => None,
    }?;
    Some(prefix.len() + length)
}

fn raw_len(after: &str) -> Option<usize> {
    let body = after.trim_start_matches('#');
    let hashes = after.len() - body.len();
    let closing = format!("\"{}", "#".repeat(hashes));
    let inside = body.strip_prefix('"')?;
    let end = inside.find(&closing).map_or(inside.len(), |at| at + closing.len());
    Some(hashes + 1 + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        let masked = mask(source);
        assert_eq!(masked.split_whitespace().collect::<Vec<_>>().join(" "), expected);
        assert_eq!(masked.lines().count(), source.lines().count(), "lines must stay where they are");
    }

    #[test]
    fn literals_and_comments_are_blanked() {
        check("a // fn b\nc", "a c");
        check("a /* x /* fn */ fn\n */ b", "a b");
        check(r#"a("fn \" {") b"#, "a( ) b");
        check(r###"a(r#"fn " {"#) b(br"\") c"###, "a( ) b( ) c");
        check("f(b'{', '{', '\\'', '\\u{7f}', 'é') g", "f( , , , , ) g");
    }

    #[test]
    fn lifetimes_and_words_stay() {
        check(
            "fn f<'a>(x: &'a str, y: &'static str) { 'b: loop {} }",
            "fn f<'a>(x: &'a str, y: &'static str) { 'b: loop {} }",
        );
        check("r#fn bar car rb", "r#fn bar car rb");
    }

    #[test]
    fn unfinished_text_ends_the_scan() {
        check("a \"b", "a");
        check("a /* b", "a");
        check("a '", "a '");
    }

    #[test]
    fn a_block_ends_at_its_own_brace() {
        let text = "fn f(a: [u8; { 3 }]) -> [u8; 2] { { } } x";
        assert_eq!(block_end(text, 0), text.find(" x"));
        assert_eq!(block_end("fn f(a: [u8; 2]); {}", 0), None);
        assert_eq!(block_end("{ let a = [{ 1 }]; } x", 0), Some(20));
    }
}
