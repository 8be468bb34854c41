//! Operations on the server as a whole.

use crate::{Admins, Caller, Database, Error, Limits};
use std::sync::Arc;
use tidegate_kv::{Health, Kv, Stats};
use tidegate_store::Store;
use tidegate_types::DbName;

/// Everything the server holds, behind its access checks. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    admins: Admins,
    limits: Limits,
    identity: Identity,
    clock: fn() -> u64,
}

/// What an engine is made with.
pub struct Options {
    /// Who administers the server.
    pub admins: Admins,
    /// How much is too much.
    pub limits: Limits,
    /// Who this server is.
    pub identity: Identity,
    /// The time in seconds since 1970.
    pub clock: fn() -> u64,
}

/// Who this server is, for those who ask at its door.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The program's version.
    pub version: &'static str,
    /// 32 hexadecimal digits that stay the same over the life of the storage.
    pub uuid: String,
}

impl Engine {
    /// An engine over this storage.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn open(kv: Kv, options: Options) -> Result<Self, Error> {
        let Options { admins, limits, identity, clock } = options;
        let store = Store::open(kv).await?;
        Ok(Self { inner: Arc::new(Inner { store, admins, limits, identity, clock }) })
    }

    /// Who this server is.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// How much is too much.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// The caller with these credentials, or with none.
    ///
    /// # Errors
    /// [`Error::BadCredentials`].
    pub fn authenticate(&self, credentials: Option<(&str, &str)>) -> Result<Caller, Error> {
        self.inner.admins.authenticate(credentials)
    }

    /// Checks that the caller administers the server.
    ///
    /// # Errors
    /// [`Error::Unauthorized`].
    pub fn check_admin(&self, caller: &Caller) -> Result<(), Error> {
        if caller.is_admin() { Ok(()) } else { Err(Error::Unauthorized) }
    }

    /// The names of all databases, in order.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], or the storage failed.
    pub async fn database_names(&self, caller: &Caller) -> Result<Vec<DbName>, Error> {
        self.check_admin(caller)?;
        Ok(self.inner.store.names().await?)
    }

    /// Makes a database.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::DatabaseExists`], [`Error::TooManyDatabases`], or the storage failed.
    pub async fn create_database(&self, caller: &Caller, name: &DbName) -> Result<(), Error> {
        self.check_admin(caller)?;
        let databases_max = self.inner.limits.databases_max;
        if self.inner.store.count() >= databases_max {
            return Err(Error::TooManyDatabases(databases_max));
        }
        self.inner.store.create(name, (self.inner.clock)()).await?;
        Ok(())
    }

    /// Deletes a database with all it holds.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::NoDatabase`], or the storage failed.
    pub async fn delete_database(&self, caller: &Caller, name: &DbName) -> Result<(), Error> {
        self.check_admin(caller)?;
        Ok(self.inner.store.delete(name).await?)
    }

    /// The database of this name, for a caller who may use it.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::NoDatabase`], or the storage failed.
    pub async fn database(&self, caller: &Caller, name: &DbName) -> Result<Database, Error> {
        // CouchDB's default: a database admits server administrators until its `_security` says otherwise.
        self.check_admin(caller)?;
        Ok(Database::new(self.inner.store.database(name).await?, self.inner.limits))
    }

    /// Whether the storage takes writes.
    pub fn health(&self) -> Health {
        self.inner.store.storage().health()
    }

    /// What the storage has done since the start.
    pub fn storage_stats(&self) -> Stats {
        self.inner.store.storage().stats()
    }

    /// Ends background work and makes the storage's last checkpoint.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn close(&self) -> Result<(), Error> {
        Ok(self.inner.store.close().await?)
    }
}
