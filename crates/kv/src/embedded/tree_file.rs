//! The tree's file: the usual one, except that a full disk doesn't break it.
//!
//! The tree takes a failed write for final: it refuses every later read that its cache can't answer. A full disk is no
//! reason for that. So what can't be written is held in memory, where reads find it, and the sync of the checkpoint waits
//! until there is space, refusing the transactions that come meanwhile. What the log has is never lost either way.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::File,
    io,
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use redb::{BackendError, StorageBackend, backends::FileBackend};

use super::shared::Shared;
use crate::error::is_full;

const BLOCK: usize = 4096;
const RETRY: Duration = Duration::from_millis(200);

/// The file, and the blocks that found no space on the disk.
#[derive(Debug)]
pub(crate) struct TreeFile<B = FileBackend> {
    disk: B,
    /// Whether `held` has any; read without the lock.
    holding: AtomicBool,
    held: Mutex<BTreeMap<u64, Box<[u8; BLOCK]>>>,
    /// The length that the counter of all files knows of.
    counted: AtomicU64,
    shared: Arc<Shared>,
}

impl TreeFile {
    pub(crate) fn new(file: File, shared: Arc<Shared>) -> io::Result<Self> {
        Self::over(FileBackend::new(file).map_err(io::Error::other)?, shared)
    }
}

impl<B: StorageBackend> TreeFile<B> {
    /// The file over what keeps its bytes.
    pub(crate) fn over(disk: B, shared: Arc<Shared>) -> io::Result<Self> {
        let counted = AtomicU64::new(0);
        let file = Self { disk, holding: AtomicBool::new(false), held: Mutex::default(), counted, shared };
        file.note_length(file.disk.len()?);
        Ok(file)
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u64, Box<[u8; BLOCK]>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_length(&self, length: u64) {
        let before = self.counted.swap(length, Ordering::Relaxed);
        // Wraps where the file became shorter.
        self.shared.counters.tree_bytes.fetch_add(length.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Keeps `data` in memory. Blocks that it covers in part are completed from what is there.
    fn hold(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut held = self.held();
        let (mut at, mut rest) = (offset, data);
        while !rest.is_empty() {
            let start = at - at % BLOCK as u64;
            let within = to_usize(at - start)?;
            let (part, after) = rest.split_at_checked(BLOCK - within).unwrap_or((rest, &[]));
            let block = match held.entry(start) {
                Entry::Occupied(block) => block.into_mut(),
                Entry::Vacant(place) => place.insert(self.read_block(start)?),
            };
            if let Some(place) = block.get_mut(within..within + part.len()) {
                place.copy_from_slice(part);
            }
            at += part.len() as u64;
            rest = after;
        }
        self.holding.store(true, Ordering::Release);
        Ok(())
    }

    fn write_disk(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if self.shared.faults.tree_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.write(offset, data)
    }

    fn read_block(&self, start: u64) -> io::Result<Box<[u8; BLOCK]>> {
        let mut block = Box::new([0; BLOCK]);
        let there = self.disk.len()?.saturating_sub(start).min(BLOCK as u64);
        if let Some(place) = block.get_mut(..to_usize(there)?) {
            self.disk.read(start, place)?;
        }
        Ok(block)
    }

    /// Writes what is held, as far as there is space.
    fn write_held(&self) -> io::Result<()> {
        let mut held = self.held();
        let length = self.disk.len()?;
        while let Some(entry) = held.first_entry() {
            let start = *entry.key();
            let there = to_usize(length.saturating_sub(start).min(BLOCK as u64))?;
            self.write_disk(start, entry.get().get(..there).unwrap_or_default())?;
            entry.remove();
        }
        self.holding.store(false, Ordering::Release);
        Ok(())
    }

    /// Writes what is held, waiting for space and refusing transactions while there is none.
    fn wait_for_space(&self) -> io::Result<()> {
        while self.holding.load(Ordering::Acquire) {
            let Err(error) = self.write_held() else { break };
            // Opening and closing don't wait.
            if !is_full(&error) || !self.shared.is_published() || self.shared.queue.is_closing() {
                return Err(error);
            }
            let reason = format!("a checkpoint waits for space: {error}");
            self.shared.gate.is_full(&reason);
            for request in self.shared.queue.drain_after(RETRY) {
                request.answer(Err(self.shared.gate.full(&reason)));
            }
        }
        self.shared.gate.has_space();
        Ok(())
    }
}

impl<B> Drop for TreeFile<B> {
    fn drop(&mut self) {
        let counted = self.counted.load(Ordering::Relaxed);
        self.shared.counters.tree_bytes.fetch_sub(counted, Ordering::Relaxed);
    }
}

impl<B: StorageBackend> StorageBackend for TreeFile<B> {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if !self.holding.load(Ordering::Acquire) {
            return self.disk.read(offset, out);
        }
        let held = self.held();
        self.disk.read(offset, out)?;
        let first = offset - offset % BLOCK as u64;
        for (start, block) in held.range(first..offset + out.len() as u64) {
            let (skip_block, skip_out) =
                (to_usize(offset.saturating_sub(*start))?, to_usize(start.saturating_sub(offset))?);
            let from = block.iter().skip(skip_block);
            for (place, byte) in out.iter_mut().skip(skip_out).zip(from) {
                *place = *byte;
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut held = self.held();
        self.disk.set_len(len)?;
        held.retain(|start, _| *start < len);
        self.note_length(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.holding.load(Ordering::Acquire) {
            self.wait_for_space()?;
        }
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.holding.load(Ordering::Acquire) {
            return self.hold(offset, data);
        }
        match self.write_disk(offset, data) {
            Err(error) if is_full(&error) => self.hold(offset, data),
            other => other,
        }
    }

    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.disk.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.disk.query_lock_range(start, end)
    }
}

fn to_usize(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::EmbeddedOptions;

    fn small() -> TreeFile<InMemoryBackend> {
        let disk = InMemoryBackend::new();
        disk.set_len(4 * BLOCK as u64).unwrap();
        TreeFile::over(disk, Arc::new(Shared::new(&EmbeddedOptions::new("nowhere")))).unwrap()
    }

    fn fill_up(file: &TreeFile<InMemoryBackend>, full: bool) {
        file.shared.faults.tree_full.store(full, Ordering::Relaxed);
    }

    fn read(file: &TreeFile<InMemoryBackend>, offset: u64, length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        file.read(offset, &mut out).unwrap();
        out
    }

    #[test]
    fn what_finds_no_space_is_read_from_memory_and_written_later() {
        let file = small();
        file.write(0, &[1; 3 * BLOCK]).unwrap();
        fill_up(&file, true);
        file.write(100, &[2; 50]).unwrap();
        file.write(BLOCK as u64, &[3; 2 * BLOCK]).unwrap();
        let expected = [vec![1; 100], vec![2; 50], vec![1; BLOCK - 150], vec![3; 2 * BLOCK]].concat();
        assert_eq!(read(&file, 0, 3 * BLOCK), expected);
        assert_eq!(read(&file, 90, 70), expected[90..160]);
        assert_eq!(read(&file, BLOCK as u64 - 20, 40), expected[BLOCK - 20..BLOCK + 20]);
        // While the store is opened nobody waits.
        assert_eq!(file.sync_data().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(read(&file, 0, 3 * BLOCK), expected);
        fill_up(&file, false);
        file.write(2 * BLOCK as u64, &[4; 10]).unwrap();
        file.sync_data().unwrap();
        assert!(file.held().is_empty());
        let expected = [&expected[..2 * BLOCK], &[4; 10], &expected[2 * BLOCK + 10..]].concat();
        assert_eq!(read(&file, 0, 3 * BLOCK), expected);
    }

    #[test]
    fn what_lies_beyond_a_shorter_length_is_dropped() {
        let file = small();
        fill_up(&file, true);
        file.write(0, &[1; 4 * BLOCK]).unwrap();
        file.set_len(BLOCK as u64).unwrap();
        fill_up(&file, false);
        file.sync_data().unwrap();
        assert_eq!(file.len().unwrap(), BLOCK as u64);
        assert_eq!(read(&file, 0, BLOCK), [1; BLOCK]);
    }
}
