//! Where a feed is: compound sequences.

use std::{cmp::Ordering, fmt, str::FromStr};
use tidegate_types::Seq;

/// How far a feed has told: a sequence `n`, or `t:s` within what the grant or the loss at `t` caused, which comes before
/// the row of `t` itself and is told in the order of `s`.
///
/// Source: Sync Gateway's compound sequences. Of its `low::…` forms, the least sequence counts: a feed without gaps
/// writes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The sequence that caused the row, where that isn't its own.
    pub trigger: Option<Seq>,
    /// The row's own sequence.
    pub seq: Seq,
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid sequence")]
pub struct PositionError;

impl Position {
    /// Before everything.
    pub const START: Self = Self { trigger: None, seq: Seq::ZERO };

    /// After the row of this sequence.
    pub const fn at(seq: Seq) -> Self {
        Self { trigger: None, seq }
    }

    /// After the row of this sequence among those that `trigger` caused.
    pub const fn triggered(trigger: Seq, seq: Seq) -> Self {
        Self { trigger: Some(trigger), seq }
    }

    /// The latest sequence up to which nothing is left to tell.
    pub fn done(self) -> Seq {
        match self.trigger {
            Some(trigger) => Seq::new(trigger.get().saturating_sub(1)),
            None => self.seq,
        }
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |position: &Self| match position.trigger {
            Some(trigger) => (trigger, false, position.seq),
            None => (position.seq, true, Seq::ZERO),
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.trigger {
            Some(trigger) => write!(f, "{trigger}:{}", self.seq),
            None => self.seq.fmt(f),
        }
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let number = |text: &str| text.parse().map(Seq::new).map_err(|_invalid| PositionError);
        let parts: Vec<&str> = text.split(':').collect();
        match *parts.as_slice() {
            [seq] => Ok(Self::at(number(seq)?)),
            [trigger, seq] => Ok(Self::triggered(number(trigger)?, number(seq)?)),
            [low, "", seq] => Ok(Self::at(number(low)?.min(number(seq)?))),
            [low, trigger, seq] => {
                let (low, triggered) = (Self::at(number(low)?), Self::triggered(number(trigger)?, number(seq)?));
                Ok(low.min(triggered))
            }
            _ => Err(PositionError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn they_are_read_as_they_are_written() {
        let check = |text: &str, expected: &str| {
            let read = text.parse::<Position>().map_or("invalid".to_owned(), |position| position.to_string());
            assert_eq!(read, expected, "{text}");
        };
        check("5", "5");
        check("0", "0");
        check("10:2", "10:2");
        check("3::7", "3");
        check("3:10:2", "3");
        check("12:10:2", "10:2");
        for text in ["", "a", "1:", ":1", "1:2:3:4", "-1", "1.5"] {
            check(text, "invalid");
        }
    }

    #[test]
    fn what_a_sequence_caused_comes_before_its_row() {
        let order = ["9", "10:2", "10:30", "10", "11:1", "11"];
        let positions: Vec<Position> = order.iter().map(|text| text.parse().unwrap()).collect();
        assert!(positions.is_sorted());
        assert_eq!(positions[1].done(), Seq::new(9));
        assert_eq!(positions[3].done(), Seq::new(10));
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(trigger in prop::option::of(any::<u64>()), seq: u64) {
            let position = Position { trigger: trigger.map(Seq::new), seq: Seq::new(seq) };
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }
    }
}
