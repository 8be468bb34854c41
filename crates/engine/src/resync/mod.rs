//! Resyncs: the sync function of now is asked again of every document, while the database serves.
//!
//! Where it says something else than before of a leaf, the document gets a new sequence in the commit that writes it, so
//! that feeds tell of it; a document that changed since it was read is looked at again. One that the function refuses, or
//! that it fails on, is in no channel and grants nothing from then on: access that the function of now doesn't give must
//! not stay. It counts as errored. Source: Sync Gateway's `getResyncedDocument`.
//!
//! Documents come in the order of their ids, a page at a time, and how far a resync has got is kept after each: it goes
//! on after a restart, and from the beginning where the function is another one meanwhile.

mod progress;
mod run;
#[cfg(test)]
mod tests;

pub use progress::{JobState, ResyncStatus};

use crate::{Caller, Database, Engine, Error, engine::Inner};
use progress::{Job, Progress};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tidegate_access::UserCtx;
use tidegate_store::CollectionId;
use tidegate_types::{CollectionName, DbName};

/// The setting of a database that holds its latest resync.
const NOTE: &str = "resync";
/// The setting of the server that names the databases with resyncs under way.
const UNDER_WAY: &str = "resyncs";

/// From where a resync begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResyncFrom {
    /// From where the latest one was stopped, or failed; from the beginning if none was.
    Where,
    /// From the beginning.
    Beginning,
}

/// The resyncs of all databases.
#[derive(Default)]
pub(crate) struct Resyncs {
    /// Under way.
    jobs: Mutex<HashMap<CollectionId, Arc<Job>>>,
    /// Held while the names of those under way are written.
    naming: tokio::sync::Mutex<()>,
}

impl Resyncs {
    fn job(&self, of: CollectionId) -> Option<Arc<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).get(&of).cloned()
    }

    /// Takes a job in; or gives the one that is under way.
    fn enter(&self, of: CollectionId, job: &Arc<Job>) -> Option<Arc<Job>> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = jobs.get(&of) {
            return Some(Arc::clone(known));
        }
        jobs.insert(of, Arc::clone(job));
        None
    }

    fn leave(&self, of: CollectionId) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(&of);
    }
}

impl Database {
    /// Starts a resync in the background, unless one is under way; and tells how it stands.
    ///
    /// # Errors
    /// [`Error::Access`], also for a database whose documents aren't in channels; the database is gone, or the storage
    /// failed.
    pub async fn start_resync(&self, from: ResyncFrom) -> Result<ResyncStatus, Error> {
        self.renewed().await?.check_admin()?;
        self.check_channels()?;
        let latest = Progress::load(&self.store).await?;
        let latest = latest.filter(|latest| from == ResyncFrom::Where && latest.state.is_resumable());
        let progress = latest.unwrap_or_else(|| Progress::new(self.engine.inner.now_s()));
        self.engine.begin_resync(&self.store, progress).await
    }

    /// Checks that its documents are in channels.
    ///
    /// # Errors
    /// [`Error::Access`], a bad request, where they aren't.
    pub fn check_channels(&self) -> Result<(), Error> {
        if self.store.has_channels() {
            return Ok(());
        }
        let reason = "The documents of this database are not in channels.";
        Err(tidegate_access::Error::BadRequest(reason.into()).into())
    }

    /// Has the resync that is under way stop after the documents it is at, and tells how it stands; `None` if there never
    /// was one.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn stop_resync(&self) -> Result<Option<ResyncStatus>, Error> {
        self.renewed().await?.check_admin()?;
        if let Some(job) = self.engine.inner.resyncs.job(self.store.collection_id()) {
            job.stop();
        }
        self.resync_status().await
    }

    /// How the resync that is under way stands, or how the latest one ended; `None` if there never was one.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn resync_status(&self) -> Result<Option<ResyncStatus>, Error> {
        self.check_admin()?;
        if let Some(job) = self.engine.inner.resyncs.job(self.store.collection_id()) {
            return Ok(Some(job.status()));
        }
        Ok(Progress::load(&self.store).await?.map(|progress| progress.status()))
    }

    /// Puts the documents into channels from now on, and those that are there by a resync. Until it has come to them,
    /// they are in none.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn use_channels(&self) -> Result<ResyncStatus, Error> {
        let db = self.renewed().await?;
        db.check_admin()?;
        if !db.store.has_channels() {
            db.store.use_channels().await?;
        }
        db.start_resync(ResyncFrom::Beginning).await
    }
}

impl Engine {
    async fn begin_resync(&self, db: &tidegate_store::Database, progress: Progress) -> Result<ResyncStatus, Error> {
        let job = Arc::new(Job::new(progress));
        if let Some(known) = self.inner.resyncs.enter(db.collection_id(), &job) {
            return Ok(known.status());
        }
        let kept = async {
            job.keep(db).await?;
            self.inner.name_resync(&place_of(db), Naming::Add).await
        };
        if let Err(error) = kept.await {
            self.inner.resyncs.leave(db.collection_id());
            return Err(error);
        }
        let status = job.status();
        let stop = self.inner.stop_token();
        drop(self.inner.tasks.spawn(run::run(Arc::downgrade(&self.inner), db.clone(), job, stop)));
        Ok(status)
    }

    /// Goes on with the resyncs that were under way when the server stopped.
    pub(crate) async fn resume_resyncs(&self) -> Result<(), Error> {
        for place in self.inner.named_resyncs().await? {
            let db = self.inner.resynced(&place).await?;
            let progress = match &db {
                Some(db) => Progress::load(db).await?.filter(|progress| progress.state == JobState::Running),
                None => None,
            };
            match (db, progress) {
                (Some(db), Some(progress)) => drop(self.begin_resync(&db, progress).await?),
                (None, _) | (_, None) => self.inner.name_resync(&place, Naming::Remove).await?,
            }
        }
        Ok(())
    }

    /// As nobody who needs rights: what the server does of its own accord.
    pub(crate) fn own_caller() -> Caller {
        Caller::new(UserCtx::nameless_admin())
    }
}

/// What becomes of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Add,
    Remove,
}

/// A collection by its name: that of its database, and its own where it isn't the default one.
type ResyncPlace = (DbName, Option<CollectionName>);

fn place_of(db: &tidegate_store::Database) -> ResyncPlace {
    (db.name().clone(), Some(db.collection_name().clone()).filter(|name| !name.is_default()))
}

/// As `db`, or as `db.scope.collection`.
fn parse_place(line: &str) -> Option<ResyncPlace> {
    match line.split_once('.') {
        Some((db, collection)) => Some((db.parse().ok()?, Some(collection.parse().ok()?))),
        None => Some((line.parse().ok()?, None)),
    }
}

fn line_of((db, collection): &ResyncPlace) -> String {
    collection.as_ref().map_or_else(|| db.to_string(), |collection| format!("{db}.{collection}"))
}

impl Inner {
    async fn named_resyncs(&self) -> Result<Vec<ResyncPlace>, Error> {
        let text = self.store.setting(UNDER_WAY).await?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&text).lines().filter_map(parse_place).collect())
    }

    /// `None` where there is no such database, or collection, any more.
    async fn resynced(&self, (db, collection): &ResyncPlace) -> Result<Option<tidegate_store::Database>, Error> {
        let db = match self.store.database(db).await {
            Err(tidegate_store::Error::NoDatabase(_)) => return Ok(None),
            db => db?,
        };
        Ok(match collection {
            Some(collection) => db.collection(collection),
            None => Some(db),
        })
    }

    async fn name_resync(&self, place: &ResyncPlace, naming: Naming) -> Result<(), Error> {
        let _naming = self.resyncs.naming.lock().await;
        let before = self.named_resyncs().await?;
        let mut places: Vec<ResyncPlace> = before.iter().filter(|known| *known != place).cloned().collect();
        if naming == Naming::Add {
            places.push(place.clone());
        }
        if places != before {
            let lines: Vec<String> = places.iter().map(line_of).collect();
            self.store.put_setting(UNDER_WAY, lines.join("\n").as_bytes()).await?;
        }
        Ok(())
    }
}
