//! What the server has at hand of users: good until one of their grants, or they themselves, change.

use crate::Error;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tidegate_access::{Verified, principal::UserSettings};
use tidegate_script::SyncUser;
use tidegate_store::{CollectionId, Database, Standing};
use tidegate_types::{Principal, PrincipalName, Seq};

/// Users at hand.
const USERS_MAX: usize = 20_000;

/// A user as it was when it was read, in one collection.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) seq: Seq,
    /// Since when it is there; zero for a guest of whom nothing was ever said.
    pub(crate) since: Seq,
    pub(crate) settings: UserSettings,
    /// What it may see.
    pub(crate) standing: Standing,
    /// What its edits may be asked for by a sync function.
    pub(crate) sync_user: Arc<SyncUser>,
}

/// Of which database, and who.
pub(crate) type UserKey = ([u8; 8], PrincipalName);

/// Users of collections: what they may see differs.
type Users = HashMap<(CollectionId, PrincipalName), Arc<Known>>;

/// What is remembered of databases' users.
pub(crate) struct Principals {
    users: Mutex<Users>,
    pub(super) verified: Mutex<Verified<UserKey>>,
    pub(super) issuers: super::oidc::Issuers,
}

impl Principals {
    pub(crate) fn new() -> Self {
        let verified = Verified::new(&rand::random(), Verified::<UserKey>::ENTRIES_MAX, Verified::<UserKey>::LIFETIME);
        Self { users: Mutex::default(), verified: Mutex::new(verified), issuers: super::oidc::Issuers::default() }
    }

    /// The user of this name, as it is now in the collection; `None` if there is none. The guest is there always.
    pub(crate) async fn user(&self, db: &Database, name: &PrincipalName) -> Result<Option<Arc<Known>>, Error> {
        let key = (db.collection_id(), name.clone());
        let known = self.users.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known.filter(|known| db.is_current(&known.standing)) {
            return Ok(Some(known));
        }
        let Some(known) = load(db, name).await?.map(Arc::new) else { return Ok(None) };
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= USERS_MAX {
            users.clear();
        }
        users.insert(key, Arc::clone(&known));
        Ok(Some(known))
    }
}

async fn load(db: &Database, name: &PrincipalName) -> Result<Option<Known>, Error> {
    let reader = db.reader()?;
    let (seq, since, settings) = match reader.principal(&Principal::User(name.clone())).await? {
        Some(state) => (state.seq, state.since, UserSettings::decode(&state.settings)?),
        None if *name == PrincipalName::guest() => (Seq::ZERO, Seq::ZERO, UserSettings::guest()),
        None => return Ok(None),
    };
    let standing = reader.standing(name).await?;
    let sync_user = Arc::new(SyncUser {
        name: if *name == PrincipalName::guest() { String::new() } else { name.to_string() },
        roles: standing.roles.keys().map(PrincipalName::to_string).collect(),
        channels: standing.access.current().map(|(channel, _)| channel.to_string()).collect(),
    });
    Ok(Some(Known { seq, since, settings, standing, sync_user }))
}
