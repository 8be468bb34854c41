//! Settings: small named records of a database or of the server. What they mean is their owner's to know.

use crate::{
    Database, Error, Store,
    codec::Reader as RecordReader,
    commit::Draft,
    keys::{self, Key, Keys, SERVER_SCOPE},
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
    /// The database's setting of this name.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn setting(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.read_setting(self.collection.keys.setting(name)).await
    }

    /// The collection's setting of this name.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn own_setting(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.read_setting(self.collection.keys.own_setting(name)).await
    }

    /// Sets a setting of the database.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn put_setting(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.write_setting(self.collection.keys.setting(name), value).await
    }

    /// Sets a setting of the collection.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn put_own_setting(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.write_setting(self.collection.keys.own_setting(name), value).await
    }

    async fn read_setting(&self, key: Key) -> Result<Option<Bytes>, Error> {
        let bytes = self.inner.snapshot()?.get(&key).await?;
        bytes.map(|bytes| decode(&bytes)).transpose()
    }

    async fn write_setting(&self, key: Key, value: &[u8]) -> Result<(), Error> {
        let value = encode(value);
        let apply = move |draft: &mut Draft<'_>| {
            draft.put(key.clone(), value.clone());
            draft.change_rules();
            Ok(())
        };
        self.inner.propose_one(Vec::new(), Box::new(apply)).await
    }

    /// Sets a setting of the collection that nothing is judged by: the rules stay as they are.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn put_note(&self, name: &str, value: &[u8]) -> Result<(), Error> {
        let (key, value) = (self.collection.keys.own_setting(name), encode(value));
        let apply = move |draft: &mut Draft<'_>| {
            draft.put(key.clone(), value.clone());
            Ok(())
        };
        self.inner.propose_one(Vec::new(), Box::new(apply)).await
    }

    /// Puts its documents into channels from now on: each edit needs an [`Assignment`](crate::Assignment) then. Those that
    /// are there already are in none until they are assigned.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn use_channels(&self) -> Result<(), Error> {
        self.put_setting(DOCUMENTS, IN_CHANNELS).await?;
        // Not before it is durable: what is assigned belongs to a database with channels.
        self.inner.has_channels.store(true, Ordering::Release);
        Ok(())
    }

    /// Grows whenever a setting or a design document has changed: what was made of them before is stale then.
    pub fn rules_version(&self) -> u64 {
        self.inner.rules_version.load(Ordering::Acquire)
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
