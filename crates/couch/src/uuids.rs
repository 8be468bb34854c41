//! Ids for documents that come without one, as CouchDB's `sequential` algorithm makes them: 26 random hexadecimal digits
//! and six that grow by a random step, so that ids made together lie together in the store.

use std::sync::{Mutex, PoisonError};

/// The largest step between two ids.
const STEP_MAX: u32 = 0xffe;
const SUFFIX_MAX: u32 = 0x00ff_ffff;

/// A source of ids.
#[derive(Debug)]
pub(crate) struct Uuids(Mutex<State>);

#[derive(Debug)]
struct State {
    prefix: String,
    suffix: u32,
}

impl State {
    fn new() -> Self {
        let random = format!("{:032x}", rand::random::<u128>());
        Self { prefix: random.chars().take(26).collect(), suffix: rand::random_range(0..=STEP_MAX) }
    }
}

impl Uuids {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::new()))
    }

    pub(crate) fn next(&self) -> String {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.suffix += rand::random_range(1..=STEP_MAX);
        if state.suffix > SUFFIX_MAX {
            *state = State::new();
        }
        format!("{}{:06x}", state.prefix, state.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_are_32_digits() {
        let uuids = Uuids::new();
        let ids: Vec<_> = (0..100).map(|_| uuids.next()).collect();
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
        assert!(ids.is_sorted());
    }
}
