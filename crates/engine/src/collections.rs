//! Which collections of a database are in use, and a database seen as one of them.
//!
//! What a collection holds stays when it isn't in use any more, and is there when it is again. Source: Sync Gateway, whose
//! collections are the bucket's.

use crate::{Database, Error, sync};
use tidegate_store::Database as Store;
use tidegate_types::{CollectionName, CollectionNameError};

/// The setting: names of collections, one in a line. None: there is the default one alone.
pub(crate) const COLLECTIONS: &str = "collections";

/// The collections of a database that are in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collections {
    /// The default one.
    Default,
    /// These, all of one scope.
    Named(Vec<CollectionName>),
}

/// A collection that is to be in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionPlan {
    /// Which.
    pub name: CollectionName,
    /// What is to decide on its channels.
    pub sync: SyncPlan,
}

/// What is to decide on a collection's channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncPlan {
    /// What did before.
    AsItIs,
    /// What does where nobody says.
    Default,
    /// This function.
    Source(String),
}

impl Collections {
    pub(crate) async fn load(store: &Store) -> Result<Self, Error> {
        let text = store.setting(COLLECTIONS).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let names: Vec<CollectionName> = text.lines().filter_map(|name| name.parse().ok()).collect();
        Ok(if names.is_empty() { Self::Default } else { Self::Named(names) })
    }

    /// Their names.
    pub fn names(&self) -> Vec<CollectionName> {
        match self {
            Self::Default => vec![CollectionName::of_default()],
            Self::Named(names) => names.clone(),
        }
    }

    /// Whether this one is among them.
    pub fn has(&self, name: &CollectionName) -> bool {
        match self {
            Self::Default => name.is_default(),
            Self::Named(names) => names.contains(name),
        }
    }

    /// What a keyspace means in which scope or collection isn't said: the only scope, and the default collection.
    fn named(&self, scope: Option<&str>, name: Option<&str>) -> Result<CollectionName, CollectionNameError> {
        let default = CollectionName::of_default();
        let only = match self {
            Self::Default => None,
            Self::Named(names) => names.first(),
        };
        let Some(name) = name else { return Ok(default) };
        CollectionName::new(scope.or(only.map(CollectionName::scope)).unwrap_or(default.scope()), name)
    }
}

impl Database {
    /// The collections that are in use.
    pub fn collections(&self) -> &Collections {
        &self.rules.collections
    }

    /// The collection that it is seen as.
    pub fn collection_name(&self) -> &CollectionName {
        self.store.collection_name()
    }

    /// Whether the database has, or had, collections beside this one.
    pub(crate) fn has_other_collections(&self) -> bool {
        self.store.collections().len() > 1
    }

    /// The database seen as this collection.
    ///
    /// # Errors
    /// [`Error::NoCollection`] for one that isn't in use, or the storage failed.
    pub async fn collection(&self, name: &CollectionName) -> Result<Self, Error> {
        let missing = || Error::NoCollection(name.clone());
        if !self.rules.collections.has(name) {
            return Err(missing());
        }
        let store = self.store.collection(name).ok_or_else(missing)?;
        let rules = self.engine.inner.rules(&store).await?;
        Ok(Self { store, rules, ..self.clone() })
    }

    /// The database seen as the collection that a keyspace means: of this scope and name, where they are said.
    ///
    /// # Errors
    /// As [`Database::collection`]; `None` for what no collection can be called.
    pub async fn keyspace(&self, scope: Option<&str>, name: Option<&str>) -> Result<Option<Self>, Error> {
        let Ok(name) = self.rules.collections.named(scope, name) else { return Ok(None) };
        match self.collection(&name).await {
            Err(Error::NoCollection(_)) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Takes these collections into use and no others, all of one scope; those that aren't there yet are made. None at all:
    /// the default one alone is in use. The database as it is then.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::Script`] for what is no function, the database is gone, or the storage failed.
    pub async fn use_collections(&self, plans: &[CollectionPlan]) -> Result<Self, Error> {
        self.renewed().await?.check_admin()?;
        for plan in plans {
            if let SyncPlan::Source(source) = &plan.sync {
                self.check_function(source).await?;
            }
        }
        for plan in plans {
            let collection = self.store.make_collection(&plan.name).await?;
            match &plan.sync {
                SyncPlan::AsItIs => {}
                SyncPlan::Default => sync::set(&collection, None).await?,
                SyncPlan::Source(source) => sync::set(&collection, Some(source)).await?,
            }
        }
        let lines: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        self.store.put_setting(COLLECTIONS, lines.join("\n").as_bytes()).await?;
        self.renewed().await
    }

    /// Checks that the collection is still in use. The default one always is: dialects that know of no others show it.
    pub(crate) fn check_in_use(&self) -> Result<(), Error> {
        let name = self.collection_name();
        if name.is_default() || self.rules.collections.has(name) {
            return Ok(());
        }
        Err(Error::NoCollection(name.clone()))
    }
}

#[cfg(test)]
mod tests;
