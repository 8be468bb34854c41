//! A file of the log: the few operations that commits depend on, behind a seam where tests let them fail.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

use super::options::EmbeddedOptions;

/// An open segment.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    #[cfg(test)]
    faults: std::sync::Arc<Faults>,
}

impl LogFile {
    #[cfg_attr(not(test), expect(unused_variables, reason = "only tests let operations fail"))]
    pub(crate) fn new(file: File, options: &EmbeddedOptions) -> Self {
        Self {
            file,
            #[cfg(test)]
            faults: std::sync::Arc::clone(&options.faults),
        }
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(kind) = self.faults.write.lock().unwrap().take() {
            self.file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(kind.into());
        }
        self.file.write_all_at(bytes, offset)
    }

    /// Fills a range with zeros, as far as there is space.
    pub(crate) fn fill(&self, range: Range<u64>) {
        const ZEROS: &[u8] = &[0; 64 << 10];
        let mut at = range.start;
        while at < range.end {
            let length = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(ZEROS.len());
            // What is wrong shows when the record is written.
            let Ok(written) = self.file.write_at(ZEROS.get(..length).unwrap_or(ZEROS), at) else { return };
            at += written.max(1) as u64;
        }
    }

    /// Waits until what was written is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.sync()?;
        self.file.sync_data()
    }

    /// Cuts the file off at `length`.
    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

/// What should go wrong, in tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// The next write stops half-way with this error.
    pub(crate) write: std::sync::Mutex<Option<io::ErrorKind>>,
    /// The next sync fails with this error.
    pub(crate) sync: std::sync::Mutex<Option<io::ErrorKind>>,
    /// Syncs take as long as this is set.
    pub(crate) slow: std::sync::atomic::AtomicBool,
    /// Syncs tried.
    pub(crate) syncs: std::sync::atomic::AtomicU64,
    /// There is no space for the tree.
    pub(crate) tree_full: std::sync::atomic::AtomicBool,
}

#[cfg(test)]
impl Faults {
    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        while self.slow.load(std::sync::atomic::Ordering::Relaxed) {
            std::thread::yield_now();
        }
        self.sync.lock().unwrap().take().map_or(Ok(()), |kind| Err(kind.into()))
    }
}
