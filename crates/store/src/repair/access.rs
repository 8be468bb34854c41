//! Making anew what access goes by: rows of channels, departures, expiries and grants.
//!
//! What was decided on a revision follows from nothing that is here. Where it is lost or can't be read, the rows of its
//! document stay as they are. When something held can't be made anew, either: what is lost is taken to hold since the
//! latest change that says so.

use super::{Mender, Write};
use crate::{
    Error, Grant, Granted,
    changes::Change,
    keys::{DEFAULT_COLLECTION, Keys},
    record::{AssignmentRecord, ChannelRecord, DocumentRecord, GrantRecord, PrincipalRecord},
    rows::Rows,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_channels::{Period, Periods};
use tidegate_types::{Channel, DocId, Seq};

/// What documents and principals say of access.
#[derive(Default)]
pub(super) struct Said {
    /// All bodies from here on are assigned. None are of a database that never had channels.
    assigned_from: Option<Seq>,
    /// Whether something that was decided is lost or unreadable.
    pub(super) is_lost: bool,
    /// What is granted; what hasn't been met.
    grants: BTreeMap<Grant, Wanted>,
    /// The roles that documents of this collection and of others grant, where that is recorded elsewhere.
    roles: BTreeMap<Grant, Wanted>,
    /// Where a document left a channel, of rows that no departure names: the latest.
    orphans: BTreeMap<(DocId, Channel), Seq>,
    /// Rows of channels that were made anew.
    remade: BTreeSet<(Channel, Seq)>,
}

impl Said {
    /// What another collection has to know.
    pub(super) fn handed_on(self) -> Self {
        Self { is_lost: self.is_lost, grants: self.roles, ..Self::default() }
    }
}

/// What a grant should say.
#[derive(Default)]
struct Wanted {
    documents: u64,
    explicit: bool,
    /// The earliest change that makes it.
    since: Option<Seq>,
}

/// What was decided on a revision.
enum Decided {
    Read(AssignmentRecord),
    /// Nothing, as far as one can tell.
    Nothing,
    Lost,
}

/// A document as it is now.
struct Now {
    change: Change,
    decided: Decided,
}

impl Now {
    /// Whether it is in a channel, as far as it can be told.
    fn is_in(&self, channel: &Channel) -> Option<bool> {
        match &self.decided {
            _ if channel.is_all() => Some(true),
            Decided::Read(record) => Some(record.channels.contains(channel)),
            Decided::Nothing => Some(false),
            Decided::Lost => None,
        }
    }
}

impl Mender {
    /// Whether nothing may be cleared that has to do with access.
    fn keeps(&self) -> bool {
        self.repair.kept_strays || self.known.said.is_lost
    }

    /// Deletes what belongs to nothing; whether it did.
    async fn clear(&mut self, key: &[u8]) -> Result<bool, Error> {
        if self.keeps() {
            return Ok(false);
        }
        self.write(Write::Delete(key.to_vec())).await?;
        Ok(true)
    }

    /// Comes before the documents.
    pub(super) async fn assigned_since(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.assignments());
        while let Some((_, value)) = rows.next(&self.snapshot).await? {
            let said = &mut self.known.said;
            match AssignmentRecord::decode(&value) {
                Ok(record) if record.since() == Seq::ZERO => {}
                Ok(record) => {
                    let since = record.since();
                    said.assigned_from = Some(said.assigned_from.map_or(since, |from| from.min(since)));
                }
                Err(_) => said.is_lost = true,
            }
        }
        Ok(())
    }

    /// Comes after the bodies.
    pub(super) async fn assignments(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.assignments());
        while let Some((key, _)) = rows.next(&self.snapshot).await? {
            let body = self.keys.body(self.keys.seq_in(&key).unwrap_or_default());
            if self.snapshot.get(&body).await?.is_none() && self.clear(&key).await? {
                self.repair.stray_assignments += 1;
            }
        }
        Ok(())
    }

    async fn decided(&self, body: Option<Seq>) -> Result<Decided, Error> {
        let Some(body) = body else { return Ok(Decided::Nothing) };
        let bytes = self.snapshot.get(&self.keys.assignment(body)).await?;
        let is_expected = self.known.said.assigned_from.is_some_and(|from| from <= body);
        Ok(match bytes.map(|bytes| AssignmentRecord::decode(&bytes)) {
            Some(Ok(record)) => Decided::Read(record),
            None if !is_expected => Decided::Nothing,
            Some(Err(_)) | None => Decided::Lost,
        })
    }

    async fn now(&self, id: &DocId) -> Result<Option<Now>, Error> {
        let bytes = self.snapshot.get(&self.keys.document(id.as_str())).await?;
        let record = bytes.and_then(|bytes| DocumentRecord::decode(&bytes).ok());
        let Some(change) = record.and_then(|record| Change::of(record.seq, id, &record.tree)) else { return Ok(None) };
        let decided = self.decided(change.winner_body).await?;
        Ok(Some(Now { change, decided }))
    }

    async fn channel_row(&self, channel: &Channel, seq: Seq) -> Result<Option<ChannelRecord>, Error> {
        let bytes = self.snapshot.get(&self.keys.channel_row(channel, seq)).await?;
        Ok(bytes.and_then(|bytes| ChannelRecord::decode(seq, &bytes).ok()))
    }

    /// Rows by which documents left channels though no departure names them; comes before the documents.
    pub(super) async fn orphans(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.channel_rows_all());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let Some((channel, seq)) = self.keys.channel_row_in(&key) else { continue };
            let Some(row) = ChannelRecord::decode(seq, &value).ok().filter(|row| row.removed) else { continue };
            if self.told_departure(&row.change.id, &channel).await? != Some(seq) {
                self.known.said.orphans.insert((row.change.id, channel), seq);
            }
        }
        Ok(())
    }

    /// The sequence by which a document left a channel, as its departure names it.
    async fn told_departure(&self, id: &DocId, channel: &Channel) -> Result<Option<Seq>, Error> {
        let departure = self.snapshot.get(&self.keys.departure(id, channel)).await?;
        Ok(departure.and_then(|value| Keys::departed_at(&value)))
    }

    /// The row by which a document left a channel, if it is where the departure says.
    async fn told_row(&self, id: &DocId, channel: &Channel, told: Option<Seq>) -> Result<Option<ChannelRecord>, Error> {
        let Some(seq) = told else { return Ok(None) };
        let row = self.channel_row(channel, seq).await?;
        Ok(row.filter(|row| row.removed && row.change.id == *id))
    }

    /// Puts a document, as it is now, into its channels; and notes what it grants.
    pub(super) async fn place(&mut self, change: &Change) -> Result<(), Error> {
        let record = match self.decided(change.winner_body).await? {
            Decided::Read(record) => record,
            Decided::Nothing => return Ok(()),
            Decided::Lost => {
                self.known.said.is_lost = true;
                return Ok(());
            }
        };
        for channel in &record.channels {
            self.place_in(channel, change).await?;
        }
        if let Some(at_s) = record.expires_s {
            let key = self.keys.expiry(at_s, &change.id);
            if self.snapshot.get(&key).await?.is_none() {
                self.repair.expiries += 1;
                self.write(Write::Put(key, Vec::new())).await?;
            }
        }
        for grant in record.grants {
            let wanted = self.known.said.grants.entry(grant).or_default();
            wanted.documents += 1;
            wanted.since = Some(wanted.since.map_or(change.seq, |since| since.min(change.seq)));
        }
        Ok(())
    }

    async fn place_in(&mut self, channel: &Channel, change: &Change) -> Result<(), Error> {
        let row = self.channel_row(channel, change.seq).await?.filter(|row| row.change.id == change.id);
        if row.as_ref().is_some_and(|row| !row.removed && row.stays.current().is_some() && row.change == *change) {
            return Ok(());
        }
        let row = match row {
            Some(row) => Some(row),
            None => {
                let told = self.told_departure(&change.id, channel).await?;
                self.told_row(&change.id, channel, told).await?
            }
        };
        let stays = held(row.map(|row| row.stays).unwrap_or_default(), change.seq);
        self.put_row(channel, ChannelRecord { removed: false, stays, change: change.clone() }).await
    }

    async fn put_row(&mut self, channel: &Channel, row: ChannelRecord) -> Result<(), Error> {
        self.repair.channel_rows += 1;
        self.known.said.remade.insert((channel.clone(), row.change.seq));
        self.write(Write::Put(self.keys.channel_row(channel, row.change.seq), row.encode())).await
    }

    /// Comes before the rows of channels: what they say of departures is what this leaves.
    pub(super) async fn departures(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.departures());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            match self.keys.departure_in(&key) {
                Some((id, channel)) => self.departure(&key, (&id, &channel), Keys::departed_at(&value)).await?,
                None => self.repair.departures += u64::from(self.clear(&key).await?),
            }
        }
        Ok(())
    }

    async fn departure(
        &mut self,
        key: &Bytes,
        (id, channel): (&DocId, &Channel),
        told: Option<Seq>,
    ) -> Result<(), Error> {
        let now = self.now(id).await?;
        let is_in = now.as_ref().map_or(Some(false), |now| now.is_in(channel));
        if is_in == Some(true) {
            self.repair.departures += 1;
            return self.write(Write::Delete(key.to_vec())).await;
        }
        if is_in.is_none() || self.told_row(id, channel, told).await?.is_some() {
            return Ok(());
        }
        if let Some(seq) = self.known.said.orphans.get(&(id.clone(), channel.clone())) {
            self.repair.departures += 1;
            let value = seq.get().to_be_bytes().to_vec();
            return self.write(Write::Put(key.to_vec(), value)).await;
        }
        let seq = told.unwrap_or_default();
        let is_taken = self.channel_row(channel, seq).await?.is_some();
        match now {
            // It was there just before it left.
            Some(now) if !is_taken && Seq::ZERO < seq && seq <= now.change.seq => {
                let before = Period::ended(Seq::new(seq.get() - 1), seq);
                let stays = Periods::from_vec(vec![before]).unwrap_or_default();
                let row = ChannelRecord { removed: true, stays, change: Change { seq, ..now.change } };
                self.put_row(channel, row).await
            }
            Some(_) | None => {
                self.repair.departures += u64::from(self.clear(key).await?);
                Ok(())
            }
        }
    }

    pub(super) async fn channel_rows(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.channel_rows_all());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let place = self.keys.channel_row_in(&key);
            let is_remade = place.as_ref().is_some_and(|place| self.known.said.remade.contains(place));
            let row = place.and_then(|(channel, seq)| Some((channel, ChannelRecord::decode(seq, &value).ok()?)));
            match row {
                _ if is_remade => {}
                Some((channel, row)) if row.removed => self.removed_row(&key, &channel, row).await?,
                Some((channel, row)) => self.live_row(&key, &channel, &row).await?,
                None => self.repair.stray_channel_rows += u64::from(self.clear(&key).await?),
            }
        }
        Ok(())
    }

    async fn live_row(&mut self, key: &Bytes, channel: &Channel, row: &ChannelRecord) -> Result<(), Error> {
        let latest = match self.now(&row.change.id).await? {
            Some(now) if now.change.seq == row.change.seq => now,
            Some(_) => {
                self.repair.stray_channel_rows += 1;
                return self.write(Write::Delete(key.to_vec())).await;
            }
            None => {
                self.repair.stray_channel_rows += u64::from(self.clear(key).await?);
                return Ok(());
            }
        };
        match latest.decided {
            Decided::Read(record) if record.channels.contains(channel) => {}
            Decided::Read(_) => {
                self.repair.stray_channel_rows += 1;
                self.write(Write::Delete(key.to_vec())).await?;
            }
            // That it has a row tells that something was decided.
            Decided::Nothing | Decided::Lost => self.known.said.is_lost = true,
        }
        Ok(())
    }

    async fn removed_row(&mut self, key: &Bytes, channel: &Channel, mut row: ChannelRecord) -> Result<(), Error> {
        let (id, seq) = (row.change.id.clone(), row.change.seq);
        let is_in = self.now(&id).await?.map_or(Some(false), |now| now.is_in(channel));
        let told = self.told_departure(&id, channel).await?;
        if is_in.is_none() || (told == Some(seq) && is_in == Some(false) && row.stays.current().is_none()) {
            return Ok(());
        }
        let is_told_elsewhere = told != Some(seq) && self.told_row(&id, channel, told).await?.is_some();
        let is_latest = self.known.said.orphans.get(&(id.clone(), channel.clone())).is_none_or(|latest| *latest == seq);
        if is_in == Some(true) || is_told_elsewhere || !is_latest {
            self.repair.stray_channel_rows += 1;
            return self.write(Write::Delete(key.to_vec())).await;
        }
        if told.is_none() {
            self.repair.departures += 1;
            let departure = self.keys.departure(&id, channel);
            self.write(Write::Put(departure, seq.get().to_be_bytes().to_vec())).await?;
        }
        if row.stays.current().is_some() {
            row.stays.close(seq);
            self.put_row(channel, row).await?;
        }
        Ok(())
    }

    pub(super) async fn expiries(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.expiries_all());
        while let Some((key, _)) = rows.next(&self.snapshot).await? {
            let Some((at_s, id)) = self.keys.expiry_in(&key) else {
                self.repair.expiries += u64::from(self.clear(&key).await?);
                continue;
            };
            match self.now(&id).await?.map(|now| now.decided) {
                Some(Decided::Read(record)) if record.expires_s == Some(at_s) => {}
                Some(Decided::Lost) => {}
                Some(Decided::Read(_) | Decided::Nothing) | None => {
                    self.repair.expiries += u64::from(self.clear(&key).await?);
                }
            }
        }
        Ok(())
    }

    /// Takes out the roles that documents grant, where that is recorded elsewhere.
    fn set_roles_aside(&mut self) {
        if self.keys.collection() != DEFAULT_COLLECTION {
            let said = &mut self.known.said;
            said.roles = said.grants.extract_if(.., |grant, _| matches!(grant.what, Granted::Role(_))).collect();
        }
    }

    /// Notes what administrators granted and no grant says.
    pub(super) async fn principals(&mut self) -> Result<(), Error> {
        let mut rows = Rows::new(self.keys.principals_all());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let principal = self.keys.whose_record(&key);
            let (Ok(principal), Ok(record)) = (principal, PrincipalRecord::decode(&value)) else {
                self.known.said.is_lost = true;
                continue;
            };
            self.known.last_seq = self.known.last_seq.max(record.seq);
            for grant in record.explicit(&principal, self.keys.collection()) {
                if self.grant(&grant).await?.is_none() {
                    let wanted = self.known.said.grants.entry(grant).or_default();
                    wanted.explicit = true;
                    wanted.since = Some(wanted.since.map_or(record.seq, |since| since.min(record.seq)));
                }
            }
        }
        Ok(())
    }

    async fn grant(&self, grant: &Grant) -> Result<Option<GrantRecord>, Error> {
        let bytes = self.snapshot.get(&self.keys.grant(grant)).await?;
        Ok(bytes.and_then(|bytes| GrantRecord::decode(&bytes).ok()))
    }

    /// Comes last of what has sequences. What isn't granted any more ends with the sequence after `latest`, which is
    /// taken then.
    pub(super) async fn grants(&mut self, latest: Seq) -> Result<(), Error> {
        self.set_roles_aside();
        let mut rows = Rows::new(self.keys.grants_all());
        while let Some((key, value)) = rows.next(&self.snapshot).await? {
            let Ok(grant) = self.keys.grant_in(&key) else {
                self.repair.grants += u64::from(self.clear(&key).await?);
                continue;
            };
            let recorded = GrantRecord::decode(&value).ok();
            // What can't be read is made anew below.
            if let Some(recorded) = recorded {
                let wanted = self.known.said.grants.remove(&grant).unwrap_or_default();
                self.mend_grant(&key, &grant, (&recorded, wanted), latest).await?;
            } else if !self.known.said.grants.contains_key(&grant) {
                self.repair.grants += u64::from(self.clear(&key).await?);
            }
        }
        for (grant, Wanted { documents, explicit, since }) in std::mem::take(&mut self.known.said.grants) {
            let record = GrantRecord { explicit, documents, periods: Periods::open_since(since.unwrap_or(latest)) };
            self.repair.grants += 1;
            self.write(Write::Put(self.keys.grant(&grant), record.encode())).await?;
        }
        Ok(())
    }

    async fn mend_grant(
        &mut self,
        key: &Bytes,
        grant: &Grant,
        (recorded, wanted): (&GrantRecord, Wanted),
        latest: Seq,
    ) -> Result<(), Error> {
        let principal = self.snapshot.get(&self.keys.principal(&grant.to)).await?;
        let principal = principal.map(|bytes| PrincipalRecord::decode(&bytes)).transpose();
        let (explicit, written_at) = match &principal {
            Ok(Some(record)) => (record.grants(&grant.what, self.keys.collection()), Some(record.seq)),
            Ok(None) => (false, None),
            Err(_) => (recorded.explicit, None),
        };
        // What is lost may grant it as well.
        let documents = if self.keeps() { wanted.documents.max(recorded.documents) } else { wanted.documents };
        let mut mended = GrantRecord { explicit, documents, periods: recorded.periods.clone() };
        if mended.is_granted() {
            let since = wanted.since.or(written_at).unwrap_or(latest);
            mended.periods = held(mended.periods, since);
        } else if mended.periods.current().is_some() {
            mended.periods.close(latest.next());
            self.known.last_seq = self.known.last_seq.max(latest.next());
        }
        if mended == *recorded && !mended.periods.as_slice().is_empty() {
            return Ok(());
        }
        self.repair.grants += 1;
        let is_empty = mended.periods.as_slice().is_empty();
        self.write(if is_empty { Write::Delete(key.to_vec()) } else { Write::Put(key.to_vec(), mended.encode()) }).await
    }
}

/// Periods that go on: since `seq` where it isn't told since when.
fn held(mut periods: Periods, seq: Seq) -> Periods {
    if periods.current().is_none() {
        let ended = periods.as_slice().last().and_then(|period| period.until);
        periods.open(ended.map_or(seq, |ended| ended.max(seq)));
    }
    periods
}
