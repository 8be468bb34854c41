//! Settings: small named records of a database or of the server. What they mean is their owner's to know.

use crate::{
    Database, Error, Store,
    codec::Reader as RecordReader,
    commit::Draft,
    keys::{self, Keys, SERVER_SCOPE},
};
use bytes::Bytes;
use std::sync::atomic::Ordering;
use tidegate_kv::Snapshot;

const VERSION: u8 = 1;
/// Whether a database's documents are in channels.
const DOCUMENTS: &str = "documents";
const IN_CHANNELS: &[u8] = b"in channels";

/// What access to a database's documents goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Documents {
    /// By the database alone.
    Alike,
    /// By the channels they are in.
    InChannels,
}

impl Documents {
    /// The setting that a database with such documents is made with.
    pub fn setting(self) -> Option<(&'static str, Bytes)> {
        (self == Self::InChannels).then_some((DOCUMENTS, Bytes::from_static(IN_CHANNELS)))
    }

    /// As it is set in the database with these keys.
    pub(crate) async fn load(snapshot: &Snapshot, keys: Keys) -> Result<Self, Error> {
        let bytes = snapshot.get(&keys.setting(DOCUMENTS)).await?;
        let setting = bytes.map(|bytes| decode(&bytes)).transpose()?;
        Ok(if setting.is_some_and(|value| value == IN_CHANNELS) { Self::InChannels } else { Self::Alike })
    }
}

impl Database {
    /// The setting of this name.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn setting(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let bytes = self.0.snapshot()?.get(&self.0.keys.setting(name)).await?;
        bytes.map(|bytes| decode(&bytes)).transpose()
    }

    /// Sets a setting.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn put_setting(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        let (key, value) = (self.0.keys.setting(name), encode(value));
        let apply = move |draft: &mut Draft<'_>| {
            draft.put(key.clone(), value.clone());
            draft.change_rules();
            Ok(())
        };
        self.0.propose_one(Vec::new(), Box::new(apply)).await?;
        Ok(())
    }

    /// Sets a setting that nothing is judged by: the rules stay as they are.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn put_note(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        let (key, value) = (self.0.keys.setting(name), encode(value));
        let apply = move |draft: &mut Draft<'_>| {
            draft.put(key.clone(), value.clone());
            Ok(())
        };
        self.0.propose_one(Vec::new(), Box::new(apply)).await
    }

    /// Puts its documents into channels from now on: each edit needs an [`Assignment`](crate::Assignment) then. Those that
    /// are there already are in none until they are assigned.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn use_channels(&self) -> Result<(), Error> {
        self.put_setting(DOCUMENTS, IN_CHANNELS).await?;
        // Not before it is durable: what is assigned belongs to a database with channels.
        self.0.has_channels.store(true, Ordering::Release);
        Ok(())
    }

    /// Grows whenever a setting or a design document has changed: what was made of them before is stale then.
    pub fn rules_version(&self) -> u64 {
        self.0.rules_version.load(Ordering::Acquire)
    }
}

impl Store {
    /// The server's setting of this name.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn setting(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let bytes = self.storage().snapshot()?.get(&keys::server_setting(name)).await?;
        bytes.map(|bytes| decode(&bytes)).transpose()
    }

    /// Sets a setting of the server.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn put_setting(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        let mut transaction = self.storage().begin(SERVER_SCOPE).await?;
        transaction.put(keys::server_setting(name), encode(value));
        transaction.commit().await?;
        Ok(())
    }
}

pub(crate) fn encode(value: &[u8]) -> Vec<u8> {
    [&[VERSION], value].concat()
}

pub(crate) fn decode(bytes: &Bytes) -> Result<Bytes, Error> {
    Ok(bytes.slice_ref(RecordReader::versioned("setting", VERSION, bytes)?.rest()))
}
