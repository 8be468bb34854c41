//! Databases that are configured before they are there: a cut in between leaves nothing.

use crate::{Caller, Database, Engine, Error, Layout, rules, sync};
use tidegate_store::{Documents, Unpublished};
use tidegate_types::DbName;

/// A database that isn't there for others yet. Dropped before it is published, it never was.
pub struct NewDatabase {
    unpublished: Unpublished,
    database: Database,
}

impl Engine {
    /// Makes a database whose documents are in channels, to be configured before it is published.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::DatabaseExists`], [`Error::TooManyDatabases`], or the storage failed.
    pub async fn prepare_database_in_channels(&self, caller: &Caller, name: &DbName) -> Result<NewDatabase, Error> {
        self.check_admin(caller)?;
        self.inner.check_room()?;
        self.inner.store.check_free(name).await?;
        let settings = rules::settings_of(name, Layout::Whole)?.into_iter().chain(Documents::InChannels.setting());
        let unpublished = self.inner.store.prepare(name, self.inner.now_s(), settings.collect()).await?;
        self.configured(caller, unpublished).await
    }

    /// Makes an empty database that is governed as this one is, to take its place.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators, the database is gone, or the storage failed.
    pub async fn prepare_successor(&self, db: &Database) -> Result<NewDatabase, Error> {
        db.check_admin()?;
        let mut settings: Vec<_> =
            db.store.has_channels().then(|| Documents::InChannels.setting()).into_iter().collect();
        for name in rules::SETTINGS {
            settings.push(db.store.setting(name).await?.map(|value| (name, value)));
        }
        let settings = settings.into_iter().flatten().collect();
        let unpublished = self.inner.store.prepare(db.name(), self.inner.now_s(), settings).await?;
        unpublished.database().set_revs_limit(db.info().await?.revs_limit).await?;
        for collection in db.store.collections() {
            let successor = unpublished.database().make_collection(collection.collection_name()).await?;
            sync::set(&successor, sync::source(&collection).await?.as_deref()).await?;
        }
        self.configured(&db.caller, unpublished).await
    }

    async fn configured(&self, caller: &Caller, unpublished: Unpublished) -> Result<NewDatabase, Error> {
        let store = unpublished.database().clone();
        let rules = self.inner.rules(&store).await?;
        let viewer = self.inner.viewer(&store, &rules, caller).await?;
        Ok(NewDatabase { unpublished, database: Database::new((self.clone(), store, rules), caller.clone(), viewer) })
    }

    /// Lets others find a database by its name.
    ///
    /// # Errors
    /// [`Error::DatabaseExists`], or the storage failed.
    pub async fn publish_database(&self, new: NewDatabase) -> Result<(), Error> {
        let NewDatabase { unpublished, database } = new;
        let published = self.inner.store.publish(unpublished).await.map(drop);
        if published.is_err() {
            self.inner.forget_rules(&database.store.uuid());
        }
        Ok(published?)
    }

    /// Puts a database into the place of the one of its name, which is deleted with all it holds.
    ///
    /// # Errors
    /// [`Error::NoDatabase`] where there is none by now, or the storage failed.
    pub async fn replace_database(&self, new: NewDatabase) -> Result<(), Error> {
        let NewDatabase { unpublished, database } = new;
        let old = self.inner.store.database(database.name()).await?.uuid();
        self.inner.store.replace(unpublished).await?;
        self.inner.forget_rules(&old);
        Ok(())
    }

    /// Lets go of a database that is not to be.
    pub fn discard_database(&self, new: NewDatabase) {
        let NewDatabase { unpublished: _unpublished, database } = new;
        self.inner.forget_rules(&database.store.uuid());
    }
}

impl NewDatabase {
    /// The database, for its configuration.
    pub fn database(&self) -> &Database {
        &self.database
    }
}
