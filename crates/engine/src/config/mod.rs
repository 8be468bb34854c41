//! The server's configuration as CouchDB's clients read and set it: sections of keys.
//!
//! What the operator's file says comes first; what was set over HTTP comes before it and is kept in the storage, unless
//! it was set for the life of the process alone. [`Live`] is the same, checked and ready to be used.

mod auth;
mod compression;
mod known;
mod live;
mod replicator;
mod sections;
mod uuids;
mod whitelist;

pub(crate) use auth::{Admin, Auth};
pub use compression::Compression;
pub use known::Refusal;
pub(crate) use known::check_admin;
pub use live::{CorsRules, DefaultSecurity, Live, ValidUser};
pub use replicator::ReplicatorRules;
pub use sections::{BadValue, Expected, Flag, Sections};
pub use uuids::UuidAlgorithm;

use crate::{Error, engine::Party};
use sections::Changes;
use std::sync::{Arc, PoisonError, RwLock};
use tidegate_store::Store;
use tokio::sync::Mutex;

/// The setting of the storage that holds what was changed.
const SETTING: &str = "config";

/// The section of administrators' passwords.
pub(crate) const ADMINS: &str = "admins";

/// The configuration in force.
pub(crate) struct Config {
    ground: Ground,
    /// Whether somebody must administer the server.
    pub(crate) party: Party,
    state: RwLock<State>,
    /// What was changed and is kept. Held while a change is made.
    kept: Mutex<Changes>,
}

/// What stands whatever was changed.
pub(crate) struct Ground {
    /// What the operator's file says.
    pub(crate) file: Sections,
    /// What signs sessions where no secret is named.
    pub(crate) secret: String,
}

struct State {
    sections: Arc<Sections>,
    live: Arc<Live>,
}

/// How long a change is to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// For good.
    Kept,
    /// Until the process ends: `X-Couch-Persist: false`.
    Volatile,
}

impl Config {
    pub(crate) async fn open(store: &Store, ground: Ground, party: Party) -> Result<Self, Error> {
        let kept = match store.setting(SETTING).await? {
            Some(text) => Changes::from_json(&text).map_err(Error::Config)?,
            None => Changes::default(),
        };
        let state = State::of(&ground, &kept)?;
        Ok(Self { ground, party, state: RwLock::new(state), kept: Mutex::new(kept) })
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).live)
    }

    pub(crate) fn sections(&self) -> Arc<Sections> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).sections)
    }

    /// Sets a key, or takes it away; what it was before.
    pub(crate) async fn change(
        &self,
        store: &Store,
        (section, key): (&str, &str),
        value: Option<&str>,
        persistence: Persistence,
    ) -> Result<Option<String>, Error> {
        let mut kept = self.kept.lock().await;
        let mut sections = Sections::clone(&self.sections());
        known::check_section(section)?;
        whitelist::check(&sections, section, key)?;
        if let Some(value) = value {
            known::check(section, key, value)?;
        }
        let before = match value {
            Some(value) => sections.set(section, key, value),
            None => sections.remove(section, key),
        };
        if section == ADMINS && self.party == Party::Closed && sections.section(ADMINS).next().is_none() {
            return Err(Refusal::LastAdmin.into());
        }
        self.ground.ensure_secret(&mut sections);
        let live = Live::of(&sections)?;
        if persistence == Persistence::Kept {
            let mut changed = kept.clone();
            changed.set(section, key, value);
            store.put_setting(SETTING, &changed.to_json().map_err(Error::Config)?).await?;
            *kept = changed;
        }
        let state = State { sections: Arc::new(sections), live: Arc::new(live) };
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(before)
    }

    /// Forgets what was set for the life of the process.
    pub(crate) async fn reload(&self) -> Result<(), Error> {
        let kept = self.kept.lock().await;
        let state = State::of(&self.ground, &kept)?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }
}

impl Ground {
    /// Administrators of the file who were deleted are there again: whoever has the file gets in.
    fn ensure_admins(&self, sections: &mut Sections) {
        for (name, password) in self.file.section(ADMINS) {
            if sections.get(ADMINS, name).is_none() {
                sections.set(ADMINS, name, password);
            }
        }
    }

    fn ensure_secret(&self, sections: &mut Sections) {
        if Auth::secret(sections).is_none() {
            sections.set("chttpd_auth", "secret", &self.secret);
        }
    }
}

impl State {
    fn of(ground: &Ground, kept: &Changes) -> Result<Self, Error> {
        let mut sections = ground.file.clone();
        kept.apply(&mut sections);
        ground.ensure_admins(&mut sections);
        ground.ensure_secret(&mut sections);
        let live = Live::of(&sections)?;
        Ok(Self { sections: Arc::new(sections), live: Arc::new(live) })
    }
}
