//! Which databases there are.

use crate::{
    Corrupt, Database, Error,
    codec::{Reader, put_number},
    database::Inner,
    keys::{self, Keys},
    record::Meta,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tidegate_kv::{Direction, Kv};
use tidegate_types::DbName;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

const VERSION: u8 = 1;
/// Keys of a deleted database cleared in one commit.
const CLEARED_AT_ONCE: usize = 2_000;

/// All databases of one storage.
pub struct Store {
    kv: Kv,
    tasks: TaskTracker,
    open: RwLock<HashMap<DbName, Database>>,
    count: AtomicUsize,
    /// Held while the catalogue changes or a database is opened.
    catalog: Mutex<()>,
}

impl Store {
    /// The databases in this storage. What was left of deleted ones is cleared in the background.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn open(kv: Kv) -> Result<Self, Error> {
        let count = AtomicUsize::new(0);
        let store = Self { kv, tasks: TaskTracker::new(), open: RwLock::default(), count, catalog: Mutex::default() };
        store.count.store(store.names().await?.len(), Ordering::Relaxed);
        let trash = store.kv.snapshot()?.scan(keys::trash_all(), Direction::Forward, usize::MAX).await?;
        for number in trash.iter().filter_map(|(key, _)| keys::trash_number(key)) {
            store.clear(number);
        }
        Ok(store)
    }

    /// Makes a database. `created_s` is the time in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::DatabaseExists`], or the storage failed.
    pub async fn create(&self, name: &DbName, created_s: u64) -> Result<Database, Error> {
        let _catalog = self.catalog.lock().await;
        let mut transaction = self.kv.begin(keys::CATALOG_SCOPE).await?;
        if transaction.get(&keys::catalog(name)).await?.is_some() {
            return Err(Error::DatabaseExists(name.clone()));
        }
        let number = match transaction.get(&keys::next_number()).await? {
            Some(bytes) => decode_number(&bytes)?,
            None => 1,
        };
        let meta = Meta::new(rand::random(), created_s, 1_000);
        transaction.put(keys::next_number(), encode_number(number.saturating_add(1)));
        transaction.put(keys::catalog(name), encode_number(number));
        transaction.put(Keys::new(number).meta(), meta.encode());
        transaction.commit().await?;
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(self.keep(name, number, &meta))
    }

    /// The database of this name.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], or the storage failed.
    pub async fn database(&self, name: &DbName) -> Result<Database, Error> {
        if let Some(database) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(database.clone());
        }
        let _catalog = self.catalog.lock().await;
        let snapshot = self.kv.snapshot()?;
        let entry = snapshot.get(&keys::catalog(name)).await?.ok_or_else(|| Error::NoDatabase(name.clone()))?;
        let number = decode_number(&entry)?;
        let meta = snapshot.get(&Keys::new(number).meta()).await?;
        let meta = Meta::decode(&meta.ok_or(Corrupt { record: "database", what: "missing" })?)?;
        // A concurrent caller may have been first; uploads may be running on its handle then.
        if let Some(database) = self.open.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(database.clone());
        }
        self.clear_uploads(number).await?;
        Ok(self.keep(name, number, &meta))
    }

    /// Deletes a database with all it holds. Its feeds end; its data is cleared in the background.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], or the storage failed.
    pub async fn delete(&self, name: &DbName) -> Result<(), Error> {
        let database = self.database(name).await?;
        let _catalog = self.catalog.lock().await;
        let mut transaction = self.kv.begin(keys::CATALOG_SCOPE).await?;
        if transaction.get(&keys::catalog(name)).await?.is_none() {
            return Err(Error::NoDatabase(name.clone()));
        }
        let number = database.0.number;
        transaction.delete(keys::catalog(name));
        transaction.put(keys::trash(number), Vec::new());
        // From here on no group begins; one that has begun is waited for, so nothing is written behind the clearing.
        database.0.publish_deletion();
        drop(self.kv.begin(database.0.keys.scope()).await?);
        transaction.commit().await?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.clear(number);
        Ok(())
    }

    /// The names of all databases, in order.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn names(&self) -> Result<Vec<DbName>, Error> {
        let entries = self.kv.snapshot()?.scan(keys::catalog_all(), Direction::Forward, usize::MAX).await?;
        Ok(entries.iter().filter_map(|(key, _)| keys::catalog_name(key)).collect())
    }

    /// How many databases there are.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The storage below, for its health, its figures and backups.
    pub fn storage(&self) -> &Kv {
        &self.kv
    }

    /// Ends background work: waits for running commits, then for the storage's last checkpoint.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn close(&self) -> Result<(), Error> {
        self.tasks.close();
        self.tasks.wait().await;
        Ok(self.kv.clone().close().await?)
    }

    fn keep(&self, name: &DbName, number: u32, meta: &Meta) -> Database {
        let inner = Inner::new(name.clone(), number, meta, self.kv.clone(), self.tasks.clone());
        let database = Database(Arc::new(inner));
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), database.clone());
        database
    }

    fn clear(&self, number: u32) {
        let kv = self.kv.clone();
        drop(self.tasks.spawn(async move {
            if let Err(error) = clear_database(&kv, number).await {
                tracing::error!(number, error = &error as &dyn std::error::Error, "a deleted database isn't cleared");
            }
        }));
    }

    /// Clears what uploads left that a crash cut short. Only before the database is handed out.
    async fn clear_uploads(&self, number: u32) -> Result<(), Error> {
        let keys = Keys::new(number);
        let left = self.kv.snapshot()?.scan(keys.uploads(), Direction::Forward, usize::MAX).await?;
        if left.is_empty() {
            return Ok(());
        }
        let mut transaction = self.kv.begin(keys.scope()).await?;
        for (key, _) in left {
            if let Some(blob) = keys.blob_in(&key) {
                transaction.delete_range(keys.chunks(blob));
            }
            transaction.delete(key);
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Clears a deleted database piece by piece, so that other databases' commits get their turn.
async fn clear_database(kv: &Kv, number: u32) -> Result<(), Error> {
    let keys = Keys::new(number);
    loop {
        let mut transaction = kv.begin(keys.scope()).await?;
        let entries = transaction.scan(keys.all(), Direction::Forward, CLEARED_AT_ONCE).await?;
        if entries.is_empty() {
            transaction.delete(keys::trash(number));
            transaction.commit().await?;
            return Ok(());
        }
        entries.into_iter().for_each(|(key, _)| transaction.delete(key));
        transaction.commit().await?;
    }
}

fn encode_number(number: u32) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_number(&mut out, number.into());
    out
}

fn decode_number(bytes: &[u8]) -> Result<u32, Corrupt> {
    let mut reader = Reader::versioned("catalogue", VERSION, bytes)?;
    let number = reader.number()?;
    u32::try_from(number).map_err(|_invalid| reader.corrupt("number too great"))
}
