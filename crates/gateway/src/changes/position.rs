//! Where a feed is: `n`, or `t:s` in what a grant or a loss at `t` caused, done through `s`.
//!
//! Source: `spec/gateway.md` 2.4.

use crate::error::Error;
use std::fmt;
use tidegate_types::Seq;

/// A place in a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// What was granted or lost here is being told of.
    pub(crate) trigger: Option<Seq>,
    /// Up to this sequence: of everything, or of what the trigger caused.
    pub(crate) seq: Seq,
}

impl Position {
    pub(crate) const fn plain(seq: Seq) -> Self {
        Self { trigger: None, seq }
    }

    /// As clients send it. Those of other servers may tell of a gap below (`low::seq`, `low:trigger:seq`): of those the
    /// feed goes on below the gap.
    ///
    /// # Errors
    /// It is no sequence.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let bare = text.trim().trim_matches('"');
        if bare.is_empty() {
            return Ok(Self::plain(Seq::ZERO));
        }
        let number = |part: &str| part.parse::<u64>().map(Seq::new).ok();
        let parts: Vec<&str> = bare.split(':').collect();
        let parsed = match parts.as_slice() {
            [seq] => number(seq).map(Self::plain),
            [trigger, seq] => {
                number(trigger).zip(number(seq)).map(|(trigger, seq)| Self { trigger: Some(trigger), seq })
            }
            [low, "", seq] => number(low).zip(number(seq)).map(|(low, _)| Self::plain(low)),
            [low, trigger, seq] => number(low).zip(number(trigger)).zip(number(seq)).map(|((low, trigger), seq)| {
                if low < trigger { Self::plain(low) } else { Self { trigger: Some(trigger), seq } }
            }),
            _ => None,
        };
        parsed.ok_or_else(|| Error::bad_request(format!("Invalid sequence: \"{bare}\"")))
    }

    /// Up to where everything was told.
    pub(crate) fn settled(self) -> Seq {
        self.trigger.map_or(self.seq, |trigger| Seq::new(trigger.get().saturating_sub(1)))
    }

    /// As rows tell it: a number, or a string where it is compound.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let text = if self.trigger.is_some() { format!("\"{self}\"") } else { self.to_string() };
        out.extend_from_slice(text.as_bytes());
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trigger {
            None => self.seq.fmt(f),
            Some(trigger) => write!(f, "{trigger}:{}", self.seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences() {
        let check = |text: &str, shown: &str, settled: u64| {
            let position = Position::parse(text).unwrap();
            assert_eq!((position.to_string().as_str(), position.settled().get()), (shown, settled), "{text}");
        };
        check("", "0", 0);
        check("5", "5", 5);
        check("\"5\"", "5", 5);
        check("7:2", "7:2", 6);
        check("3::9", "3", 3);
        check("\"3::2\"", "3", 3);
        check("3:7:2", "3", 3);
        check("8:7:2", "7:2", 6);
        for bad in ["abc", "-1", "1:", ":", "1:2:3:4", "1.5"] {
            assert_eq!(Position::parse(bad).unwrap_err().reason, format!("Invalid sequence: \"{bad}\""));
        }
    }

    #[test]
    fn rows_tell_numbers_unless_they_are_compound() {
        let written = |text: &str| {
            let mut out = Vec::new();
            Position::parse(text).unwrap().write(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written("5"), "5");
        assert_eq!(written("7:2"), "\"7:2\"");
    }
}
