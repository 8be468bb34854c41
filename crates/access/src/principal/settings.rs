//! What is kept of a user and of a role, beside what it has come to have through documents.

use super::{Body, Collections, Error, PasswordHash};
use crate::hex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_types::{Channel, CollectionName, PrincipalName};

/// What is kept of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserSettings {
    /// The password; none for users who come from elsewhere, and for the guest.
    pub password: Option<PasswordHash>,
    /// Whether it may log in.
    pub standing: Standing,
    /// Its address.
    pub email: Option<String>,
    /// What its sessions are bound to.
    pub epoch: Epoch,
    /// The channels an administrator gave it.
    pub channels: BTreeSet<Channel>,
    /// The roles an administrator gave it.
    pub roles: BTreeSet<PrincipalName>,
    /// The channels an administrator gave it in collections other than the default.
    pub collections: Collections,
    /// What the one who vouches for it says it has.
    pub vouched: Option<Vouched>,
}

/// What is kept of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleSettings {
    /// The channels an administrator gave it.
    pub channels: BTreeSet<Channel>,
    /// The channels an administrator gave it in collections other than the default.
    pub collections: Collections,
}

/// Whether a user may log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    #[default]
    Enabled,
    /// It may not, and its sessions have ended.
    Disabled,
}

/// Random, and made anew whenever a user's sessions are to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch([u8; 16]);

/// What a token, or a web server in front, says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Who says it: the issuer of tokens, or the name of the header.
    pub issuer: String,
    /// The channels it gives.
    pub channels: BTreeSet<Channel>,
    /// The roles it gives.
    pub roles: BTreeSet<PrincipalName>,
    /// When that changed last, in seconds since 1970.
    pub updated_s: u64,
}

const VERSION: u8 = 1;

impl Epoch {
    /// The epoch of these random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl UserSettings {
    /// The guest, as it is where nobody has said anything of it: it may not come in.
    pub fn guest() -> Self {
        Self { standing: Standing::Disabled, ..Self::default() }
    }

    /// A user without a password, for whom somebody else vouches.
    pub fn vouched_for(vouched: Vouched, email: Option<String>, epoch: Epoch) -> Self {
        Self { vouched: Some(vouched), email, epoch, ..Self::default() }
    }

    /// Whether it may log in.
    pub fn is_enabled(&self) -> bool {
        self.standing == Standing::Enabled
    }

    /// The same as an administrator's words have it. What they don't mention stays. `password` is that of the body, hashed;
    /// with another one, or disabled, the user gets the new epoch, and its sessions end.
    #[must_use]
    pub fn updated(&self, body: &Body, password: Option<PasswordHash>, epoch: Epoch) -> Self {
        let mut new = self.clone();
        if password.is_some() {
            new.password = password;
        }
        if let Some(standing) = body.standing {
            new.standing = standing;
        }
        if let Some(email) = body.email.as_ref().filter(|email| is_email(email)) {
            new.email = Some(email.clone()).filter(|email| !email.is_empty());
        }
        if let Some(channels) = &body.channels {
            new.channels.clone_from(channels);
        }
        if let Some(roles) = &body.roles {
            new.roles.clone_from(roles);
        }
        new.collections = merged(&self.collections, body);
        if new.password != self.password || (self.is_enabled() && !new.is_enabled()) {
            new.epoch = epoch;
        }
        new
    }

    /// The same with what is now said of it by who vouches for it; `None` when that is what was said before.
    pub fn with_vouched(&self, vouched: Vouched, email: Option<String>) -> Option<Self> {
        let email = email.filter(|email| is_email(email)).or_else(|| self.email.clone());
        let is_same = |old: &Vouched| {
            (&old.issuer, &old.channels, &old.roles) == (&vouched.issuer, &vouched.channels, &vouched.roles)
        };
        if self.vouched.as_ref().is_some_and(is_same) && email == self.email {
            return None;
        }
        Some(Self { vouched: Some(vouched), email, ..self.clone() })
    }

    /// Whether an administrator gave it this channel in this collection.
    pub fn has_explicit(&self, channel: &Channel, collection: &CollectionName) -> bool {
        let key = (collection.scope().to_owned(), collection.name().to_owned());
        let channels = if collection.is_default() { Some(&self.channels) } else { self.collections.get(&key) };
        channels.is_some_and(|channels| channels.contains(channel))
    }

    /// All channels it has in the default collection, but by documents.
    pub fn explicit_channels(&self) -> Vec<Channel> {
        let vouched = self.vouched.iter().flat_map(|vouched| &vouched.channels);
        self.channels.iter().chain(vouched).collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    /// All roles it has but by documents.
    pub fn explicit_roles(&self) -> Vec<PrincipalName> {
        let vouched = self.vouched.iter().flat_map(|vouched| &vouched.roles);
        self.roles.iter().chain(vouched).collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    /// The record of it: a version, then JSON.
    pub fn encode(&self) -> Vec<u8> {
        versioned(&StoredUser {
            password: self.password.as_ref().map(|password| password.as_str().to_owned()),
            disabled: !self.is_enabled(),
            email: self.email.clone(),
            epoch: hex::encode(&self.epoch.0),
            channels: texts(&self.channels),
            roles: self.roles.iter().map(ToString::to_string).collect(),
            collections: stored(&self.collections),
            vouched: self.vouched.as_ref().map(StoredVouched::of),
        })
    }

    /// The user of a record.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn decode(record: &[u8]) -> Result<Self, Error> {
        let corrupt = || Error::Corrupt("a user");
        let stored: StoredUser = unversioned(record).ok_or_else(corrupt)?;
        let epoch = hex::decode(&stored.epoch).and_then(|epoch| epoch.try_into().ok()).ok_or_else(corrupt)?;
        Ok(Self {
            password: stored.password.as_deref().map(PasswordHash::parse).transpose()?,
            standing: if stored.disabled { Standing::Disabled } else { Standing::Enabled },
            email: stored.email,
            epoch: Epoch(epoch),
            channels: names(&stored.channels).ok_or_else(corrupt)?,
            roles: names(&stored.roles).ok_or_else(corrupt)?,
            collections: restored(&stored.collections).ok_or_else(corrupt)?,
            vouched: stored.vouched.map(|vouched| vouched.restored().ok_or_else(corrupt)).transpose()?,
        })
    }
}

impl RoleSettings {
    /// The same as an administrator's words have it. What they don't mention stays.
    #[must_use]
    pub fn updated(&self, body: &Body) -> Self {
        let channels = body.channels.as_ref().unwrap_or(&self.channels).clone();
        Self { channels, collections: merged(&self.collections, body) }
    }

    /// The record of it.
    pub fn encode(&self) -> Vec<u8> {
        versioned(&StoredRole { channels: texts(&self.channels), collections: stored(&self.collections) })
    }

    /// The role of a record.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn decode(record: &[u8]) -> Result<Self, Error> {
        let corrupt = || Error::Corrupt("a role");
        let stored: StoredRole = unversioned(record).ok_or_else(corrupt)?;
        Ok(Self {
            channels: names(&stored.channels).ok_or_else(corrupt)?,
            collections: restored(&stored.collections).ok_or_else(corrupt)?,
        })
    }
}

/// Sync Gateway leaves an address as it is when it is given what isn't one.
fn is_email(text: &str) -> bool {
    let is_address = |(local, domain): (&str, &str)| !local.is_empty() && !domain.is_empty() && !domain.contains('@');
    text.is_empty() || (!text.contains(char::is_whitespace) && text.rsplit_once('@').is_some_and(is_address))
}

fn merged(old: &Collections, body: &Body) -> Collections {
    let mut new = old.clone();
    for (keyspace, channels) in &body.collections {
        match channels {
            Some(channels) => drop(new.insert(keyspace.clone(), channels.clone())),
            None => drop(new.remove(keyspace)),
        }
    }
    new
}

/// As it lies in the storage. Members may be added: what isn't there has its default.
#[derive(Serialize, Deserialize)]
struct StoredUser {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    epoch: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    channels: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    collections: StoredCollections,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vouched: Option<StoredVouched>,
}

#[derive(Serialize, Deserialize)]
struct StoredRole {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    channels: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    collections: StoredCollections,
}

#[derive(Serialize, Deserialize)]
struct StoredVouched {
    issuer: String,
    channels: Vec<String>,
    roles: Vec<String>,
    updated_s: u64,
}

/// By scope, then by collection.
type StoredCollections = BTreeMap<String, BTreeMap<String, Vec<String>>>;

impl StoredVouched {
    fn of(vouched: &Vouched) -> Self {
        let Vouched { issuer, channels, roles, updated_s } = vouched;
        let roles = roles.iter().map(ToString::to_string).collect();
        Self { issuer: issuer.clone(), channels: texts(channels), roles, updated_s: *updated_s }
    }

    fn restored(self) -> Option<Vouched> {
        let Self { issuer, channels, roles, updated_s } = self;
        Some(Vouched { issuer, channels: names(&channels)?, roles: names(&roles)?, updated_s })
    }
}

fn versioned(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    // Text and lists of text can always be written to memory.
    serde_json::to_writer(&mut bytes, record).ok();
    bytes
}

fn unversioned<'r, T: Deserialize<'r>>(record: &'r [u8]) -> Option<T> {
    serde_json::from_slice(record.strip_prefix(&[VERSION])?).ok()
}

fn texts(channels: &BTreeSet<Channel>) -> Vec<String> {
    channels.iter().map(ToString::to_string).collect()
}

fn names<T: std::str::FromStr + Ord>(texts: &[String]) -> Option<BTreeSet<T>> {
    texts.iter().map(|text| text.parse().ok()).collect()
}

fn stored(collections: &Collections) -> StoredCollections {
    let mut stored = StoredCollections::new();
    for ((scope, collection), channels) in collections {
        stored.entry(scope.clone()).or_default().insert(collection.clone(), texts(channels));
    }
    stored
}

fn restored(stored: &StoredCollections) -> Option<Collections> {
    let mut collections = Collections::new();
    for (scope, inside) in stored {
        for (collection, channels) in inside {
            collections.insert((scope.clone(), collection.clone()), names(channels)?);
        }
    }
    Some(collections)
}

#[cfg(test)]
mod tests;
