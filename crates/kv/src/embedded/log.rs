//! The commit log: where the next record goes, and which segments are still needed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    log_file::LogFile,
    options::EmbeddedOptions,
    segment::{self, Header},
};
use crate::{Error, error::IoContext};

/// The place in the log up to which the tree holds everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The position of the last group before the place.
    pub(crate) position: u64,
    /// The segment it lies in.
    pub(crate) segment: u64,
    /// Where in the segment.
    pub(crate) offset: u64,
}

/// Where a record is to be written.
#[derive(Debug)]
pub(crate) struct Place {
    /// The file.
    pub(crate) file: Arc<LogFile>,
    /// Where in the file.
    pub(crate) offset: u64,
    /// For the record's checksum.
    pub(crate) salt: u64,
}

/// The log, open for writing.
#[derive(Debug)]
pub(crate) struct Log {
    dir: PathBuf,
    options: EmbeddedOptions,
    current: Current,
    /// Ended segments that the tree doesn't cover yet, with their lengths.
    ended: Vec<(u64, u64)>,
    spares: Vec<PathBuf>,
}

#[derive(Debug)]
struct Current {
    header: Header,
    file: Arc<LogFile>,
    end: u64,
}

impl Log {
    /// Starts a new segment with number `number`, for records from `first_position` on.
    pub(crate) fn start(
        dir: &Path,
        options: &EmbeddedOptions,
        number: u64,
        first_position: u64,
    ) -> Result<Self, Error> {
        let current = Current::create(dir, options, Header::new(number, first_position), None)?;
        Ok(Self { dir: dir.to_owned(), options: options.clone(), current, ended: Vec::new(), spares: Vec::new() })
    }

    /// Finds the place for a record of `bytes` bytes at `position`, in a new segment if the current one is full.
    pub(crate) fn place(&mut self, position: u64, bytes: u64) -> Result<Place, Error> {
        let used = self.current.end > segment::HEADER_BYTES;
        if used && self.current.end + bytes > self.options.segment_bytes {
            self.rotate(position)?;
        }
        let Current { header, file, end } = &self.current;
        Ok(Place { file: Arc::clone(file), offset: *end, salt: header.salt })
    }

    /// The record of `bytes` bytes is on the disk.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.current.end += bytes;
    }

    /// Removes what a failed write left behind the last record.
    pub(crate) fn cut_back(&self) -> Result<(), Error> {
        let Current { header, file, end } = &self.current;
        file.truncate(*end).at("cut back", &segment::path(&self.dir, header.number))
    }

    /// The place behind the last record, which is the one at `position`.
    pub(crate) fn mark(&self, position: u64) -> Mark {
        Mark { position, segment: self.current.header.number, offset: self.current.end }
    }

    /// Puts aside the segments before the one of a durable mark.
    pub(crate) fn retire(&mut self, mark: Mark) -> Result<(), Error> {
        let (old, kept) = self.ended.iter().partition::<Vec<_>, _>(|(number, _)| *number < mark.segment);
        if old.is_empty() {
            return Ok(());
        }
        self.ended = kept;
        for (number, bytes) in old {
            let spare = segment::put_aside(&self.dir, number)?;
            if bytes > self.options.segment_bytes || self.spares.len() >= self.spares_max() {
                fs::remove_file(&spare).at("remove", &spare)?;
            } else {
                self.spares.push(spare);
            }
        }
        segment::sync_dir(&self.dir)
    }

    fn rotate(&mut self, position: u64) -> Result<(), Error> {
        let header = Header::new(self.current.header.number + 1, position);
        let next = Current::create(&self.dir, &self.options, header, self.spares.last().map(PathBuf::as_path))?;
        self.spares.pop();
        let ended = std::mem::replace(&mut self.current, next);
        self.ended.push((ended.header.number, ended.end));
        Ok(())
    }

    /// As many as one checkpoint retires when the log is busy.
    fn spares_max(&self) -> usize {
        let count = self.options.checkpoint_log_bytes / self.options.segment_bytes.max(1) + 1;
        usize::try_from(count).unwrap_or(usize::MAX)
    }
}

impl Current {
    fn create(dir: &Path, options: &EmbeddedOptions, header: Header, spare: Option<&Path>) -> Result<Self, Error> {
        let file = segment::create(dir, header, spare)?;
        Ok(Self { header, file: Arc::new(LogFile::new(file, options)), end: segment::HEADER_BYTES })
    }
}
