//! A tree's file with a checksum for each of its blocks: what the disk altered is never taken for what was written.
//!
//! The tree doesn't look at its own checksums when it reads, so they are kept here, beneath it. They cover all that it
//! writes, keys and inner pages too: an altered key would otherwise be a document that seems not to exist.
//!
//! # Where they lie
//! In a file beside the tree's, `NAME.sums`: 4 bytes for each block of 4 KiB. A sync makes them durable before the blocks
//! that they belong to: the tree refers only to blocks that are synced, so of those after a crash each has its checksum.
//! What a crash left of other blocks may not match, and is not read. The head of the tree's file is the one part that
//! is written over in place; its checksum lies in the same sector.
//!
//! # What comes of damage
//! It is [noted](Damage), and the tree is given zeros, which are no page of it: it panics, and [`Damage::guard`] makes that
//! an error. An error from here would be the end of all reading: the tree takes one for a failure of the disk.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind},
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{BackendError, StorageBackend};

use super::{damage::Damage, shared::Shared, sums::Sums, tree_file::TreeFile};
use crate::{Error, error::IoContext};

/// What one checksum covers.
pub(crate) const BLOCK: usize = 4096;
/// The sector that the tree's head lies in. Its last four bytes are the checksum of the others.
pub(crate) const HEAD: usize = 512;
const HEAD_COVERED: usize = HEAD - 4;

/// The tree's file and the file of its checksums.
#[derive(Debug)]
pub(crate) struct SummedFile {
    blocks: TreeFile,
    sums: Sums,
    path: PathBuf,
    damage: Arc<Damage>,
}

impl SummedFile {
    /// Opens the file at `path`, or makes an empty one.
    pub(crate) fn open(path: &Path, shared: &Arc<Shared>) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.at("open", path)?;
        let is_new = file.metadata().at("open", path)?.len() == 0;
        let beside = sums_path(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(is_new).truncate(is_new);
        let sums = match options.open(&beside) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let detail = "its checksums are missing".to_owned();
                return Err(Error::Corrupt { file: beside, offset: 0, detail });
            }
            sums => sums.at("open", &beside)?,
        };
        let sums = TreeFile::new(sums, Arc::clone(shared)).at("open", &beside)?;
        let blocks = TreeFile::new(file, Arc::clone(shared)).at("open", path)?;
        Ok(Self { blocks, sums: Sums::new(sums), path: path.to_owned(), damage: Arc::clone(&shared.damage) })
    }

    /// The sector of the tree's head; zeros in a new file.
    fn head(&self) -> io::Result<[u8; HEAD]> {
        let mut head = [0; HEAD];
        if self.blocks.len()? >= HEAD as u64 {
            self.blocks.read(0, &mut head)?;
        }
        Ok(head)
    }

    fn read_head(&self, out: &mut [u8]) -> io::Result<()> {
        let head = self.head()?;
        if head != with_sum(head) {
            self.damage.note(&self.path, 0);
            return Err(ErrorKind::InvalidData.into());
        }
        if let Some(wanted) = head.get(..out.len()) {
            out.copy_from_slice(wanted);
        }
        Ok(())
    }

    fn write_head(&self, data: &[u8]) -> io::Result<()> {
        let mut head = self.head()?;
        if let Some(place) = head.get_mut(..data.len()) {
            place.copy_from_slice(data);
        }
        self.blocks.write(0, &with_sum(head))
    }
}

/// Whether this is a part of the tree's head. All else is read and written in whole blocks.
fn is_head(offset: u64, data: &[u8]) -> bool {
    offset == 0 && data.len() <= HEAD_COVERED
}

/// The number of the block that begins at `offset`, with `data` being whole blocks.
fn first_block(offset: u64, data: &[u8]) -> io::Result<u64> {
    if !offset.is_multiple_of(BLOCK as u64) || !data.len().is_multiple_of(BLOCK) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "a part of a block"));
    }
    Ok(offset / BLOCK as u64)
}

/// The head with the checksum that belongs to it.
pub(crate) fn with_sum(mut head: [u8; HEAD]) -> [u8; HEAD] {
    if let Some((covered, sum)) = head.split_last_chunk_mut::<4>() {
        *sum = sum_of(0, covered).to_le_bytes();
    }
    head
}

/// The checksum of a block. It covers the block's number, too: one that was written to a wrong place is damage. Never
/// zero, which is the checksum of what was never written.
pub(crate) fn sum_of(block: u64, data: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block.to_le_bytes()), data).max(1)
}

/// Where the checksums of the file `path` lie.
pub(crate) fn sums_path(path: &Path) -> PathBuf {
    path.with_extension("sums")
}

impl StorageBackend for SummedFile {
    fn len(&self) -> io::Result<u64> {
        self.blocks.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if is_head(offset, out) {
            return self.read_head(out);
        }
        let first = first_block(offset, out)?;
        self.blocks.read(offset, out)?;
        let expected = self.sums.get(first, out.len() / BLOCK)?;
        let mut blocks = (first..).zip(out.chunks(BLOCK).zip(expected));
        let damaged = blocks.find(|(number, (block, expected))| sum_of(*number, block) != *expected);
        if let Some((number, _)) = damaged {
            self.damage.note(&self.path, number * BLOCK as u64);
            out.fill(0);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let shorter = len < self.blocks.len()?;
        self.blocks.set_len(len)?;
        if shorter { self.sums.cut(len.div_ceil(BLOCK as u64)) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sums.sync()?;
        self.blocks.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if is_head(offset, data) {
            return self.write_head(data);
        }
        let first = first_block(offset, data)?;
        self.blocks.write(offset, data)?;
        self.sums.put(first, (first..).zip(data.chunks(BLOCK)).map(|(number, block)| sum_of(number, block)))
    }

    fn close(&self) -> io::Result<()> {
        self.sums.close().and(self.blocks.close())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.blocks.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.blocks.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.blocks.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.blocks.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.blocks.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.blocks.query_lock_range(start, end)
    }
}
