//! What was decided on one revision: its channels, and what it grants.

use super::periods;
use crate::{
    Corrupt, Grant, Granted,
    codec::{Reader, put_length, put_number, put_text},
};
use tidegate_channels::Periods;
use tidegate_types::{Channel, Principal, Seq};

const VERSION: u8 = 1;
const CHANNEL: u8 = 0;
const ROLE: u8 = 1;

/// Beside the body of a revision, under the same sequence, in databases with channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AssignmentRecord {
    /// Sorted, each once.
    pub(crate) channels: Vec<Channel>,
    /// The channels that its document left with it: who has those may know that it is there.
    pub(crate) left: Vec<Channel>,
    /// Sorted, each once.
    pub(crate) grants: Vec<Grant>,
    /// When the document expires, in seconds since 1970.
    pub(crate) expires_s: Option<u64>,
    /// When the document was here; never, for one of before there were channels.
    pub(crate) stays: Periods,
}

impl AssignmentRecord {
    /// Since when the document is here; zero for one of before there were channels.
    pub(crate) fn since(&self) -> Seq {
        self.stays.as_slice().first().map_or(Seq::ZERO, |period| period.since)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        periods::put(&mut out, &self.stays);
        put_number(&mut out, self.expires_s.map_or(0, |at| at.saturating_add(1)));
        for channels in [&self.channels, &self.left] {
            put_length(&mut out, channels.len());
            channels.iter().for_each(|channel| put_text(&mut out, channel.as_str()));
        }
        put_length(&mut out, self.grants.len());
        for Grant { to, what } in &self.grants {
            let (kind, value) = match what {
                Granted::Channel(channel) => (CHANNEL, channel.as_str()),
                Granted::Role(role) => (ROLE, role.as_str()),
            };
            put_text(&mut out, &to.to_string());
            out.push(kind);
            put_text(&mut out, value);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned("assignment", VERSION, bytes)?;
        let stays = periods::read(&mut reader)?;
        let expires_s = reader.number()?.checked_sub(1);
        let channels = read_channels(&mut reader)?;
        let left = read_channels(&mut reader)?;
        let mut grants = Vec::new();
        for _ in 0..reader.length()? {
            grants.push(read_grant(&mut reader)?);
        }
        Ok(Self { channels, left, grants, expires_s, stays })
    }
}

fn read_channels(reader: &mut Reader<'_>) -> Result<Vec<Channel>, Corrupt> {
    let mut channels = Vec::new();
    for _ in 0..reader.length()? {
        channels.push(reader.parsed("illegal channel")?);
    }
    Ok(channels)
}

fn read_grant(reader: &mut Reader<'_>) -> Result<Grant, Corrupt> {
    let to: Principal = reader.parsed("illegal principal")?;
    let what = match reader.byte()? {
        CHANNEL => Granted::Channel(reader.parsed("illegal channel")?),
        ROLE => Granted::Role(reader.parsed("illegal role")?),
        _ => return Err(reader.corrupt("unknown grant")),
    };
    Ok(Grant { to, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let bytes = b"\x01\x01\x05\x00\x08\x02\x01a\x01b\x01\x01c\x02\x03ada\x00\x01x\x06role:r\x01\x01s";
        let record = AssignmentRecord::decode(bytes).unwrap();
        let channel = |name: &str| name.parse::<Channel>().unwrap();
        assert_eq!(record.channels, [channel("a"), channel("b")]);
        assert_eq!((record.left.as_slice(), record.expires_s), ([channel("c")].as_slice(), Some(7)));
        assert_eq!(record.since(), Seq::new(5));
        let to = |name: &str| name.parse().unwrap();
        let grants = [
            Grant { to: to("ada"), what: Granted::Channel(channel("x")) },
            Grant { to: to("role:r"), what: Granted::Role("s".parse().unwrap()) },
        ];
        assert_eq!(record.grants, grants);
        assert_eq!(record.encode(), bytes);
        for length in 0..bytes.len() {
            assert!(AssignmentRecord::decode(&bytes[..length]).is_err());
        }
    }
}
