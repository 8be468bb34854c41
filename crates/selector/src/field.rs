//! Paths of fields: names between dots, as CouchDB's `mango_util:parse_field` takes them apart.

use crate::Error;

/// The names of a field, outermost first.
pub(crate) type Path = Vec<String>;

/// Takes a field's name apart. A dot behind a backslash doesn't separate; backslashes themselves are dropped.
pub(crate) fn parse(field: &str) -> Result<Path, Error> {
    let mut names = vec![String::new()];
    let mut previous = None;
    let mut is_empty = true;
    for c in field.chars() {
        if c == '.' && previous != Some('\\') {
            check(field, is_empty)?;
            names.push(String::new());
            is_empty = true;
        } else {
            is_empty = false;
            if let Some(name) = names.last_mut()
                && c != '\\'
            {
                name.push(c);
            }
        }
        previous = Some(c);
    }
    check(field, is_empty)?;
    Ok(names)
}

fn check(field: &str, is_empty: bool) -> Result<(), Error> {
    if is_empty { Err(Error::InvalidFieldName(field.to_owned())) } else { Ok(()) }
}

/// The index that a name stands for in an array, as Erlang reads integers.
pub(crate) fn index(name: &str) -> Option<usize> {
    let (negative, digits) = match name.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let index = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (index == 0 || !negative).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_path(field: &str, names: &[&str]) {
        assert_eq!(parse(field).ok().unwrap_or_default(), names, "{field}");
    }

    #[test]
    fn dots_separate_and_backslashes_keep_them_from_it() {
        check_path("a", &["a"]);
        check_path("a.b.0", &["a", "b", "0"]);
        check_path(r"a\.b", &["a.b"]);
        check_path(r"a.b\.c", &["a", "b.c"]);
        check_path(r"\$eq", &["$eq"]);
        check_path(r"a\b", &["ab"]);
        check_path(r"a\\.b", &["a.b"]); // Two backslashes don't undo each other.
        check_path(r"\", &[""]);
        for none in ["", ".", "a.", ".a", "a..b", r"a\.."] {
            assert_eq!(parse(none), Err(Error::InvalidFieldName(none.to_owned())));
        }
    }

    #[test]
    fn integers_are_indices() {
        for (name, expected) in [("0", Some(0)), ("12", Some(12)), ("007", Some(7)), ("+3", Some(3)), ("-0", Some(0))] {
            assert_eq!(index(name), expected, "{name}");
        }
        for name in ["-1", "", "-", "+", "1.0", "1e1", "a", " 1", "99999999999999999999999"] {
            assert_eq!(index(name), None, "{name}");
        }
    }
}
