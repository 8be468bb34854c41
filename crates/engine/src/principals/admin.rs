//! Users and roles as administrators write and read them.

use crate::{Database, Error, local::owned_by};
use std::collections::BTreeMap;
use tidegate_access::principal::{
    Body, Collections, EmptyPasswords, Epoch, Error as PrincipalError, PasswordHash, RoleSettings, UserSettings,
    check_password,
};
use tidegate_channels::Grants;
use tidegate_store::{PrincipalKind, PrincipalState, PrincipalWrite, Replaces, Tickets};
use tidegate_types::{Channel, CollectionName, Principal, PrincipalName, PrincipalNameError, Seq};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserInfo {
    /// Its name.
    pub name: PrincipalName,
    /// What an administrator said of it, or somebody who vouches for it.
    pub settings: UserSettings,
    /// Of its latest change; zero for a guest of whom nothing was ever said.
    pub seq: Seq,
    /// All its channels in the default collection, and since when it has them; `!` since the beginning.
    pub channels: BTreeMap<Channel, Seq>,
    /// All its channels in the other collections that are in use.
    pub collections: CollectionChannels,
    /// All its roles that exist, and since when it has them.
    pub roles: BTreeMap<PrincipalName, Seq>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleInfo {
    /// Its name.
    pub name: PrincipalName,
    /// What an administrator said of it.
    pub settings: RoleSettings,
    /// Of its latest change.
    pub seq: Seq,
    /// All its channels in the default collection, and since when it has them.
    pub channels: BTreeMap<Channel, Seq>,
    /// All its channels in the other collections that are in use.
    pub collections: CollectionChannels,
}

/// Channels by collection, and since when somebody has them.
pub type CollectionChannels = BTreeMap<CollectionName, BTreeMap<Channel, Seq>>;

/// Whether a user or role that is there may be written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It may not: `POST`.
    Create,
    /// It may: `PUT`. What the body doesn't mention stays as it was.
    Replace,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalOutcome {
    /// It is new.
    Created,
    /// It was there.
    Updated,
}

/// Attempts, where others write the same principal at the same time.
const ATTEMPTS_MAX: usize = 10;

impl Database {
    /// Writes a user. The guest is one, and is always there.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::Principal`] for a body that can't be, [`Error::PrincipalExists`], or the storage failed.
    pub async fn put_user(
        &self,
        name: &PrincipalName,
        body: &Body,
        mode: WriteMode,
    ) -> Result<PrincipalOutcome, Error> {
        let db = self.renewed().await?;
        db.check_admin()?;
        body.check_name(name)?;
        // Such a name would garble logs and headers.
        name.as_str()
            .parse::<crate::UserName>()
            .map_err(|_control| PrincipalError::BadName(PrincipalNameError::Illegal))?;
        db.check_collections(body)?;
        let password = db.new_password(name, body).await?;
        for _ in 0..ATTEMPTS_MAX {
            match db.try_put_user(name, body, (mode, password.clone())).await {
                Err(Error::Conflict) => {}
                outcome => return outcome,
            }
        }
        Err(Error::Conflict)
    }

    async fn try_put_user(
        &self,
        name: &PrincipalName,
        body: &Body,
        (mode, password): (WriteMode, Option<PasswordHash>),
    ) -> Result<PrincipalOutcome, Error> {
        let principal = Principal::User(name.clone());
        let state = self.store.reader()?.principal(&principal).await?;
        let is_guest = *name == PrincipalName::guest();
        let outcome = outcome(name, state.is_some() || is_guest, mode)?;
        let old = match &state {
            Some(state) => UserSettings::decode(&state.settings)?,
            None if is_guest => UserSettings::guest(),
            None => UserSettings::default(),
        };
        if outcome == PrincipalOutcome::Created && password.is_none() {
            self.check_without_password()?;
        }
        self.check_read_only(name, body).await?;
        let new = old.updated(body, password, Epoch::new(rand::random()));
        if state.is_some() && new == old {
            return Ok(outcome);
        }
        let replaces = state.as_ref().map_or(Replaces::Nothing, |state| Replaces::Written(state.seq));
        self.write_user(name, &new, Some(replaces)).await?;
        if new.epoch != old.epoch {
            // They are nobody's any more; this makes room.
            self.store.delete_tickets(Tickets::Of(name), usize::MAX).await?;
        }
        Ok(outcome)
    }

    pub(super) async fn write_user(
        &self,
        name: &PrincipalName,
        settings: &UserSettings,
        replaces: Option<Replaces>,
    ) -> Result<(), Error> {
        self.store.put_principal(Principal::User(name.clone()), user_write(settings, replaces)).await?;
        Ok(())
    }

    /// A user; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Access`], or the storage failed.
    pub async fn user(&self, name: &PrincipalName) -> Result<Option<UserInfo>, Error> {
        self.check_admin()?;
        self.user_info(name).await
    }

    async fn user_info(&self, name: &PrincipalName) -> Result<Option<UserInfo>, Error> {
        let Some(known) = self.engine.inner.principals.user(&self.store, name).await? else { return Ok(None) };
        let mut collections = CollectionChannels::new();
        for collection in self.named_collections() {
            let known = self.engine.inner.principals.user(&collection, name).await?;
            let channels = known.map(|known| super::whoami::channels(&known.standing.access)).unwrap_or_default();
            collections.insert(collection.collection_name().clone(), channels);
        }
        Ok(Some(UserInfo {
            name: name.clone(),
            settings: known.settings.clone(),
            seq: known.seq,
            channels: super::whoami::channels(&known.standing.access),
            collections,
            roles: known.standing.roles.clone(),
        }))
    }

    /// The collections in use but the default one.
    fn named_collections(&self) -> impl Iterator<Item = tidegate_store::Database> {
        let names = self.rules.collections.names().into_iter().filter(|name| !name.is_default());
        names.filter_map(|name| self.store.collection(&name))
    }

    /// The names of users after `after` (the empty text for all), in order, at most `limit`. The guest isn't among them.
    ///
    /// # Errors
    /// [`Error::Access`], or the storage failed.
    pub async fn user_names(&self, after: &str, limit: usize) -> Result<Vec<PrincipalName>, Error> {
        self.check_admin()?;
        let rows = self.store.reader()?.principals(PrincipalKind::User, after, limit.saturating_add(1)).await?;
        let names = rows.into_iter().map(|(name, _)| name).filter(|name| *name != PrincipalName::guest());
        Ok(names.take(limit).collect())
    }

    /// Takes a user away with its local documents, and ends its sessions.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::NoPrincipal`], or the storage failed.
    pub async fn delete_user(&self, name: &PrincipalName) -> Result<(), Error> {
        let db = self.renewed().await?;
        db.check_admin()?;
        let was_there = db.store.delete_principal(Principal::User(name.clone()), Some(&owned_by(name))).await?;
        if !was_there {
            return Err(Error::NoPrincipal(name.to_string()));
        }
        db.store.delete_tickets(Tickets::Of(name), usize::MAX).await?;
        Ok(())
    }

    /// Writes a role.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::Principal`] for a body that can't be, [`Error::PrincipalExists`], or the storage failed.
    pub async fn put_role(
        &self,
        name: &PrincipalName,
        body: &Body,
        mode: WriteMode,
    ) -> Result<PrincipalOutcome, Error> {
        let db = self.renewed().await?;
        db.check_admin()?;
        body.check_name(name)?;
        db.check_collections(body)?;
        for _ in 0..ATTEMPTS_MAX {
            match db.try_put_role(name, body, mode).await {
                Err(Error::Conflict) => {}
                outcome => return outcome,
            }
        }
        Err(Error::Conflict)
    }

    async fn try_put_role(
        &self,
        name: &PrincipalName,
        body: &Body,
        mode: WriteMode,
    ) -> Result<PrincipalOutcome, Error> {
        let principal = Principal::Role(name.clone());
        let state = self.store.reader()?.principal(&principal).await?;
        let outcome = outcome(name, state.is_some(), mode)?;
        let old = state.as_ref().map(|state| RoleSettings::decode(&state.settings)).transpose()?.unwrap_or_default();
        if let Some(all) = &body.all_channels
            && !all.is_empty()
            && !self.role(name).await?.is_some_and(|role| role.channels.keys().eq(all))
        {
            return Err(PrincipalError::ReadOnly("all_channels").into());
        }
        let new = old.updated(body);
        if state.is_some() && new == old {
            return Ok(outcome);
        }
        let write = PrincipalWrite {
            settings: new.encode().into(),
            channels: new.channels.iter().cloned().collect(),
            collections: by_name(&new.collections),
            roles: Vec::new(),
            replaces: Some(state.map_or(Replaces::Nothing, |state| Replaces::Written(state.seq))),
        };
        self.store.put_principal(principal, write).await?;
        Ok(outcome)
    }

    /// A role; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Access`], or the storage failed.
    pub async fn role(&self, name: &PrincipalName) -> Result<Option<RoleInfo>, Error> {
        self.check_admin()?;
        let (reader, principal) = (self.store.reader()?, Principal::Role(name.clone()));
        let Some(PrincipalState { seq, settings, .. }) = reader.principal(&principal).await? else { return Ok(None) };
        let channels = current(reader.grants(&principal).await?.0);
        let mut collections = CollectionChannels::new();
        for collection in self.named_collections() {
            let (granted, _) = collection.reader()?.grants(&principal).await?;
            collections.insert(collection.collection_name().clone(), current(granted));
        }
        Ok(Some(RoleInfo {
            name: name.clone(),
            settings: RoleSettings::decode(&settings)?,
            seq,
            channels,
            collections,
        }))
    }

    /// The names of roles after `after` (the empty text for all), in order, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Access`], or the storage failed.
    pub async fn role_names(&self, after: &str, limit: usize) -> Result<Vec<PrincipalName>, Error> {
        self.check_admin()?;
        let rows = self.store.reader()?.principals(PrincipalKind::Role, after, limit).await?;
        Ok(rows.into_iter().map(|(name, _)| name).collect())
    }

    /// Takes a role away. Its users lose the channels that they had by it.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::NoPrincipal`], or the storage failed.
    pub async fn delete_role(&self, name: &PrincipalName) -> Result<(), Error> {
        let db = self.renewed().await?;
        db.check_admin()?;
        let was_there = db.store.delete_principal(Principal::Role(name.clone()), None).await?;
        if was_there { Ok(()) } else { Err(Error::NoPrincipal(name.to_string())) }
    }

    /// Sets how users of the database log in: the members `oidc`, `local_jwt`, `disable_password_auth`,
    /// `allow_empty_password`, `session_cookie_…` and `remote_user` of this object; others don't matter.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::Vouching`] for what can't be, or the storage failed.
    pub async fn set_login_rules(&self, json: &[u8]) -> Result<(), Error> {
        self.renewed().await?.check_admin()?;
        tidegate_access::principal::LoginRules::parse(json)?;
        Ok(self.store.put_setting(super::LOGINS, json).await?)
    }

    /// The hash of a body's password, where it has one.
    async fn new_password(&self, name: &PrincipalName, body: &Body) -> Result<Option<PasswordHash>, Error> {
        let Some(password) = body.password.clone() else { return Ok(body.password_hash.clone()) };
        if password.is_empty() && (*name == PrincipalName::guest() || self.allows_empty_passwords()) {
            return Ok(None);
        }
        check_password(&password)?;
        let salt = rand::random();
        Ok(Some(self.engine.inner.logins.slowly(move || PasswordHash::new(&password, salt)).await??))
    }

    fn allows_empty_passwords(&self) -> bool {
        self.rules.logins.empty_passwords == EmptyPasswords::Allowed
    }

    fn check_without_password(&self) -> Result<(), Error> {
        if self.allows_empty_passwords() { Ok(()) } else { Err(PrincipalError::EmptyPassword.into()) }
    }

    /// What follows from the rest may be sent as it was read.
    async fn check_read_only(&self, name: &PrincipalName, body: &Body) -> Result<(), Error> {
        let told = |len: Option<usize>| len.is_some_and(|len| len > 0);
        let (channels, roles) = (body.all_channels.as_ref(), body.all_roles.as_ref());
        if !told(channels.map(std::collections::BTreeSet::len)) && !told(roles.map(std::collections::BTreeSet::len)) {
            return Ok(());
        }
        let user = self.user_info(name).await?;
        let has_channels = |user: &UserInfo| channels.is_none_or(|all| all.is_empty() || user.channels.keys().eq(all));
        let has_roles = |user: &UserInfo| roles.is_none_or(|all| all.is_empty() || user.roles.keys().eq(all));
        if !user.as_ref().is_some_and(has_channels) {
            return Err(PrincipalError::ReadOnly("all_channels").into());
        }
        if user.as_ref().is_some_and(has_roles) { Ok(()) } else { Err(PrincipalError::ReadOnly("roles").into()) }
    }

    /// Of collections that aren't in use, nothing can be said.
    fn check_collections(&self, body: &Body) -> Result<(), Error> {
        let is_in_use = |scope: &str, name: &str| {
            CollectionName::new(scope, name).is_ok_and(|name| self.rules.collections.has(&name))
        };
        match body.collections.keys().find(|(scope, name)| !is_in_use(scope, name)) {
            Some((scope, name)) => Err(PrincipalError::NoKeyspace(format!("{}.{scope}.{name}", self.name())).into()),
            None => Ok(()),
        }
    }
}

/// What is written of a user.
pub(super) fn user_write(settings: &UserSettings, replaces: Option<Replaces>) -> PrincipalWrite {
    PrincipalWrite {
        settings: settings.encode().into(),
        channels: settings.explicit_channels(),
        collections: by_name(&settings.collections),
        roles: settings.explicit_roles(),
        replaces,
    }
}

/// The channels that an administrator gives somebody in collections.
fn by_name(collections: &Collections) -> BTreeMap<CollectionName, Vec<Channel>> {
    let named = collections.iter().filter_map(|((scope, name), channels)| {
        Some((CollectionName::new(scope, name).ok()?, channels.iter().cloned().collect()))
    });
    named.collect()
}

fn current(granted: Grants) -> BTreeMap<Channel, Seq> {
    granted.into_iter().filter_map(|(channel, periods)| Some((channel, periods.current()?))).collect()
}

fn outcome(name: &PrincipalName, is_there: bool, mode: WriteMode) -> Result<PrincipalOutcome, Error> {
    match (is_there, mode) {
        (false, _) => Ok(PrincipalOutcome::Created),
        (true, WriteMode::Replace) => Ok(PrincipalOutcome::Updated),
        (true, WriteMode::Create) => Err(Error::PrincipalExists(name.to_string())),
    }
}
