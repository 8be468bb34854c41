//! What is compiled, by key, up to a bound.

use std::collections::HashMap;

/// A map of at most so many values, from which the one unused for longest is dropped first.
pub(crate) struct Cache<V> {
    entries: HashMap<Box<str>, (u64, V)>,
    /// Grows with each use.
    now: u64,
    entries_max: usize,
}

impl<V> Cache<V> {
    /// A cache of `entries_max` values, or of one.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries: HashMap::new(), now: 0, entries_max: entries_max.max(1) }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<&V> {
        let (used, value) = self.entries.get_mut(key)?;
        self.now += 1;
        *used = self.now;
        Some(value)
    }

    pub(crate) fn insert(&mut self, key: &str, value: V) {
        if self.entries.len() >= self.entries_max && !self.entries.contains_key(key) {
            self.drop_oldest();
        }
        self.now += 1;
        self.entries.insert(key.into(), (self.now, value));
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// O(n), when something is compiled, which takes far longer.
    fn drop_oldest(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unused_for_longest_makes_way() {
        let mut cache = Cache::new(2);
        cache.insert("a", 1);
        cache.insert("b", 2);
        assert_eq!(cache.get("a"), Some(&1));
        cache.insert("c", 3);
        assert_eq!(cache.len(), 2);
        let kept = ["a", "b", "c"].map(|key| cache.get(key).copied());
        assert_eq!(kept, [Some(1), None, Some(3)]);
    }
}
