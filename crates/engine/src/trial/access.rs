//! What users would have if another function had decided on all documents.

use crate::{Database, Error};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_store::{Grant, Granted, PrincipalKind, Reader};
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
pub(super) async fn prospects(db: &Database, granted: &BTreeSet<Grant>) -> Result<(Vec<Prospect>, u64), Error> {
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
        let mut held: BTreeSet<&PrincipalName> = state.roles.iter().collect();
        for what in by_documents.get(&Principal::User(name.clone())).into_iter().flatten() {
            match what {
                Granted::Channel(channel) => drop(then.insert(channel.clone())),
                Granted::Role(role) => drop(held.insert(role)),
            }
        }
        then.extend(held.into_iter().filter_map(|role| roles.get(role)).flatten().cloned());
        prospects.push(Prospect { name, now, then });
    }
    Ok((prospects, left_out))
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
