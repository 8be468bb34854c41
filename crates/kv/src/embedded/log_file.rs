//! A file of the log: the few operations that commits depend on, behind a seam where tests let them fail.

use std::{fs::File, io, os::unix::fs::FileExt};

/// An open segment.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    #[cfg(test)]
    faults: std::sync::Arc<Faults>,
}

#[cfg(not(test))]
impl LogFile {
    pub(crate) fn new(file: File) -> Self {
        Self { file }
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Waits until what was written is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl LogFile {
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
    /// Syncs done.
    pub(crate) syncs: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl LogFile {
    pub(crate) fn new(file: File, faults: std::sync::Arc<Faults>) -> Self {
        Self { file, faults }
    }

    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some(kind) = self.faults.write.lock().unwrap().take() {
            self.file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(kind.into());
        }
        self.file.write_all_at(bytes, offset)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match self.faults.sync.lock().unwrap().take() {
            Some(kind) => Err(kind.into()),
            None => self.file.sync_data(),
        }
    }
}
