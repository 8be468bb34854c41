//! The counters and settings of a database.

use crate::{
    Corrupt,
    codec::{Reader, put_number},
};
use tidegate_types::Seq;

const VERSION: u8 = 1;

/// What is counted of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) purge_seq: u64,
    /// Documents whose winner is live, and those whose winner is a tombstone.
    pub(crate) doc_count: u64,
    pub(crate) doc_del_count: u64,
    /// Bytes of all bodies that are stored, those of old revisions included.
    pub(crate) body_bytes: u64,
    /// Bytes of all attachments that are stored.
    pub(crate) attachment_bytes: u64,
}

/// What a database knows of itself. One record, written by every commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Random; tells a database from another of the same name.
    pub(crate) uuid: [u8; 8],
    /// When it was made, in seconds since 1970.
    pub(crate) created_s: u64,
    pub(crate) update_seq: Seq,
    /// Of the default collection; others have a record of their own.
    pub(crate) counters: Counters,
    pub(crate) revs_limit: u64,
}

impl Counters {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { purge_seq, doc_count, doc_del_count, body_bytes, attachment_bytes } = self;
        for number in [purge_seq, doc_count, doc_del_count, body_bytes, attachment_bytes] {
            put_number(out, *number);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            purge_seq: reader.number()?,
            doc_count: reader.number()?,
            doc_del_count: reader.number()?,
            body_bytes: reader.number()?,
            attachment_bytes: reader.number()?,
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        self.put(&mut out);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        Self::read(&mut Reader::versioned("collection", VERSION, bytes)?)
    }
}

impl Meta {
    pub(crate) fn new(uuid: [u8; 8], created_s: u64, revs_limit: u64) -> Self {
        Self { uuid, created_s, update_seq: Seq::ZERO, counters: Counters::default(), revs_limit }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.uuid);
        put_number(&mut out, self.created_s);
        put_number(&mut out, self.update_seq.get());
        self.counters.put(&mut out);
        put_number(&mut out, self.revs_limit);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned("database", VERSION, bytes)?;
        Ok(Self {
            uuid: reader.array()?,
            created_s: reader.number()?,
            update_seq: Seq::new(reader.number()?),
            counters: Counters::read(&mut reader)?,
            revs_limit: reader.number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let bytes = b"\x01uuiduuid\xac\x02\x02\x03\x04\x05\x06\x07\xe8\x07";
        let meta = Meta::decode(bytes).unwrap();
        let expected =
            Meta { uuid: *b"uuiduuid", created_s: 300, update_seq: Seq::new(2), counters: COUNTERS, revs_limit: 1_000 };
        assert_eq!(meta, expected);
        assert_eq!(meta.encode(), bytes);
        for length in 0..bytes.len() {
            assert!(Meta::decode(&bytes[..length]).is_err());
        }
    }

    const COUNTERS: Counters =
        Counters { purge_seq: 3, doc_count: 4, doc_del_count: 5, body_bytes: 6, attachment_bytes: 7 };

    #[test]
    fn version_1_of_a_collection_is_readable() {
        let bytes = b"\x01\x03\x04\x05\x06\x07";
        assert_eq!(Counters::decode(bytes), Ok(COUNTERS));
        assert_eq!(COUNTERS.encode(), bytes);
        for length in 0..bytes.len() {
            assert!(Counters::decode(&bytes[..length]).is_err());
        }
    }
}
