//! Where a feed is, as clients say it: `n`, or `t:s` in what a grant or a loss at `t` caused, done through `s`.
//!
//! Source: `spec/gateway.md` 2.4.

use crate::error::Error;
use std::io::Write as _;
use tidegate_engine::Position;

/// As clients send it, bare or as a JSON string. Of the forms of other servers that tell of a gap below (`low::seq`,
/// `low:trigger:seq`), the least sequence counts.
///
/// # Errors
/// It is no sequence.
pub(super) fn parse(text: &str) -> Result<Position, Error> {
    let bare = text.trim().trim_matches('"');
    if bare.is_empty() {
        return Ok(Position::START);
    }
    bare.parse().map_err(|_invalid| Error::bad_request(format!("Invalid sequence: \"{bare}\"")))
}

/// Appends it as rows tell it: a number, or a string where it is compound.
pub(super) fn write(position: Position, out: &mut Vec<u8>) {
    // A `Vec` takes everything.
    drop(if position.trigger.is_some() { write!(out, "\"{position}\"") } else { write!(out, "{position}") });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences() {
        let check = |text: &str, shown: &str, done: u64| {
            let position = parse(text).unwrap();
            assert_eq!((position.to_string().as_str(), position.done().get()), (shown, done), "{text}");
        };
        check("", "0", 0);
        check("5", "5", 5);
        check("\"5\"", "5", 5);
        check("7:2", "7:2", 6);
        check("3::9", "3", 3);
        for bad in ["abc", "-1", "1:", ":", "1:2:3:4", "1.5"] {
            assert_eq!(parse(bad).unwrap_err().reason, format!("Invalid sequence: \"{bad}\""));
        }
    }

    #[test]
    fn rows_tell_numbers_unless_they_are_compound() {
        let written = |text: &str| {
            let mut out = Vec::new();
            write(parse(text).unwrap(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written("5"), "5");
        assert_eq!(written("7:2"), "\"7:2\"");
    }
}
