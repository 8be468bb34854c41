//! The latest changes of a collection, in memory, so that feeds that keep up needn't read the store.

use crate::Change;
use std::{collections::VecDeque, sync::Arc};
use tidegate_types::Seq;

/// Changes kept for followers.
const CHANGES_MAX: usize = 512;

/// Every change after `floor`, in order, or none and a floor at the latest.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    floor: Seq,
    changes: VecDeque<Arc<Change>>,
}

impl Ring {
    /// Forgets everything: the next change kept is the one after `seq`.
    pub(crate) fn reset(&mut self, seq: Seq) {
        self.floor = seq;
        self.changes = VecDeque::new();
    }

    /// Takes in the next changes, in order.
    pub(crate) fn extend(&mut self, changes: &[Arc<Change>]) {
        self.changes.extend(changes.iter().cloned());
        while self.changes.len() > CHANGES_MAX {
            if let Some(oldest) = self.changes.pop_front() {
                self.floor = oldest.seq;
            }
        }
    }

    /// The changes after `since`, at most `limit`; `None` where some of them are forgotten.
    pub(crate) fn after(&self, since: Seq, limit: usize) -> Option<Vec<Arc<Change>>> {
        if since < self.floor {
            return None;
        }
        let start = self.changes.partition_point(|change| change.seq <= since);
        Some(self.changes.iter().skip(start).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(seq: u64) -> Arc<Change> {
        let id = format!("d{seq}").parse().unwrap();
        let winner = "1-a".parse().unwrap();
        let (seq, others) = (Seq::new(seq), Vec::new());
        Arc::new(Change { seq, id, deleted: false, winner, others, winner_body: None, reach: None })
    }

    fn check(ring: &Ring, since: u64, expected: Option<&[u64]>) {
        let found = ring.after(Seq::new(since), 3).map(|c| c.iter().map(|c| c.seq.get()).collect::<Vec<_>>());
        assert_eq!(found.as_deref(), expected, "since {since}");
    }

    #[test]
    fn gives_all_that_follows_or_says_that_it_cannot() {
        let mut ring = Ring::default();
        ring.reset(Seq::new(4));
        check(&ring, 3, None);
        check(&ring, 4, Some(&[]));
        ring.extend(&(5..=8).map(change).collect::<Vec<_>>());
        check(&ring, 4, Some(&[5, 6, 7]));
        check(&ring, 7, Some(&[8]));
        check(&ring, 8, Some(&[]));
        ring.extend(&(9..=600).map(change).collect::<Vec<_>>());
        check(&ring, 87, None);
        check(&ring, 88, Some(&[89, 90, 91]));
    }
}
