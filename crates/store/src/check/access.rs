//! Whether what access goes by agrees with the documents: what was decided on them, the index of channels, what
//! expires, grants and principals.

use super::{Check, Inconsistency};
use crate::{
    Corrupt, Error, Grant, Granted,
    changes::Change,
    keys::{DEFAULT_COLLECTION, Keys},
    read::winner_of,
    record::{AssignmentRecord, ChannelRecord, GrantRecord, PrincipalRecord},
    rows::Rows,
};
use std::collections::BTreeMap;
use tidegate_kv::Snapshot;
use tidegate_types::{Channel, DocId, Seq};

/// What has been found out of what was decided.
#[derive(Default)]
pub(super) struct Decided {
    /// All bodies from here on are assigned: the database had channels by then. None are of one that never had.
    from: Option<Seq>,
    /// How many documents grant what; those that haven't been met.
    pub(super) grants: BTreeMap<Grant, u64>,
    /// How many documents of this collection and of others grant roles, where that is recorded elsewhere.
    pub(super) roles: BTreeMap<Grant, u64>,
}

/// Sequences of assignments, to be met by those of bodies; both ascend.
pub(super) struct Assignments {
    rows: Rows,
    next: Option<Seq>,
}

impl Assignments {
    pub(super) async fn begin(keys: Keys, snapshot: &Snapshot) -> Result<Self, Error> {
        let mut assignments = Self { rows: Rows::new(keys.assignments()), next: None };
        assignments.advance(keys, snapshot).await?;
        Ok(assignments)
    }

    async fn advance(&mut self, keys: Keys, snapshot: &Snapshot) -> Result<(), Error> {
        let row = self.rows.next(snapshot).await?;
        self.next = row.map(|(key, _)| keys.seq_in(&key).unwrap_or_default());
        Ok(())
    }
}

impl Check {
    /// Since when all bodies are assigned: to be known before they are met.
    pub(super) async fn assigned_since(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.assignments());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let Some(record) = self.readable(&key, AssignmentRecord::decode(&value)) else { continue };
            if record.since() > Seq::ZERO {
                let from = &mut self.tally.decided.from;
                *from = Some(from.map_or(record.since(), |from| from.min(record.since())));
            }
        }
        Ok(())
    }

    /// The next body is met; after the last one, `None`.
    pub(super) async fn meet(&mut self, body: Option<Seq>, assignments: &mut Assignments) -> Result<(), Error> {
        while let Some(seq) = assignments.next.filter(|seq| body.is_none_or(|body| *seq < body)) {
            self.report(Inconsistency::StrayAssignment(seq));
            assignments.advance(self.keys, &self.snapshot).await?;
        }
        if assignments.next.is_some() && assignments.next == body {
            return assignments.advance(self.keys, &self.snapshot).await;
        }
        if let Some(body) = body.filter(|body| self.tally.decided.from.is_some_and(|from| from <= *body)) {
            self.report(Inconsistency::NoAssignment(body));
        }
        Ok(())
    }

    /// A document's rows in its channels, and what it grants; `change` is what it is now.
    pub(super) async fn placed(&mut self, change: &Change) -> Result<(), Error> {
        let Some(assignment) = self.assigned(change.winner_body).await? else { return Ok(()) };
        for channel in assignment.channels {
            let row = self.channel_row(&channel, change.seq).await?;
            if !row.is_some_and(|row| !row.removed && row.stays.current().is_some() && row.change == *change) {
                self.report(Inconsistency::ChannelRow(change.id.clone(), channel, change.seq));
            }
        }
        if let Some(at_s) = assignment.expires_s
            && self.snapshot.get(&self.keys.expiry(at_s, &change.id)).await?.is_none()
        {
            self.report(Inconsistency::Expiry(change.id.clone(), at_s));
        }
        for grant in assignment.grants {
            *self.tally.decided.grants.entry(grant).or_default() += 1;
        }
        Ok(())
    }

    /// What was decided on the revision with this body; `None` if nothing can be read of it.
    async fn assigned(&self, body: Option<Seq>) -> Result<Option<AssignmentRecord>, Error> {
        let Some(body) = body else { return Ok(None) };
        let bytes = self.snapshot.get(&self.keys.assignment(body)).await?;
        Ok(bytes.and_then(|bytes| AssignmentRecord::decode(&bytes).ok()))
    }

    async fn channel_row(&self, channel: &Channel, seq: Seq) -> Result<Option<ChannelRecord>, Error> {
        let bytes = self.snapshot.get(&self.keys.channel_row(channel, seq)).await?;
        Ok(bytes.and_then(|bytes| ChannelRecord::decode(seq, &bytes).ok()))
    }

    /// The sequence of a document's latest change, and what was decided on its winner.
    async fn document_now(&self, id: &DocId) -> Result<Option<(Seq, AssignmentRecord)>, Error> {
        let bytes = self.snapshot.get(&self.keys.document(id.as_str())).await?;
        let Some(winner) = bytes.and_then(|bytes| winner_of(&bytes).ok()) else { return Ok(None) };
        Ok(Some((winner.seq, self.assigned(winner.body).await?.unwrap_or_default())))
    }

    pub(super) async fn channel_rows(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.channel_rows_all());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let place = self.keys.channel_row_in(&key).ok_or(Corrupt { record: "channel", what: "illegal key" });
            let Some((channel, seq)) = self.readable(&key, place) else { continue };
            let Some(row) = self.readable(&key, ChannelRecord::decode(seq, &value)) else { continue };
            self.tally.last_seq = self.tally.last_seq.max(seq);
            let id = row.change.id;
            if !row.removed {
                let now = self.document_now(&id).await?;
                if !now.is_some_and(|(latest, now)| latest == seq && now.channels.contains(&channel)) {
                    self.report(Inconsistency::StrayChannelRow(channel, seq));
                }
                continue;
            }
            let departure = self.snapshot.get(&self.keys.departure(&id, &channel)).await?;
            let told = departure.and_then(|value| Keys::departed_at(&value));
            if told != Some(seq) || row.stays.current().is_some() {
                self.report(Inconsistency::Departure(id, channel));
            }
        }
        Ok(())
    }

    pub(super) async fn departures(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.departures());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let departure = self.keys.departure_in(&key).zip(Keys::departed_at(&value));
            let departure = departure.ok_or(Corrupt { record: "departure", what: "illegal key or sequence" });
            let Some(((id, channel), seq)) = self.readable(&key, departure) else { continue };
            let row = self.channel_row(&channel, seq).await?;
            let is_told = row.is_some_and(|row| row.removed && row.change.id == id);
            let now = self.document_now(&id).await?;
            let is_back = now.is_some_and(|(_, now)| channel.is_all() || now.channels.contains(&channel));
            if !is_told || is_back {
                self.report(Inconsistency::Departure(id, channel));
            }
        }
        Ok(())
    }

    pub(super) async fn expiries(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.expiries_all());
        while let Some((key, _)) = rows.next(&self.snapshot).await? {
            let expiry = self.keys.expiry_in(&key).ok_or(Corrupt { record: "expiry", what: "illegal key" });
            let Some((at_s, id)) = self.readable(&key, expiry) else { continue };
            if self.document_now(&id).await?.is_none_or(|(_, now)| now.expires_s != Some(at_s)) {
                self.report(Inconsistency::Expiry(id, at_s));
            }
        }
        Ok(())
    }

    pub(super) async fn grants(&mut self) -> Result<(), Error> {
        if self.keys.collection() != DEFAULT_COLLECTION {
            let is_role = |grant: &Grant| matches!(grant.what, Granted::Role(_));
            self.tally.decided.roles = self.tally.decided.grants.extract_if(.., |grant, _| is_role(grant)).collect();
        }
        let mut rows = Rows::new(self.keys.grants_all());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let Some(grant) = self.readable(&key, self.keys.grant_in(&key)) else { continue };
            let Some(record) = self.readable(&key, GrantRecord::decode(&value)) else { continue };
            let counted = self.tally.decided.grants.remove(&grant).unwrap_or(0);
            let told = !record.periods.as_slice().is_empty();
            if !told || record.is_granted() != record.periods.current().is_some() {
                self.report(Inconsistency::GrantPeriods(grant.clone()));
            }
            if record.explicit != self.is_explicit(&grant).await? {
                self.report(Inconsistency::ExplicitGrant(grant.clone()));
            }
            if record.documents != counted {
                let recorded = record.documents;
                self.report(Inconsistency::GrantingDocuments { grant, recorded, counted });
            }
        }
        for (grant, counted) in std::mem::take(&mut self.tally.decided.grants) {
            self.report(Inconsistency::GrantingDocuments { grant, recorded: 0, counted });
        }
        Ok(())
    }

    /// Whether the principal's record says that an administrator granted this.
    async fn is_explicit(&self, grant: &Grant) -> Result<bool, Error> {
        let bytes = self.snapshot.get(&self.keys.principal(&grant.to)).await?;
        let record = bytes.and_then(|bytes| PrincipalRecord::decode(&bytes).ok());
        Ok(record.is_some_and(|record| record.grants(&grant.what, self.keys.collection())))
    }

    pub(super) async fn principals(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.principals_all());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let Some(principal) = self.readable(&key, self.keys.whose_record(&key)) else { continue };
            let Some(record) = self.readable(&key, PrincipalRecord::decode(&value)) else { continue };
            self.tally.last_seq = self.tally.last_seq.max(record.seq);
            for collection in record.collections.keys().chain([&DEFAULT_COLLECTION]) {
                for grant in record.explicit(&principal, *collection) {
                    let told = self.snapshot.get(&self.keys.within(*collection).grant(&grant)).await?;
                    // One that is there was met before.
                    if told.and_then(|bytes| GrantRecord::decode(&bytes).ok()).is_none() {
                        self.report(Inconsistency::ExplicitGrant(grant));
                    }
                }
            }
        }
        Ok(())
    }
}
