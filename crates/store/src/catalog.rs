//! Which databases there are.

use crate::{
    Corrupt, Database, Error,
    codec::{Reader, put_number},
    collections,
    compact::Compaction,
    database::{Found, Inner, Surroundings},
    keys::{self, DEFAULT_COLLECTION, Keys},
    news::{Event, News},
    record::Meta,
    settings::{self, Documents},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};
use tidegate_kv::{Direction, Kv, Snapshot, Transaction};
use tidegate_types::DbName;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

const VERSION: u8 = 1;
/// Keys of a deleted database cleared in one commit.
const CLEARED_AT_ONCE: usize = 2_000;

/// All databases of one storage.
pub struct Store {
    pub(crate) catalog: Arc<Catalog>,
}

pub(crate) struct Catalog {
    kv: Kv,
    tasks: TaskTracker,
    news: Arc<News>,
    open: RwLock<HashMap<DbName, Database>>,
    count: AtomicUsize,
    /// Held while the catalogue changes or a database is opened.
    changing: Mutex<()>,
}

impl Store {
    /// The databases in this storage. What was left of deleted ones is cleared in the background.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn open(kv: Kv) -> Result<Self, Error> {
        let snapshot = kv.snapshot()?;
        let (tasks, changing) = (TaskTracker::new(), Mutex::default());
        let count = AtomicUsize::new(names(&snapshot).await?.len());
        let catalog = Arc::new(Catalog { kv, tasks, news: Arc::default(), open: RwLock::default(), count, changing });
        let trash = snapshot.scan(keys::trash_all(), Direction::Forward, usize::MAX).await?;
        for number in trash.iter().filter_map(|(key, _)| keys::trash_number(key)) {
            catalog.clear(number);
        }
        Ok(Self { catalog })
    }

    /// Makes a database. `created_s` is the time in seconds since 1970.
    ///
    /// # Errors
    /// As [`Store::create_with`].
    pub async fn create(&self, name: &DbName, created_s: u64) -> Result<Database, Error> {
        self.create_with(name, created_s, Vec::new()).await
    }

    /// Makes a database with these settings. `created_s` is the time in seconds since 1970.
    ///
    /// If the caller goes away, it is made all the same.
    ///
    /// # Errors
    /// [`Error::DatabaseExists`], or the storage failed.
    pub async fn create_with(
        &self,
        name: &DbName,
        created_s: u64,
        settings: Vec<(&'static str, Bytes)>,
    ) -> Result<Database, Error> {
        let (catalog, name) = (Arc::clone(&self.catalog), name.clone());
        self.complete(async move { catalog.create(&name, created_s, settings).await }).await
    }

    /// The database of this name.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], or the storage failed.
    pub async fn database(&self, name: &DbName) -> Result<Database, Error> {
        if let Some(database) = self.catalog.opened(name) {
            return Ok(database);
        }
        let _changing = self.catalog.changing.lock().await;
        self.catalog.database(name).await
    }

    /// Deletes a database with all it holds. Its feeds end; its data is cleared in the background.
    ///
    /// If the caller goes away, it is deleted all the same.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], or the storage failed.
    pub async fn delete(&self, name: &DbName) -> Result<(), Error> {
        let (catalog, name) = (Arc::clone(&self.catalog), name.clone());
        self.complete(async move { catalog.delete(&name).await }).await
    }

    /// The names of all databases, in order.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn names(&self) -> Result<Vec<DbName>, Error> {
        names(&self.catalog.kv.snapshot()?).await
    }

    /// The databases that were used since the start, in no order.
    pub fn opened(&self) -> Vec<Database> {
        let open = self.catalog.open.read().unwrap_or_else(PoisonError::into_inner);
        open.values().cloned().collect()
    }

    /// How many databases there are.
    pub fn count(&self) -> usize {
        self.catalog.count.load(Ordering::Relaxed)
    }

    /// The compactions that are running, in the order of their databases' names.
    pub fn compactions(&self) -> Vec<Compaction> {
        let open = self.catalog.open.read().unwrap_or_else(PoisonError::into_inner);
        let running = open.values().filter_map(|database| database.inner.compaction.compaction(database.name()));
        let mut compactions: Vec<Compaction> = running.collect();
        compactions.sort_unstable_by(|left, right| left.database.cmp(&right.database));
        compactions
    }

    /// What happens to databases.
    pub fn news(&self) -> &Arc<News> {
        &self.catalog.news
    }

    /// The storage below, for its health, its figures and backups.
    pub fn storage(&self) -> &Kv {
        &self.catalog.kv
    }

    /// Ends background work: waits for running commits, then for the storage's last checkpoint.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn close(&self) -> Result<(), Error> {
        self.catalog.tasks.close();
        self.catalog.tasks.wait().await;
        Ok(self.catalog.kv.clone().close().await?)
    }

    /// Runs a change to its end, whether or not the caller waits for it: cut in the middle, memory and storage would say
    /// different things.
    pub(crate) async fn complete<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.catalog.tasks.spawn(change).await.unwrap_or(Err(Error::Stopped))
    }
}

async fn names(snapshot: &Snapshot) -> Result<Vec<DbName>, Error> {
    let entries = snapshot.scan(keys::catalog_all(), Direction::Forward, usize::MAX).await?;
    Ok(entries.iter().filter_map(|(key, _)| keys::catalog_name(key)).collect())
}

impl Catalog {
    async fn create(
        &self,
        name: &DbName,
        created_s: u64,
        settings: Vec<(&'static str, Bytes)>,
    ) -> Result<Database, Error> {
        let _changing = self.changing.lock().await;
        let mut transaction = self.kv.begin(keys::CATALOG_SCOPE).await?;
        check_free(&transaction, name).await?;
        let (number, meta) = begin(&mut transaction, created_s, settings).await?;
        transaction.put(keys::catalog(name), encode_number(number));
        transaction.commit().await?;
        let documents = Documents::load(&self.kv.snapshot()?, Keys::new(number)).await?;
        let database = self.handle(Found { name: name.clone(), number, meta, documents, collections: BTreeMap::new() });
        self.enlist(&database);
        Ok(database)
    }

    /// Checks that no database has this name.
    pub(crate) async fn check_free(&self, name: &DbName) -> Result<(), Error> {
        match self.kv.snapshot()?.get(&keys::catalog(name)).await? {
            Some(_) => Err(Error::DatabaseExists(name.clone())),
            None => Ok(()),
        }
    }

    /// Makes a database that isn't in the catalogue: it lies among what is to be cleared after a crash.
    pub(crate) async fn prepare(
        &self,
        name: &DbName,
        created_s: u64,
        settings: Vec<(&'static str, Bytes)>,
    ) -> Result<Database, Error> {
        let _changing = self.changing.lock().await;
        let mut transaction = self.kv.begin(keys::CATALOG_SCOPE).await?;
        let (number, meta) = begin(&mut transaction, created_s, settings).await?;
        transaction.put(keys::trash(number), Vec::new());
        transaction.commit().await?;
        let documents = Documents::load(&self.kv.snapshot()?, Keys::new(number)).await?;
        Ok(self.handle(Found { name: name.clone(), number, meta, documents, collections: BTreeMap::new() }))
    }

    /// Puts a database that was prepared into the catalogue.
    pub(crate) async fn publish(&self, database: &Database) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let (name, number) = (database.name(), database.inner.number);
        let mut transaction = self.kv.begin(keys::CATALOG_SCOPE).await?;
        check_free(&transaction, name).await?;
        transaction.put(keys::catalog(name), encode_number(number));
        transaction.delete(keys::trash(number));
        transaction.commit().await?;
        self.enlist(database);
        Ok(())
    }

    /// Puts a database that was prepared into the place of the one of its name.
    pub(crate) async fn replace(&self, successor: &Database) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let (name, number) = (successor.name(), successor.inner.number);
        let database = self.database(name).await?;
        let mut transaction = self.kv.begin(keys::CATALOG_SCOPE).await?;
        transaction.put(keys::catalog(name), encode_number(number));
        transaction.delete(keys::trash(number));
        self.dispose(&database, transaction).await?;
        self.enlist(successor);
        Ok(())
    }

    /// Clears a database that was prepared and never published.
    pub(crate) fn abandon(&self, database: &Database) {
        database.inner.publish_deletion();
        self.clear(database.inner.number);
    }

    /// A database is in the catalogue from now on.
    fn enlist(&self, database: &Database) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(database.name().clone(), database.clone());
        self.count.fetch_add(1, Ordering::Relaxed);
        self.news.tell(database.name(), Event::Created);
    }

    async fn delete(&self, name: &DbName) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let database = self.database(name).await?;
        let mut transaction = self.kv.begin(keys::CATALOG_SCOPE).await?;
        transaction.delete(keys::catalog(name));
        self.dispose(&database, transaction).await
    }

    /// Commits what takes a database out of the catalogue, and has it cleared.
    async fn dispose(&self, database: &Database, mut transaction: Transaction) -> Result<(), Error> {
        let (name, number) = (database.name(), database.inner.number);
        transaction.put(keys::trash(number), Vec::new());
        // From here on no group and no part of an upload begins; those that have begun are waited for, so nothing is
        // written behind the clearing.
        database.inner.publish_deletion();
        drop(database.inner.uploading.write().await);
        drop(self.kv.begin(database.inner.home.scope()).await?);
        let committed = transaction.commit().await;
        // This handle is dead, even if the database isn't: it is opened anew then.
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        committed?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.news.tell(name, Event::Deleted);
        self.clear(number);
        Ok(())
    }

    fn opened(&self, name: &DbName) -> Option<Database> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The database of this name, opened if it isn't yet. Only while `changing` is held.
    async fn database(&self, name: &DbName) -> Result<Database, Error> {
        if let Some(database) = self.opened(name) {
            return Ok(database);
        }
        let snapshot = self.kv.snapshot()?;
        let entry = snapshot.get(&keys::catalog(name)).await?.ok_or_else(|| Error::NoDatabase(name.clone()))?;
        let number = decode_number(&entry)?;
        let meta = snapshot.get(&Keys::new(number).meta()).await?;
        let meta = Meta::decode(&meta.ok_or(Corrupt { record: "database", what: "missing" })?)?;
        let documents = Documents::load(&snapshot, Keys::new(number)).await?;
        let collections = collections::load(&snapshot, Keys::new(number)).await?;
        for collection in [DEFAULT_COLLECTION].iter().chain(collections.values()) {
            self.clear_uploads(Keys::new(number).within(*collection)).await?;
        }
        let database = self.handle(Found { name: name.clone(), number, meta, documents, collections });
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), database.clone());
        Ok(database)
    }

    fn handle(&self, found: Found) -> Database {
        let (kv, tasks, news) = (self.kv.clone(), self.tasks.clone(), Arc::clone(&self.news));
        Database::open(Inner::new(found, Surroundings { kv, tasks, news }))
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
    async fn clear_uploads(&self, keys: Keys) -> Result<(), Error> {
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

async fn check_free(transaction: &Transaction, name: &DbName) -> Result<(), Error> {
    match transaction.get(&keys::catalog(name)).await? {
        Some(_) => Err(Error::DatabaseExists(name.clone())),
        None => Ok(()),
    }
}

/// Writes what a new database begins with; its number and counters.
async fn begin(
    transaction: &mut Transaction,
    created_s: u64,
    settings: Vec<(&'static str, Bytes)>,
) -> Result<(u32, Meta), Error> {
    let number = match transaction.get(&keys::next_number()).await? {
        Some(bytes) => decode_number(&bytes)?,
        None => 1,
    };
    let meta = Meta::new(rand::random(), created_s, 1_000);
    transaction.put(keys::next_number(), encode_number(number.saturating_add(1)));
    transaction.put(Keys::new(number).meta(), meta.encode());
    for (name, value) in settings {
        transaction.put(Keys::new(number).setting(name), settings::encode(&value));
    }
    Ok((number, meta))
}

/// Clears a deleted database piece by piece, so that other databases' commits get their turn.
async fn clear_database(kv: &Kv, number: u32) -> Result<(), Error> {
    let keys = Keys::new(number);
    loop {
        let mut transaction = kv.begin(keys.scope()).await?;
        let mut found = Vec::new();
        let visit = |key: &[u8], _: &[u8]| {
            found.push(key.to_vec());
            ControlFlow::Continue(())
        };
        transaction.scan_with(keys.all(), Direction::Forward, CLEARED_AT_ONCE, visit).await?;
        if found.is_empty() {
            transaction.delete(keys::trash(number));
            transaction.commit().await?;
            return Ok(());
        }
        found.into_iter().for_each(|key| transaction.delete(key));
        transaction.commit().await?;
    }
}

fn encode_number(number: u32) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_number(&mut out, number.into());
    out
}

/// The number of a database, as the catalogue has it.
pub(crate) fn decode_number(bytes: &[u8]) -> Result<u32, Corrupt> {
    let mut reader = Reader::versioned("catalogue", VERSION, bytes)?;
    let number = reader.number()?;
    u32::try_from(number).map_err(|_invalid| reader.corrupt("number too great"))
}
