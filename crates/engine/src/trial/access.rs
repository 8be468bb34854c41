//! What users would have if another function had decided on all documents.

use crate::{Database, Error};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_store::{Grant, GrantState, Granted, PrincipalKind, Reader};
use tidegate_types::{Channel, Principal, PrincipalName};

/// Users looked at, in the order of their names.
pub(super) const USERS_MAX: usize = 1_000;
/// Roles looked at.
const ROLES_MAX: usize = 10_000;

/// A user's channels, now and then.
#[derive(Clone, Debug)]
pub(super) struct Prospect {
    pub(super) name: PrincipalName,
    pub(super) now: BTreeSet<Channel>,
    pub(super) then: BTreeSet<Channel>,
}

/// The users, with what they have now, and what they would have if documents granted this; how many weren't looked at.
/// `roles_now` are the roles that documents of this collection grant now: what is more is granted by those of others.
pub(super) async fn prospects(
    db: &Database,
    granted: &BTreeSet<Grant>,
    roles_now: &BTreeMap<Grant, u64>,
) -> Result<(Vec<Prospect>, u64), Error> {
    let reader = db.store.reader()?;
    let mut by_documents: BTreeMap<&Principal, Vec<&Granted>> = BTreeMap::new();
    for grant in granted {
        by_documents.entry(&grant.to).or_default().push(&grant.what);
    }
    let roles = roles(&reader, &by_documents).await?;
    let users = reader.principals(PrincipalKind::User, "", usize::MAX).await?;
    let left_out = users.len().saturating_sub(USERS_MAX) as u64;
    let mut prospects = Vec::new();
    for (name, state) in users.into_iter().take(USERS_MAX) {
        let now = reader.standing(&name).await?.access.current().map(|(channel, _)| channel.clone()).collect();
        let mut then: BTreeSet<Channel> = state.channels.into_iter().collect();
        then.insert(Channel::public());
        let mut held = roles_elsewhere(db, &reader, (&name, roles_now)).await?;
        held.extend(state.roles);
        for what in by_documents.get(&Principal::User(name.clone())).into_iter().flatten() {
            match what {
                Granted::Channel(channel) => drop(then.insert(channel.clone())),
                Granted::Role(role) => drop(held.insert(role.clone())),
            }
        }
        then.extend(held.iter().filter_map(|role| roles.get(role)).flatten().cloned());
        prospects.push(Prospect { name, now, then });
    }
    Ok((prospects, left_out))
}

/// The roles that documents of other collections grant a user.
async fn roles_elsewhere(
    db: &Database,
    reader: &Reader,
    (user, here): (&PrincipalName, &BTreeMap<Grant, u64>),
) -> Result<BTreeSet<PrincipalName>, Error> {
    let mut roles = BTreeSet::new();
    if db.has_other_collections() {
        let to = Principal::User(user.clone());
        for GrantState { what, documents, .. } in reader.grant_states(&to).await? {
            let Granted::Role(role) = &what else { continue };
            let role = role.clone();
            let is_elsewhere = documents > here.get(&Grant { to: to.clone(), what }).copied().unwrap_or_default();
            roles.extend(is_elsewhere.then_some(role));
        }
    }
    Ok(roles)
}

/// The roles that exist, with the channels that they would have.
async fn roles(
    reader: &Reader,
    by_documents: &BTreeMap<&Principal, Vec<&Granted>>,
) -> Result<BTreeMap<PrincipalName, BTreeSet<Channel>>, Error> {
    let mut roles = BTreeMap::new();
    for (name, state) in reader.principals(PrincipalKind::Role, "", ROLES_MAX).await? {
        let mut channels: BTreeSet<Channel> = state.channels.into_iter().collect();
        for what in by_documents.get(&Principal::Role(name.clone())).into_iter().flatten() {
            match what {
                Granted::Channel(channel) => drop(channels.insert(channel.clone())),
                Granted::Role(_) => {}
            }
        }
        roles.insert(name, channels);
    }
    Ok(roles)
}

/// Whether somebody with these channels sees a document in those.
pub(super) fn sees(has: &BTreeSet<Channel>, document: &[Channel]) -> bool {
    has.contains("*") || document.iter().any(|channel| has.contains(channel))
}
