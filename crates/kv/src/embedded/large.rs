//! Large values: content of attachments, in a file of their own beside the tree.
//!
//! In the tree's file each would take up the cache as hundreds of documents do, and one long upload would push all of
//! them out. Here the cache is small, so that content passes through memory. The tree holds [`MARKER`] in the place of
//! such a value, and says which of them exist; nothing is found here but through it.
//!
//! A value lies in pieces that fill a page of the file: a page's size is a power of two, so one that is a little too
//! long would take up twice its length.
//!
//! The file is made with the first large value. Its checkpoint comes before the tree's: after a crash it may be ahead of
//! the tree, and reading the log again leads both to the same state.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, Table, TableDefinition, WriteTransaction};

use super::{Op, points::Point, segment::sync_dir, shared::Shared, tree};
use crate::{Error, error::IoContext};

const VALUES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("values");
/// What the tree holds in the place of a large value. A value that says the same is taken for a large one.
const MARKER: &[u8] = b"\0value lies beside";
/// Values from this size on lie here.
const LARGE_BYTES: usize = 64 << 10;
/// Memory for this file's pages.
const CACHE_BYTES: usize = 1 << 20;
/// More than a new file takes up.
const NEW_FILE_BYTES: usize = 4 << 20;
/// The page that a piece fills, and what of it neither key nor value may take up.
const PAGE_BYTES: usize = 64 << 10;
const PAGE_RESERVED: usize = 64;

/// Where values that lie here are read.
pub(crate) type LargeTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The file, if there is one yet.
pub(crate) struct Large {
    path: PathBuf,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    database: Option<Database>,
    /// The latest state, while nothing changes.
    latest: Option<Arc<LargeTable>>,
    /// Whether there may be commits that no checkpoint covers.
    uncovered: bool,
}

/// A group's large values being written. Dropped, they never were.
pub(crate) struct LargeChange<'a> {
    large: &'a Large,
    transaction: Option<WriteTransaction>,
}

/// What the tree holds for `value`.
pub(crate) fn stored(value: &[u8]) -> &[u8] {
    if value.len() >= LARGE_BYTES || value == MARKER { MARKER } else { value }
}

/// Whether the tree says that the value lies here.
pub(crate) fn is_marker(stored: &[u8]) -> bool {
    stored == MARKER
}

impl Large {
    /// Opens the file `path`, if it is there.
    pub(crate) fn open(path: PathBuf, shared: &Arc<Shared>) -> Result<Self, Error> {
        let database = match fs::exists(&path).at("look for", &path)? {
            true => Some(tree::open(&path, CACHE_BYTES, shared)?),
            false => None,
        };
        // Whoever wrote it may have been killed before its name was durable, or what it holds: the system's cache is
        // all that we have seen. The name is synced here, the content by the first checkpoint.
        let uncovered = database.is_some();
        if uncovered {
            sync_dir(folder_of(&path))?;
        }
        let state = Mutex::new(State { database, uncovered, latest: None });
        Ok(Self { path, shared: Arc::clone(shared), state })
    }

    /// The latest state; none while there is no file.
    pub(crate) fn table(&self) -> Result<Option<Arc<LargeTable>>, Error> {
        let mut state = self.state();
        let Some(database) = &state.database else { return Ok(None) };
        if let Some(latest) = &state.latest {
            return Ok(Some(Arc::clone(latest)));
        }
        let read = database.begin_read().map_err(|error| self.failed("read", error))?;
        let table = Arc::new(read.open_table(VALUES).map_err(|error| self.failed("read", error))?);
        state.latest = Some(Arc::clone(&table));
        Ok(Some(table))
    }

    /// Makes the file, if it isn't there and a value of `ops` needs it. Without space for it nothing is changed.
    pub(crate) fn prepare<'o>(&self, mut ops: impl Iterator<Item = &'o Op>) -> Result<(), Error> {
        let mut state = self.state();
        let needs = |op: &Op| matches!(op, Op::Put(_, value) if is_marker(stored(value)));
        if state.database.is_none() && ops.any(needs) {
            state.database = Some(create(&self.path, &self.shared)?);
        }
        Ok(())
    }

    /// Begins a change. There is one at a time.
    pub(crate) fn change(&self) -> LargeChange<'_> {
        LargeChange { large: self, transaction: None }
    }

    /// Makes everything durable.
    pub(crate) fn checkpoint(&self) -> Result<(), Error> {
        let mut state = self.state();
        if !state.uncovered {
            return Ok(());
        }
        let Some(database) = &state.database else { return Ok(()) };
        let mut transaction = database.begin_write().map_err(|error| self.failed("begin to write", error))?;
        transaction.set_quick_repair(true);
        transaction.commit().map_err(|error| self.failed("make a checkpoint", error))?;
        state.uncovered = false;
        Ok(())
    }

    /// Closes the file.
    pub(crate) fn close(self) -> Result<(), Error> {
        let Self { path, state, .. } = self;
        let database = state.into_inner().unwrap_or_else(PoisonError::into_inner).database;
        database.map_or(Ok(()), |database| database.close().map_err(|error| tree::failed("close", &path, error)))
    }

    fn begin(&self) -> Result<WriteTransaction, Error> {
        let mut state = self.state();
        let database = match &mut state.database {
            Some(database) => database,
            none => none.insert(create(&self.path, &self.shared)?),
        };
        database.begin_write().map_err(|error| self.failed("begin to write", error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, action: &'static str, error: impl Into<redb::Error>) -> Error {
        tree::failed(action, &self.path, error)
    }
}

impl LargeChange<'_> {
    /// Puts and removes values.
    pub(crate) fn apply<'v>(&mut self, writes: impl IntoIterator<Item = Point<'v>>) -> Result<(), Error> {
        let mut writes = writes.into_iter().peekable();
        if writes.peek().is_none() {
            return Ok(());
        }
        let large = self.large;
        let failed = |error: redb::Error| large.failed("write", error);
        let transaction = match &mut self.transaction {
            Some(transaction) => transaction,
            none => none.insert(large.begin()?),
        };
        let mut table = transaction.open_table(VALUES).map_err(|error| failed(error.into()))?;
        for (key, value) in writes {
            write(&mut table, key, value).map_err(|error| failed(error.into()))?;
        }
        Ok(())
    }

    /// Commits in memory: readable, but durable only with the next checkpoint.
    pub(crate) fn commit(self) -> Result<(), Error> {
        let Self { large, transaction } = self;
        let Some(mut transaction) = transaction else { return Ok(()) };
        let failed = |error: redb::Error| large.failed("commit", error);
        transaction.set_durability(Durability::None).map_err(|error| failed(error.into()))?;
        let mut state = large.state();
        // The old state is needed no more, and its pages can be used again.
        state.latest = None;
        state.uncovered = true;
        transaction.commit().map_err(|error| failed(error.into()))
    }
}

/// The value behind a marker, as it lies here.
pub(crate) fn get(table: Option<&LargeTable>, key: &[u8], path: &Path) -> Result<Bytes, Error> {
    let lost = || tree::damaged(path, "a large value is missing from the file beside it".to_owned());
    let table = table.ok_or_else(lost)?;
    let (mut place, mut pieces) = (Place::first(key), Vec::new());
    loop {
        let piece = table.get(place.key.as_slice()).map_err(|error| tree::failed("read", path, error))?;
        let piece = piece.ok_or_else(lost)?;
        let is_last = piece.value().len() < place.full();
        pieces.push(piece);
        if is_last {
            break;
        }
        place.next();
    }
    let mut value = Vec::with_capacity(pieces.iter().map(|piece| piece.value().len()).sum());
    pieces.iter().for_each(|piece| value.extend_from_slice(piece.value()));
    Ok(value.into())
}

/// Puts a value, or removes it, and what is left of a longer one before it.
fn write(table: &mut Table<'_, &'static [u8], &'static [u8]>, key: &[u8], value: Option<&[u8]>) -> redb::Result {
    let mut place = Place::first(key);
    let mut rest = value;
    while let Some(value) = rest {
        let (piece, after) = value.split_at_checked(place.full()).map_or((value, None), |(one, two)| (one, Some(two)));
        table.insert(place.key.as_slice(), piece)?;
        place.next();
        rest = after;
    }
    while table.remove(place.key.as_slice())?.is_some() {
        place.next();
    }
    Ok(())
}

/// The key of one piece of a value: the value's, and the piece's number in two bytes. All pieces but the last are full.
struct Place {
    key: Vec<u8>,
    index: u16,
}

impl Place {
    fn first(key: &[u8]) -> Self {
        Self { key: [key, &[0; 2]].concat(), index: 0 }
    }

    fn next(&mut self) {
        self.index = self.index.wrapping_add(1);
        if let Some(number) = self.key.last_chunk_mut() {
            *number = self.index.to_be_bytes();
        }
    }

    /// The length of a full piece.
    fn full(&self) -> usize {
        PAGE_BYTES - PAGE_RESERVED - self.key.len()
    }
}

/// Makes the file, whole or not at all: half of one could not be opened again.
fn create(path: &Path, shared: &Arc<Shared>) -> Result<Database, Error> {
    let draft = path.with_extension("new");
    find_space(&draft, shared).at("make", &draft)?;
    let database = tree::open(&draft, CACHE_BYTES, shared)?;
    let made = || -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        drop(transaction.open_table(VALUES)?);
        Ok(transaction.commit()?)
    };
    made().map_err(|error| tree::failed("make", &draft, error))?;
    // First the name of its checksums, without which it isn't opened.
    sync_dir(folder_of(path))?;
    fs::rename(&draft, path).at("rename", &draft)?;
    sync_dir(folder_of(path))?;
    Ok(database)
}

/// Leaves an empty file, if there is space for a full one: later the file waits for space, here the caller can be told.
#[cfg_attr(not(test), expect(unused_variables, reason = "only tests let operations fail"))]
fn find_space(draft: &Path, shared: &Shared) -> io::Result<()> {
    let mut file = File::create(draft)?;
    #[cfg(test)]
    if shared.faults.tree_full.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let found = file.write_all(&vec![0; NEW_FILE_BYTES]).and_then(|()| file.sync_all());
    file.set_len(0)?;
    found
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}
