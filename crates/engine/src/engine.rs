//! Operations on the server as a whole.

use crate::{
    Caller, Database, Error, Limits, Persistence, Sections, administrator,
    config::{ADMINS, Config, Ground, Live, check_admin},
    expiry, global_changes,
    logins::Logins,
    partition::Measurements,
    principals::Principals,
    replications::TellReplications,
    replicator::Taken,
    resync::Resyncs,
    rules::{self, Rules},
    scripts::Scripts,
    tombstones,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::SystemTime,
};
use tidegate_kv::{Health, Kv, Stats};
use tidegate_store::{Backup, CollectionId, Compaction, Documents, Store};
use tidegate_types::DbName;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Everything the server holds, behind its access checks. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) config: Config,
    pub(crate) logins: Logins,
    pub(crate) principals: Principals,
    pub(crate) scripts: Scripts,
    pub(crate) measurements: Measurements,
    /// What governs the databases in use, by their ids.
    rules: Mutex<HashMap<CollectionId, Arc<Rules>>>,
    pub(crate) replicator_taken: Taken,
    /// Who tells what replications are doing.
    pub(crate) replications: OnceLock<TellReplications>,
    pub(crate) administrator_taken: administrator::Taken,
    pub(crate) resyncs: Resyncs,
    databases_max: usize,
    identity: Identity,
    pub(crate) clock: fn() -> SystemTime,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the tasks are to end; at the latest when nobody uses the engine any more.
    stop: DropGuard,
}

/// What an engine is made with.
pub struct Options {
    /// What the operator's file says, as CouchDB's sections and keys.
    pub config: Sections,
    /// Whether everybody administers the server as long as no administrator is named.
    pub party: Party,
    /// Databases of the server.
    pub databases_max: usize,
    /// Who this server is.
    pub identity: Identity,
    /// What time it is.
    pub clock: fn() -> SystemTime,
}

/// Who administers a server that has no administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Everybody: `tidegate dev`, which listens on loopback alone.
    Open,
    /// Nobody.
    Closed,
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
    /// An engine over this storage. The system databases `_users`, with its design document, and `_replicator` are made if
    /// they aren't there.
    ///
    /// # Errors
    /// A value of the configuration isn't allowed, or the storage failed.
    pub async fn open(kv: Kv, options: Options) -> Result<Self, Error> {
        let Options { config, party, databases_max, identity, clock } = options;
        let store = Store::open(kv).await?;
        let ground = Ground { file: config, secret: Logins::secret(&store).await? };
        let config = Config::open(&store, ground, party).await?;
        let (logins, principals) = (Logins::new(), Principals::new());
        let (rules, scripts, replicator_taken) = (Mutex::default(), Scripts::default(), Taken::default());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new().drop_guard());
        let inner = Inner {
            store,
            config,
            logins,
            principals,
            scripts,
            measurements: Measurements::default(),
            rules,
            replicator_taken,
            replications: OnceLock::new(),
            administrator_taken: administrator::Taken::default(),
            resyncs: Resyncs::default(),
            databases_max,
            identity,
            clock,
            tasks,
            stop,
        };
        let engine = Self { inner: Arc::new(inner) };
        for name in [DbName::users(), DbName::replicator()] {
            match engine.inner.create(&name, Vec::new()).await {
                Ok(()) | Err(Error::DatabaseExists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        engine.inner.ensure_auth_design().await?;
        engine.inner.watch_databases().await?;
        engine.start_tasks();
        engine.resume_resyncs().await?;
        Ok(engine)
    }

    fn start_tasks(&self) {
        let (inner, news) = (Arc::downgrade(&self.inner), Arc::clone(self.inner.store.news()));
        let stop = self.inner.stop_token();
        drop(self.inner.tasks.spawn(global_changes::run(inner, news, stop.clone())));
        drop(self.inner.tasks.spawn(expiry::run(Arc::downgrade(&self.inner), stop.clone())));
        drop(self.inner.tasks.spawn(tombstones::run(Arc::downgrade(&self.inner), stop)));
    }

    /// What time it is.
    pub fn now(&self) -> SystemTime {
        (self.inner.clock)()
    }

    /// Who this server is.
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// What the configuration says now.
    pub fn live(&self) -> Arc<Live> {
        self.inner.config.live()
    }

    /// How much is too much.
    pub fn limits(&self) -> Limits {
        self.inner.config.live().limits
    }

    /// Checks that the caller administers the server.
    ///
    /// # Errors
    /// [`Error::Access`].
    pub fn check_admin(&self, caller: &Caller) -> Result<(), Error> {
        Ok(caller.context().check_admin()?)
    }

    /// Checks that the caller may read the server's figures.
    ///
    /// # Errors
    /// [`Error::Access`].
    pub fn check_metrics(&self, caller: &Caller) -> Result<(), Error> {
        Ok(caller.context().check_metrics()?)
    }

    /// The configuration, section by section; of administrators' passwords the hashes. Slow the first time, where the
    /// operator's file holds the passwords themselves.
    ///
    /// # Errors
    /// [`Error::Access`], or [`Error::Overloaded`] where too much is to be hashed.
    pub async fn config(&self, caller: &Caller) -> Result<Sections, Error> {
        self.check_admin(caller)?;
        let mut sections = Sections::clone(&self.inner.config.sections());
        for (name, hash) in self.admin_hashes().await? {
            sections.set(ADMINS, &name, &hash);
        }
        Ok(sections)
    }

    /// Sets a key of the configuration, or takes it away; what it was before. An administrator's password is kept, and
    /// told, as its hash.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::Refused`], or the storage failed.
    pub async fn set_config(
        &self,
        caller: &Caller,
        (section, key): (&str, &str),
        value: Option<&str>,
        persistence: Persistence,
    ) -> Result<Option<String>, Error> {
        self.check_admin(caller)?;
        let hashed = match (section, value) {
            (ADMINS, Some(password)) => {
                check_admin(key, password)?;
                Some(self.hash_admin(password).await?)
            }
            _ => None,
        };
        let hash_before = if section == ADMINS { self.admin_hashes().await?.remove(key) } else { None };
        let value = hashed.as_deref().or(value);
        let before = self.inner.config.change(&self.inner.store, (section, key), value, persistence).await?;
        if key == "authentication_db" {
            self.inner.ensure_auth_design().await?;
        }
        if section.ends_with("_auth") {
            self.inner.logins.forget_all();
        }
        Ok(hash_before.or(before))
    }

    /// Forgets settings that were made for the life of the process.
    ///
    /// # Errors
    /// [`Error::Access`].
    pub async fn reload_config(&self, caller: &Caller) -> Result<(), Error> {
        self.check_admin(caller)?;
        self.inner.config.reload().await?;
        self.inner.logins.forget_all();
        Ok(())
    }

    /// The names of all databases, in order.
    ///
    /// # Errors
    /// [`Error::Access`], or the storage failed.
    pub async fn database_names(&self, caller: &Caller) -> Result<Vec<DbName>, Error> {
        if self.inner.config.live().admin_only_all_dbs.is_on() {
            self.check_admin(caller)?;
        }
        Ok(self.inner.store.names().await?)
    }

    /// Whether there is a database of this name, for those who may say so to anybody.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn has_database(&self, name: &DbName) -> Result<bool, Error> {
        match self.inner.store.database(name).await.map_err(Error::from) {
            Ok(_) => Ok(true),
            Err(Error::NoDatabase(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a database.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::DatabaseExists`], [`Error::TooManyDatabases`], or the storage failed.
    pub async fn create_database(&self, caller: &Caller, name: &DbName, layout: Layout) -> Result<(), Error> {
        self.check_admin(caller)?;
        self.inner.create(name, rules::settings_of(name, layout)?).await?;
        if *name == self.inner.config.live().auth.users_db {
            self.inner.ensure_auth_design().await?;
        }
        if *name == DbName::global_changes() {
            self.inner.watch_databases().await?;
        }
        Ok(())
    }

    /// Makes a database whose documents are in channels, which its users have.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::DatabaseExists`], [`Error::TooManyDatabases`], or the storage failed.
    pub async fn create_database_in_channels(&self, caller: &Caller, name: &DbName) -> Result<(), Error> {
        self.check_admin(caller)?;
        let settings = rules::settings_of(name, Layout::Whole)?;
        self.inner.create(name, settings.into_iter().chain(Documents::InChannels.setting()).collect()).await
    }

    /// Deletes a database with all it holds.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::NoDatabase`], or the storage failed.
    pub async fn delete_database(&self, caller: &Caller, name: &DbName) -> Result<(), Error> {
        self.check_admin(caller)?;
        let uuid = self.inner.store.database(name).await?.uuid();
        self.inner.store.delete(name).await?;
        self.inner.forget_rules(&uuid);
        if *name == DbName::global_changes() {
            self.inner.watch_databases().await?;
        }
        Ok(())
    }

    /// The database of this name, for a caller who may use it.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::NoDatabase`], or the storage failed.
    pub async fn database(&self, caller: &Caller, name: &DbName) -> Result<Database, Error> {
        let store = self.inner.store.database(name).await?;
        let rules = self.inner.rules(&store).await?;
        let viewer = self.inner.viewer(&store, &rules, caller).await?;
        Ok(Database::new((self.clone(), store, rules), caller.clone(), viewer))
    }

    /// Begins a backup of everything this server holds, as it is now.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators, or the storage failed.
    pub async fn backup(&self, caller: &Caller) -> Result<Backup, Error> {
        self.check_admin(caller)?;
        let Identity { version, uuid } = &self.inner.identity;
        let now = (self.inner.clock)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(self.inner.store.backup(uuid, version, now).await?)
    }

    /// The compactions that are running.
    pub fn compactions(&self) -> Vec<Compaction> {
        self.inner.store.compactions()
    }

    /// Whether the storage takes writes.
    pub fn health(&self) -> Health {
        self.inner.store.storage().health()
    }

    /// What the storage has done since the start.
    pub fn storage_stats(&self) -> Stats {
        self.inner.store.storage().stats()
    }

    /// How many databases are open.
    pub fn open_databases(&self) -> u64 {
        u64::try_from(self.inner.store.opened().len()).unwrap_or(u64::MAX)
    }

    /// Ends background work and makes the storage's last checkpoint.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn close(&self) -> Result<(), Error> {
        self.inner.stop.token().cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.scripts.stop().await;
        Ok(self.inner.store.close().await?)
    }
}

/// How a database is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As one.
    Whole,
    /// In partitions, by what stands before the colon in documents' ids.
    Partitioned,
}

impl Inner {
    /// Cancelled when tasks are to end.
    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.token().clone()
    }

    /// The time in seconds since 1970.
    pub(crate) fn now_s(&self) -> u64 {
        (self.clock)().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    async fn create(&self, name: &DbName, settings: Vec<(&'static str, bytes::Bytes)>) -> Result<(), Error> {
        self.check_room()?;
        self.store.create_with(name, self.now_s(), settings).await?;
        Ok(())
    }

    /// Checks that there may be one more database.
    pub(crate) fn check_room(&self) -> Result<(), Error> {
        if self.store.count() < self.databases_max { Ok(()) } else { Err(Error::TooManyDatabases(self.databases_max)) }
    }

    /// Of a database that is gone.
    pub(crate) fn forget_rules(&self, uuid: &[u8; 8]) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| id.database != *uuid);
    }

    /// What governs a database now.
    pub(crate) async fn rules(&self, store: &tidegate_store::Database) -> Result<Arc<Rules>, Error> {
        let version = store.rules_version();
        let live = self.config.live();
        let known = self.rules.lock().unwrap_or_else(PoisonError::into_inner).get(&store.collection_id()).cloned();
        if let Some(rules) = known.filter(|rules| rules.is_current(version, &live)) {
            return Ok(rules);
        }
        let rules = Arc::new(Rules::load(store, version, live).await?);
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).insert(store.collection_id(), Arc::clone(&rules));
        Ok(rules)
    }
}
