//! One file of the log: its header, its name, how it is made and put aside.
//!
//! A segment gets its name when its header is on the disk, so a named segment with a bad header is damage. A file that is
//! put aside for reuse is called `N.spare`; what it holds means nothing.

use std::{
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::Read,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::record::SECTOR_BYTES;
use crate::{Error, error::IoContext};

/// Where the first record begins.
pub(crate) const HEADER_BYTES: u64 = SECTOR_BYTES as u64;

const MAGIC: [u8; 8] = *b"TGATElog";
/// The version of the segment's header and of the records in it.
const VERSION: u64 = 1;

const LOG: &str = "log";
const SPARE: &str = "spare";
const NEW: &str = "new";

/// What the header of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The segment's number, which is its name too.
    pub(crate) number: u64,
    /// Part of the checksum of every record in it.
    pub(crate) salt: u64,
    /// The position of the first record in it.
    pub(crate) first_position: u64,
}

impl Header {
    /// A header with a new salt.
    pub(crate) fn new(number: u64, first_position: u64) -> Self {
        Self { number, salt: RandomState::new().hash_one(number), first_position }
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for field in [VERSION, self.number, self.salt, self.first_position] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        let sum = u64::from(crc32c::crc32c(&bytes));
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes.resize(SECTOR_BYTES, 0);
        bytes
    }

    /// The header at the start of a segment, or what is wrong with it.
    fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "the header is cut off";
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(SHORT)?;
        let (fields, rest) = rest.split_first_chunk::<32>().ok_or(SHORT)?;
        let (sum, _) = rest.split_first_chunk::<8>().ok_or(SHORT)?;
        if *magic != MAGIC {
            return Err("this is no log segment");
        }
        let expected = u64::from(crc32c::crc32c_append(crc32c::crc32c(magic), fields));
        if u64::from_le_bytes(*sum) != expected {
            return Err("the checksum of the header is wrong");
        }
        let (numbers, _) = fields.as_chunks::<8>();
        match numbers {
            [version, ..] if u64::from_le_bytes(*version) != VERSION => Err("the segment has an unknown version"),
            [_, number, salt, first] => Ok(Self {
                number: u64::from_le_bytes(*number),
                salt: u64::from_le_bytes(*salt),
                first_position: u64::from_le_bytes(*first),
            }),
            [] | [_] | [_, _] | [_, _, _] | [_, _, _, _, _, ..] => Err(SHORT),
        }
    }

    /// Reads and checks the header of segment `number` in `dir`.
    pub(crate) fn read(dir: &Path, number: u64) -> Result<Self, Error> {
        let path = path(dir, number);
        let mut bytes = Vec::new();
        let file = File::open(&path).at("open", &path)?;
        file.take(HEADER_BYTES).read_to_end(&mut bytes).at("read", &path)?;
        let header = Self::decode(&bytes).and_then(|header| {
            if header.number == number { Ok(header) } else { Err("the header has the number of another segment") }
        });
        header.map_err(|detail| Error::Corrupt { file: path, offset: 0, detail: detail.to_owned() })
    }
}

/// The path of segment `number`.
pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.{LOG}"))
}

/// Makes a segment, out of the file `spare` if there is one. When this returns, its header and name are durable.
pub(crate) fn create(dir: &Path, header: Header, spare: Option<&Path>) -> Result<File, Error> {
    let fresh = dir.join(format!("{:016}.{NEW}", header.number));
    let from = spare.unwrap_or(&fresh);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(from).at("open", from)?;
    file.write_all_at(&header.encode(), 0).at("write", from)?;
    file.sync_all().at("sync", from)?;
    let path = path(dir, header.number);
    fs::rename(from, &path).at("rename", from)?;
    sync_dir(dir)?;
    Ok(file)
}

/// Puts segment `number` aside for reuse. The caller syncs the folder before the file is written to.
pub(crate) fn put_aside(dir: &Path, number: u64) -> Result<PathBuf, Error> {
    let (from, to) = (path(dir, number), dir.join(format!("{number:016}.{SPARE}")));
    fs::rename(&from, &to).at("rename", &from)?;
    Ok(to)
}

/// The numbers of the segments in `dir`, in order.
pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, Error> {
    let mut numbers: Vec<u64> = entries(dir)?.iter().filter_map(|path| number(path)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes the segments before `keep_from`, and what is put aside or half made.
///
/// Spares from before a power cut are not reused: without a sync of the folder, one may be a second name of a segment.
pub(crate) fn remove_stale(dir: &Path, keep_from: u64) -> Result<(), Error> {
    let mut changed = false;
    for path in entries(dir)? {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if number(&path).is_some_and(|number| number < keep_from) || matches!(extension, Some(SPARE | NEW)) {
            fs::remove_file(&path).at("remove", &path)?;
            changed = true;
        }
    }
    if changed { sync_dir(dir) } else { Ok(()) }
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).at("sync", dir)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed: std::io::Result<Vec<PathBuf>> =
        fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    listed.at("list", dir)
}

fn number(path: &Path) -> Option<u64> {
    if path.extension()? != LOG {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_damage_is_noticed() {
        let header = Header::new(3, 99);
        assert_ne!(header.salt, Header::new(3, 99).salt);
        let good = header.encode();
        assert_eq!(Header::decode(&good), Ok(header));
        for place in 0..48 {
            let mut bad = good.clone();
            bad[place] ^= 1;
            assert!(Header::decode(&bad).is_err(), "flipped {place}");
            assert!(Header::decode(&good[..place]).is_err(), "cut to {place}");
        }
    }

    #[test]
    fn a_spare_becomes_a_segment_with_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let file = create(dir.path(), Header::new(1, 1), None).unwrap();
        file.set_len(10_000).unwrap();
        let spare = put_aside(dir.path(), 1).unwrap();
        assert_eq!(list(dir.path()).unwrap(), []);
        let file = create(dir.path(), Header::new(2, 5), Some(&spare)).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 10_000);
        assert_eq!(list(dir.path()).unwrap(), [2]);
        assert_eq!(Header::read(dir.path(), 2).unwrap().first_position, 5);
        create(dir.path(), Header::new(3, 6), None).unwrap();
        remove_stale(dir.path(), 3).unwrap();
        assert_eq!(list(dir.path()).unwrap(), [3]);
    }
}
