//! Where principals lie, and what was granted to them.

use super::{DEFAULT_COLLECTION, Keys};
use crate::{Corrupt, Grant, Granted, PrincipalKind};
use std::{ops::Bound, str::FromStr};
use tidegate_kv::KeyRange;
use tidegate_types::{Principal, PrincipalName};

impl Keys {
    fn principal_text(principal: &Principal) -> Vec<u8> {
        let (kind, name) = match principal {
            Principal::User(name) => (Self::USER, name),
            Principal::Role(name) => (Self::ROLE, name),
        };
        [&[kind], name.as_str().as_bytes()].concat()
    }

    pub(crate) fn principal(&self, principal: &Principal) -> Vec<u8> {
        self.home().key(Self::PRINCIPAL, &Self::principal_text(principal))
    }

    /// The principals of a kind whose names come after `after`.
    pub(crate) fn principals(&self, kind: PrincipalKind, after: &str) -> KeyRange {
        let kind = match kind {
            PrincipalKind::User => Self::USER,
            PrincipalKind::Role => Self::ROLE,
        };
        let home = self.home();
        let start = home.key(Self::PRINCIPAL, &[&[kind], after.as_bytes()].concat());
        KeyRange { start: Bound::Excluded(start), end: Bound::Excluded(home.key(Self::PRINCIPAL, &[kind + 1])) }
    }

    /// All principals.
    pub(crate) fn principals_all(&self) -> KeyRange {
        KeyRange::prefix(self.home().key(Self::PRINCIPAL, &[]))
    }

    /// The name in a principal's key.
    pub(crate) fn principal_in(&self, key: &[u8]) -> Result<PrincipalName, Corrupt> {
        text_in(self.home().behind_tag(key).and_then(|text| text.get(1..)), "principal")
    }

    /// The principal in its key.
    pub(crate) fn whose_record(&self, key: &[u8]) -> Result<Principal, Corrupt> {
        principal_from(self.home().behind_tag(key), "principal")
    }

    /// Channels are granted within a collection, roles in the whole database.
    pub(crate) fn grant(&self, grant: &Grant) -> Vec<u8> {
        let (keys, kind, text) = match &grant.what {
            Granted::Channel(channel) => (*self, Self::CHANNEL, channel.as_str()),
            Granted::Role(role) => (self.home(), Self::ROLE, role.as_str()),
        };
        [keys.grants_prefix(&grant.to).as_slice(), &[kind], text.as_bytes()].concat()
    }

    fn grants_prefix(&self, to: &Principal) -> Vec<u8> {
        [self.key(Self::GRANT, &Self::principal_text(to)).as_slice(), &[Self::END_OF_TEXT]].concat()
    }

    /// The channels that were granted to a principal, and where they lie with them, its roles; then those roles, where they
    /// don't.
    pub(crate) fn grants(&self, to: &Principal) -> Vec<KeyRange> {
        let own = KeyRange::prefix(self.grants_prefix(to));
        let home = self.home();
        let roles = || KeyRange::prefix([home.grants_prefix(to).as_slice(), &[Self::ROLE]].concat());
        let elsewhere = (self.collection() != DEFAULT_COLLECTION).then(roles);
        [Some(own), elsewhere].into_iter().flatten().collect()
    }

    /// What was granted to all, where the collection's channels lie.
    pub(crate) fn grants_all(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::GRANT, &[]))
    }

    /// What a key of [`Keys::grants`] grants.
    pub(crate) fn granted_in(&self, to: &Principal, key: &[u8]) -> Result<Granted, Corrupt> {
        let own = key.strip_prefix(self.grants_prefix(to).as_slice());
        let rest = own.or_else(|| key.strip_prefix(self.home().grants_prefix(to).as_slice()));
        match rest.and_then(<[u8]>::split_first) {
            Some((&Self::CHANNEL, text)) => Ok(Granted::Channel(text_in(Some(text), "grant")?)),
            Some((&Self::ROLE, text)) => Ok(Granted::Role(text_in(Some(text), "grant")?)),
            Some(_) | None => Err(Corrupt { record: "grant", what: "illegal key" }),
        }
    }

    /// The grant in a key of [`Keys::grants_all`].
    pub(crate) fn grant_in(&self, key: &[u8]) -> Result<Grant, Corrupt> {
        let rest = self.behind_tag(key).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == Self::END_OF_TEXT);
        let to = principal_from(end.and_then(|end| rest.get(..end)), "grant")?;
        let what = self.granted_in(&to, key)?;
        Ok(Grant { to, what })
    }
}

/// What stands in a key as a principal's kind and name.
fn principal_from(bytes: Option<&[u8]>, record: &'static str) -> Result<Principal, Corrupt> {
    match bytes.and_then(<[u8]>::split_first) {
        Some((&Keys::USER, name)) => text_in(Some(name), record).map(Principal::User),
        Some((&Keys::ROLE, name)) => text_in(Some(name), record).map(Principal::Role),
        Some(_) | None => Err(Corrupt { record, what: "illegal key" }),
    }
}

/// What stands in a key as text.
fn text_in<T: FromStr>(bytes: Option<&[u8]>, record: &'static str) -> Result<T, Corrupt> {
    let text = bytes.and_then(|bytes| str::from_utf8(bytes).ok()?.parse().ok());
    text.ok_or(Corrupt { record, what: "illegal key" })
}
