//! A purge that is remembered.

use crate::{
    Corrupt,
    codec::{Reader, put_length, put_rev, put_text},
};
use tidegate_types::{DocId, Rev};

const VERSION: u8 = 1;

/// What somebody asked to purge of one document, whether or not it was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeRecord {
    /// Of which document.
    pub id: DocId,
    /// The leaves to take away.
    pub revs: Vec<Rev>,
}

impl PurgeRecord {
    pub(crate) fn encode(id: &DocId, revs: &[Rev]) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_text(&mut out, id.as_str());
        put_length(&mut out, revs.len());
        revs.iter().for_each(|rev| put_rev(&mut out, rev));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned("purge", VERSION, bytes)?;
        let id = reader.text()?.parse().map_err(|_invalid| reader.corrupt("illegal id"))?;
        let count = reader.length()?;
        let mut revs = Vec::new();
        for _ in 0..count {
            revs.push(reader.rev()?);
        }
        if reader.is_at_end() { Ok(Self { id, revs }) } else { Err(reader.corrupt("bytes behind its end")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let bytes = b"\x01\x01d\x02\x01\x00kkkkkkkkkkkkkkkk\x02\x02a";
        let record = PurgeRecord::decode(bytes).unwrap();
        assert_eq!(record.id.as_str(), "d");
        assert_eq!(record.revs, ["1-6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b".parse().unwrap(), "2-a".parse().unwrap()]);
        assert_eq!(PurgeRecord::encode(&record.id, &record.revs), bytes);
        for length in 0..bytes.len() {
            assert!(PurgeRecord::decode(&bytes[..length]).is_err());
        }
        assert!(PurgeRecord::decode(&[bytes.as_slice(), b"x"].concat()).is_err());
    }
}
