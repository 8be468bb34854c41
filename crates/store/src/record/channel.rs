//! A row of the channel index.

use super::{ChangeRecord, periods};
use crate::{Corrupt, changes::Change, codec::Reader};
use tidegate_channels::Periods;
use tidegate_types::Seq;

const VERSION: u8 = 1;
const REMOVED: u8 = 1;

/// What a channel's index says of a document: that it is in it, or left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChannelRecord {
    pub(crate) removed: bool,
    pub(crate) stays: Periods,
    pub(crate) change: Change,
}

impl ChannelRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, if self.removed { REMOVED } else { 0 }];
        periods::put(&mut out, &self.stays);
        out.extend_from_slice(&ChangeRecord::encode(&self.change));
        out
    }

    pub(crate) fn decode(seq: Seq, bytes: &[u8]) -> Result<Self, Corrupt> {
        Self::read(seq, bytes, |_removed, reader| periods::read(reader))
    }

    /// Without the stays of a document that is in the channel: most rows are asked for nothing but their change.
    pub(crate) fn decode_change(seq: Seq, bytes: &[u8]) -> Result<Self, Corrupt> {
        Self::read(seq, bytes, |removed, reader| match removed {
            true => periods::read(reader),
            false => periods::skip(reader).map(|()| Periods::default()),
        })
    }

    fn read(
        seq: Seq,
        bytes: &[u8],
        stays: impl FnOnce(bool, &mut Reader<'_>) -> Result<Periods, Corrupt>,
    ) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned("channel", VERSION, bytes)?;
        let removed = reader.byte()? & REMOVED != 0;
        let stays = stays(removed, &mut reader)?;
        let change = ChangeRecord::decode(seq, reader.rest())?;
        Ok(Self { removed, stays, change })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let bytes = b"\x01\x01\x02\x03\x05\x08\x00\x01\x00\x03doc\x07\x00\x02\x02b";
        let record = ChannelRecord::decode(Seq::new(9), bytes).unwrap();
        assert!(record.removed);
        assert_eq!(record.stays.current(), Some(Seq::new(8)));
        assert_eq!((record.change.id.as_str(), record.change.seq), ("doc", Seq::new(9)));
        assert_eq!(record.encode(), bytes);
        assert_eq!(ChannelRecord::decode_change(Seq::new(9), bytes), Ok(record.clone()));
        let present = ChannelRecord { removed: false, ..record };
        let told = ChannelRecord { stays: Periods::default(), ..present.clone() };
        assert_eq!(ChannelRecord::decode_change(Seq::new(9), &present.encode()), Ok(told));
        for length in 0..bytes.len() {
            assert!(ChannelRecord::decode(Seq::new(9), &bytes[..length]).is_err());
        }
    }
}
