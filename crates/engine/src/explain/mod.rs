//! Why a user sees a document, or doesn't.
//!
//! All of it is as it is at one moment, but for what the sync function decides now. Which documents grant something isn't
//! indexed: they are looked for, up to a limit.

mod sources;
#[cfg(test)]
mod tests;

pub use sources::{GrantingDocuments, Source};

use crate::{Absence, Database, Error, Trial, trial};
use sources::Sources;
use std::collections::BTreeMap;
use tidegate_access::principal::UserSettings;
use tidegate_channels::Access;
use tidegate_script::{SyncCaller, SyncInput};
use tidegate_store::{Reader, Standing};
use tidegate_types::{Channel, DocId, DocKind, Principal, PrincipalName, Rev, Seq};

/// Why a user sees a document, or doesn't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it sees the winner.
    pub verdict: Sees,
    /// Of the document; `None` if there is none.
    pub document: Option<DocumentPlace>,
    /// Of the user; `None` if there is none.
    pub user: Option<UserPlace>,
    /// The channels by which the user sees the document, since when, and from whom it has them.
    pub ways: Vec<Way>,
    /// What the sync function of now decides on the document, asked for nobody in particular. It differs from what holds
    /// if the function was set after the document was written, and there was no resync since.
    pub decides: Option<Trial>,
}

/// Whether a user sees a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// It does.
    Yes,
    /// It learns that the document is there, as that has left a channel of its.
    Stub,
    /// There is no such user.
    NoUser,
    /// The user is disabled.
    Disabled,
    /// There is no such document.
    NoDocument,
    /// The document is in no channel.
    InNoChannel,
    /// The user has none of the document's channels.
    NoCommonChannel,
}

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentPlace {
    /// Its winner.
    pub rev: Rev,
    /// Whether that is a tombstone.
    pub deleted: bool,
    /// The sequence of its latest change.
    pub seq: Seq,
    /// Its channels.
    pub channels: Vec<Channel>,
    /// Those that it left by its latest revision.
    pub left: Vec<Channel>,
    /// When it expires, in seconds since 1970.
    pub expires_s: Option<u64>,
}

/// What a user has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPlace {
    /// Its channels, its roles' included, and since when it has them.
    pub channels: BTreeMap<Channel, Seq>,
    /// Its roles that exist, and since when it has them.
    pub roles: BTreeMap<PrincipalName, Seq>,
}

/// A channel by which a user sees a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Which; `*` stands for all.
    pub channel: Channel,
    /// Since when the user has it.
    pub since: Seq,
    /// From whom.
    pub sources: Vec<Source>,
}

impl Database {
    /// Why a user sees a document, or doesn't.
    ///
    /// # Errors
    /// [`Error::Access`], also for a database whose documents aren't in channels; no function can be run now, the database
    /// is gone, or the storage failed.
    pub async fn explain(&self, user: &PrincipalName, id: &DocId) -> Result<Explanation, Error> {
        self.check_admin()?;
        self.check_channels()?;
        let reader = self.store.reader()?;
        let document = place(&reader, id).await?;
        let decides = self.decides(&reader, id).await?;
        let settings = settings(&reader, user).await?;
        let standing = reader.standing(user).await?;
        let has = settings.as_ref().map(|_| UserPlace {
            channels: standing.access.current().map(|(channel, since)| (channel.clone(), since)).collect(),
            roles: standing.roles.clone(),
        });
        let verdict = verdict(settings.as_ref(), document.as_ref(), &standing.access);
        let mut ways = Vec::new();
        if let (Sees::Yes, Some(document), Some(settings)) = (verdict, &document, settings) {
            ways = self.ways(&reader, (user, &settings, &standing), &document.channels).await?;
        }
        Ok(Explanation { verdict, document, user: has, ways, decides })
    }

    async fn ways(
        &self,
        reader: &Reader,
        (user, settings, standing): (&PrincipalName, &UserSettings, &Standing),
        channels: &[Channel],
    ) -> Result<Vec<Way>, Error> {
        let mut sources = Sources::of((reader, self.collection_name()), user, settings, standing).await?;
        let all = Channel::all();
        let mut ways = Vec::new();
        for channel in channels.iter().chain([&all]) {
            let Some(since) = standing.access.since(channel) else { continue };
            ways.push(Way { channel: channel.clone(), since, sources: sources.of_channel(channel) });
        }
        sources.find_documents(reader).await?;
        for way in &mut ways {
            sources.name_documents(&Principal::User(user.clone()), &way.channel, &mut way.sources);
        }
        Ok(ways)
    }

    async fn decides(&self, reader: &Reader, id: &DocId) -> Result<Option<Trial>, Error> {
        let Some(program) = self.renewed().await?.rules.sync.clone() else { return Ok(None) };
        if id.kind() == DocKind::Design {
            return Ok(None);
        }
        let Some((document, old_document)) = trial::stored(reader, id).await? else { return Ok(None) };
        let input = SyncInput { document, old_document, meta: None, caller: SyncCaller::Unrestricted };
        Ok(Some(self.engine.try_program(&program, input).await?))
    }
}

fn verdict(settings: Option<&UserSettings>, document: Option<&DocumentPlace>, access: &Access) -> Sees {
    let Some(settings) = settings else { return Sees::NoUser };
    if !settings.is_enabled() {
        return Sees::Disabled;
    }
    let Some(document) = document else { return Sees::NoDocument };
    if access.sees(&document.channels) {
        return Sees::Yes;
    }
    if access.sees(&document.left) {
        return Sees::Stub;
    }
    if document.channels.is_empty() { Sees::InNoChannel } else { Sees::NoCommonChannel }
}

async fn settings(reader: &Reader, user: &PrincipalName) -> Result<Option<UserSettings>, Error> {
    match reader.principal(&Principal::User(user.clone())).await? {
        Some(state) => Ok(Some(UserSettings::decode(&state.settings)?)),
        None if *user == PrincipalName::guest() => Ok(Some(UserSettings::guest())),
        None => Ok(None),
    }
}

async fn place(reader: &Reader, id: &DocId) -> Result<Option<DocumentPlace>, Error> {
    let Some(winner) = reader.winner(id).await? else { return Ok(None) };
    let body = winner.body.ok_or(Error::NotFound(Absence::Missing))?;
    let assigned = reader.assigned(body).await?;
    let (channels, left, expires_s) = (assigned.channels, assigned.left, assigned.expires_s);
    Ok(Some(DocumentPlace { rev: winner.rev, deleted: winner.deleted, seq: winner.seq, channels, left, expires_s }))
}
