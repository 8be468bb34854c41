//! Reading what was decided on revisions, and the index of channels.

use crate::{
    Change, Error, Grant, Reader,
    record::{AssignmentRecord, ChangeRecord, ChannelRecord},
};
use std::{ops::ControlFlow, sync::Arc};
use tidegate_channels::{Entry, Periods, Read};
use tidegate_kv::Direction;
use tidegate_types::{Channel, Seq};

/// What was decided on a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assigned {
    /// The channels it is in; sorted.
    pub channels: Vec<Channel>,
    /// Those that its document left by it; sorted.
    pub left: Vec<Channel>,
    /// What it grants; sorted.
    pub grants: Vec<Grant>,
    /// When its document expires, in seconds since 1970.
    pub expires_s: Option<u64>,
}

impl Reader {
    /// What was decided on the revision with this body. In none, if nothing was.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn assigned(&self, body: Seq) -> Result<Assigned, Error> {
        let mut assigned = self.assigned_many(&[Some(body)]).await?;
        Ok(assigned.pop().unwrap_or_default())
    }

    /// What was decided on the revisions with these bodies, in the order asked for.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn assigned_many(&self, bodies: &[Option<Seq>]) -> Result<Vec<Assigned>, Error> {
        let keys: Vec<_> = bodies.iter().map(|body| self.keys.assignment(body.unwrap_or(Seq::ZERO))).collect();
        let read = |bytes: Option<bytes::Bytes>| {
            let record = bytes.map(|bytes| AssignmentRecord::decode(&bytes)).transpose()?.unwrap_or_default();
            let AssignmentRecord { channels, left, grants, expires_s, stays: _ } = record;
            Ok(Assigned { channels, left, grants, expires_s })
        };
        self.snapshot.get_many(&keys).await?.into_iter().map(read).collect()
    }

    /// The next rows of a channel's index, at most `limit`; whether there may be more. `*` has one for each document.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn channel_rows(&self, read: &Read, limit: usize) -> Result<(Vec<Entry<Arc<Change>>>, bool), Error> {
        let (mut rows, mut more) = self.indexed_rows(read, limit).await?;
        if read.channel.is_all() {
            let (all, more_of_all) = self.all_rows(read, limit).await?;
            rows.extend(all);
            rows.sort_unstable_by_key(|row| row.seq);
            more |= more_of_all || rows.len() > limit;
            rows.truncate(limit);
        }
        Ok((rows, more))
    }

    async fn indexed_rows(&self, read: &Read, limit: usize) -> Result<(Vec<Entry<Arc<Change>>>, bool), Error> {
        let keys = self.keys;
        let decode = if read.needs_stays { ChannelRecord::decode } else { ChannelRecord::decode_change };
        let (mut rows, mut failure) = (Vec::new(), None);
        let visit = |key: &[u8], value: &[u8]| {
            let seq = key.last_chunk().map(|seq| Seq::new(u64::from_be_bytes(*seq))).unwrap_or_default();
            match decode(seq, value) {
                Ok(ChannelRecord { removed, stays, change }) => {
                    rows.push(Entry { seq, removed, stays, about: Arc::new(change) });
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        let range = keys.channel_rows(&read.channel, read.after, read.until);
        self.snapshot.scan_with(range, Direction::Forward, limit, visit).await?;
        let more = rows.len() == limit;
        failure.map_or(Ok((rows, more)), |error| Err(error.into()))
    }

    /// Every document, each in `*` since it was first written here.
    async fn all_rows(&self, read: &Read, limit: usize) -> Result<(Vec<Entry<Arc<Change>>>, bool), Error> {
        let keys = self.keys;
        let range = keys.sequences(read.after, read.until);
        let found = self.snapshot.scan(range, Direction::Forward, limit).await?;
        let mut rows = Vec::with_capacity(found.len());
        for (key, value) in &found {
            let seq = keys.seq_in(key).unwrap_or_default();
            let change = Arc::new(ChangeRecord::decode(seq, value)?);
            rows.push(Entry { seq, removed: false, stays: Periods::open_since(seq), about: change });
        }
        if read.needs_stays {
            self.date(&mut rows).await?;
        }
        Ok((rows, found.len() == limit))
    }

    /// Says of documents since when they are there, as far as it is known.
    async fn date(&self, rows: &mut [Entry<Arc<Change>>]) -> Result<(), Error> {
        let bodies: Vec<_> =
            rows.iter().map(|row| self.keys.assignment(row.about.winner_body.unwrap_or(Seq::ZERO))).collect();
        for (row, bytes) in rows.iter_mut().zip(self.snapshot.get_many(&bodies).await?) {
            let Some(record) = bytes.map(|bytes| AssignmentRecord::decode(&bytes)).transpose()? else { continue };
            row.stays = record.stays;
            if row.stays.as_slice().is_empty() {
                row.stays = Periods::open_since(Seq::ZERO);
            }
        }
        Ok(())
    }
}
