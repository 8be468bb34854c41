//! Reading the log again when the store is opened.
//!
//! A record is written only when the one before it is on the disk. So of the records beyond the tree's mark only the last
//! may be torn: it was in flight, nobody was told about it, and it is left out. A bad record with any trace of a later one
//! behind it was acknowledged: that is damage, and is reported.

use std::{fs, fs::File, path::Path};

use bytes::Bytes;

use super::{
    Op,
    log::Mark,
    record::{Record, SECTOR_BYTES, trace},
    segment::{self, Header},
};
use crate::{Error, error::IoContext};

/// What was read again.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// The position of the last group.
    pub(crate) position: u64,
    /// Groups read.
    pub(crate) groups: u64,
    /// The number of the last segment.
    pub(crate) last_segment: u64,
}

/// Shows the writes of every group behind `mark` to `apply`, in order, many groups at a time.
///
/// When this returns, what was read is on the disk: a record that a crash left in the system's cache alone counts from
/// now on, and a later power cut must not take it back.
pub(crate) fn replay(
    dir: &Path,
    mark: Mark,
    apply: &mut dyn FnMut(&[Op]) -> Result<(), Error>,
) -> Result<Replayed, Error> {
    let numbers = segment::list(dir)?;
    let mut reader =
        Reader { dir, replayed: Replayed { position: mark.position, groups: 0, last_segment: mark.segment } };
    let mut batch = Batch { ops: Vec::new(), bytes: 0, apply };
    let mut stopped_at = None;
    for (number, expected) in numbers.into_iter().filter(|number| *number >= mark.segment).zip(mark.segment..) {
        if number != expected {
            return Err(missing(dir, expected));
        }
        let start = if number == mark.segment { mark.offset } else { segment::HEADER_BYTES };
        reader.check_first(number, mark, stopped_at)?;
        stopped_at = Some((number, reader.segment(number, start, &mut batch)?));
    }
    if stopped_at.is_none() {
        return Err(missing(dir, mark.segment));
    }
    batch.flush()?;
    Ok(reader.replayed)
}

struct Reader<'a> {
    dir: &'a Path,
    replayed: Replayed,
}

impl Reader<'_> {
    /// Checks that segment `number` goes on where the last record before it stopped.
    fn check_first(&self, number: u64, mark: Mark, stopped_at: Option<(u64, u64)>) -> Result<(), Error> {
        let first = Header::read(self.dir, number)?.first_position;
        let next = self.replayed.position + 1;
        match stopped_at {
            None if first <= mark.position + 1 => Ok(()),
            Some(_) if first == next => Ok(()),
            Some((before, offset)) if first > next => {
                Err(self.damaged(before, offset, format!("group {next} is missing, but a later one is there")))
            }
            None | Some(_) => Err(self.damaged(number, 0, format!("it begins with group {first}, not {next}"))),
        }
    }

    /// Reads segment `number` from `start` to its last good record, and returns where that ends.
    fn segment(&mut self, number: u64, start: u64, batch: &mut Batch<'_>) -> Result<u64, Error> {
        let path = segment::path(self.dir, number);
        let salt = Header::read(self.dir, number)?.salt;
        let content = Bytes::from(fs::read(&path).at("read", &path)?);
        let mut offset = start;
        while let Some(record) = Record::read(&from(&content, offset), salt) {
            let expected = self.replayed.position + 1;
            if record.position != expected {
                let detail = format!("group {} is where group {expected} should be", record.position);
                return Err(self.damaged(number, offset, detail));
            }
            let ops =
                record.ops().ok_or_else(|| self.damaged(number, offset, "the writes can't be read".to_owned()))?;
            batch.add(ops, record.padded_bytes)?;
            self.replayed.position = expected;
            self.replayed.groups += 1;
            offset += record.padded_bytes;
        }
        if let Some((place, later)) = self.later_trace(&content, offset, salt) {
            let detail = format!("a bad record, with traces of group {later} behind it at {place}");
            return Err(self.damaged(number, offset, detail));
        }
        File::open(&path).and_then(|file| file.sync_all()).at("sync", &path)?;
        self.replayed.last_segment = number;
        Ok(offset)
    }

    /// The first trace behind `offset` of a group later than the one that is next.
    fn later_trace(&self, content: &Bytes, offset: u64, salt: u64) -> Option<(u64, u64)> {
        let behind = from(content, offset);
        let places = (offset..).step_by(SECTOR_BYTES);
        let mut traces =
            places.zip(behind.chunks_exact(SECTOR_BYTES)).map(|(place, sector)| (place, trace(sector, salt)));
        traces.find_map(|(place, later)| Some((place, later.filter(|later| *later > self.replayed.position + 1)?)))
    }

    fn damaged(&self, number: u64, offset: u64, detail: String) -> Error {
        Error::Corrupt { file: segment::path(self.dir, number), offset, detail }
    }
}

fn from(content: &Bytes, offset: u64) -> Bytes {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    content.slice(offset.min(content.len())..)
}

fn missing(dir: &Path, number: u64) -> Error {
    Error::Corrupt {
        file: segment::path(dir, number),
        offset: 0,
        detail: "this segment of the log is missing".to_owned(),
    }
}

/// Writes of many groups, gathered so that the tree changes a page once for all of them.
struct Batch<'a> {
    ops: Vec<Op>,
    bytes: u64,
    apply: &'a mut dyn FnMut(&[Op]) -> Result<(), Error>,
}

const BATCH_BYTES: u64 = 8 << 20;

impl Batch<'_> {
    fn add(&mut self, ops: Vec<Op>, bytes: u64) -> Result<(), Error> {
        self.ops.extend(ops);
        self.bytes += bytes;
        if self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.bytes = 0;
        let ops = std::mem::take(&mut self.ops);
        if ops.is_empty() { Ok(()) } else { (self.apply)(&ops) }
    }
}
