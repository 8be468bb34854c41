//! Writes of single keys, brought into the tree in key order.

use std::{cmp::Ordering, ops::Bound};

use bytes::Bytes;
use redb::{CursorError, StorageError, Table};

use super::large;

/// A key and its new value, or none to remove it.
pub(crate) type Point<'a> = (&'a [u8], Option<&'a [u8]>);

/// Writes of single keys, gathered to be applied in key order: neighbours share the pages they change.
#[derive(Default)]
pub(crate) struct Points<'a> {
    writes: Vec<Point<'a>>,
}

impl<'a> Points<'a> {
    /// Adds a write. Of one key's writes, the last one counts.
    pub(crate) fn push(&mut self, key: &'a [u8], value: Option<&'a Bytes>) {
        self.writes.push((key, value.map(Bytes::as_ref)));
    }

    /// Applies what was gathered, and forgets it. Returns the writes that large values ask for.
    pub(crate) fn apply(
        &mut self,
        table: &mut Table<'_, &'static [u8], &'static [u8]>,
    ) -> Result<Vec<Point<'a>>, StorageError> {
        let mut beside = Vec::new();
        // Stable: of one key's writes, the last one stays the last one.
        self.writes.sort_by_key(|(key, _)| *key);
        let mut rest = self.writes.as_slice();
        while let Some(((key, value), after)) = rest.split_first() {
            let (run, after_run) = rest.split_at_checked(run_length(rest)).unwrap_or((rest, &[]));
            if run.len() >= RUN_MIN {
                insert_run(table, run, &mut beside)?;
                rest = after_run;
                continue;
            }
            if after.first().is_none_or(|(next, _)| next != key) {
                write(table, (key, *value), &mut beside)?;
            }
            rest = after;
        }
        self.writes.clear();
        Ok(beside)
    }
}

fn write<'a>(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    (key, value): Point<'a>,
    beside: &mut Vec<Point<'a>>,
) -> Result<(), StorageError> {
    let stored = value.map(large::stored);
    let old = match stored {
        Some(stored) => table.insert(key, stored)?,
        None => table.remove(key)?,
    };
    if stored.is_some_and(large::is_marker) {
        beside.push((key, value));
    } else if old.is_some_and(|old| large::is_marker(old.value())) {
        beside.push((key, None));
    }
    Ok(())
}

/// Shorter runs are inserted key by key.
const RUN_MIN: usize = 4;

/// How many of the first writes put keys that differ in their last two bytes only: rows under rising numbers.
fn run_length(writes: &[Point<'_>]) -> usize {
    let neighbours = |pair: &&[Point<'_>]| {
        let [(one, Some(_)), (other, Some(_))] = pair else { return false };
        let stem = one.len().saturating_sub(2);
        one.len() == other.len() && one.cmp(other) == Ordering::Less && one.get(..stem) == other.get(..stem)
    };
    let count = writes.windows(2).take_while(neighbours).count() + 1;
    // The last one may be followed by another write of its key, which counts instead.
    match (writes.get(count - 1), writes.get(count)) {
        (Some((last, _)), Some((next, _))) if last == next => count - 1,
        _ => count,
    }
}

/// Puts neighbouring keys. New ones fill the gap they belong in page by page, which costs a third less than searching for
/// each one's place, and leaves fuller pages.
fn insert_run<'a>(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    run: &[Point<'a>],
    beside: &mut Vec<Point<'a>>,
) -> Result<(), StorageError> {
    let mut rest = run;
    while let Some(((key, _), _)) = rest.split_first() {
        let mut gap = table.lower_bound_mut(Bound::Included(*key))?;
        let exists = gap.peek_next()?.is_some_and(|(found, _)| found.value() == *key);
        while let Some(((key, Some(value)), after)) = rest.split_first()
            && !exists
        {
            let stored = large::stored(value);
            match gap.insert_before(*key, stored) {
                Ok(()) => {
                    if large::is_marker(stored) {
                        beside.push((key, Some(value)));
                    }
                    rest = after;
                }
                // Here the gap ends.
                Err(CursorError::UnorderedKey) => break,
                Err(CursorError::Storage(error)) => return Err(error),
                // There is no third kind yet.
                Err(_) => return Err(StorageError::PreviousIo),
            }
        }
        gap.close()?;
        if exists {
            // Where one key exists, the next ones usually do.
            return rest.iter().try_for_each(|point| write(table, *point, beside));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use redb::{Database, ReadableTable, TableDefinition, backends::InMemoryBackend};

    use super::*;

    const TABLE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("table");

    /// A stretch of rows under rising numbers, or single ones: the first number, how many, how far apart, and the length
    /// of their values, if they aren't removed.
    type Stretch = (u16, u16, u16, Option<usize>);

    fn stretch() -> impl Strategy<Value = Stretch> {
        let length = prop_oneof![3 => (0usize..1500).prop_map(Some), 1 => Just(None)];
        (0u16..600, 1u16..40, 1u16..3, length)
    }

    fn writes(batch: &[Stretch]) -> Vec<(Vec<u8>, Option<Bytes>)> {
        let rows = batch.iter().flat_map(|&(first, count, step, length)| {
            let value = length.map(|length| Bytes::from(vec![7; length]));
            (0..count).map(move |at| ([&b"row"[..], &(first + at * step).to_be_bytes()].concat(), value.clone()))
        });
        rows.collect()
    }

    fn check(batches: &[Vec<Stretch>]) {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let mut model = BTreeMap::new();
        for batch in batches {
            let writes = writes(batch);
            let change = database.begin_write().unwrap();
            let mut points = Points::default();
            for (key, value) in &writes {
                points.push(key, value.as_ref());
                match value {
                    Some(value) => drop(model.insert(key.clone(), value.to_vec())),
                    None => drop(model.remove(key)),
                }
            }
            points.apply(&mut change.open_table(TABLE).unwrap()).unwrap();
            let table = change.open_table(TABLE).unwrap();
            let rows =
                table.iter().unwrap().map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())));
            assert!(rows.map(Result::unwrap).eq(model.clone()));
            drop(table);
            change.commit().unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn batches_do_what_a_map_does(batches in prop::collection::vec(prop::collection::vec(stretch(), 1..6), 1..8)) {
            check(&batches);
        }
    }

    #[test]
    fn a_run_ends_where_its_last_key_is_written_again() {
        let value = Some(&b""[..]);
        let keys = |text: &'static str| text.split(' ').map(|key| (key.as_bytes(), value)).collect::<Vec<_>>();
        let check = |text, length| assert_eq!(run_length(&keys(text)), length, "{text}");
        check("a01 a02 a03 b04", 3);
        check("a01 a02 a02 a03", 1);
        check("a01 a01 a02", 0);
        check("a01 a2 a03", 1);
        check("a0101 a0102 a0201", 2);
        assert_eq!(run_length(&[(b"a1", value), (b"a2", None), (b"a3", value)]), 1);
    }
}
