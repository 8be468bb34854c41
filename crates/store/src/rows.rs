//! Reading a long range row by row, as a check and a repair do.

use crate::Error;
use bytes::Bytes;
use std::{ops::Bound, vec};
use tidegate_kv::{Direction, KeyRange, Snapshot};

/// Rows read at once; chunks are large.
const ROWS_AT_ONCE: usize = 500;
const CHUNKS_AT_ONCE: usize = 16;

/// A range of which one page is in memory at a time.
pub(crate) struct Rows {
    range: KeyRange,
    at_once: usize,
    page: vec::IntoIter<(Bytes, Bytes)>,
}

impl Rows {
    pub(crate) fn new(range: KeyRange) -> Self {
        Self { range, at_once: ROWS_AT_ONCE, page: Vec::new().into_iter() }
    }

    pub(crate) fn of_chunks(range: KeyRange) -> Self {
        Self { at_once: CHUNKS_AT_ONCE, ..Self::new(range) }
    }

    /// The next row; none at the end. The snapshot is the same each time.
    pub(crate) async fn next(&mut self, snapshot: &Snapshot) -> Result<Option<(Bytes, Bytes)>, Error> {
        if self.page.as_slice().is_empty() {
            tokio::task::yield_now().await;
            let rows = snapshot.scan(self.range.clone(), Direction::Forward, self.at_once).await?;
            if let Some((last, _)) = rows.last() {
                self.range.start = Bound::Excluded(last.to_vec());
            }
            self.page = rows.into_iter();
        }
        Ok(self.page.next())
    }
}
