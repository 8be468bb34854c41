//! The tree as one commit left it.

use std::{
    ops::{Bound, ControlFlow},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use redb::ReadOnlyTable;

use super::{
    damage::Damage,
    large::{self, LargeTable},
    tree,
};
use crate::{Direction, Error, KeyRange};

/// A read transaction of the tree with its table open, shared by all snapshots of one commit.
pub(crate) struct View {
    position: u64,
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    large: Option<Arc<LargeTable>>,
    path: Arc<Path>,
    damage: Arc<Damage>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("View").field("position", &self.position).finish_non_exhaustive()
    }
}

impl View {
    pub(crate) fn new(
        position: u64,
        table: ReadOnlyTable<&'static [u8], &'static [u8]>,
        large: Option<Arc<LargeTable>>,
        path: Arc<Path>,
        damage: Arc<Damage>,
    ) -> Self {
        Self { position, table, large, path, damage }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> Result<u64, Error> {
        redb::ReadableTableMetadata::len(&self.table).map_err(|error| self.failed(error))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.damage.guard(|| self.find(key))
    }

    fn find(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let found = self.table.get(key).map_err(|error| self.failed(error))?;
        let Some(found) = found else { return Ok(None) };
        if large::is_marker(found.value()) {
            return self.get_large(key).map(Some);
        }
        // Copied: a reference would keep the whole commit's pages from being reused.
        Ok(Some(Bytes::copy_from_slice(found.value())))
    }

    pub(crate) fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
        visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        if range.is_empty() {
            return Ok(());
        }
        self.damage.guard(|| self.walk(range, direction, limit, visit))
    }

    fn walk(
        &self,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let bounds: (Bound<&[u8]>, Bound<&[u8]>) = range.bounds();
        let mut rows = self.table.range::<&[u8]>(bounds).map_err(|error| self.failed(error))?;
        for _ in 0..limit {
            let row = match direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.next_back(),
            };
            let Some(row) = row else { break };
            let (key, value) = row.map_err(|error| self.failed(error))?;
            let shown = if large::is_marker(value.value()) {
                visit(key.value(), &self.get_large(key.value())?)
            } else {
                visit(key.value(), value.value())
            };
            if shown.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn get_large(&self, key: &[u8]) -> Result<Bytes, Error> {
        large::get(self.large.as_deref(), key, &self.path)
    }

    fn failed(&self, error: redb::StorageError) -> Error {
        tree::failed("read", &self.path, error)
    }
}
