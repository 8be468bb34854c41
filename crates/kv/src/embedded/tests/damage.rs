//! A log that lost something, at every place: what is read is a prefix that holds everything acknowledged, or damage.

use std::{fs, path::Path};

use bytes::Bytes;

use super::super::{
    Op,
    log::{Log, Mark},
    log_file::LogFile,
    options::EmbeddedOptions,
    record::RecordBuffer,
    recovery::replay,
    segment,
};
use crate::Error;

/// A log with the groups 1, 2, 3…, one put each, and where their records end.
struct Written {
    dir: tempfile::TempDir,
    log: Log,
    ends: Vec<(u64, u64)>,
}

const START: Mark = Mark { position: 0, segment: 1, offset: segment::HEADER_BYTES };

impl Written {
    fn new(segment_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = EmbeddedOptions::new(dir.path());
        options.segment_bytes = segment_bytes;
        let log = Log::start(dir.path(), &options, 1, 1).unwrap();
        Self { dir, log, ends: Vec::new() }
    }

    fn push(&mut self, value_bytes: usize) {
        let position = self.ends.len() as u64 + 1;
        let mut record = RecordBuffer::new(Vec::new());
        record.push(b"scope", &[Op::Put(Bytes::from(position.to_be_bytes().to_vec()), vec![7; value_bytes].into())]);
        let bytes = record.padded_bytes();
        let place = self.log.place(position, bytes).unwrap();
        LogFile::write(&place.file, &record.finish(position, place.salt), place.offset).unwrap();
        self.log.advance(bytes);
        let end = self.log.mark(position);
        self.ends.push((end.segment, end.offset));
    }

    fn segment(&self, number: u64) -> Vec<u8> {
        fs::read(segment::path(self.dir.path(), number)).unwrap()
    }

    fn overwrite(&self, number: u64, content: &[u8]) {
        fs::write(segment::path(self.dir.path(), number), content).unwrap();
    }

    fn read(&self, mark: Mark) -> Result<u64, Error> {
        read(self.dir.path(), mark)
    }
}

/// The position of the last group read; the groups must be the right ones.
fn read(dir: &Path, mark: Mark) -> Result<u64, Error> {
    let mut next = mark.position;
    let replayed = replay(dir, mark, &mut |ops| {
        for op in ops {
            next += 1;
            assert!(matches!(op, Op::Put(key, _) if *key == next.to_be_bytes()[..]), "group {next} is {op:?}");
        }
        Ok(())
    })?;
    assert_eq!(replayed.end.position, next);
    Ok(next)
}

fn is_damage(result: &Result<u64, Error>) -> bool {
    matches!(result, Err(Error::Corrupt { .. }))
}

#[test]
fn a_cut_leaves_the_groups_before_it() {
    let mut log = Written::new(1 << 20);
    [100, 700, 300].into_iter().for_each(|bytes| log.push(bytes));
    let whole = log.segment(1);
    for length in (segment::HEADER_BYTES as usize)..=whole.len() {
        log.overwrite(1, &whole[..length]);
        let expected = log.ends.iter().filter(|(_, end)| *end as usize <= length).count();
        assert_eq!(log.read(START).unwrap(), expected as u64, "cut to {length}");
    }
    for length in 0..48 {
        log.overwrite(1, &whole[..length]);
        assert!(is_damage(&log.read(START)), "cut to {length}");
    }
}

/// What must come of damage to the bytes `from..to` of the only segment.
fn check_damage(log: &Written, content: &[u8], (from, to): (usize, usize)) {
    log.overwrite(1, content);
    let result = log.read(START);
    let groups = log.ends.len();
    let begin = |group: usize| group.checked_sub(1).map_or(segment::HEADER_BYTES, |before| log.ends[before].1) as usize;
    let hit = (0..groups).find(|&group| from < log.ends[group].1 as usize && to > begin(group));
    match hit {
        Some(_) if from < segment::HEADER_BYTES as usize => assert!(is_damage(&result)),
        Some(last) if last + 1 == groups => {
            let read = result.unwrap();
            assert!(read == groups as u64 || read == groups as u64 - 1, "{from}..{to}: {read}");
        }
        Some(group) => match result {
            Ok(read) => assert_eq!(read, groups as u64, "{from}..{to}"),
            Err(Error::Corrupt { offset, .. }) => assert_eq!(offset, begin(group) as u64, "{from}..{to}"),
            Err(other) => panic!("{from}..{to}: {other}"),
        },
        None => assert!(is_damage(&result) || result.unwrap() == groups as u64),
    }
}

#[test]
fn a_flipped_byte_is_damage_except_in_the_last_group() {
    let mut log = Written::new(1 << 20);
    [100, 700, 300].into_iter().for_each(|bytes| log.push(bytes));
    let whole = log.segment(1);
    for place in 0..whole.len() {
        let mut bad = whole.clone();
        bad[place] ^= 0x10;
        check_damage(&log, &bad, (place, place + 1));
    }
}

#[test]
fn a_missing_sector_or_page_is_damage_except_in_the_last_group() {
    let mut log = Written::new(1 << 20);
    [3000, 100, 9000, 600, 5000].into_iter().for_each(|bytes| log.push(bytes));
    let whole = log.segment(1);
    for size in [512, 4096] {
        for from in (0..whole.len()).step_by(size) {
            let to = (from + size).min(whole.len());
            let mut bad = whole.clone();
            bad[from..to].fill(0);
            check_damage(&log, &bad, (from, to));
        }
    }
}

#[test]
fn a_group_missing_before_a_later_segment_is_damage() {
    let mut log = Written::new(8 << 10);
    (0..12).for_each(|_| log.push(2000));
    let (last_segment, _) = *log.ends.last().unwrap();
    assert!(last_segment >= 3);
    assert_eq!(log.read(START).unwrap(), 12);
    for number in 1..last_segment {
        let whole = log.segment(number);
        let end_of_last = log.ends.iter().rfind(|(segment, _)| *segment == number).unwrap().1 as usize;
        for cut in [end_of_last - 512, end_of_last - 1500, segment::HEADER_BYTES as usize] {
            log.overwrite(number, &whole[..cut]);
            assert!(is_damage(&log.read(START)), "segment {number} cut to {cut}");
        }
        fs::remove_file(segment::path(log.dir.path(), number)).unwrap();
        assert!(is_damage(&log.read(START)), "segment {number} gone");
        log.overwrite(number, &whole);
    }
}

#[test]
fn a_group_missing_before_an_empty_segment_is_damage() {
    let mut log = Written::new(1 << 20);
    (0..3).for_each(|_| log.push(2000));
    let whole = log.segment(1);
    drop(Log::start(log.dir.path(), &EmbeddedOptions::new(log.dir.path()), 2, 4).unwrap());
    assert_eq!(log.read(START).unwrap(), 3);
    log.overwrite(1, &whole[..whole.len() - 512]);
    let Err(Error::Corrupt { file, offset, .. }) = log.read(START) else { panic!("not noticed") };
    assert_eq!((file, offset), (segment::path(log.dir.path(), 1), log.ends[1].1));
}

#[test]
fn reading_starts_at_the_mark() {
    let mut log = Written::new(8 << 10);
    (0..12).for_each(|_| log.push(2000));
    for (before, (segment, offset)) in log.ends.clone().into_iter().enumerate() {
        let mark = Mark { position: before as u64 + 1, segment, offset };
        assert_eq!(log.read(mark).unwrap(), 12, "from {mark:?}");
    }
    // Damage before the mark is of no importance.
    let mut bad = log.segment(1);
    bad[1000] ^= 1;
    log.overwrite(1, &bad);
    let (segment, offset) = log.ends[5];
    assert_eq!(log.read(Mark { position: 6, segment, offset }).unwrap(), 12);
}

#[test]
fn what_a_reused_segment_held_before_is_never_read() {
    let mut log = Written::new(8 << 10);
    (0..12).for_each(|_| log.push(2000));
    log.log.retire(log.log.mark(12)).unwrap();
    let begun = log.log.mark(12).segment;
    // The next segments are made of the old ones: behind the last new record an old one begins.
    while log.log.mark(0).segment < begun + 2 {
        log.push(2000);
    }
    let now = log.log.mark(0).segment;
    assert!(log.segment(now).len() as u64 > log.log.mark(0).offset, "nothing is left over behind the last record");
    let (segment, offset) = log.ends[11];
    let last = log.ends.len() as u64;
    assert_eq!(log.read(Mark { position: 12, segment, offset }).unwrap(), last);
}

#[test]
fn a_group_larger_than_a_segment_is_read() {
    let mut log = Written::new(4 << 10);
    [100, 50_000, 100, 9_000_000, 100].into_iter().for_each(|bytes| log.push(bytes));
    assert_eq!(log.read(START).unwrap(), 5);
}
