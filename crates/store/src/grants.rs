//! What principals were granted, by administrators and by documents, and when.

use crate::{
    Error, Grant, Granted, Reader,
    commit::{Draft, Stop},
    keys::Keys,
    record::{GrantRecord, PrincipalRecord},
};
use std::collections::BTreeMap;
use tidegate_channels::{Access, Grants, Periods};
use tidegate_kv::Direction;
use tidegate_types::{Principal, PrincipalName, Seq};

/// What a principal may see of a collection at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The latest sequence at that moment.
    pub at: Seq,
    /// Its channels.
    pub access: Access,
    /// Its roles that exist, and since when it has them.
    pub roles: BTreeMap<PrincipalName, Seq>,
    /// All roles it has or had, whether they exist or not: when one of them changes, this may.
    pub(crate) depends_on: Vec<Principal>,
}

/// Something that a principal was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantState {
    /// What.
    pub what: Granted,
    /// Whether an administrator grants it.
    pub explicit: bool,
    /// How many documents grant it.
    pub documents: u64,
    /// When it was granted.
    pub periods: Periods,
}

/// One document more grants something.
pub(crate) fn grant(keys: Keys, grant: &Grant, seq: Seq, draft: &mut Draft<'_>) -> Result<(), Stop> {
    change(keys, grant, seq, draft, |record| record.documents = record.documents.saturating_add(1))
}

/// One document less grants something.
pub(crate) fn withdraw(keys: Keys, grant: &Grant, seq: Seq, draft: &mut Draft<'_>) -> Result<(), Stop> {
    change(keys, grant, seq, draft, |record| record.documents = record.documents.saturating_sub(1))
}

/// Changes what is recorded of a grant.
pub(crate) fn change(
    keys: Keys,
    grant: &Grant,
    seq: Seq,
    draft: &mut Draft<'_>,
    edit: impl FnOnce(&mut GrantRecord),
) -> Result<(), Stop> {
    let key = keys.grant(grant);
    let mut record = draft.get(&key)?.map(|bytes| GrantRecord::decode(bytes)).transpose()?.unwrap_or_default();
    edit(&mut record);
    if record.is_granted() {
        record.periods.open(seq);
    } else {
        record.periods.close(seq);
    }
    if record.is_granted() || !record.periods.as_slice().is_empty() {
        draft.put(key, record.encode());
    } else {
        draft.delete(key);
    }
    draft.touch(grant.to.clone());
    Ok(())
}

impl Reader {
    /// What a user may see.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn standing(&self, user: &PrincipalName) -> Result<Standing, Error> {
        let at = self.inner.meta(&self.snapshot).await?.update_seq;
        let user = Principal::User(user.clone());
        let (own, held) = self.grants(&user).await?;
        let (mut roles, mut granted, mut depends_on) = (BTreeMap::new(), Vec::new(), vec![user]);
        for (role, held) in held {
            let principal = Principal::Role(role.clone());
            let held = held.intersection(&self.existence(&principal).await?);
            granted.push((held.clone(), self.grants(&principal).await?.0));
            roles.extend(held.current().map(|since| (role, since)));
            depends_on.push(principal);
        }
        Ok(Standing { at, access: Access::of_user(own, granted), roles, depends_on })
    }

    /// The channels of the collection and the roles that a principal was granted, whether it exists or not.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn grants(&self, to: &Principal) -> Result<(Grants, BTreeMap<PrincipalName, Periods>), Error> {
        let keys = self.keys;
        let (mut channels, mut roles) = (Grants::new(), BTreeMap::new());
        for (key, bytes) in self.grant_rows(to).await? {
            let periods = GrantRecord::decode(&bytes)?.periods;
            match keys.granted_in(to, &key)? {
                Granted::Channel(channel) => drop(channels.insert(channel, periods)),
                Granted::Role(role) => drop(roles.insert(role, periods)),
            }
        }
        Ok((channels, roles))
    }

    /// Everything that a principal was granted, and by whom; whether it exists or not.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn grant_states(&self, to: &Principal) -> Result<Vec<GrantState>, Error> {
        let keys = self.keys;
        let read = |(key, bytes): &(bytes::Bytes, bytes::Bytes)| {
            let GrantRecord { explicit, documents, periods } = GrantRecord::decode(bytes)?;
            Ok(GrantState { what: keys.granted_in(to, key)?, explicit, documents, periods })
        };
        self.grant_rows(to).await?.iter().map(read).collect()
    }

    async fn grant_rows(&self, to: &Principal) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, Error> {
        let mut rows = Vec::new();
        for range in self.keys.grants(to) {
            rows.extend(self.snapshot.scan(range, Direction::Forward, usize::MAX).await?);
        }
        Ok(rows)
    }

    /// When a principal existed.
    async fn existence(&self, principal: &Principal) -> Result<Periods, Error> {
        let bytes = self.snapshot.get(&self.keys.principal(principal)).await?;
        Ok(bytes.map(|bytes| PrincipalRecord::decode(&bytes)).transpose()?.map(|r| r.periods).unwrap_or_default())
    }
}
