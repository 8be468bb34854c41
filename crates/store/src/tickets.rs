//! Tickets: small records with an owner and an end, found by a digest. Sessions are kept so.
//!
//! What a ticket lets its bearer do is in its content, which is its owner's to know. Three rows are a ticket: the record
//! by its digest, and two without a value, by its owner and by its end. They are written and taken away together.

use crate::{
    Corrupt, Database, Error,
    codec::{Reader as RecordReader, put_number, put_text},
    commit::{Draft, Stop},
    keys::{Key, Keys},
    rows::Rows,
};
use bytes::Bytes;
use std::ops::{Bound, ControlFlow};
use tidegate_kv::{Direction, KeyRange, Snapshot};
use tidegate_types::PrincipalName;

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Of what its bearer shows.
    pub digest: TicketDigest,
    /// Whose it is.
    pub owner: PrincipalName,
    /// When it ends, in seconds since 1970.
    pub expires_s: u64,
    /// What it lets its bearer do.
    pub content: Bytes,
}

/// A digest of what a ticket's bearer shows.
pub type TicketDigest = [u8; 32];

const VERSION: u8 = 1;
/// Tickets taken away in one commit.
const DELETED_AT_ONCE: usize = 1_000;

/// Which tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tickets<'a> {
    /// Those of one owner, those that end first before the others.
    Of(&'a PrincipalName),
    /// Those that have ended by a time, in seconds since 1970.
    EndedBy(u64),
}

impl Database {
    /// Keeps a ticket.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn put_ticket(&self, ticket: Ticket) -> Result<(), Error> {
        let keys = self.collection.keys;
        let reads = vec![keys.ticket(&ticket.digest)];
        let apply = move |draft: &mut Draft<'_>| {
            remove(draft, keys, &ticket.digest)?;
            put(draft, keys, &ticket);
            Ok(())
        };
        self.inner.propose_one(reads, Box::new(apply)).await
    }

    /// The ticket of this digest, whether it has ended or not.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn ticket(&self, digest: &TicketDigest) -> Result<Option<Ticket>, Error> {
        let record = self.inner.snapshot()?.get(&self.collection.keys.ticket(digest)).await?;
        record.map(|record| Ok(decode(digest, &record)?)).transpose()
    }

    /// Moves the end of a ticket, unless it was taken away meanwhile; whether it was there.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn prolong_ticket(&self, digest: &TicketDigest, expires_s: u64) -> Result<bool, Error> {
        let (keys, digest) = (self.collection.keys, *digest);
        let apply = move |draft: &mut Draft<'_>| {
            let Some(ticket) = remove(draft, keys, &digest)? else { return Ok(false) };
            put(draft, keys, &Ticket { expires_s, ..ticket });
            Ok(true)
        };
        self.inner.propose_one(vec![keys.ticket(&digest)], Box::new(apply)).await
    }

    /// Takes a ticket away, and hands it to the one caller who did.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn take_ticket(&self, digest: &TicketDigest) -> Result<Option<Ticket>, Error> {
        let (keys, digest) = (self.collection.keys, *digest);
        let apply = move |draft: &mut Draft<'_>| remove(draft, keys, &digest);
        self.inner.propose_one(vec![keys.ticket(&digest)], Box::new(apply)).await
    }

    /// Tickets, in the order of their ends, at most `limit`.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn tickets(&self, which: Tickets<'_>, limit: usize) -> Result<Vec<Ticket>, Error> {
        let snapshot = self.inner.snapshot()?;
        let rows = snapshot.scan(self.collection.keys.tickets(which), Direction::Forward, limit).await?;
        let digests: Vec<TicketDigest> = rows.iter().filter_map(|(key, _)| digest_in(key)).collect();
        let keys: Vec<Key> = digests.iter().map(|digest| self.collection.keys.ticket(digest)).collect();
        let records = snapshot.get_many(&keys).await?;
        let found = digests.iter().zip(records).filter_map(|(digest, record)| Some((digest, record?)));
        found.map(|(digest, record)| Ok(decode(digest, &record)?)).collect()
    }

    /// How many tickets there are, counted up to `limit`.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn count_tickets(&self, which: Tickets<'_>, limit: usize) -> Result<usize, Error> {
        let mut count = 0;
        let visit = |_: &[u8], _: &[u8]| {
            count += 1;
            ControlFlow::Continue(())
        };
        self.inner.snapshot()?.scan_with(self.collection.keys.tickets(which), Direction::Forward, limit, visit).await?;
        Ok(count)
    }

    /// Takes tickets away that are there now; how many. Those that end first go first, at most `limit`.
    ///
    /// # Errors
    /// The database is gone, or the storage failed. What was taken away before stays so.
    pub async fn delete_tickets(&self, which: Tickets<'_>, limit: usize) -> Result<u64, Error> {
        let (keys, mut deleted, mut left) = (self.collection.keys, 0, limit);
        while left > 0 {
            let at_once = left.min(DELETED_AT_ONCE);
            let rows = self.inner.snapshot()?.scan(keys.tickets(which), Direction::Forward, at_once).await?;
            left = if rows.len() < at_once { 0 } else { left - at_once };
            deleted += self.delete_rows(rows.into_iter().map(|(key, _)| key.to_vec()).collect()).await?;
        }
        Ok(deleted)
    }

    /// Takes the tickets of these rows away, and the rows where they belong to none.
    async fn delete_rows(&self, rows: Vec<Key>) -> Result<u64, Error> {
        let keys = self.collection.keys;
        let reads = rows.iter().filter_map(|row| digest_in(row)).map(|digest| keys.ticket(&digest)).collect();
        let apply = move |draft: &mut Draft<'_>| {
            let mut deleted = 0;
            for row in &rows {
                let Some(digest) = digest_in(row) else { continue };
                // It may have been moved to another end since.
                let is_there = rows_of(keys, draft, &digest)?.is_some_and(|own| own.contains(row));
                deleted += u64::from(is_there && remove(draft, keys, &digest)?.is_some());
                draft.delete(row.clone());
            }
            Ok(deleted)
        };
        self.inner.propose_one(reads, Box::new(apply)).await
    }
}

impl Keys {
    fn ticket(&self, digest: &TicketDigest) -> Key {
        self.ticket_row(&[b"d", digest.as_slice()].concat())
    }

    fn ticket_of_owner(&self, ticket: &Ticket) -> Key {
        let Ticket { digest, owner, expires_s, .. } = ticket;
        self.ticket_row(&[&owner_prefix(owner), expires_s.to_be_bytes().as_slice(), digest].concat())
    }

    fn ticket_by_end(&self, ticket: &Ticket) -> Key {
        self.ticket_row(&[b"e", ticket.expires_s.to_be_bytes().as_slice(), &ticket.digest].concat())
    }

    fn tickets(&self, which: Tickets<'_>) -> KeyRange {
        match which {
            Tickets::Of(owner) => KeyRange::prefix(self.ticket_row(&owner_prefix(owner))),
            Tickets::EndedBy(time_s) => KeyRange {
                start: Bound::Included(self.ticket_row(b"e")),
                end: Bound::Excluded(match time_s.checked_add(1) {
                    Some(later) => self.ticket_row(&[b"e", later.to_be_bytes().as_slice()].concat()),
                    None => self.ticket_row(b"f"),
                }),
            },
        }
    }

    /// The records of all tickets.
    fn ticket_records(&self) -> KeyRange {
        KeyRange::prefix(self.ticket_row(b"d"))
    }

    /// The rows by owner and by end of all tickets.
    fn ticket_indexes(&self) -> KeyRange {
        KeyRange { start: Bound::Included(self.ticket_row(b"e")), end: Bound::Excluded(self.ticket_row(b"p")) }
    }
}

/// No byte of a name is 255, so that no owner's rows are among another's.
fn owner_prefix(owner: &PrincipalName) -> Vec<u8> {
    [b"o", owner.as_str().as_bytes(), &[u8::MAX]].concat()
}

/// The digest at the end of a row's key.
fn digest_in(key: &[u8]) -> Option<TicketDigest> {
    key.last_chunk().copied()
}

/// The rows without a value that a ticket of this record has.
fn index_rows(keys: Keys, digest: &TicketDigest, record: &Bytes) -> Result<[Key; 2], Corrupt> {
    let ticket = decode(digest, record)?;
    Ok([keys.ticket_by_end(&ticket), keys.ticket_of_owner(&ticket)])
}

fn rows_of(keys: Keys, draft: &Draft<'_>, digest: &TicketDigest) -> Result<Option<[Key; 2]>, Stop> {
    let record = draft.get(&keys.ticket(digest))?;
    Ok(record.map(|record| index_rows(keys, digest, record)).transpose()?)
}

fn put(draft: &mut Draft<'_>, keys: Keys, ticket: &Ticket) {
    draft.put(keys.ticket(&ticket.digest), encode(ticket));
    draft.put(keys.ticket_of_owner(ticket), Vec::new());
    draft.put(keys.ticket_by_end(ticket), Vec::new());
}

fn remove(draft: &mut Draft<'_>, keys: Keys, digest: &TicketDigest) -> Result<Option<Ticket>, Stop> {
    let key = keys.ticket(digest);
    let Some(record) = draft.get(&key)?.cloned() else { return Ok(None) };
    let ticket = decode(digest, &record)?;
    for row in [key, keys.ticket_of_owner(&ticket), keys.ticket_by_end(&ticket)] {
        draft.delete(row);
    }
    Ok(Some(ticket))
}

fn encode(ticket: &Ticket) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_number(&mut out, ticket.expires_s);
    put_text(&mut out, ticket.owner.as_str());
    out.extend_from_slice(&ticket.content);
    out
}

fn decode(digest: &TicketDigest, record: &Bytes) -> Result<Ticket, Corrupt> {
    let mut reader = RecordReader::versioned("ticket", VERSION, record)?;
    let expires_s = reader.number()?;
    let owner = reader.text()?.parse().map_err(|_illegal| reader.corrupt("illegal owner"))?;
    Ok(Ticket { digest: *digest, owner, expires_s, content: record.slice_ref(reader.rest()) })
}

/// Rows of tickets that don't agree.
#[derive(Default)]
pub(crate) struct Faults {
    /// Rows without a value that should be there.
    pub(crate) missing: Vec<Key>,
    /// Rows without a value that belong to no ticket.
    pub(crate) stray: Vec<Key>,
    /// Records that can't be read.
    pub(crate) unreadable: Vec<(Corrupt, Bytes)>,
}

impl Faults {
    /// Reads the rows of all tickets.
    pub(crate) async fn find(snapshot: &Snapshot, keys: Keys) -> Result<Self, Error> {
        let mut faults = Self::default();
        faults.of_records(snapshot, keys).await?;
        faults.of_indexes(snapshot, keys).await?;
        Ok(faults)
    }

    async fn of_records(&mut self, snapshot: &Snapshot, keys: Keys) -> Result<(), Error> {
        let mut rows = Rows::new(keys.ticket_records());
        while let Some((key, record)) = rows.next(snapshot).await? {
            let digest = digest_in(&key).ok_or(Corrupt { record: "ticket", what: "illegal key" });
            match digest.and_then(|digest| index_rows(keys, &digest, &record)) {
                Ok(indexes) => {
                    let found = snapshot.get_many(&indexes).await?;
                    let missing = indexes.into_iter().zip(found).filter(|(_, found)| found.is_none());
                    self.missing.extend(missing.map(|(key, _)| key));
                }
                Err(corrupt) => self.unreadable.push((corrupt, key)),
            }
        }
        Ok(())
    }

    async fn of_indexes(&mut self, snapshot: &Snapshot, keys: Keys) -> Result<(), Error> {
        let mut rows = Rows::new(keys.ticket_indexes());
        while let Some((key, _)) = rows.next(snapshot).await? {
            let digest = digest_in(&key).unwrap_or_default();
            let record = snapshot.get(&keys.ticket(&digest)).await?;
            let indexes = record.and_then(|record| index_rows(keys, &digest, &record).ok());
            if !indexes.is_some_and(|indexes| indexes.contains(&key.to_vec())) {
                self.stray.push(key.to_vec());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What version 1 wrote: it must stay readable.
    #[test]
    fn the_first_version_is_read() {
        let ticket = Ticket { digest: [7; 32], owner: "ada".parse().unwrap(), expires_s: 300, content: "c".into() };
        let record = Bytes::from_static(b"\x01\xac\x02\x03adac");
        assert_eq!(decode(&[7; 32], &record), Ok(ticket.clone()));
        assert_eq!(encode(&ticket), record);
        for bad in [&b""[..], b"\x02\xac\x02\x03adac", b"\x01\xac\x02\x03ad", b"\x01\x01\x01/"] {
            assert!(decode(&[7; 32], &Bytes::from_static(bad)).is_err(), "{bad:?}");
        }
    }
}
