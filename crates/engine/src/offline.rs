//! The storage of a server that doesn't run, for whoever may read its files: no caller is asked for.

use crate::Error;
use std::time::Duration;
use tidegate_kv::Kv;
use tidegate_store::{Backup, Inconsistency, Repair, Store};
use tidegate_types::DbName;

/// An open storage without a server.
pub struct Offline {
    store: Store,
}

impl Offline {
    /// The databases in this storage.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn open(kv: Kv) -> Result<Self, Error> {
        Ok(Self { store: Store::open(kv).await? })
    }

    /// The names of all databases, in order.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn names(&self) -> Result<Vec<DbName>, Error> {
        Ok(self.store.names().await?)
    }

    /// What doesn't agree in a database: at most the first thousand findings.
    ///
    /// # Errors
    /// The database can't be opened, or the storage failed.
    pub async fn check(&self, name: &DbName) -> Result<Vec<Inconsistency>, Error> {
        Ok(self.store.database(name).await?.check().await?)
    }

    /// Makes anew what follows from a database's documents.
    ///
    /// # Errors
    /// The database can't be opened, or the storage failed.
    pub async fn repair(&self, name: &DbName) -> Result<Repair, Error> {
        Ok(self.store.database(name).await?.repair().await?)
    }

    /// Begins a backup of everything. `since_1970` is the time.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn backup(&self, server_id: &str, program: &str, since_1970: Duration) -> Result<Backup, Error> {
        Ok(self.store.backup(server_id, program, since_1970).await?)
    }

    /// Makes the storage's last checkpoint.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn close(&self) -> Result<(), Error> {
        Ok(self.store.close().await?)
    }
}
