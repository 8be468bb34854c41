//! A bounded map that forgets: each entry some time after it came, and the oldest when it is full.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::{Duration, Instant},
};

/// Entries live equally long, so they leave in the order in which they came. Every operation is O(1), amortised.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Each entry of the map once, the oldest first; and some that were replaced or removed since.
    arrivals: VecDeque<(K, u64)>,
    arrived: u64,
    limits: Bounds,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    since: Instant,
    arrival: u64,
}

/// How many entries there may be, and how long each stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) entries_max: usize,
    pub(crate) lifetime: Duration,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    pub(crate) fn new(limits: Bounds) -> Self {
        Self { entries: HashMap::new(), arrivals: VecDeque::new(), arrived: 0, limits }
    }

    pub(crate) fn get(&self, key: &K, now: Instant) -> Option<&V> {
        self.entries.get(key).filter(|entry| !self.has_expired(entry, now)).map(|entry| &entry.value)
    }

    /// The entry, to be changed where it is: it doesn't become younger.
    pub(crate) fn get_mut(&mut self, key: &K, now: Instant) -> Option<&mut V> {
        let lifetime = self.limits.lifetime;
        let entry = self.entries.get_mut(key)?;
        (now.saturating_duration_since(entry.since) < lifetime).then_some(&mut entry.value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V, now: Instant) {
        if self.limits.entries_max == 0 {
            return;
        }
        self.arrived += 1;
        self.entries.insert(key.clone(), Entry { value, since: now, arrival: self.arrived });
        self.arrivals.push_back((key, self.arrived));
        self.make_room(now);
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.arrivals.clear();
    }

    fn make_room(&mut self, now: Instant) {
        while let Some((key, arrival)) = self.arrivals.front() {
            let entry = self.entries.get(key).filter(|entry| entry.arrival == *arrival);
            let is_over = self.entries.len() > self.limits.entries_max
                || self.arrivals.len() > self.limits.entries_max.saturating_mul(2);
            if entry.is_some_and(|entry| !self.has_expired(entry, now) && !is_over) {
                return;
            }
            let is_present = entry.is_some();
            if let Some((key, _)) = self.arrivals.pop_front()
                && is_present
            {
                self.entries.remove(&key);
            }
        }
    }

    fn has_expired(&self, entry: &Entry<V>, now: Instant) -> bool {
        now.saturating_duration_since(entry.since) >= self.limits.lifetime
    }

    #[cfg(test)]
    fn len(&self) -> (usize, usize) {
        (self.entries.len(), self.arrivals.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent() -> (Recent<u32, u32>, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let limits = Bounds { entries_max: 3, lifetime: Duration::from_secs(10) };
        (Recent::new(limits), move |seconds| start + Duration::from_secs(seconds))
    }

    #[test]
    fn entries_leave_after_their_time() {
        let (mut map, at) = recent();
        map.insert(1, 10, at(0));
        map.insert(2, 20, at(5));
        assert_eq!((map.get(&1, at(9)), map.get(&1, at(10))), (Some(&10), None));
        assert_eq!(map.get_mut(&1, at(10)), None);
        map.insert(3, 30, at(12));
        assert_eq!(map.len(), (2, 2));
        assert_eq!(map.get(&2, at(14)), Some(&20));
    }

    #[test]
    fn the_oldest_leaves_when_it_is_full() {
        let (mut map, at) = recent();
        for key in 0..5 {
            map.insert(key, key, at(0));
        }
        assert_eq!(
            (0..5).map(|key| map.get(&key, at(1)).is_some()).collect::<Vec<_>>(),
            [false, false, true, true, true]
        );
    }

    #[test]
    fn replaced_and_removed_entries_take_no_room() {
        let (mut map, at) = recent();
        map.insert(9, 9, at(0));
        for value in 0..1000 {
            map.insert(1, value, at(1));
            map.remove(&2);
            map.insert(2, value, at(1));
        }
        assert!(map.len().1 <= 6, "{:?}", map.len());
        assert_eq!((map.get(&1, at(2)), map.get(&2, at(2))), (Some(&999), Some(&999)));
    }
}
