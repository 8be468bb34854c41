//! One group of transactions as a record of the log.
//!
//! A record begins at a multiple of [`ALIGN`], so that writing one never rewrites a sector of the one before it, and so
//! that looking for a record behind a bad one has few places to try. Its header is: magic (4), checksum (4), position
//! (8), length of the payload (8), number of transactions (8); all numbers little-endian. The checksum (CRC-32C) covers
//! everything behind it and the segment's salt: a record left over in a reused segment, or copied into a value by someone
//! who can't read the file, is never taken for one.

use bytes::Bytes;

use super::op::{self, Op};

/// Records begin at multiples of this.
pub(crate) const ALIGN: u64 = 512;

const MAGIC: [u8; 4] = *b"TGrc";
const HEADER_BYTES: usize = 32;
const CHECKED_FROM: usize = 8;

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
        (self.bytes.len() as u64).next_multiple_of(ALIGN)
    }

    /// Fills in the header. The result is padded with zeros.
    pub(crate) fn finish(self, position: u64, salt: u64) -> Vec<u8> {
        let Self { mut bytes, transactions } = self;
        let payload = (bytes.len() - HEADER_BYTES) as u64;
        let mut header = [0; HEADER_BYTES];
        let fields = [&MAGIC[..], &[0; 4], &position.to_le_bytes(), &payload.to_le_bytes(), &transactions.to_le_bytes()];
        for (place, byte) in header.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        overwrite(&mut bytes, 0, &header);
        let sum = checksum(salt, bytes.get(CHECKED_FROM..).unwrap_or_default());
        overwrite(&mut bytes, MAGIC.len(), &sum.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(ALIGN as usize), 0);
        bytes
    }
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
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        if *magic != MAGIC {
            return None;
        }
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let (position, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (transactions, _) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let end = HEADER_BYTES.checked_add(length)?;
        if u32::from_le_bytes(*sum) != checksum(salt, bytes.get(CHECKED_FROM..end)?) {
            return None;
        }
        Some(Self {
            position: u64::from_le_bytes(*position),
            padded_bytes: (end as u64).next_multiple_of(ALIGN),
            transactions: u64::from_le_bytes(*transactions),
            payload: bytes.slice(HEADER_BYTES..end),
        })
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

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
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
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        for length in 0..end {
            assert!(Record::read(&Bytes::copy_from_slice(&bytes[..length]), SALT).is_none(), "cut to {length}");
        }
    }

    #[test]
    fn a_missing_sector_or_flipped_byte_is_noticed() {
        let good = record(&[5; 3000]);
        let end = good.iter().rposition(|&byte| byte != 0).unwrap();
        for place in 0..=end {
            let mut bad = good.clone();
            bad[place] ^= 0x40;
            assert!(Record::read(&Bytes::from(bad), SALT).is_none(), "flipped {place}");
        }
        for sector in (0..good.len()).step_by(512) {
            let mut bad = good.clone();
            bad[sector..sector + 512].fill(0);
            assert!(Record::read(&Bytes::from(bad), SALT).is_none(), "zeroed {sector}");
        }
    }
}
