//! Settings: small named records of a database or of the server. What they mean is their owner's to know.

use crate::{
    Database, Error, Store,
    codec::Reader as RecordReader,
    commit::Draft,
    keys::{self, SERVER_SCOPE},
};
use bytes::Bytes;
use std::sync::atomic::Ordering;

const VERSION: u8 = 1;

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
            Ok(())
        };
        self.0.propose_one(Vec::new(), Box::new(apply)).await?;
        self.0.rules_version.fetch_add(1, Ordering::Release);
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

fn decode(bytes: &Bytes) -> Result<Bytes, Error> {
    Ok(bytes.slice_ref(RecordReader::versioned("setting", VERSION, bytes)?.rest()))
}
