//! Ids for documents that come without one.
//!
//! CouchDB's usual algorithm, `sequential`, makes 26 random hexadecimal digits and six that grow by a random step, so that
//! ids made together lie together in the store. Source: `couch_uuids.erl`.

use std::{
    sync::{Mutex, PoisonError},
    time::SystemTime,
};
use tidegate_engine::UuidAlgorithm;

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
    /// Of the latest id with a time in it, in microseconds.
    latest_us: u64,
}

impl State {
    fn new() -> Self {
        let random = format!("{:032x}", rand::random::<u128>());
        Self { prefix: random.chars().take(26).collect(), suffix: rand::random_range(0..=STEP_MAX), latest_us: 0 }
    }

    fn next_sequential(&mut self) -> String {
        self.suffix += rand::random_range(1..=STEP_MAX);
        if self.suffix > SUFFIX_MAX {
            *self = Self { latest_us: self.latest_us, ..Self::new() };
        }
        format!("{}{:06x}", self.prefix, self.suffix)
    }

    /// The time, or a little later, so that it grows with each id.
    fn next_us(&mut self, now: SystemTime) -> u64 {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros());
        self.latest_us = u64::try_from(since).unwrap_or(u64::MAX).max(self.latest_us.saturating_add(1));
        self.latest_us
    }
}

impl Uuids {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::new()))
    }

    /// The next id.
    pub(crate) fn next(&self, algorithm: &UuidAlgorithm, now: SystemTime) -> String {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match algorithm {
            UuidAlgorithm::Sequential => state.next_sequential(),
            UuidAlgorithm::Random => format!("{:032x}", rand::random::<u128>()),
            UuidAlgorithm::UtcRandom => {
                format!("{:014x}{:018x}", state.next_us(now), rand::random::<u128>() & (u128::MAX >> 56))
            }
            UuidAlgorithm::UtcId(suffix) => format!("{:014x}{suffix}", state.next_us(now)),
            UuidAlgorithm::V4 => rfc_9562(4, rand::random()),
            UuidAlgorithm::V7 => {
                let millis = u128::from(state.next_us(now) / 1_000);
                rfc_9562(7, (millis << 80) | (rand::random::<u128>() & (u128::MAX >> 48)))
            }
        }
    }
}

/// These bits with the version and the variant in their places.
fn rfc_9562(version: u128, bits: u128) -> String {
    let bits = bits & !(0xf << 76) & !(0b11 << 62);
    format!("{:032x}", bits | (version << 76) | (0b10 << 62))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn hundred(algorithm: &UuidAlgorithm) -> Vec<String> {
        let uuids = Uuids::new();
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(0x123_4567);
        (0..100).map(|_| uuids.next(algorithm, now)).collect()
    }

    #[track_caller]
    fn check(algorithm: &UuidAlgorithm) -> Vec<String> {
        let mut ids = hundred(algorithm);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())), "{ids:?}");
        let found = ids.clone();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), found.len());
        found
    }

    #[test]
    fn sequential_ids_grow() {
        assert!(check(&UuidAlgorithm::Sequential).is_sorted());
    }

    #[test]
    fn ids_with_a_time_grow() {
        let ids = check(&UuidAlgorithm::UtcRandom);
        assert!(ids.is_sorted() && ids[0].starts_with("00000001234567"), "{ids:?}");
        let ids = hundred(&UuidAlgorithm::UtcId("x".to_owned()));
        assert!(ids.is_sorted() && ids[1] == "00000001234568x", "{ids:?}");
    }

    #[test]
    fn random_ids_tell_their_version() {
        check(&UuidAlgorithm::Random);
        let shape = |id: &String| (id.as_bytes()[12], b"89ab".contains(&id.as_bytes()[16]));
        assert!(check(&UuidAlgorithm::V4).iter().all(|id| shape(id) == (b'4', true)));
        let ids = check(&UuidAlgorithm::V7);
        assert!(ids.iter().all(|id| shape(id) == (b'7', true) && id.starts_with("000000004a90")), "{ids:?}");
    }
}
