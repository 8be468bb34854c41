//! Databases that are configured before they are there: a cut in between leaves nothing.

use crate::{Caller, Database, Engine, Error, Layout, rules};
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
        let settings = rules::settings_of(name, Layout::Whole)?.into_iter().chain(Documents::InChannels.setting());
        let unpublished = self.inner.store.prepare(name, self.inner.now_s(), settings.collect()).await?;
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
