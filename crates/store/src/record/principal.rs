//! A user or a role.

use super::periods;
use crate::{
    Corrupt, Grant, Granted,
    codec::{Reader, put_length, put_number, put_text},
    keys::DEFAULT_COLLECTION,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use tidegate_channels::Periods;
use tidegate_types::{Channel, Principal, PrincipalName, Seq};

const VERSION: u8 = 1;
/// With channels in collections other than the default one.
const VERSION_OF_COLLECTIONS: u8 = 2;

/// A principal, or what is left of one that was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PrincipalRecord {
    /// Of its latest change.
    pub(crate) seq: Seq,
    /// When it was there.
    pub(crate) periods: Periods,
    /// Granted by an administrator, in the default collection; sorted, each once.
    pub(crate) channels: Vec<Channel>,
    pub(crate) roles: Vec<PrincipalName>,
    /// The channels in others, by their numbers; none of them is empty.
    pub(crate) collections: BTreeMap<u32, Vec<Channel>>,
    /// Everything else that is known of it.
    pub(crate) settings: Bytes,
}

impl PrincipalRecord {
    /// What an administrator granted it in this collection, with the default one its roles. Sorted: as channels come before
    /// roles, and both are sorted.
    pub(crate) fn explicit(&self, to: &Principal, collection: u32) -> Vec<Grant> {
        let roles: &[PrincipalName] = if collection == DEFAULT_COLLECTION { &self.roles } else { &[] };
        let channels = self.channels_in(collection).iter().cloned().map(Granted::Channel);
        let roles = roles.iter().cloned().map(Granted::Role);
        channels.chain(roles).map(|what| Grant { to: to.clone(), what }).collect()
    }

    /// The channels that an administrator granted it in this collection.
    pub(crate) fn channels_in(&self, collection: u32) -> &[Channel] {
        if collection == DEFAULT_COLLECTION {
            return &self.channels;
        }
        self.collections.get(&collection).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether an administrator granted it this, in this collection.
    pub(crate) fn grants(&self, what: &Granted, collection: u32) -> bool {
        match what {
            Granted::Channel(channel) => self.channels_in(collection).contains(channel),
            Granted::Role(role) => self.roles.contains(role),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![if self.collections.is_empty() { VERSION } else { VERSION_OF_COLLECTIONS }];
        put_number(&mut out, self.seq.get());
        periods::put(&mut out, &self.periods);
        put_channels(&mut out, &self.channels);
        put_length(&mut out, self.roles.len());
        self.roles.iter().for_each(|role| put_text(&mut out, role.as_str()));
        if !self.collections.is_empty() {
            put_length(&mut out, self.collections.len());
            for (collection, channels) in &self.collections {
                put_number(&mut out, (*collection).into());
                put_channels(&mut out, channels);
            }
        }
        out.extend_from_slice(&self.settings);
        out
    }

    /// Copies nothing of the settings: they are a slice of `bytes`.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        let has_collections = bytes.first() == Some(&VERSION_OF_COLLECTIONS);
        let version = if has_collections { VERSION_OF_COLLECTIONS } else { VERSION };
        let mut reader = Reader::versioned("principal", version, bytes)?;
        let seq = Seq::new(reader.number()?);
        let periods = periods::read(&mut reader)?;
        let (channels, mut roles) = (read_channels(&mut reader)?, Vec::new());
        for _ in 0..reader.length()? {
            roles.push(reader.parsed("illegal role")?);
        }
        let mut collections = BTreeMap::new();
        for _ in 0..if has_collections { reader.length()? } else { 0 } {
            let number = u32::try_from(reader.number()?).map_err(|_invalid| reader.corrupt("illegal collection"))?;
            collections.insert(number, read_channels(&mut reader)?);
        }
        Ok(Self { seq, periods, channels, roles, collections, settings: bytes.slice_ref(reader.rest()) })
    }
}

fn put_channels(out: &mut Vec<u8>, channels: &[Channel]) {
    put_length(out, channels.len());
    channels.iter().for_each(|channel| put_text(out, channel.as_str()));
}

fn read_channels(reader: &mut Reader<'_>) -> Result<Vec<Channel>, Corrupt> {
    let mut channels = Vec::new();
    for _ in 0..reader.length()? {
        channels.push(reader.parsed("illegal channel")?);
    }
    Ok(channels)
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

    /// As is one with collections.
    #[test]
    fn version_2_is_readable() {
        let bytes = b"\x02\x09\x01\x03\x00\x01\x01a\x01\x01r\x01\x07\x01\x01b{\"x\":1}";
        let record = PrincipalRecord::decode(&Bytes::from_static(bytes)).unwrap();
        let channels = |collection| record.channels_in(collection).iter().map(Channel::as_str).collect::<Vec<_>>();
        assert_eq!((channels(0), channels(7), channels(1)), (vec!["a"], vec!["b"], vec![]));
        assert_eq!(&*record.settings, b"{\"x\":1}".as_slice());
        assert_eq!(record.encode(), bytes);
        let ada = "ada".parse().unwrap();
        assert_eq!((record.explicit(&ada, 0).len(), record.explicit(&ada, 7).len()), (2, 1));
    }
}
