//! The checksums of a file's blocks, in a file of their own.

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{StorageBackend, backends::FileBackend};

use super::tree_file::TreeFile;

/// Checksums are read and written a page of so many at a time.
const PER_PAGE: usize = 1024;
const SUM_BYTES: u64 = 4;
const PAGE_BYTES: u64 = PER_PAGE as u64 * SUM_BYTES;
/// Pages in memory: 4 MiB, the checksums of 4 GiB.
const PAGES_MAX: usize = 1024;

/// One checksum a block, by the block's number; zero where none was put.
#[derive(Debug)]
pub(crate) struct Sums<B = FileBackend> {
    file: TreeFile<B>,
    /// Whether the file has what no sync covers.
    unsynced: AtomicBool,
    pages: Mutex<HashMap<u64, Page>>,
}

#[derive(Debug)]
struct Page {
    sums: Box<[u32; PER_PAGE]>,
    /// Whether the file lacks what is here.
    changed: bool,
}

impl<B: StorageBackend> Sums<B> {
    /// The checksums in `file`.
    pub(crate) fn new(file: TreeFile<B>) -> Self {
        Self { file, unsynced: AtomicBool::new(false), pages: Mutex::default() }
    }

    /// The checksums of `count` blocks from `first` on.
    pub(crate) fn get(&self, first: u64, count: usize) -> io::Result<Vec<u32>> {
        let mut pages = self.pages();
        let blocks = first..first.saturating_add(count as u64);
        blocks
            .map(|block| self.place(&mut pages, block).map(|(page, at)| page.sums.get(at).copied().unwrap_or(0)))
            .collect()
    }

    /// Puts the checksums of blocks from `first` on.
    pub(crate) fn put(&self, first: u64, sums: impl Iterator<Item = u32>) -> io::Result<()> {
        let mut pages = self.pages();
        for (block, sum) in (first..).zip(sums) {
            let (page, at) = self.place(&mut pages, block)?;
            if let Some(place) = page.sums.get_mut(at) {
                *place = sum;
            }
            page.changed = true;
        }
        Ok(())
    }

    /// Forgets the checksums of all blocks from `end` on.
    pub(crate) fn cut(&self, end: u64) -> io::Result<()> {
        let mut pages = self.pages();
        self.write(&mut pages)?;
        pages.clear();
        if self.file.len()? > end * SUM_BYTES {
            self.file.set_len(end * SUM_BYTES)?;
            self.unsynced.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Makes everything that was put durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.write(&mut self.pages())?;
        // Without the lock: while the disk is full, reads go on.
        if self.unsynced.swap(false, Ordering::AcqRel) {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Closes the file.
    pub(crate) fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn pages(&self) -> MutexGuard<'_, HashMap<u64, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page with the checksum of `block`, and where in it that is.
    fn place<'p>(&self, pages: &'p mut HashMap<u64, Page>, block: u64) -> io::Result<(&'p mut Page, usize)> {
        let (number, at) = (block / PER_PAGE as u64, block % PER_PAGE as u64);
        if pages.len() >= PAGES_MAX && !pages.contains_key(&number) {
            self.write(pages)?;
            pages.clear();
        }
        let page = match pages.entry(number) {
            Entry::Occupied(page) => page.into_mut(),
            Entry::Vacant(place) => place.insert(self.load(number)?),
        };
        Ok((page, usize::try_from(at).map_err(io::Error::other)?))
    }

    fn load(&self, number: u64) -> io::Result<Page> {
        let start = number * PAGE_BYTES;
        let there = self.file.len()?.saturating_sub(start).min(PAGE_BYTES);
        let mut bytes = vec![0; usize::try_from(there).map_err(io::Error::other)?];
        if there > 0 {
            self.file.read(start, &mut bytes)?;
        }
        let mut sums = Box::new([0; PER_PAGE]);
        sums.iter_mut().zip(bytes.as_chunks().0).for_each(|(place, sum)| *place = u32::from_le_bytes(*sum));
        Ok(Page { sums, changed: false })
    }

    /// Writes the pages that were changed.
    fn write(&self, pages: &mut HashMap<u64, Page>) -> io::Result<()> {
        let mut changed: Vec<_> = pages.iter_mut().filter(|(_, page)| page.changed).collect();
        changed.sort_unstable_by_key(|(number, _)| **number);
        // First the length: what finds no space is held in memory, as far as the file reaches.
        let end = changed.last().map_or(0, |(number, _)| (*number + 1) * PAGE_BYTES);
        if self.file.len()? < end {
            self.file.set_len(end)?;
        }
        for (number, page) in changed {
            let bytes = page.sums.map(u32::to_le_bytes);
            self.file.write(number * PAGE_BYTES, bytes.as_flattened())?;
            page.changed = false;
            self.unsynced.store(true, Ordering::Release);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::{EmbeddedOptions, embedded::shared::Shared};

    fn empty() -> Sums<InMemoryBackend> {
        let shared = Arc::new(Shared::new(&EmbeddedOptions::new("nowhere")));
        Sums::new(TreeFile::over(InMemoryBackend::new(), shared).unwrap())
    }

    /// The same file, as the next start finds it.
    fn again(sums: Sums<InMemoryBackend>) -> Sums<InMemoryBackend> {
        Sums::new(sums.file)
    }

    #[test]
    fn what_is_put_is_there_and_the_rest_is_zero() {
        let sums = empty();
        sums.put(1020, 1..=9).unwrap();
        let expected = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0];
        assert_eq!(sums.get(1019, 11).unwrap(), expected);
        sums.sync().unwrap();
        assert_eq!(again(sums).get(1019, 11).unwrap(), expected);
    }

    #[test]
    fn what_is_not_synced_may_be_lost_and_what_is_synced_is_not() {
        let sums = empty();
        sums.put(5, 1..=1).unwrap();
        sums.sync().unwrap();
        sums.put(6, 2..=2).unwrap();
        assert_eq!(again(sums).get(5, 2).unwrap(), [1, 0]);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_lost_for_it() {
        let sums = empty();
        let blocks = || (0..2 * PAGES_MAX as u64 + 10).map(|number| number * PER_PAGE as u64 + number % 7);
        for (block, sum) in blocks().zip(1..) {
            sums.put(block, sum..=sum).unwrap();
            assert!(sums.pages().len() <= PAGES_MAX);
        }
        assert!(blocks().zip(1..).all(|(block, sum)| sums.get(block, 1).unwrap() == [sum]));
        assert!(sums.pages().len() <= PAGES_MAX);
    }

    #[test]
    fn what_is_cut_off_is_zero_when_the_file_grows_again() {
        let sums = empty();
        sums.put(0, 1..=3000).unwrap();
        sums.cut(1500).unwrap();
        sums.put(2500, 7..=7).unwrap();
        assert_eq!(sums.get(1499, 2).unwrap(), [1500, 0]);
        assert_eq!(sums.get(2499, 3).unwrap(), [0, 7, 0]);
        sums.sync().unwrap();
        assert_eq!(again(sums).get(2499, 3).unwrap(), [0, 7, 0]);
    }
}
