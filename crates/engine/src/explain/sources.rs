//! From whom a user has a channel.

use crate::Error;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_access::principal::{UserSettings, Vouched};
use tidegate_store::{Grant, GrantState, Granted, Reader, Standing};
use tidegate_types::{Channel, CollectionName, DocId, Principal, PrincipalName, Seq};

/// Documents looked at for what they grant.
const DOCUMENTS_MAX: u64 = 100_000;
/// Documents read in one go.
const DOCUMENTS_AT_ONCE: usize = 200;
/// Documents named for each grant.
const NAMED_MAX: usize = 10;

/// From whom somebody has a channel, or a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From nobody: `!` is everybody's.
    Everybody,
    /// From an administrator.
    Administrator,
    /// From whoever vouches for the user, who logs in there.
    Voucher(String),
    /// From documents, which the sync function had grant it.
    Documents(GrantingDocuments),
    /// By a role.
    Role {
        /// Which.
        role: PrincipalName,
        /// Since when the user has it.
        since: Seq,
        /// From whom the user has the role.
        held: Vec<Self>,
        /// From whom the role has the channel.
        granted: Vec<Self>,
    },
}

/// Documents that grant something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantingDocuments {
    /// How many there are.
    pub count: u64,
    /// Some of those in this collection, in the order of their ids: ten at the most, of the first hundred thousand documents.
    pub some: Vec<DocId>,
}

/// What was granted to a user and to its roles, and by whom.
pub(super) struct Sources<'a> {
    collection: CollectionName,
    settings: &'a UserSettings,
    own: Vec<GrantState>,
    /// Since when it has them, and what was granted to them.
    roles: BTreeMap<PrincipalName, (Seq, Vec<GrantState>)>,
    user: Principal,
    wanted: BTreeSet<Grant>,
    found: BTreeMap<Grant, Vec<DocId>>,
}

impl<'a> Sources<'a> {
    pub(super) async fn of(
        (reader, collection): (&Reader, &CollectionName),
        user: &PrincipalName,
        settings: &'a UserSettings,
        standing: &Standing,
    ) -> Result<Self, Error> {
        let user = Principal::User(user.clone());
        let own = reader.grant_states(&user).await?;
        let mut roles = BTreeMap::new();
        for (role, since) in &standing.roles {
            let granted = reader.grant_states(&Principal::Role(role.clone())).await?;
            roles.insert(role.clone(), (*since, granted));
        }
        let collection = collection.clone();
        Ok(Self { collection, settings, own, roles, user, wanted: BTreeSet::new(), found: BTreeMap::new() })
    }

    /// From whom the user has a channel. Documents are counted, and not named yet.
    pub(super) fn of_channel(&mut self, channel: &Channel) -> Vec<Source> {
        let what = Granted::Channel(channel.clone());
        let mut sources = if channel.is_public() { vec![Source::Everybody] } else { Vec::new() };
        let vouches = |vouched: &&Vouched| self.collection.is_default() && vouched.channels.contains(channel);
        let vouched = self.settings.vouched.as_ref().filter(vouches);
        sources.extend(vouched.map(|vouched| Source::Voucher(vouched.issuer.clone())));
        let by_admin = self.settings.has_explicit(channel, &self.collection);
        let user = self.user.clone();
        sources.extend(direct(&self.own, &Grant { to: user, what: what.clone() }, by_admin, &mut self.wanted));
        for (role, (since, granted)) in &self.roles {
            let to = Principal::Role(role.clone());
            let granted = direct(granted, &Grant { to, what: what.clone() }, true, &mut self.wanted);
            if granted.is_empty() {
                continue;
            }
            let vouched = self.settings.vouched.as_ref().filter(|vouched| vouched.roles.contains(role));
            let mut held: Vec<Source> =
                vouched.map(|vouched| Source::Voucher(vouched.issuer.clone())).into_iter().collect();
            let grant = Grant { to: self.user.clone(), what: Granted::Role(role.clone()) };
            held.extend(direct(&self.own, &grant, self.settings.roles.contains(role), &mut self.wanted));
            sources.push(Source::Role { role: role.clone(), since: *since, held, granted });
        }
        sources
    }

    /// Looks for the documents that grant what was asked for.
    pub(super) async fn find_documents(&mut self, reader: &Reader) -> Result<(), Error> {
        if self.wanted.is_empty() {
            return Ok(());
        }
        let (mut after, mut seen) = (None, 0);
        while seen < DOCUMENTS_MAX {
            let documents = reader.documents_after(after.as_ref(), DOCUMENTS_AT_ONCE).await?;
            seen += documents.len() as u64;
            let is_last = documents.len() < DOCUMENTS_AT_ONCE;
            after = documents.last().map(|(id, _)| id.clone());
            let bodies: Vec<_> = documents
                .iter()
                .map(|(_, state)| state.tree.winner().and_then(|winner| winner.body.stored()))
                .collect();
            for ((id, _), assigned) in documents.into_iter().zip(reader.assigned_many(&bodies).await?) {
                for grant in assigned.grants.into_iter().filter(|grant| self.wanted.contains(grant)) {
                    let found = self.found.entry(grant).or_default();
                    if found.len() < NAMED_MAX {
                        found.push(id.clone());
                    }
                }
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// Names the documents that grant `to` a channel.
    pub(super) fn name_documents(&self, to: &Principal, channel: &Channel, sources: &mut [Source]) {
        self.name(&Grant { to: to.clone(), what: Granted::Channel(channel.clone()) }, sources);
        for source in sources {
            if let Source::Role { role, held, granted, .. } = source {
                self.name(&Grant { to: self.user.clone(), what: Granted::Role(role.clone()) }, held);
                let to = Principal::Role(role.clone());
                self.name(&Grant { to, what: Granted::Channel(channel.clone()) }, granted);
            }
        }
    }

    fn name(&self, grant: &Grant, sources: &mut [Source]) {
        for source in sources {
            if let Source::Documents(documents) = source {
                documents.some = self.found.get(grant).cloned().unwrap_or_default();
            }
        }
    }
}

/// Who grants this, of an administrator and documents; those are wanted then.
fn direct(states: &[GrantState], grant: &Grant, by_admin: bool, wanted: &mut BTreeSet<Grant>) -> Vec<Source> {
    let mut sources = Vec::new();
    for state in states.iter().filter(|state| state.what == grant.what) {
        if state.explicit && by_admin {
            sources.push(Source::Administrator);
        }
        if state.documents > 0 {
            wanted.insert(grant.clone());
            sources.push(Source::Documents(GrantingDocuments { count: state.documents, some: Vec::new() }));
        }
    }
    sources
}
