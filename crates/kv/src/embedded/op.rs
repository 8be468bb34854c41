//! One write of a transaction, and its bytes in the log.

use std::ops::Bound;

use bytes::Bytes;

use crate::KeyRange;

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// Sets a key to a value.
    Put(Bytes, Bytes),
    /// Removes a key.
    Delete(Bytes),
    /// Removes every key in a range.
    DeleteRange(KeyRange),
}

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_RANGE: u8 = 3;

const UNBOUNDED: u8 = 0;
const INCLUDED: u8 = 1;
const EXCLUDED: u8 = 2;

impl Op {
    /// Appends the write to `out`: a tag, then each part with its length before it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Put(key, value) => {
                out.push(PUT);
                put_bytes(out, key);
                put_bytes(out, value);
            }
            Self::Delete(key) => {
                out.push(DELETE);
                put_bytes(out, key);
            }
            Self::DeleteRange(range) => {
                out.push(DELETE_RANGE);
                put_bound(out, &range.start);
                put_bound(out, &range.end);
            }
        }
    }

    /// Takes one write off `input`; none if it isn't one.
    pub(crate) fn decode(input: &mut Bytes) -> Option<Self> {
        match take_byte(input)? {
            PUT => Some(Self::Put(take_bytes(input)?, take_bytes(input)?)),
            DELETE => Some(Self::Delete(take_bytes(input)?)),
            DELETE_RANGE => Some(Self::DeleteRange(KeyRange { start: take_bound(input)?, end: take_bound(input)? })),
            _ => None,
        }
    }
}

/// Appends a number in seven bits a byte, the lowest first.
pub(crate) fn put_number(out: &mut Vec<u8>, number: usize) {
    let mut rest = number;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// Takes a number off `input`.
pub(crate) fn take_number(input: &mut Bytes) -> Option<usize> {
    let mut number = 0usize;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = take_byte(input)?;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Appends bytes with their length before them.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Takes bytes with their length before them off `input`, without copying them.
pub(crate) fn take_bytes(input: &mut Bytes) -> Option<Bytes> {
    let length = take_number(input)?;
    (length <= input.len()).then(|| input.split_to(length))
}

fn take_byte(input: &mut Bytes) -> Option<u8> {
    let byte = *input.first()?;
    drop(input.split_to(1));
    Some(byte)
}

fn put_bound(out: &mut Vec<u8>, bound: &Bound<Vec<u8>>) {
    match bound {
        Bound::Unbounded => out.push(UNBOUNDED),
        Bound::Included(key) => {
            out.push(INCLUDED);
            put_bytes(out, key);
        }
        Bound::Excluded(key) => {
            out.push(EXCLUDED);
            put_bytes(out, key);
        }
    }
}

fn take_bound(input: &mut Bytes) -> Option<Bound<Vec<u8>>> {
    match take_byte(input)? {
        UNBOUNDED => Some(Bound::Unbounded),
        INCLUDED => Some(Bound::Included(take_bytes(input)?.to_vec())),
        EXCLUDED => Some(Bound::Excluded(take_bytes(input)?.to_vec())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_reads_back_and_nothing_shorter_does() {
        let ops = [
            Op::Put(Bytes::from_static(b"key"), Bytes::from(vec![7; 300])),
            Op::Put(Bytes::new(), Bytes::new()),
            Op::Delete(Bytes::from_static(b"gone")),
            Op::DeleteRange(KeyRange::prefix("p")),
            Op::DeleteRange(KeyRange::all().after("x")),
        ];
        for op in ops {
            let mut bytes = Vec::new();
            op.encode(&mut bytes);
            for length in 0..bytes.len() {
                assert_eq!(Op::decode(&mut Bytes::copy_from_slice(&bytes[..length])), None, "{op:?} cut to {length}");
            }
            let mut input = Bytes::from(bytes);
            assert_eq!(Op::decode(&mut input), Some(op));
            assert!(input.is_empty());
        }
    }

    #[test]
    fn numbers_read_back() {
        for number in [0, 1, 127, 128, 16_383, 16_384, usize::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(take_number(&mut Bytes::from(bytes)), Some(number));
        }
        assert_eq!(take_number(&mut Bytes::from_static(&[0xff; 12])), None);
    }
}
