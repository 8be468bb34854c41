//! Users and roles of a database. What is known of them beside their grants is their owner's to know.

use crate::{
    Database, Error, Grant, Reader,
    commit::{Draft, Stop},
    grants,
    keys::{DEFAULT_COLLECTION, Keys},
    record::PrincipalRecord,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_kv::{Direction, KeyRange};
use tidegate_types::{Channel, CollectionName, Principal, PrincipalName, Seq};

/// A principal to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrincipalWrite {
    /// What is known of it.
    pub settings: Bytes,
    /// The channels that an administrator grants it in the default collection: those that aren't here any more are taken
    /// away.
    pub channels: Vec<Channel>,
    /// The channels that an administrator grants it in others; what there is no collection for is left out.
    pub collections: BTreeMap<CollectionName, Vec<Channel>>,
    /// The roles that an administrator grants it.
    pub roles: Vec<PrincipalName>,
    /// Of the record that this one replaces: another one meanwhile is a conflict. `None` replaces whatever is there.
    pub replaces: Option<Replaces>,
}

/// Which record is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// None: the principal isn't there.
    Nothing,
    /// The one that was written at this sequence.
    Written(Seq),
}

/// A principal that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalState {
    /// Of its latest change by an administrator.
    pub seq: Seq,
    /// Since when it is there.
    pub since: Seq,
    /// What is known of it.
    pub settings: Bytes,
    /// The channels that an administrator granted it in the collection that was read.
    pub channels: Vec<Channel>,
    /// The roles that an administrator granted it.
    pub roles: Vec<PrincipalName>,
}

/// Users, or roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// Users.
    User,
    /// Roles.
    Role,
}

impl Database {
    /// Writes a principal. Its change has a sequence, which is returned.
    ///
    /// # Errors
    /// [`Error::Conflict`], the database is gone, or the storage failed.
    pub async fn put_principal(&self, principal: Principal, write: PrincipalWrite) -> Result<Seq, Error> {
        let keys = self.inner.home;
        let PrincipalWrite { settings, channels, collections, roles, replaces } = write;
        let number = |name: &CollectionName| Some(self.collection(name)?.collection.keys.collection());
        let numbered = collections.into_iter().filter_map(|(name, channels)| Some((number(&name)?, sorted(channels))));
        let collections = numbered.filter(|(_, channels)| !channels.is_empty()).collect();
        let (channels, roles) = (sorted(channels), sorted(roles));
        let new = PrincipalRecord { channels, roles, collections, settings, ..PrincipalRecord::default() };
        let reads = vec![keys.principal(&principal)];
        let apply = move |draft: &mut Draft<'_>| {
            let old = load(keys, &principal, draft)?;
            let expected = match replaces {
                None => true,
                Some(Replaces::Nothing) => old.periods.current().is_none(),
                Some(Replaces::Written(seq)) => old.seq == seq,
            };
            if !expected {
                return Err(Error::Conflict.into());
            }
            replace(keys, &principal, (&old, new.clone()), draft)
        };
        self.inner.propose_one(reads, Box::new(apply)).await
    }

    /// Takes a principal away, with the local documents whose ids begin with `locals`; whether it was there. What documents
    /// grant it stays, for one of the same name.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn delete_principal(&self, principal: Principal, locals: Option<&str>) -> Result<bool, Error> {
        let keys = self.inner.home;
        let locals_in = |locals: &str| self.inner.collections().iter().map(|c| c.keys.locals_of(locals)).collect();
        let locals: Vec<KeyRange> = locals.map(locals_in).unwrap_or_default();
        let reads = vec![keys.principal(&principal)];
        let apply = move |draft: &mut Draft<'_>| {
            let old = load(keys, &principal, draft)?;
            if old.periods.current().is_none() {
                return Ok(false);
            }
            let seq = draft.meta.update_seq.next();
            let mut gone = PrincipalRecord { periods: old.periods.clone(), ..PrincipalRecord::default() };
            gone.periods.close(seq);
            grant_explicit(keys, &principal, (&old, &gone), seq, draft)?;
            gone.seq = draft.take_seq();
            draft.put(keys.principal(&principal), gone.encode());
            draft.touch(principal.clone());
            // A write of such a document behind this in the same group may still find it. What it leaves is nobody's: who owns
            // these documents writes the principal's `since` into their ids.
            locals.iter().for_each(|locals| draft.clear(locals.clone()));
            Ok(true)
        };
        self.inner.propose_one(reads, Box::new(apply)).await
    }
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items.dedup();
    items
}

fn load(keys: Keys, principal: &Principal, draft: &Draft<'_>) -> Result<PrincipalRecord, Stop> {
    let bytes = draft.get(&keys.principal(principal))?;
    Ok(bytes.map(PrincipalRecord::decode).transpose()?.unwrap_or_default())
}

fn replace(
    keys: Keys,
    principal: &Principal,
    (old, mut new): (&PrincipalRecord, PrincipalRecord),
    draft: &mut Draft<'_>,
) -> Result<Seq, Stop> {
    let seq = draft.meta.update_seq.next();
    grant_explicit(keys, principal, (old, &new), seq, draft)?;
    new.periods = old.periods.clone();
    new.periods.open(seq);
    new.seq = draft.take_seq();
    draft.put(keys.principal(principal), new.encode());
    draft.touch(principal.clone());
    Ok(seq)
}

/// Grants what is new in a principal's record, and takes away what isn't there any more.
fn grant_explicit(
    keys: Keys,
    to: &Principal,
    (old, new): (&PrincipalRecord, &PrincipalRecord),
    seq: Seq,
    draft: &mut Draft<'_>,
) -> Result<(), Stop> {
    let named = old.collections.keys().chain(new.collections.keys()).copied();
    for collection in named.chain([DEFAULT_COLLECTION]).collect::<BTreeSet<_>>() {
        let (was, is) = (old.explicit(to, collection), new.explicit(to, collection));
        grant_anew(keys.within(collection), (&was, &is), seq, draft)?;
    }
    Ok(())
}

fn grant_anew(keys: Keys, (was, is): (&[Grant], &[Grant]), seq: Seq, draft: &mut Draft<'_>) -> Result<(), Stop> {
    draft.fetch(was.iter().chain(is).map(|grant| keys.grant(grant)))?;
    for grant in is.iter().filter(|grant| was.binary_search(grant).is_err()) {
        grants::change(keys, grant, seq, draft, |record| record.explicit = true)?;
    }
    for grant in was.iter().filter(|grant| is.binary_search(grant).is_err()) {
        grants::change(keys, grant, seq, draft, |record| record.explicit = false)?;
    }
    Ok(())
}

impl Reader {
    /// A principal; `None` if it isn't there.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn principal(&self, principal: &Principal) -> Result<Option<PrincipalState>, Error> {
        let bytes = self.snapshot.get(&self.keys.principal(principal)).await?;
        Ok(bytes.map(|bytes| PrincipalRecord::decode(&bytes)).transpose()?.and_then(|record| self.state_of(record)))
    }

    /// The principals of a kind whose names come after `after`, in the order of their names, at most `limit`.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn principals(
        &self,
        kind: PrincipalKind,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(PrincipalName, PrincipalState)>, Error> {
        let (keys, mut after, mut found) = (self.keys, after.to_owned(), Vec::new());
        while found.len() < limit {
            let wanted = limit - found.len();
            let rows = self.snapshot.scan(keys.principals(kind, &after), Direction::Forward, wanted).await?;
            let is_last = rows.len() < wanted;
            for (key, bytes) in rows {
                let name = keys.principal_in(&key)?;
                name.as_str().clone_into(&mut after);
                found.extend(self.state_of(PrincipalRecord::decode(&bytes)?).map(|state| (name, state)));
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// `None` for one that was deleted.
    fn state_of(&self, record: PrincipalRecord) -> Option<PrincipalState> {
        let since = record.periods.current()?;
        let channels = record.channels_in(self.keys.collection()).to_vec();
        let PrincipalRecord { seq, roles, settings, .. } = record;
        Some(PrincipalState { seq, since, settings, channels, roles })
    }
}
