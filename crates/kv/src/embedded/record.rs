//! One group of transactions as a record of the log.
//!
//! A record takes up whole sectors of [`SECTOR_BYTES`] bytes, so that writing one never rewrites a sector of the one before it.
//! All numbers are little-endian, all checksums CRC-32C.
//!
//! - header: magic (4), checksum of the rest of the header (4), position (8), length of the payload (8), number of
//!   transactions (8), checksum of the payload (4), zeros (4);
//! - payload: for each transaction its scope, the number of its writes, and the writes;
//! - zeros up to the trailer, which ends the last sector: position (8), magic (4), checksum of both (4).
//!
//! Every checksum covers the segment's salt too: what a reused segment held before, or what someone who can't read the
//! file put into a value, is never taken for a record. Header and trailer can be told without the rest: either proves
//! that the record was begun, hence that the one before it was on the disk.

use bytes::Bytes;

use super::op::{self, Op};

/// Records begin and end at multiples of this.
pub(crate) const SECTOR_BYTES: usize = 512;

const MAGIC: [u8; 4] = *b"TGrc";
const END_MAGIC: [u8; 4] = *b"TGre";
const HEADER_BYTES: usize = 40;
const TRAILER_BYTES: usize = 16;

/// Builds one record after the other in the same memory.
#[derive(Debug, Default)]
pub(crate) struct RecordBuffer {
    bytes: Vec<u8>,
    transactions: u64,
}

/// Memory that one large group needed is given back after it.
const KEEP_BYTES: usize = 4 << 20;

impl RecordBuffer {
    /// Starts an empty record in `memory`.
    pub(crate) fn new(mut memory: Vec<u8>) -> Self {
        memory.clear();
        memory.shrink_to(KEEP_BYTES);
        memory.resize(HEADER_BYTES, 0);
        Self { bytes: memory, transactions: 0 }
    }

    /// Adds a transaction of `scope`.
    pub(crate) fn push(&mut self, scope: &[u8], ops: &[Op]) {
        op::put_bytes(&mut self.bytes, scope);
        op::put_number(&mut self.bytes, ops.len());
        for op in ops {
            op.encode(&mut self.bytes);
        }
        self.transactions += 1;
    }

    /// The bytes that the record will take up in the log.
    pub(crate) fn padded_bytes(&self) -> u64 {
        padded(self.bytes.len()) as u64
    }

    /// Fills in header and trailer.
    pub(crate) fn finish(self, position: u64, salt: u64) -> Vec<u8> {
        let Self { mut bytes, transactions } = self;
        let payload = bytes.get(HEADER_BYTES..).unwrap_or_default();
        let header = Header { position, length: payload.len() as u64, transactions, sum: checksum(salt, payload) };
        if let Some(place) = bytes.first_chunk_mut::<HEADER_BYTES>() {
            *place = header.encode(salt);
        }
        bytes.resize(padded(bytes.len()), 0);
        if let Some(place) = bytes.last_chunk_mut::<TRAILER_BYTES>() {
            *place = trailer(position, salt);
        }
        bytes
    }
}

/// The size of a record whose header and payload have `length` bytes.
fn padded(length: usize) -> usize {
    (length + TRAILER_BYTES).next_multiple_of(SECTOR_BYTES)
}

#[derive(Debug, Clone, Copy)]
struct Header {
    position: u64,
    length: u64,
    transactions: u64,
    sum: u32,
}

impl Header {
    fn encode(self, salt: u64) -> [u8; HEADER_BYTES] {
        let Self { position, length, transactions, sum } = self;
        let fields = [position, length, transactions, u64::from(sum)].map(u64::to_le_bytes);
        let own_sum = checksum(salt, fields.as_flattened()).to_le_bytes();
        let mut bytes = [0; HEADER_BYTES];
        let parts = [&MAGIC[..], &own_sum, fields.as_flattened()];
        bytes.iter_mut().zip(parts.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
        bytes
    }

    fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        if *magic != MAGIC {
            return None;
        }
        let (own_sum, rest) = rest.split_first_chunk::<4>()?;
        let (fields, _) = rest.split_first_chunk::<32>()?;
        if u32::from_le_bytes(*own_sum) != checksum(salt, fields) {
            return None;
        }
        let ([position, length, transactions, sum], []) = fields.as_chunks::<8>() else { return None };
        Some(Self {
            position: u64::from_le_bytes(*position),
            length: u64::from_le_bytes(*length),
            transactions: u64::from_le_bytes(*transactions),
            sum: u32::try_from(u64::from_le_bytes(*sum)).ok()?,
        })
    }
}

fn trailer(position: u64, salt: u64) -> [u8; TRAILER_BYTES] {
    let mut bytes = [0; TRAILER_BYTES];
    let sum = crc32c::crc32c_append(checksum(salt, &position.to_le_bytes()), &END_MAGIC).to_le_bytes();
    let parts = [&position.to_le_bytes()[..], &END_MAGIC, &sum];
    bytes.iter_mut().zip(parts.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
    bytes
}

/// The position of the record that begins or ends in `sector`, whatever became of the rest of it.
pub(crate) fn trace(sector: &[u8], salt: u64) -> Option<u64> {
    if let Some(header) = Header::decode(sector, salt) {
        return Some(header.position);
    }
    let end = sector.last_chunk::<TRAILER_BYTES>()?;
    let position = u64::from_le_bytes(*end.first_chunk::<8>()?);
    (*end == trailer(position, salt)).then_some(position)
}

/// A record that was read and whose checksum is right.
#[derive(Debug)]
pub(crate) struct Record {
    /// Where its group stands in the order of commits.
    pub(crate) position: u64,
    /// What it takes up in the log.
    pub(crate) padded_bytes: u64,
    transactions: u64,
    payload: Bytes,
}

impl Record {
    /// The record at the start of `bytes`; none if there is no whole, undamaged one.
    pub(crate) fn read(bytes: &Bytes, salt: u64) -> Option<Self> {
        let Header { position, length, transactions, sum } = Header::decode(bytes, salt)?;
        let end = usize::try_from(length).ok()?.checked_add(HEADER_BYTES)?;
        let payload = bytes.get(HEADER_BYTES..end)?;
        let whole = bytes.get(..padded(end))?;
        if *whole.last_chunk::<TRAILER_BYTES>()? != trailer(position, salt) || checksum(salt, payload) != sum {
            return None;
        }
        Some(Self { position, padded_bytes: whole.len() as u64, transactions, payload: bytes.slice(HEADER_BYTES..end) })
    }

    /// The writes of its transactions, in order; none if the payload isn't what this version writes.
    pub(crate) fn ops(&self) -> Option<Vec<Op>> {
        let mut input = self.payload.clone();
        let mut ops = Vec::new();
        for _ in 0..self.transactions {
            let _scope = op::take_bytes(&mut input)?;
            for _ in 0..op::take_number(&mut input)? {
                ops.push(Op::decode(&mut input)?);
            }
        }
        input.is_empty().then_some(ops)
    }
}

fn checksum(salt: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u64 = 0x1234_5678_9abc_def0;

    fn record(value: &[u8]) -> Vec<u8> {
        let mut buffer = RecordBuffer::new(Vec::new());
        let ops = [Op::Put(Bytes::from_static(b"key"), Bytes::copy_from_slice(value)), Op::Delete(Bytes::new())];
        buffer.push(b"scope", &ops);
        buffer.push(b"other", &ops[1..]);
        let padded = buffer.padded_bytes();
        let bytes = buffer.finish(7, SALT);
        assert_eq!(bytes.len() as u64, padded);
        bytes
    }

    #[test]
    fn a_record_reads_back() {
        let bytes = Bytes::from(record(&[5; 2000]));
        let read = Record::read(&bytes, SALT).unwrap();
        assert_eq!((read.position, read.padded_bytes), (7, bytes.len() as u64));
        assert_eq!(read.ops().unwrap().len(), 3);
    }

    #[test]
    fn another_salt_or_a_cut_is_no_record() {
        let bytes = record(&[5; 600]);
        assert!(Record::read(&Bytes::from(bytes.clone()), SALT + 1).is_none());
        for length in 0..bytes.len() {
            assert!(Record::read(&Bytes::copy_from_slice(&bytes[..length]), SALT).is_none(), "cut to {length}");
        }
    }

    #[test]
    fn a_missing_sector_or_flipped_byte_is_noticed() {
        let good = record(&[5; 3000]);
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x40;
            if let Some(read) = Record::read(&Bytes::from(bad), SALT) {
                let padding = HEADER_BYTES + read.payload.len()..good.len() - TRAILER_BYTES;
                assert!(padding.contains(&place), "flipped {place}");
            }
        }
        for sector in (0..good.len()).step_by(512) {
            let mut bad = good.clone();
            bad[sector..sector + 512].fill(0);
            assert!(Record::read(&Bytes::from(bad), SALT).is_none(), "zeroed {sector}");
        }
    }

    #[test]
    fn either_end_tells_the_position() {
        let bytes = record(&[5; 3000]);
        let traces: Vec<_> = bytes.chunks(512).map(|sector| trace(sector, SALT)).collect();
        let expected: Vec<_> =
            (0..bytes.len() / 512).map(|at| (at == 0 || at + 1 == bytes.len() / 512).then_some(7)).collect();
        assert_eq!(traces, expected);
        assert!(bytes.chunks(512).all(|sector| trace(sector, SALT + 1).is_none()));
    }
}
