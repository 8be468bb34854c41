//! Which channels a document is in, and what it grants: what changes with it in the same commit.
//!
//! Each revision has what was decided on it beside its body. A document is in the channels of its winner, and grants
//! what that grants. The channel index has one row for each channel that a document is in or was in: under the sequence
//! of its latest change, or of the one by which it left.

use crate::{
    Change, Edit, Error,
    changes::Reach,
    commit::{Draft, Stop},
    grants,
    keys::{Key, Keys},
    record::{AssignmentRecord, ChannelRecord, DocumentRecord},
};
use std::{fmt, sync::Arc};
use tidegate_channels::Periods;
use tidegate_types::{Channel, DocId, Principal, PrincipalName, Seq};

/// What was decided on a revision, in a database with channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The channels it is in.
    pub channels: Vec<Channel>,
    /// What it grants, and to whom.
    pub grants: Vec<Grant>,
    /// When its document expires, in seconds since 1970.
    pub expires_s: Option<u64>,
    /// [`Database::rules_version`](crate::Database::rules_version) when it was decided: an edit that was judged by other
    /// rules than those of its commit is refused with [`Error::Outdated`].
    pub judged_by: u64,
}

impl Assignment {
    /// The channels and the grants, sorted, each once. Every document is in `*`, of which nothing is said.
    pub fn in_order(&self) -> (Vec<Channel>, Vec<Grant>) {
        let (mut channels, mut grants) = (self.channels.clone(), self.grants.clone());
        channels.retain(|channel| !channel.is_all());
        channels.sort_unstable();
        channels.dedup();
        grants.sort_unstable();
        grants.dedup();
        (channels, grants)
    }
}

/// Something granted to a principal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// To whom.
    pub to: Principal,
    /// What.
    pub what: Granted,
}

/// What can be granted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granted {
    /// A channel.
    Channel(Channel),
    /// A role, to a user.
    Role(PrincipalName),
}

impl fmt::Display for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(channel) => write!(f, "channel {channel}"),
            Self::Role(role) => write!(f, "role {role}"),
        }
    }
}

/// What a document was before a change: to be read before anything is released.
pub(crate) struct Former {
    pub(crate) deleted: bool,
    /// In a database with channels.
    reaching: Option<(AssignmentRecord, Change)>,
}

impl Former {
    /// `None` for a document that isn't there.
    pub(crate) fn of(
        keys: Keys,
        (id, record): (&DocId, &DocumentRecord),
        draft: &Draft<'_>,
    ) -> Result<Option<Self>, Stop> {
        let Some(winner) = record.tree.winner() else { return Ok(None) };
        let mut former = Self { deleted: winner.deleted, reaching: None };
        if draft.channels {
            let assignment = read(keys, winner.body.stored(), draft)?;
            former.reaching = Change::of(record.seq, id, &record.tree).map(|change| (assignment, change));
        }
        Ok(Some(former))
    }

    /// When it was there.
    fn stays(&self) -> Option<&Periods> {
        self.reaching.as_ref().map(|(assignment, _)| &assignment.stays)
    }

    /// The channels it is in, and when it expires.
    pub(crate) fn placed(&self) -> (&[Channel], Option<u64>) {
        (self.channels(), self.reaching.as_ref().and_then(|(assignment, _)| assignment.expires_s))
    }

    /// Whether it grants anything.
    pub(crate) fn grants_something(&self) -> bool {
        self.reaching.as_ref().is_some_and(|(assignment, _)| !assignment.grants.is_empty())
    }

    fn channels(&self) -> &[Channel] {
        self.reaching.as_ref().map(|(assignment, _)| assignment.channels.as_slice()).unwrap_or_default()
    }
}

/// What was decided on the revision with this body.
pub(crate) fn read(keys: Keys, body: Option<Seq>, draft: &Draft<'_>) -> Result<AssignmentRecord, Stop> {
    let Some(seq) = body.filter(|_| draft.channels) else { return Ok(AssignmentRecord::default()) };
    let bytes = draft.get(&keys.assignment(seq))?;
    Ok(bytes.map(|bytes| AssignmentRecord::decode(bytes)).transpose()?.unwrap_or_default())
}

/// Writes what was decided on a new revision, beside its body.
pub(crate) fn put(
    keys: Keys,
    edit: &Edit,
    (seq, parent): (Seq, Option<Seq>),
    (former, moves): (Option<&Former>, bool),
    draft: &mut Draft<'_>,
) -> Result<(), Stop> {
    if !draft.channels {
        return Ok(());
    }
    let assignment = edit.assignment.as_ref().ok_or(Error::Outdated)?;
    if assignment.judged_by != draft.rules_version {
        return Err(Error::Outdated.into());
    }
    let (channels, grants) = assignment.in_order();
    let mut left = read(keys, parent, draft)?.channels;
    left.extend(former.into_iter().filter(|_| moves).flat_map(|former| former.channels().iter().cloned()));
    left.sort_unstable();
    left.dedup();
    left.retain(|channel| channels.binary_search(channel).is_err());
    let stays = match former.and_then(Former::stays) {
        Some(stays) => stays.clone(),
        None => stays_before(keys, &edit.id, seq, draft)?,
    };
    let record = AssignmentRecord { channels, left, grants, expires_s: assignment.expires_s, stays };
    draft.put(keys.assignment(seq), record.encode());
    Ok(())
}

/// Puts a document into the channels of its winner, and grants what that grants. `change` is what it is now.
pub(crate) fn settle(
    keys: Keys,
    former: Option<&Former>,
    (record, change): (&DocumentRecord, &Change),
    draft: &mut Draft<'_>,
) -> Result<Option<Arc<Reach>>, Stop> {
    if !draft.channels {
        return Ok(None);
    }
    if former.is_none() {
        forget_purge(keys, &change.id, draft)?;
    }
    let now = read(keys, record.tree.winner().and_then(|winner| winner.body.stored()), draft)?;
    replace(keys, former, (now, change), draft).map(Some)
}

/// Takes a document that is purged out of its channels, and leaves a row in `*`, which has one for nothing else.
pub(crate) fn leave(keys: Keys, former: Option<&Former>, seq: Seq, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let Some((_, change)) = former.and_then(|former| former.reaching.as_ref()) else { return Ok(()) };
    let change = Change { seq, deleted: true, winner_body: None, ..change.clone() };
    replace(keys, former, (AssignmentRecord::default(), &change), draft)?;
    let mut stays = former.and_then(Former::stays).cloned().unwrap_or_default();
    if stays.as_slice().is_empty() {
        // It was there before there were channels.
        stays.open(Seq::ZERO);
    }
    stays.close(seq);
    draft.put(keys.departure(&change.id, &Channel::all()), seq.get().to_be_bytes().to_vec());
    draft.put(keys.channel_row(&Channel::all(), seq), ChannelRecord { removed: true, stays, change }.encode());
    // Feeds that follow in memory aren't told of it there.
    draft.forget_recent();
    Ok(())
}

/// When a document was there that is there from now on: it may have been purged.
fn stays_before(keys: Keys, id: &DocId, seq: Seq, draft: &Draft<'_>) -> Result<Periods, Stop> {
    let mut stays = Periods::default();
    if let Some(purged) = draft.get(&keys.departure(id, &Channel::all()))?.and_then(|seq| Keys::departed_at(seq))
        && let Some(bytes) = draft.get(&keys.channel_row(&Channel::all(), purged))?
    {
        stays = ChannelRecord::decode(purged, bytes)?.stays;
    }
    stays.open(seq);
    Ok(stays)
}

/// A document of this id is there again.
fn forget_purge(keys: Keys, id: &DocId, draft: &mut Draft<'_>) -> Result<(), Stop> {
    let departure = keys.departure(id, &Channel::all());
    if let Some(seq) = draft.get(&departure)?.and_then(|seq| Keys::departed_at(seq)) {
        draft.delete(departure);
        draft.delete(keys.channel_row(&Channel::all(), seq));
    }
    Ok(())
}

fn replace(
    keys: Keys,
    former: Option<&Former>,
    (now, change): (AssignmentRecord, &Change),
    draft: &mut Draft<'_>,
) -> Result<Arc<Reach>, Stop> {
    let nothing = AssignmentRecord::default();
    let reaching = former.and_then(|former| former.reaching.as_ref());
    let (was, at) = reaching.map_or((&nothing, Seq::ZERO), |(assignment, change)| (assignment, change.seq));
    let left: Vec<Channel> = was.channels.iter().filter(|c| now.channels.binary_search(c).is_err()).cloned().collect();
    move_rows(keys, (was, at), (&now, &left), change, draft)?;
    for grant in now.grants.iter().filter(|grant| was.grants.binary_search(grant).is_err()) {
        grants::grant(keys, grant, change.seq, draft)?;
    }
    for grant in was.grants.iter().filter(|grant| now.grants.binary_search(grant).is_err()) {
        grants::withdraw(keys, grant, change.seq, draft)?;
    }
    move_expiry(keys, &change.id, (was.expires_s, now.expires_s), draft);
    Ok(Arc::new(Reach { channels: now.channels, left }))
}

fn move_rows(
    keys: Keys,
    (was, at): (&AssignmentRecord, Seq),
    (now, left): (&AssignmentRecord, &[Channel]),
    change: &Change,
    draft: &mut Draft<'_>,
) -> Result<(), Stop> {
    let entered = || now.channels.iter().filter(|channel| was.channels.binary_search(channel).is_err());
    let rows = was.channels.iter().map(|channel| keys.channel_row(channel, at));
    draft.fetch(rows.chain(entered().map(|channel| keys.departure(&change.id, channel))))?;
    for channel in &was.channels {
        let is_left = left.contains(channel);
        move_row(keys, channel, Some(keys.channel_row(channel, at)), (change, is_left), draft)?;
    }
    for channel in entered() {
        let departure = keys.departure(&change.id, channel);
        let row = draft.get(&departure)?.and_then(|seq| Keys::departed_at(seq));
        let row = row.map(|seq| keys.channel_row(channel, seq));
        draft.delete(departure);
        move_row(keys, channel, row, (change, false), draft)?;
    }
    Ok(())
}

/// Writes a document's row in a channel under its new sequence, and takes away the old one.
fn move_row(
    keys: Keys,
    channel: &Channel,
    old: Option<Key>,
    (change, removed): (&Change, bool),
    draft: &mut Draft<'_>,
) -> Result<(), Stop> {
    let mut stays = Periods::default();
    if let Some(old) = old {
        if let Some(bytes) = draft.get(&old)? {
            stays = ChannelRecord::decode(change.seq, bytes)?.stays;
        }
        draft.delete(old);
    }
    if removed {
        stays.close(change.seq);
        draft.put(keys.departure(&change.id, channel), change.seq.get().to_be_bytes().to_vec());
    } else {
        stays.open(change.seq);
    }
    let record = ChannelRecord { removed, stays, change: change.clone() };
    draft.put(keys.channel_row(channel, change.seq), record.encode());
    Ok(())
}

/// Lets a document expire at another time.
pub(crate) fn move_expiry(keys: Keys, id: &DocId, (was, now): (Option<u64>, Option<u64>), draft: &mut Draft<'_>) {
    if was == now {
        return;
    }
    if let Some(at) = was {
        draft.delete(keys.expiry(at, id));
    }
    if let Some(at) = now {
        draft.put(keys.expiry(at, id), Vec::new());
    }
}
