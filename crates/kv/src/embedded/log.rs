//! The commit log: where the next record goes, and which segments are still needed.

use std::{
    fs,
    ops::Range,
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
    /// What to fill with zeros before the record is written.
    pub(crate) fill: Range<u64>,
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
    /// How far the file has been filled: writing up to there changes neither its length nor its blocks.
    filled: u64,
}

/// A segment is filled ahead in steps of so many bytes.
///
/// A record that makes its file longer makes the sync write the file's inode and blocks, too: three requests to the disk
/// instead of one. A longer record pays for that itself, and filling would double what is written.
const FILL_BYTES: u64 = 512 << 10;
const FILL_FOR_BYTES: u64 = 16 << 10;

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
        let Current { header, file, end, filled } = &mut self.current;
        let behind = *end + bytes;
        let fill_to =
            if bytes > FILL_FOR_BYTES { behind } else { (behind + FILL_BYTES).min(self.options.segment_bytes) };
        let fill = if *filled < behind && behind < fill_to { *filled..fill_to } else { 0..0 };
        *filled = (*filled).max(behind).max(fill.end);
        Ok(Place { file: Arc::clone(file), offset: *end, salt: header.salt, fill })
    }

    /// The record of `bytes` bytes is on the disk.
    pub(crate) fn advance(&mut self, bytes: u64) {
        self.current.end += bytes;
    }

    /// Removes what a failed write left behind the last record.
    pub(crate) fn cut_back(&mut self) -> Result<(), Error> {
        let Current { header, file, end, filled } = &mut self.current;
        *filled = *end;
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
        // A spare has its length already.
        let path = segment::path(dir, header.number);
        let filled = file.metadata().at("ask for the length of", &path)?.len();
        Ok(Self { header, file: Arc::new(LogFile::new(file, options)), end: segment::HEADER_BYTES, filled })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_segment_is_filled_ahead_and_grows_seldom() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = EmbeddedOptions::new(dir.path());
        options.segment_bytes = 2 << 20;
        let mut log = Log::start(dir.path(), &options, 1, 1).unwrap();
        let mut lengths = BTreeSet::new();
        for position in 1..=4_000 {
            let place = log.place(position, 1024).unwrap();
            place.file.fill(place.fill);
            log.advance(1024);
            let segment = log.current.header.number;
            let length = fs::metadata(segment::path(dir.path(), segment)).unwrap().len();
            assert!(place.offset + 1024 <= length && length <= options.segment_bytes);
            lengths.insert((segment, length));
        }
        assert!(log.current.header.number >= 2);
        assert!(lengths.len() <= 10, "{lengths:?}");
    }

    #[test]
    fn a_long_record_is_not_filled_for_and_the_next_short_one_is_from_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions::new(dir.path());
        let mut log = Log::start(dir.path(), &options, 1, 1).unwrap();
        assert_eq!(log.place(1, 1 << 20).unwrap().fill, 0..0);
        log.advance(1 << 20);
        let end = (1 << 20) + segment::HEADER_BYTES;
        assert_eq!(log.place(2, 1024).unwrap().fill, end..end + 1024 + FILL_BYTES);
    }

    #[test]
    fn a_record_longer_than_a_segment_is_not_filled_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = EmbeddedOptions::new(dir.path());
        options.segment_bytes = 1024;
        let mut log = Log::start(dir.path(), &options, 1, 1).unwrap();
        assert_eq!(log.place(1, 4096).unwrap().fill, 0..0);
    }
}
