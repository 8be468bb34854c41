//! Up to where everything is done, while batches end in any order.

use std::collections::VecDeque;

use crate::SourceSeq;

/// Batches in the feed's order, from the first that is not done.
#[derive(Debug)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    /// The number of the first slot.
    first: u64,
    through: SourceSeq,
}

#[derive(Debug)]
struct Slot {
    seq: SourceSeq,
    is_done: bool,
}

impl Window {
    pub(super) fn new(through: SourceSeq) -> Self {
        Self { slots: VecDeque::new(), first: 0, through }
    }

    /// Everything up to here is done: the most that a checkpoint may say.
    pub(super) fn through(&self) -> &SourceSeq {
        &self.through
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// A batch begins that reaches to `seq`, behind all others.
    pub(super) fn open(&mut self, seq: SourceSeq) -> u64 {
        let place = self.first.saturating_add(self.slots.len() as u64);
        self.slots.push_back(Slot { seq, is_done: false });
        place
    }

    /// The batch in this place is done.
    pub(super) fn close(&mut self, place: u64) {
        let index = place.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) else { return };
        slot.is_done = true;
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.is_done) {
            self.through = slot.seq;
            self.first = self.first.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seq(number: u64) -> SourceSeq {
        SourceSeq::from_json(&json!(number))
    }

    #[test]
    fn nothing_passes_a_batch_that_is_not_done() {
        let mut window = Window::new(seq(0));
        let places: Vec<_> = (1..=4).map(|number| window.open(seq(number * 10))).collect();
        let mut check = |place: usize, through: u64| {
            window.close(places[place]);
            assert_eq!(window.through(), &seq(through));
        };
        check(1, 0);
        check(3, 0);
        check(0, 20);
        check(0, 20); // Twice is once.
        check(2, 40);
        assert!(window.is_empty());
        let place = window.open(seq(50));
        window.close(place);
        assert_eq!(window.through(), &seq(50));
    }
}
