//! The transactions that the workload makes, and what the store must hold after each: a pure function of a seed.

use std::collections::BTreeMap;

use super::random::Random;

/// Lanes, each a scope of the store with a writer of its own.
pub(super) const LANES: u32 = 4;

/// Key under which a lane's latest transaction leaves its number.
const NUMBER: &str = "number";
const KEYS: usize = 48;

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Put {
        key: Vec<u8>,
        value: Value,
    },
    Delete {
        key: Vec<u8>,
    },
    /// From the first key up to and without the second.
    DeleteRange {
        from: Vec<u8>,
        to: Vec<u8>,
    },
}

/// A value, known by how it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The transaction's number.
    Number(u64),
    /// So many bytes from a seed.
    Random { seed: u64, len: usize },
}

impl Value {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Number(number) => number.to_be_bytes().to_vec(),
            Self::Random { seed, len } => Random::new(seed).bytes(len),
        }
    }
}

/// What a lane holds.
pub(super) type State = BTreeMap<Vec<u8>, Value>;

/// The scope of a lane.
pub(super) fn scope(lane: u32) -> Vec<u8> {
    format!("lane-{lane}").into_bytes()
}

/// The lane that a key belongs to.
pub(super) fn lane_of(key: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(key).ok()?;
    text.split_once('/')?.0.parse().ok()
}

/// Where a lane keeps the number of its latest transaction.
pub(super) fn number_key(lane: u32) -> Vec<u8> {
    format!("{lane}/{NUMBER}").into_bytes()
}

/// Reads what [`number_key`] holds.
pub(super) fn parse_number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// The writes of transaction `number` of a lane, in order.
pub(super) fn transaction(seed: u64, lane: u32, number: u64) -> Vec<Operation> {
    let mut random = Random::of(&[seed, u64::from(lane), number]);
    let count = if random.one_in(12) { 60 } else { 1 + random.below(6) };
    let mut operations: Vec<Operation> = (0..count).map(|_| operation(&mut random, lane)).collect();
    if random.one_in(15) {
        let value = Value::Random { seed: random.next_u64(), len: 20_000 + random.below(100_000) };
        operations.push(Operation::Put { key: key(&mut random, lane), value });
    }
    operations.push(Operation::Put { key: number_key(lane), value: Value::Number(number) });
    operations
}

fn operation(random: &mut Random, lane: u32) -> Operation {
    let key = key(random, lane);
    match random.below(16) {
        0..=2 => Operation::Delete { key },
        3 => {
            let from = random.below(KEYS);
            let to = from + random.below(8);
            Operation::DeleteRange { from: key_at(lane, from), to: key_at(lane, to) }
        }
        _ => Operation::Put { key, value: Value::Random { seed: random.next_u64(), len: random.below(1_500) } },
    }
}

fn key(random: &mut Random, lane: u32) -> Vec<u8> {
    key_at(lane, random.below(KEYS))
}

fn key_at(lane: u32, index: usize) -> Vec<u8> {
    format!("{lane}/key-{index:03}").into_bytes()
}

/// Every state that the lanes go through, worked out as far as asked for.
#[derive(Debug)]
pub(super) struct History {
    seed: u64,
    /// For each lane, its state after 0, 1, … transactions.
    lanes: BTreeMap<u32, Vec<State>>,
    empty: State,
}

impl History {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, lanes: BTreeMap::new(), empty: State::new() }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// What the lane holds after its first `number` transactions.
    pub(super) fn state(&mut self, lane: u32, number: u64) -> &State {
        let states = self.lanes.entry(lane).or_default();
        for next in states.len() as u64..=number {
            let mut state = states.last().cloned().unwrap_or_default();
            if next > 0 {
                transaction(self.seed, lane, next).iter().for_each(|operation| apply(&mut state, operation));
            }
            states.push(state);
        }
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        states.get(index).unwrap_or(&self.empty)
    }
}

fn apply(state: &mut State, operation: &Operation) {
    match operation {
        Operation::Put { key, value } => drop(state.insert(key.clone(), *value)),
        Operation::Delete { key } => drop(state.remove(key)),
        Operation::DeleteRange { from, to } => state.retain(|key, _| key < from || key >= to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_always_the_same_and_states_follow() {
        assert_eq!(transaction(1, 2, 3), transaction(1, 2, 3));
        assert_ne!(transaction(1, 2, 3), transaction(2, 2, 3));
        let mut history = History::new(5);
        assert!(history.state(0, 0).is_empty());
        let late = history.state(1, 60).clone();
        let mut worked_out = State::new();
        for number in 1..=60 {
            transaction(5, 1, number).iter().for_each(|operation| apply(&mut worked_out, operation));
            assert_eq!(worked_out.get(&number_key(1)), Some(&Value::Number(number)));
        }
        assert_eq!(late, worked_out);
        assert!(late.keys().all(|key| lane_of(key) == Some(1)));
    }
}
