//! A user or a role.

use super::periods;
use crate::{
    Corrupt, Grant, Granted,
    codec::{Reader, put_length, put_number, put_text},
};
use bytes::Bytes;
use tidegate_channels::Periods;
use tidegate_types::{Channel, Principal, PrincipalName, Seq};

const VERSION: u8 = 1;

/// A principal, or what is left of one that was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PrincipalRecord {
    /// Of its latest change.
    pub(crate) seq: Seq,
    /// When it was there.
    pub(crate) periods: Periods,
    /// Granted by an administrator; sorted, each once.
    pub(crate) channels: Vec<Channel>,
    pub(crate) roles: Vec<PrincipalName>,
    /// Everything else that is known of it.
    pub(crate) settings: Bytes,
}

impl PrincipalRecord {
    /// What an administrator granted it. Sorted: as channels come before roles, and both are sorted.
    pub(crate) fn explicit(&self, to: &Principal) -> Vec<Grant> {
        let channels = self.channels.iter().cloned().map(Granted::Channel);
        let roles = self.roles.iter().cloned().map(Granted::Role);
        channels.chain(roles).map(|what| Grant { to: to.clone(), what }).collect()
    }

    /// Whether an administrator granted it this.
    pub(crate) fn grants(&self, what: &Granted) -> bool {
        match what {
            Granted::Channel(channel) => self.channels.contains(channel),
            Granted::Role(role) => self.roles.contains(role),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_number(&mut out, self.seq.get());
        periods::put(&mut out, &self.periods);
        put_length(&mut out, self.channels.len());
        self.channels.iter().for_each(|channel| put_text(&mut out, channel.as_str()));
        put_length(&mut out, self.roles.len());
        self.roles.iter().for_each(|role| put_text(&mut out, role.as_str()));
        out.extend_from_slice(&self.settings);
        out
    }

    /// Copies nothing of the settings: they are a slice of `bytes`.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned("principal", VERSION, bytes)?;
        let seq = Seq::new(reader.number()?);
        let periods = periods::read(&mut reader)?;
        let (mut channels, mut roles) = (Vec::new(), Vec::new());
        for _ in 0..reader.length()? {
            channels.push(reader.parsed("illegal channel")?);
        }
        for _ in 0..reader.length()? {
            roles.push(reader.parsed("illegal role")?);
        }
        Ok(Self { seq, periods, channels, roles, settings: bytes.slice_ref(reader.rest()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let bytes = b"\x01\x09\x01\x03\x00\x01\x01a\x01\x01r{\"x\":1}";
        let record = PrincipalRecord::decode(&Bytes::from_static(bytes)).unwrap();
        assert_eq!((record.seq, record.periods.current()), (Seq::new(9), Some(Seq::new(3))));
        assert_eq!((record.channels.len(), record.roles.len(), &*record.settings), (1, 1, b"{\"x\":1}".as_slice()));
        assert_eq!(record.encode(), bytes);
    }
}
