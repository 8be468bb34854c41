//! At which time a database had come to which sequence.

use crate::Error;
use tidegate_types::Seq;

/// The note that holds them.
const NOTE: &str = "marks";
/// Marks made in the lifetime of a tombstone: so much finer is its age known.
const MARKS: u64 = 8;

/// Times in seconds since 1970 with the sequences of then, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Up to where tombstones have been looked at.
    pub(super) forgotten_to: Seq,
    marks: Vec<(u64, Seq)>,
}

impl Marks {
    pub(super) async fn load(db: &tidegate_store::Database) -> Result<Self, Error> {
        let note = db.own_setting(NOTE).await?.unwrap_or_default();
        Ok(Self::decode(&String::from_utf8_lossy(&note)))
    }

    pub(super) async fn keep(&self, db: &tidegate_store::Database) -> Result<(), Error> {
        Ok(db.put_note(NOTE, self.encode().as_bytes()).await?)
    }

    /// A line for each; that of the time 0 is what was looked at.
    fn encode(&self) -> String {
        let lines = [(0, self.forgotten_to)].into_iter().chain(self.marks.iter().copied());
        lines.map(|(at_s, seq)| format!("{at_s} {seq}\n")).collect()
    }

    fn decode(note: &str) -> Self {
        let parse = |line: &str| {
            let (at_s, seq) = line.split_once(' ')?;
            Some((at_s.parse::<u64>().ok()?, Seq::new(seq.parse().ok()?)))
        };
        let mut marks = Self::default();
        for (at_s, seq) in note.lines().filter_map(parse) {
            if at_s == 0 {
                marks.forgotten_to = seq;
            } else {
                marks.marks.push((at_s, seq));
            }
        }
        marks
    }

    /// Marks the time, if it is time for a mark; whether it was. Marks that nothing needs any more are dropped.
    pub(super) fn mark(&mut self, now_s: u64, seq: Seq, lifetime_s: u64) -> bool {
        let latest_s = self.marks.last().map(|(at_s, _)| *at_s);
        if latest_s.is_some_and(|at_s| now_s < at_s.saturating_add((lifetime_s / MARKS).max(1))) {
            return false;
        }
        self.marks.push((now_s, seq));
        let old = self.marks.iter().take_while(|(at_s, _)| at_s.saturating_add(lifetime_s) <= now_s).count();
        self.marks.drain(..old.saturating_sub(1));
        true
    }

    /// The sequence up to which everything is at least as old as this.
    pub(super) fn older_than(&self, at_s: u64) -> Seq {
        let old = self.marks.iter().filter(|(marked_s, _)| *marked_s <= at_s);
        old.map(|(_, seq)| *seq).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_tell_what_is_old() {
        let mut marks = Marks::default();
        assert_eq!(marks.older_than(u64::MAX), Seq::ZERO);
        for hour in 1..=100 {
            assert_eq!(marks.mark(hour * 10, Seq::new(hour), 800), hour % 10 == 1, "{hour}");
        }
        assert_eq!(marks.older_than(110 - 1), Seq::new(0));
        assert_eq!((marks.older_than(500), marks.older_than(510)), (Seq::new(41), Seq::new(51)));
        assert_eq!(marks.marks.len(), 9);
        marks.forgotten_to = Seq::new(7);
        assert_eq!(Marks::decode(&marks.encode()), marks);
        assert_eq!(Marks::decode("nonsense\n1 x\n"), Marks::default());
    }
}
