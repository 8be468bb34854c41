//! A row of the sequence index.

use crate::{
    Corrupt,
    changes::Change,
    codec::{Reader, put_length, put_number, put_rev, put_text},
};
use tidegate_types::{DocId, Seq};

const VERSION: u8 = 1;
const DELETED: u8 = 1;

/// What the feed says of a document, under the sequence of its latest change.
pub(crate) struct ChangeRecord;

impl ChangeRecord {
    pub(crate) fn encode(change: &Change) -> Vec<u8> {
        let mut out = Vec::with_capacity(48 + change.id.as_str().len());
        out.push(VERSION);
        out.push(if change.deleted { DELETED } else { 0 });
        put_text(&mut out, change.id.as_str());
        put_number(&mut out, change.winner_body.map_or(0, Seq::get));
        put_length(&mut out, change.others.len());
        put_rev(&mut out, &change.winner);
        for rev in &change.others {
            put_rev(&mut out, rev);
        }
        out
    }

    pub(crate) fn decode(seq: Seq, bytes: &[u8]) -> Result<Change, Corrupt> {
        let mut reader = Reader::versioned("change", VERSION, bytes)?;
        let deleted = reader.byte()? & DELETED != 0;
        let id: DocId = reader.text()?.parse().map_err(|_invalid| reader.corrupt("illegal document id"))?;
        let winner_body = Some(Seq::new(reader.number()?)).filter(|seq| *seq > Seq::ZERO);
        let count = reader.length()?;
        let winner = reader.rev()?;
        let mut others = Vec::new();
        for _ in 0..count {
            others.push(reader.rev()?);
        }
        Ok(Change { seq, id, deleted, winner, others, winner_body, reach: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &Change) {
        assert_eq!(ChangeRecord::decode(expected.seq, bytes).as_ref(), Ok(expected));
        assert_eq!(ChangeRecord::encode(expected), bytes);
        for length in 0..bytes.len() {
            assert!(ChangeRecord::decode(expected.seq, &bytes[..length]).is_err());
        }
    }

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let (id, winner): (DocId, _) = ("doc".parse().unwrap(), "2-b".parse().unwrap());
        let live = Change {
            seq: Seq::new(9),
            id,
            deleted: false,
            winner,
            others: vec!["2-6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b".parse().unwrap(), "1-".parse().unwrap()],
            winner_body: Some(Seq::new(300)),
            reach: None,
        };
        check(b"\x01\x00\x03doc\xac\x02\x02\x02\x02b\x02\x00kkkkkkkkkkkkkkkk\x01\x01", &live);
        let deleted = Change { deleted: true, others: Vec::new(), winner_body: None, ..live };
        check(b"\x01\x01\x03doc\x00\x00\x02\x02b", &deleted);
    }
}
