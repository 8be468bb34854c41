//! What a dialect keeps of a database's configuration, and whether the database is in use.

use crate::{Database, Engine, Error};
use bytes::Bytes;
use tidegate_types::DbName;

/// The settings.
pub(crate) const OPTIONS: &str = "options";
pub(crate) const SERVICE: &str = "service";
const OFFLINE: &[u8] = b"offline";

/// Whether a database is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// It is.
    #[default]
    Online,
    /// It is being looked after: dialects that know of it answer nothing of its documents.
    Offline,
}

impl Service {
    pub(crate) async fn load(store: &tidegate_store::Database) -> Result<Self, Error> {
        let text = store.setting(SERVICE).await?;
        Ok(if text.is_some_and(|text| text == OFFLINE) { Self::Offline } else { Self::Online })
    }
}

impl Engine {
    /// What the object that is kept with a database says under this name, as JSON; `None` if nothing. Told to everybody,
    /// also to those who don't say who they are yet: for what web pages and doors need.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], or the storage failed.
    pub async fn option_for_anybody(&self, name: &DbName, key: &str) -> Result<Option<Bytes>, Error> {
        let store = self.inner.store.database(name).await?;
        let Some(object) = store.setting(OPTIONS).await? else { return Ok(None) };
        let object: serde_json::Value = serde_json::from_slice(&object).map_err(Error::Config)?;
        let value = object.get(key).filter(|value| !value.is_null());
        Ok(value.map(|value| value.to_string().into()))
    }
}

impl Database {
    /// A JSON object that a dialect keeps with the database; `None` if none was kept.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators, the database is gone, or the storage failed.
    pub async fn options(&self) -> Result<Option<Bytes>, Error> {
        self.check_admin()?;
        Ok(self.store.setting(OPTIONS).await?)
    }

    /// Whether the object that is kept says `true` under this name. Told to everybody who may use the database.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn has_option(&self, name: &str) -> Result<bool, Error> {
        let Some(object) = self.store.setting(OPTIONS).await? else { return Ok(false) };
        let object: serde_json::Value = serde_json::from_slice(&object).map_err(Error::Config)?;
        Ok(object.get(name).and_then(serde_json::Value::as_bool).unwrap_or_default())
    }

    /// Keeps a JSON object with the database.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators, the database is gone, or the storage failed.
    pub async fn set_options(&self, object: &[u8]) -> Result<(), Error> {
        self.renewed().await?.check_admin()?;
        Ok(self.store.put_setting(OPTIONS, object).await?)
    }

    /// Whether it is in use.
    pub fn service(&self) -> Service {
        self.rules.service
    }

    /// Takes it out of use, or into use again.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators, the database is gone, or the storage failed.
    pub async fn set_service(&self, service: Service) -> Result<(), Error> {
        self.renewed().await?.check_admin()?;
        let text = match service {
            Service::Online => b"".as_slice(),
            Service::Offline => OFFLINE,
        };
        Ok(self.store.put_setting(SERVICE, text).await?)
    }
}
