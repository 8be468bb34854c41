//! The readable state: one table of a `redb` file, and the mark of the log up to which it holds everything.

use std::{
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use redb::{Database, Durability, ReadableDatabase, Table, TableDefinition, TableError, WriteTransaction};

use super::{
    Op, View,
    damage::Damage,
    large::{self, Large, LargeChange},
    log::Mark,
    points::Points,
    shared::Shared,
    summed_file::SummedFile,
};
use crate::Error;

const DATA: TableDefinition<&[u8], &[u8]> = TableDefinition::new("data");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// The mark: position, segment and offset, each as 8 bytes.
const MARK: &str = "mark";
/// The file of large values, beside the tree's.
const LARGE: &str = "large.redb";

/// The tree, open for writing.
pub(crate) struct Tree {
    database: Database,
    large: Large,
    path: Arc<Path>,
    damage: Arc<Damage>,
}

/// A group that is being applied. Dropped, it never was.
pub(crate) struct Change<'a> {
    tree: &'a Tree,
    transaction: WriteTransaction,
    large: LargeChange<'a>,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tree").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Tree {
    /// Opens the tree, making an empty one if the file is new.
    pub(crate) fn open(path: &Path, cache_bytes: usize, shared: &Arc<Shared>) -> Result<Self, Error> {
        let damage = Arc::clone(&shared.damage);
        let database = damage.guard(|| open(path, cache_bytes, shared))?;
        let large = damage.guard(|| Large::open(path.with_file_name(LARGE), shared))?;
        Ok(Self { database, large, path: path.into(), damage })
    }

    /// The place in the log up to which the tree held everything when it was last made durable; none in a new tree.
    pub(crate) fn mark(&self) -> Result<Option<Mark>, Error> {
        self.damage.guard(|| self.read_mark())
    }

    fn read_mark(&self) -> Result<Option<Mark>, Error> {
        let read = self.database.begin_read().map_err(|error| self.failed("read", error))?;
        let table = match read.open_table(META) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(self.failed("read", error)),
        };
        let Some(mark) = table.get(MARK).map_err(|error| self.failed("read", error))? else { return Ok(None) };
        decode_mark(mark.value()).map(Some).ok_or_else(|| damaged(&self.path, "the mark has a wrong length".to_owned()))
    }

    /// The state as it is now, which is the commit at `position`.
    pub(crate) fn view(&self, position: u64) -> Result<Arc<View>, Error> {
        self.damage.guard(|| {
            let read = self.database.begin_read().map_err(|error| self.failed("read", error))?;
            let table = read.open_table(DATA).map_err(|error| self.failed("read", error))?;
            let large = self.large.table()?;
            Ok(Arc::new(View::new(position, table, large, Arc::clone(&self.path), Arc::clone(&self.damage))))
        })
    }

    /// Makes room for writes that need more than the tree's own file. If there is no space, nothing is changed.
    pub(crate) fn prepare<'o>(&self, ops: impl Iterator<Item = &'o Op>) -> Result<(), Error> {
        self.large.prepare(ops)
    }

    /// Begins a change. There is one at a time.
    pub(crate) fn change(&self) -> Result<Change<'_>, Error> {
        let transaction = self.database.begin_write().map_err(|error| self.failed("begin to write", error))?;
        Ok(Change { tree: self, transaction, large: self.large.change() })
    }

    /// Makes everything durable, with the place in the log up to which that is.
    pub(crate) fn checkpoint(&self, mark: Mark) -> Result<(), Error> {
        // First what the tree points to.
        self.large.checkpoint()?;
        let mut change = self.change()?;
        // With the allocator's state in the commit, opening after a kill need not walk the whole tree.
        change.transaction.set_quick_repair(true);
        {
            // Both tables exist from the first checkpoint on.
            change.table()?;
            let mut meta = change.transaction.open_table(META).map_err(|error| self.failed("write", error))?;
            meta.insert(MARK, encode_mark(mark).as_slice()).map_err(|error| self.failed("write", error))?;
        }
        change.transaction.commit().map_err(|error| self.failed("make a checkpoint", error))
    }

    /// The large values beside it.
    #[cfg(test)]
    pub(crate) fn large(&self) -> &Large {
        &self.large
    }

    /// Closes the file, with what was committed.
    pub(crate) fn close(self) -> Result<(), Error> {
        let Self { database, large, path, damage: _ } = self;
        let closed = database.close().map_err(|error| failed("close", &path, error));
        large.close().and(closed)
    }

    fn failed(&self, action: &'static str, error: impl Into<redb::Error>) -> Error {
        failed(action, &self.path, error)
    }
}

impl<'a> Change<'a> {
    /// Applies writes in their order; the last one of a key counts.
    pub(crate) fn apply<'o>(&mut self, ops: impl IntoIterator<Item = &'o Op>) -> Result<(), Error> {
        let Self { tree, transaction, large } = self;
        let failed = |error: redb::Error| tree.failed("write", error);
        let mut table = transaction.open_table(DATA).map_err(|error| failed(error.into()))?;
        let mut points = Points::default();
        for op in ops {
            match op {
                Op::Put(key, value) => points.push(key, Some(value)),
                Op::Delete(key) => points.push(key, None),
                Op::DeleteRange(range) => {
                    large.apply(points.apply(&mut table).map_err(|error| failed(error.into()))?)?;
                    let bounds: (Bound<&[u8]>, Bound<&[u8]>) = range.bounds();
                    let gone = clear(&mut table, bounds).map_err(|error| failed(error.into()))?;
                    large.apply(gone.iter().map(|key| (key.as_slice(), None)))?;
                }
            }
        }
        large.apply(points.apply(&mut table).map_err(|error| failed(error.into()))?)
    }

    /// Commits in memory: readable, but durable only with the next checkpoint.
    pub(crate) fn commit(mut self) -> Result<(), Error> {
        let failed = |error: redb::Error| self.tree.failed("commit", error);
        self.transaction.set_durability(Durability::None).map_err(|error| failed(error.into()))?;
        self.large.commit()?;
        self.transaction.commit().map_err(|error| failed(error.into()))
    }

    fn table(&self) -> Result<Table<'_, &'static [u8], &'static [u8]>, Error> {
        self.transaction.open_table(DATA).map_err(|error| self.tree.failed("write", error))
    }
}

/// Opens a file of the tree's kind.
pub(crate) fn open(path: &Path, cache_bytes: usize, shared: &Arc<Shared>) -> Result<Database, Error> {
    let file = SummedFile::open(path, shared)?;
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    // A damaged file can make it panic.
    match catch_unwind(AssertUnwindSafe(|| builder.create_with_backend(file))) {
        Ok(opened) => opened.map_err(|error| failed("open", path, error)),
        Err(_) => Err(damaged(path, "its structure is broken".to_owned())),
    }
}

/// Removes every key in `bounds`; returns those whose values lie beside the tree.
fn clear(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    bounds: (Bound<&[u8]>, Bound<&[u8]>),
) -> Result<Vec<Vec<u8>>, redb::StorageError> {
    let mut beside = Vec::new();
    table.retain_in::<&[u8], _>(bounds, |key, value| {
        if large::is_marker(value) {
            beside.push(key.to_vec());
        }
        false
    })?;
    Ok(beside)
}

/// An error of the tree in our words.
#[expect(clippy::wildcard_enum_match_arm, reason = "not our enum, and open to more variants")]
pub(crate) fn failed(action: &'static str, path: &Path, error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::DatabaseClosed => Error::Closed,
        redb::Error::Corrupted(detail) => damaged(path, detail),
        redb::Error::DatabaseAlreadyOpen => Error::Locked { path: path.to_owned() },
        other => Error::Tree { action, source: Box::new(other) },
    }
}

/// The file is not as it should be.
pub(crate) fn damaged(path: &Path, detail: String) -> Error {
    Error::Corrupt { file: path.to_owned(), offset: 0, detail }
}

fn encode_mark(mark: Mark) -> Vec<u8> {
    [mark.position, mark.segment, mark.offset].into_iter().flat_map(u64::to_le_bytes).collect()
}

fn decode_mark(bytes: &[u8]) -> Option<Mark> {
    let (fields, rest) = bytes.as_chunks::<8>();
    match (fields, rest) {
        ([position, segment, offset], []) => Some(Mark {
            position: u64::from_le_bytes(*position),
            segment: u64::from_le_bytes(*segment),
            offset: u64::from_le_bytes(*offset),
        }),
        _ => None,
    }
}
