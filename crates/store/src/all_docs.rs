//! Listing documents by id.

use crate::{
    Error,
    read::{Reader, Winner, winner_of},
};
use std::ops::{Bound, ControlFlow};
use tidegate_kv::{Direction, KeyRange};
use tidegate_types::DocId;

/// Which documents to list: by the bytes of their ids.
#[derive(Clone, Debug)]
pub struct DocRange {
    /// The least id.
    pub start: Bound<String>,
    /// The greatest id.
    pub end: Bound<String>,
    /// Least first, or greatest first.
    pub order: Order,
}

/// In which order to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Least first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// A document in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocRow {
    /// Its id.
    pub id: DocId,
    /// Its winner.
    pub winner: Winner,
}

/// A list that is read page by page, all of it as it was at one moment.
pub struct Listing {
    reader: Reader,
    range: KeyRange,
    order: Order,
    done: bool,
}

impl Reader {
    /// The live documents of a range.
    pub fn list(&self, range: &DocRange) -> Listing {
        let keys = self.keys.documents(as_str(&range.start), as_str(&range.end));
        Listing { reader: self.clone(), range: keys, order: range.order, done: false }
    }

    /// How many live documents come before a range, in its order; `None` if it is more than `count_max`, which isn't
    /// counted to the end.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn count_before(&self, range: &DocRange, count_max: u64) -> Result<Option<u64>, Error> {
        let (bound, before) = match range.order {
            Order::Ascending => (&range.start, self.keys.documents(Bound::Unbounded, outside(&range.start))),
            Order::Descending => (&range.end, self.keys.documents(outside(&range.end), Bound::Unbounded)),
        };
        if matches!(bound, Bound::Unbounded) {
            return Ok(Some(0));
        }
        let mut counted = Ok(0);
        let visit = |_: &[u8], value: &[u8]| {
            let live = winner_of(value).map(|winner| u64::from(!winner.deleted));
            counted = match (&counted, live) {
                (Ok(count), Ok(one)) => Ok(count + one),
                (_, Err(error)) => Err(error),
                (Err(_), Ok(_)) => return ControlFlow::Break(()),
            };
            if counted.as_ref().is_ok_and(|count| *count <= count_max) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        self.snapshot.scan_with(before, Direction::Forward, usize::MAX, visit).await?;
        counted.map(|count| Some(count).filter(|count| *count <= count_max))
    }
}

impl Listing {
    /// The next rows, at most `limit`; none at the end.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<DocRow>, Error> {
        let mut rows = Vec::new();
        while rows.len() < limit && !self.done {
            self.read_page(limit - rows.len(), &mut rows).await?;
        }
        Ok(rows)
    }

    /// Reads `count` documents, of which the live ones are rows.
    async fn read_page(&mut self, count: usize, rows: &mut Vec<DocRow>) -> Result<(), Error> {
        let direction = match self.order {
            Order::Ascending => Direction::Forward,
            Order::Descending => Direction::Backward,
        };
        let (mut last, mut seen, mut failure) = (Vec::new(), 0, None);
        let keys = self.reader.keys;
        let visit = |key: &[u8], value: &[u8]| {
            seen += 1;
            last = key.to_vec();
            match winner_of(value) {
                Ok(winner) if winner.deleted => {}
                Ok(winner) => {
                    let id = keys.id_in(key).and_then(|id| id.parse().ok());
                    rows.extend(id.map(|id| DocRow { id, winner }));
                }
                Err(error) => failure = Some(error),
            }
            if failure.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        self.reader.snapshot.scan_with(self.range.clone(), direction, count, visit).await?;
        if let Some(error) = failure {
            return Err(error);
        }
        self.done = seen < count;
        match self.order {
            Order::Ascending => self.range.start = Bound::Excluded(last),
            Order::Descending => self.range.end = Bound::Excluded(last),
        }
        Ok(())
    }
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    bound.as_ref().map(String::as_str)
}

/// The bound of what lies on the other side of this one.
fn outside(bound: &Bound<String>) -> Bound<&str> {
    match as_str(bound) {
        Bound::Included(id) => Bound::Excluded(id),
        Bound::Excluded(id) => Bound::Included(id),
        Bound::Unbounded => Bound::Unbounded,
    }
}
