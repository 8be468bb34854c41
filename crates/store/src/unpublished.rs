//! Databases that are being made: whatever they need is written before anybody finds them by their names.

use crate::{Database, Error, Store, catalog::Catalog};
use bytes::Bytes;
use std::sync::Arc;
use tidegate_types::DbName;

/// A database that nobody finds by its name yet. Dropped before it is published, it was never there; a crash does the
/// same.
pub struct Unpublished {
    catalog: Arc<Catalog>,
    database: Database,
    is_published: bool,
}

impl Store {
    /// Makes a database with these settings that is to be found by its name when it is published. `created_s` is the time
    /// in seconds since 1970. Another one may have the name until then.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn prepare(
        &self,
        name: &DbName,
        created_s: u64,
        settings: Vec<(&'static str, Bytes)>,
    ) -> Result<Unpublished, Error> {
        let (catalog, name) = (Arc::clone(&self.catalog), name.clone());
        self.complete(async move {
            let database = catalog.prepare(&name, created_s, settings).await?;
            Ok(Unpublished { catalog, database, is_published: false })
        })
        .await
    }

    /// Checks that no database has this name.
    ///
    /// # Errors
    /// [`Error::DatabaseExists`], or the storage failed.
    pub async fn check_free(&self, name: &DbName) -> Result<(), Error> {
        self.catalog.check_free(name).await
    }

    /// Puts a database into the place of the one of its name, which is deleted with all it holds, in one commit. If the
    /// caller goes away, it is done all the same.
    ///
    /// # Errors
    /// [`Error::NoDatabase`] where there is none by now, or the storage failed.
    pub async fn replace(&self, mut unpublished: Unpublished) -> Result<(), Error> {
        self.complete(async move {
            unpublished.catalog.replace(&unpublished.database).await?;
            unpublished.keep();
            Ok(())
        })
        .await
    }

    /// Gives a database its name. If the caller goes away, it has it all the same.
    ///
    /// # Errors
    /// [`Error::DatabaseExists`] where another has taken the name meanwhile, or the storage failed.
    pub async fn publish(&self, mut unpublished: Unpublished) -> Result<Database, Error> {
        self.complete(async move {
            unpublished.catalog.publish(&unpublished.database).await?;
            unpublished.keep();
            Ok(unpublished.database.clone())
        })
        .await
    }
}

impl Unpublished {
    /// The database, for those who make it ready.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// It is in the catalogue.
    fn keep(&mut self) {
        self.is_published = true;
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if !self.is_published {
            self.catalog.abandon(&self.database);
        }
    }
}
