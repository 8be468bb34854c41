//! The log that the preload library (`shim/powercut/log.c`) writes, read back as events.

use std::path::{Component, Path, PathBuf};

use bytes::{Buf, Bytes};

use super::Error;
use super::mark::Mark;

/// One thing that happened, in the order in which it did. Paths are relative to the recorded folder; inodes are the
/// kernel's numbers, which it may use again once a file is gone.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A process began.
    Started,
    /// A file came into being, empty.
    Create { inode: u64, path: PathBuf },
    /// A folder came into being.
    MakeDirectory { inode: u64, path: PathBuf },
    /// A file was cut off or extended with zeros.
    Resize { inode: u64, len: usize },
    /// Bytes were written.
    Write { inode: u64, at: usize, data: Bytes },
    /// A sync was asked for; what happened before is covered by it.
    SyncBegin { id: u64 },
    /// The sync returned.
    SyncEnd { inode: u64, id: u64, scope: SyncScope },
    /// A name was moved, perhaps over another.
    Rename { from: PathBuf, to: PathBuf },
    /// A name of a file or folder was removed.
    Remove { path: PathBuf },
    /// A file got one more name.
    Link { inode: u64, path: PathBuf },
    /// The workload made a mark.
    Mark(Mark),
    /// A call that cannot be replayed; on a file of the folder, or 0 when that is certain.
    Unsupported { inode: u64, call: String },
}

/// What a sync makes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncScope {
    /// `fsync`: content and metadata.
    All,
    /// `fdatasync`: content, and the metadata needed to read it.
    Data,
}

/// The events of one process's log.
///
/// # Errors
/// [`Error::Log`] when a record is torn, out of sequence or of an unknown kind.
pub(super) fn read(log: Bytes, root: &Path) -> Result<Vec<Event>, Error> {
    let mut rest = log;
    let mut events = Vec::new();
    while rest.has_remaining() {
        let event = Raw::take(&mut rest, events.len() as u64 + 1).and_then(|raw| raw.event(root));
        events.push(event.map_err(|reason| Error::Log { record: events.len(), reason })?);
    }
    Ok(events)
}

const HEADER_BYTES: usize = 48;

/// A record as it lies in the log: `struct header` of the preload library, and what follows it.
struct Raw {
    kind: u32,
    detail: u32,
    inode: u64,
    offset: u64,
    path: String,
    other: String,
    data: Bytes,
}

impl Raw {
    fn take(log: &mut Bytes, sequence: u64) -> Result<Self, String> {
        if log.remaining() < HEADER_BYTES {
            return Err("torn header".to_owned());
        }
        let (kind, detail) = (log.get_u32_le(), log.get_u32_le());
        let found = log.get_u64_le();
        if found != sequence {
            return Err(format!("sequence {found} instead of {sequence}"));
        }
        let (inode, offset) = (log.get_u64_le(), log.get_u64_le());
        let data_len = size(log.get_u64_le())?;
        let (path_len, other_len) = (log.get_u32_le() as usize, log.get_u32_le() as usize);
        let path = text(&take(log, path_len)?);
        let other = text(&take(log, other_len)?);
        Ok(Self { kind, detail, inode, offset, path, other, data: take(log, data_len)? })
    }

    /// The numbers are `enum kind` of the preload library.
    fn event(self, root: &Path) -> Result<Event, String> {
        let inode = self.inode;
        let path = || relative(&self.path, root);
        Ok(match self.kind {
            1 => Event::Started,
            2 => Event::Create { inode, path: path()? },
            3 => Event::MakeDirectory { inode, path: path()? },
            4 => Event::Resize { inode, len: size(self.offset)? },
            5 => Event::Write { inode, at: size(self.offset)?, data: self.data },
            6 => Event::SyncBegin { id: self.offset },
            7 => Event::SyncEnd { inode, id: self.offset, scope: scope(self.detail)? },
            8 => Event::Rename { from: path()?, to: relative(&self.other, root)? },
            9 | 10 => Event::Remove { path: path()? },
            11 => Event::Link { inode, path: path()? },
            12 => Event::Mark(Mark::parse(&self.path).ok_or_else(|| format!("unknown mark {:?}", self.path))?),
            13 => Event::Unsupported { inode, call: self.path },
            kind => return Err(format!("unknown kind {kind}")),
        })
    }
}

fn take(log: &mut Bytes, len: usize) -> Result<Bytes, String> {
    if log.remaining() < len {
        return Err("torn record".to_owned());
    }
    Ok(log.split_to(len))
}

fn size(number: u64) -> Result<usize, String> {
    usize::try_from(number).map_err(|error| error.to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn scope(detail: u32) -> Result<SyncScope, String> {
    match detail {
        0 => Ok(SyncScope::All),
        1 => Ok(SyncScope::Data),
        other => Err(format!("unknown kind of sync {other}")),
    }
}

fn relative(path: &str, root: &Path) -> Result<PathBuf, String> {
    let inside = Path::new(path).strip_prefix(root).map_err(|_outside| format!("{path} is outside the folder"))?;
    let plain: PathBuf = inside.components().filter(|part| *part != Component::CurDir).collect();
    if plain.components().all(|part| matches!(part, Component::Normal(_))) {
        Ok(plain)
    } else {
        Err(format!("{path} goes up"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, sequence: u64, path: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        for number in [sequence, 7, 512, data.len() as u64] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(u32::try_from(path.len()).unwrap().to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(path.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn refused(log: &[u8]) -> String {
        match read(Bytes::copy_from_slice(log), Path::new("/r")) {
            Err(Error::Log { reason, .. }) => reason,
            other => panic!("accepted as {other:?}"),
        }
    }

    #[test]
    fn records_become_events() {
        let log = [record(2, 1, "/r/a/./b", b""), record(5, 2, "", b"xyz")].concat();
        let events = read(log.into(), Path::new("/r")).unwrap();
        assert!(matches!(&events[0], Event::Create { inode: 7, path } if path == Path::new("a/b")));
        assert!(matches!(&events[1], Event::Write { inode: 7, at: 512, data } if data.as_ref() == b"xyz"));
    }

    #[test]
    fn broken_logs_are_refused() {
        let whole = record(5, 1, "", b"xyz");
        assert_eq!(refused(&whole[..20]), "torn header");
        assert_eq!(refused(&whole[..50]), "torn record");
        assert_eq!(refused(&record(5, 2, "", b"")), "sequence 2 instead of 1");
        assert_eq!(refused(&record(99, 1, "", b"")), "unknown kind 99");
        assert_eq!(refused(&record(2, 1, "/elsewhere", b"")), "/elsewhere is outside the folder");
        assert_eq!(refused(&record(2, 1, "/r/../x", b"")), "/r/../x goes up");
        assert_eq!(refused(&record(12, 1, "nonsense", b"")), "unknown mark \"nonsense\"");
    }
}
