//! What a principal was granted: one channel, or one role.

use super::periods;
use crate::{
    Corrupt,
    codec::{Reader, put_number},
};
use tidegate_channels::Periods;

const VERSION: u8 = 1;
const EXPLICIT: u8 = 1;

/// By whom something is granted, and when it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GrantRecord {
    /// Whether an administrator granted it.
    pub(crate) explicit: bool,
    /// How many documents grant it.
    pub(crate) documents: u64,
    pub(crate) periods: Periods,
}

impl GrantRecord {
    pub(crate) fn is_granted(&self) -> bool {
        self.explicit || self.documents > 0
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, if self.explicit { EXPLICIT } else { 0 }];
        put_number(&mut out, self.documents);
        periods::put(&mut out, &self.periods);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned("grant", VERSION, bytes)?;
        let explicit = reader.byte()? & EXPLICIT != 0;
        Ok(Self { explicit, documents: reader.number()?, periods: periods::read(&mut reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let bytes = b"\x01\x01\xac\x02\x02\x03\x05\x08\x00";
        let record = GrantRecord::decode(bytes).unwrap();
        assert_eq!((record.explicit, record.documents, record.periods.as_slice().len()), (true, 300, 2));
        assert_eq!(record.encode(), bytes);
        for length in 0..bytes.len() {
            assert!(GrantRecord::decode(&bytes[..length]).is_err());
        }
    }
}
