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
    /// The place behind the last group.
    pub(crate) end: Mark,
    /// Groups read.
    pub(crate) groups: u64,
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
    let mut reader = Reader { dir, replayed: Replayed { end: mark, groups: 0 } };
    let mut batch = Batch { ops: Vec::new(), bytes: 0, apply };
    let needed = segment::list(dir)?.into_iter().filter(|number| *number >= mark.segment);
    let mut expected = mark.segment;
    for number in needed {
        if number != expected {
            return Err(missing(dir, expected));
        }
        let header = Header::read(dir, number)?;
        if number == mark.segment {
            reader.check_marked(header)?;
        } else {
            reader.enter(header)?;
        }
        reader.segment(header, &mut batch)?;
        expected += 1;
    }
    if expected == mark.segment {
        return Err(missing(dir, expected));
    }
    batch.flush()?;
    // The last segment may have its name in the cache alone, and the next checkpoint will point into it.
    segment::sync_dir(dir)?;
    Ok(reader.replayed)
}

struct Reader<'a> {
    dir: &'a Path,
    replayed: Replayed,
}

impl Reader<'_> {
    /// Checks that the segment in which reading starts begins before the mark.
    fn check_marked(&self, Header { number, first_position: first, .. }: Header) -> Result<(), Error> {
        let next = self.replayed.end.position + 1;
        if first > next {
            return Err(self.damaged(number, 0, format!("it begins with group {first}, after group {next}")));
        }
        Ok(())
    }

    /// Goes on with the next segment, which must begin with the next group.
    fn enter(&mut self, Header { number, first_position: first, .. }: Header) -> Result<(), Error> {
        let Mark { position, segment, offset } = self.replayed.end;
        let next = position + 1;
        if first > next {
            let detail = format!("group {next} is missing here, but a later one is there");
            return Err(self.damaged(segment, offset, detail));
        }
        if first < next {
            return Err(self.damaged(number, 0, format!("it begins with group {first}, not {next}")));
        }
        self.replayed.end = Mark { position, segment: number, offset: segment::HEADER_BYTES };
        Ok(())
    }

    /// Reads a segment to its last good record.
    fn segment(&mut self, Header { number, salt, .. }: Header, batch: &mut Batch<'_>) -> Result<(), Error> {
        let path = segment::path(self.dir, number);
        let content = Bytes::from(fs::read(&path).at("read", &path)?);
        while let Some(record) = Record::read(&from(&content, self.replayed.end.offset), salt) {
            self.record(&record, batch)?;
        }
        let offset = self.replayed.end.offset;
        if let Some((place, later)) = self.later_trace(&content, offset, salt) {
            let detail = format!("a bad record, with traces of group {later} behind it at {place}");
            return Err(self.damaged(number, offset, detail));
        }
        File::open(&path).and_then(|file| file.sync_all()).at("sync", &path)
    }

    fn record(&mut self, record: &Record, batch: &mut Batch<'_>) -> Result<(), Error> {
        let Mark { position, segment, offset } = self.replayed.end;
        let next = position + 1;
        if record.position != next {
            let detail = format!("group {} is where group {next} should be", record.position);
            return Err(self.damaged(segment, offset, detail));
        }
        let unreadable = || self.damaged(segment, offset, "the writes can't be read".to_owned());
        batch.add(record.ops().ok_or_else(unreadable)?, record.padded_bytes)?;
        self.replayed.end = Mark { position: next, segment, offset: offset + record.padded_bytes };
        self.replayed.groups += 1;
        Ok(())
    }

    /// The first trace behind `offset` of a group later than the one that is next.
    fn later_trace(&self, content: &Bytes, offset: u64, salt: u64) -> Option<(u64, u64)> {
        let behind = from(content, offset);
        let places = (offset..).step_by(SECTOR_BYTES);
        let mut traces =
            places.zip(behind.chunks_exact(SECTOR_BYTES)).map(|(place, sector)| (place, trace(sector, salt)));
        traces.find_map(|(place, later)| Some((place, later.filter(|later| *later > self.replayed.end.position + 1)?)))
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
