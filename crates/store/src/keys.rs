//! Where everything lies: the keys, and the ranges of keys.
//!
//! `C name` is the catalogue, `S name` a setting of the server, `T number` a deleted database whose data is still being
//! cleared, `D number tag …` the data of a database. Within a database, bodies and the sequence index are appended to, and only the document record
//! lands at a random place. Scopes (who may write what) are the same prefixes.
//!
//! A database's default collection lies as if there were no others. Those lie in it as it does: `D number o collection
//! tag …`. What all collections share, as principals and settings, is the database's alone.

mod access;

use crate::record::AttachmentDigest;
use bytes::Bytes;
use std::ops::Bound;
use tidegate_kv::KeyRange;
use tidegate_types::{Channel, CollectionName, DbName, DocId, Seq};

const CATALOG: u8 = b'C';
const TRASH: u8 = b'T';
const DATA: u8 = b'D';

/// The scope of the catalogue's writes.
pub(crate) const CATALOG_SCOPE: &[u8] = b"C";

pub(crate) fn catalog(name: &DbName) -> Vec<u8> {
    [&[CATALOG], name.as_str().as_bytes()].concat()
}

pub(crate) fn catalog_all() -> KeyRange {
    KeyRange::prefix([CATALOG])
}

/// The name that a key of the catalogue holds.
pub(crate) fn catalog_name(key: &[u8]) -> Option<DbName> {
    str::from_utf8(key.strip_prefix(&[CATALOG])?).ok()?.parse().ok()
}

/// The scope of the server's settings.
pub(crate) const SERVER_SCOPE: &[u8] = b"S";

pub(crate) fn server_setting(name: &str) -> Vec<u8> {
    [SERVER_SCOPE, name.as_bytes()].concat()
}

/// The number of the database that will be made next.
pub(crate) fn next_number() -> Vec<u8> {
    b"N".to_vec()
}

pub(crate) fn trash(number: u32) -> Vec<u8> {
    [&[TRASH], number.to_be_bytes().as_slice()].concat()
}

pub(crate) fn trash_all() -> KeyRange {
    KeyRange::prefix([TRASH])
}

pub(crate) fn trash_number(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(key.strip_prefix(&[TRASH])?.try_into().ok()?))
}

/// Whether a database's counters and settings lie under this key.
pub(crate) fn is_meta(key: &[u8]) -> bool {
    matches!(key, [DATA, _, _, _, _, Keys::META])
}

/// The number of a database's default collection; others count from 1.
pub(crate) const DEFAULT_COLLECTION: u32 = 0;

/// The keys of one collection of a database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    /// Of the database; then, where the collection isn't the default one, of the collection.
    prefix: [u8; 10],
    length: usize,
}

impl Keys {
    const META: u8 = b'm';
    const DOCUMENT: u8 = b'd';
    const BODY: u8 = b'b';
    const SEQUENCE: u8 = b's';
    const LOCAL: u8 = b'l';
    const ATTACHMENT: u8 = b'a';
    const CHUNK: u8 = b'c';
    const UPLOAD: u8 = b'u';
    const SETTING: u8 = b'p';
    const ASSIGNMENT: u8 = b'q';
    const CHANNEL_ROW: u8 = b'k';
    const DEPARTURE: u8 = b'x';
    const EXPIRY: u8 = b'e';
    const GRANT: u8 = b'g';
    const PRINCIPAL: u8 = b'r';

    const USER: u8 = b'u';
    const ROLE: u8 = b'r';
    const CHANNEL: u8 = b'c';
    /// Stands in no text.
    const END_OF_TEXT: u8 = 0xff;
    const PURGE: u8 = b'h';
    const TICKET: u8 = b't';
    const COLLECTION_NAME: u8 = b'n';
    const COLLECTION: u8 = b'o';

    const DATABASE_LENGTH: usize = 5;
    const COLLECTION_LENGTH: usize = 10;

    /// Those of a database's default collection.
    pub(crate) fn new(number: u32) -> Self {
        let [a, b, c, d] = number.to_be_bytes();
        Self { prefix: [DATA, a, b, c, d, 0, 0, 0, 0, 0], length: Self::DATABASE_LENGTH }
    }

    /// Those of another collection of the database.
    pub(crate) fn within(&self, collection: u32) -> Self {
        if collection == DEFAULT_COLLECTION {
            return Self { length: Self::DATABASE_LENGTH, ..*self };
        }
        let ([tag, n, u, m, b, ..], [e, r, s, t]) = (self.prefix, collection.to_be_bytes());
        Self { prefix: [tag, n, u, m, b, Self::COLLECTION, e, r, s, t], length: Self::COLLECTION_LENGTH }
    }

    /// Those of the default collection, which are the database's own.
    pub(crate) fn home(&self) -> Self {
        self.within(DEFAULT_COLLECTION)
    }

    /// The number of the collection.
    pub(crate) fn collection(&self) -> u32 {
        let [.., e, r, s, t] = self.prefix;
        if self.length == Self::DATABASE_LENGTH { DEFAULT_COLLECTION } else { u32::from_be_bytes([e, r, s, t]) }
    }

    fn prefix(&self) -> &[u8] {
        self.prefix.get(..self.length).unwrap_or_default()
    }

    /// Everything of the database, its collections included.
    pub(crate) fn all(&self) -> KeyRange {
        KeyRange::prefix(self.scope())
    }

    /// The scope of the database's commits.
    pub(crate) fn scope(&self) -> &[u8] {
        self.prefix.get(..Self::DATABASE_LENGTH).unwrap_or_default()
    }

    fn key(&self, tag: u8, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.length + 1 + rest.len());
        key.extend_from_slice(self.prefix());
        key.push(tag);
        key.extend_from_slice(rest);
        key
    }

    /// What stands in a key of the collection behind the tag.
    fn behind_tag<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        key.get(self.length + 1..)
    }

    /// The number of a collection by its name.
    pub(crate) fn collection_number(&self, name: &CollectionName) -> Vec<u8> {
        self.home().key(Self::COLLECTION_NAME, name.as_str().as_bytes())
    }

    /// The numbers of all collections but the default one.
    pub(crate) fn collection_numbers(&self) -> KeyRange {
        KeyRange::prefix(self.home().key(Self::COLLECTION_NAME, &[]))
    }

    /// The name in the key of a collection's number.
    pub(crate) fn collection_in(&self, key: &[u8]) -> Option<CollectionName> {
        str::from_utf8(self.home().behind_tag(key)?).ok()?.parse().ok()
    }

    /// Everything of the collections from this number on, but of the default one.
    pub(crate) fn collections_from(&self, number: u32) -> KeyRange {
        let all = KeyRange::prefix(self.home().key(Self::COLLECTION, &[]));
        KeyRange { start: Bound::Included(self.within(number).prefix().to_vec()), end: all.end }
    }

    /// The number of the collection of which something lies under this key.
    pub(crate) fn collection_holding(&self, key: &[u8]) -> Option<u32> {
        Some(u32::from_be_bytes(*self.home().behind_tag(key)?.first_chunk()?))
    }

    /// The database's counters and settings.
    pub(crate) fn meta(&self) -> Vec<u8> {
        self.home().key(Self::META, &[])
    }

    /// The collection's counters; those of the default one are in [`Keys::meta`].
    pub(crate) fn counters(&self) -> Vec<u8> {
        self.key(Self::META, &[])
    }

    /// A setting of the database.
    pub(crate) fn setting(&self, name: &str) -> Vec<u8> {
        self.home().own_setting(name)
    }

    /// A setting of the collection.
    pub(crate) fn own_setting(&self, name: &str) -> Vec<u8> {
        self.key(Self::SETTING, name.as_bytes())
    }

    pub(crate) fn document(&self, id: &str) -> Vec<u8> {
        self.key(Self::DOCUMENT, id.as_bytes())
    }

    pub(crate) fn documents(&self, start: Bound<&str>, end: Bound<&str>) -> KeyRange {
        self.texts(Self::DOCUMENT, start, end)
    }

    pub(crate) fn local(&self, name: &str) -> Vec<u8> {
        self.key(Self::LOCAL, name.as_bytes())
    }

    pub(crate) fn locals(&self, start: Bound<&str>, end: Bound<&str>) -> KeyRange {
        self.texts(Self::LOCAL, start, end)
    }

    /// The local documents whose ids begin with this.
    pub(crate) fn locals_of(&self, start: &str) -> KeyRange {
        KeyRange::prefix(self.local(start))
    }

    fn texts(&self, tag: u8, start: Bound<&str>, end: Bound<&str>) -> KeyRange {
        let start = match start {
            Bound::Unbounded => Bound::Included(self.key(tag, &[])),
            Bound::Included(_) | Bound::Excluded(_) => start.map(|text| self.key(tag, text.as_bytes())),
        };
        let end = match end {
            Bound::Unbounded => Bound::Excluded(self.key(tag + 1, &[])),
            Bound::Included(_) | Bound::Excluded(_) => end.map(|text| self.key(tag, text.as_bytes())),
        };
        KeyRange { start, end }
    }

    /// The id in a document's or a local document's key.
    pub(crate) fn id_in<'k>(&self, key: &'k [u8]) -> Option<&'k str> {
        str::from_utf8(self.behind_tag(key)?).ok()
    }

    pub(crate) fn body(&self, seq: Seq) -> Vec<u8> {
        self.key(Self::BODY, &seq.get().to_be_bytes())
    }

    pub(crate) fn bodies(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::BODY, &[]))
    }

    pub(crate) fn sequence(&self, seq: Seq) -> Vec<u8> {
        self.key(Self::SEQUENCE, &seq.get().to_be_bytes())
    }

    /// The sequences after `after` up to and including `until`.
    pub(crate) fn sequences(&self, after: Seq, until: Seq) -> KeyRange {
        KeyRange { start: Bound::Excluded(self.sequence(after)), end: Bound::Included(self.sequence(until)) }
    }

    /// The sequence in a key of the sequence index, or in that of a body.
    pub(crate) fn seq_in(&self, key: &[u8]) -> Option<Seq> {
        let number = self.behind_tag(key)?.try_into().ok()?;
        Some(Seq::new(u64::from_be_bytes(number)))
    }

    /// What was decided on the revision whose body has this sequence.
    pub(crate) fn assignment(&self, seq: Seq) -> Vec<u8> {
        self.key(Self::ASSIGNMENT, &seq.get().to_be_bytes())
    }

    pub(crate) fn assignments(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::ASSIGNMENT, &[]))
    }

    pub(crate) fn channel_row(&self, channel: &Channel, seq: Seq) -> Vec<u8> {
        let seq = seq.get().to_be_bytes();
        self.key(Self::CHANNEL_ROW, &[channel.as_str().as_bytes(), &[Self::END_OF_TEXT], &seq].concat())
    }

    /// The rows of a channel after `after` up to and including `until`.
    pub(crate) fn channel_rows(&self, channel: &Channel, after: Seq, until: Seq) -> KeyRange {
        let (start, end) = (self.channel_row(channel, after), self.channel_row(channel, until));
        KeyRange { start: Bound::Excluded(start), end: Bound::Included(end) }
    }

    /// The rows of all channels.
    pub(crate) fn channel_rows_all(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::CHANNEL_ROW, &[]))
    }

    /// The channel and the sequence in the key of a row.
    pub(crate) fn channel_row_in(&self, key: &[u8]) -> Option<(Channel, Seq)> {
        let (rest, seq) = self.behind_tag(key)?.split_last_chunk()?;
        let channel = str::from_utf8(rest.strip_suffix(&[Self::END_OF_TEXT])?).ok()?.parse().ok()?;
        Some((channel, Seq::new(u64::from_be_bytes(*seq))))
    }

    /// Where it stands by which sequence a document left a channel.
    pub(crate) fn departure(&self, id: &DocId, channel: &Channel) -> Vec<u8> {
        let (id, channel) = (id.as_str().as_bytes(), channel.as_str().as_bytes());
        self.key(Self::DEPARTURE, &[id, &[Self::END_OF_TEXT], channel].concat())
    }

    /// Of one document.
    pub(crate) fn departures_of(&self, id: &DocId) -> KeyRange {
        KeyRange::prefix(self.key(Self::DEPARTURE, &[id.as_str().as_bytes(), &[Self::END_OF_TEXT]].concat()))
    }

    /// The channel in such a key of a document.
    pub(crate) fn departed_from(&self, id: &DocId, key: &[u8]) -> Option<Channel> {
        str::from_utf8(key.get(self.length + 2 + id.as_str().len()..)?).ok()?.parse().ok()
    }

    pub(crate) fn departures(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::DEPARTURE, &[]))
    }

    /// The document and the channel in the key of a departure.
    pub(crate) fn departure_in(&self, key: &[u8]) -> Option<(DocId, Channel)> {
        let rest = self.behind_tag(key)?;
        let end = rest.iter().position(|byte| *byte == Self::END_OF_TEXT)?;
        let (id, channel) = (str::from_utf8(rest.get(..end)?), str::from_utf8(rest.get(end + 1..)?));
        Some((id.ok()?.parse().ok()?, channel.ok()?.parse().ok()?))
    }

    /// The sequence that stands there.
    pub(crate) fn departed_at(value: &[u8]) -> Option<Seq> {
        Some(Seq::new(u64::from_be_bytes(value.try_into().ok()?)))
    }

    /// That a document expires, at a time in seconds since 1970.
    pub(crate) fn expiry(&self, at_s: u64, id: &DocId) -> Vec<u8> {
        self.key(Self::EXPIRY, &[at_s.to_be_bytes().as_slice(), id.as_str().as_bytes()].concat())
    }

    /// What expires up to and including a time.
    pub(crate) fn expiries(&self, until_s: u64) -> KeyRange {
        let end = self.key(Self::EXPIRY, &until_s.saturating_add(1).to_be_bytes());
        KeyRange { start: Bound::Included(self.key(Self::EXPIRY, &[])), end: Bound::Excluded(end) }
    }

    /// Everything that expires.
    pub(crate) fn expiries_all(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::EXPIRY, &[]))
    }

    /// The time and the document in the key of an expiry.
    pub(crate) fn expiry_in(&self, key: &[u8]) -> Option<(u64, DocId)> {
        let (at, id) = self.behind_tag(key)?.split_first_chunk()?;
        Some((u64::from_be_bytes(*at), str::from_utf8(id).ok()?.parse().ok()?))
    }

    pub(crate) fn attachment(&self, digest: &AttachmentDigest) -> Vec<u8> {
        self.key(Self::ATTACHMENT, digest.as_bytes())
    }

    pub(crate) fn attachments(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::ATTACHMENT, &[]))
    }

    /// The digest in an attachment's key.
    pub(crate) fn digest_in(&self, key: &[u8]) -> Option<AttachmentDigest> {
        Some(AttachmentDigest::new(self.behind_tag(key)?.try_into().ok()?))
    }

    pub(crate) fn chunk(&self, blob: u128, index: u32) -> Vec<u8> {
        self.key(Self::CHUNK, &[blob.to_be_bytes().as_slice(), &index.to_be_bytes()].concat())
    }

    pub(crate) fn chunks(&self, blob: u128) -> KeyRange {
        KeyRange { start: Bound::Included(self.chunk(blob, 0)), end: Bound::Included(self.chunk(blob, u32::MAX)) }
    }

    /// The chunks of all contents.
    pub(crate) fn chunks_all(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::CHUNK, &[]))
    }

    /// The blob and the index in a chunk's key.
    pub(crate) fn chunk_in(&self, key: &[u8]) -> Option<(u128, u32)> {
        let (blob, index) = self.behind_tag(key)?.split_first_chunk()?;
        Some((u128::from_be_bytes(*blob), u32::from_be_bytes(index.try_into().ok()?)))
    }

    pub(crate) fn purge(&self, number: u64) -> Vec<u8> {
        self.key(Self::PURGE, &number.to_be_bytes())
    }

    /// The purges after `after` up to and including `until`.
    pub(crate) fn purges(&self, after: u64, until: u64) -> KeyRange {
        KeyRange { start: Bound::Excluded(self.purge(after)), end: Bound::Included(self.purge(until)) }
    }

    /// The number in a purge's key.
    pub(crate) fn purge_in(&self, key: &[u8]) -> Option<u64> {
        Some(u64::from_be_bytes(self.behind_tag(key)?.try_into().ok()?))
    }

    /// A row of a ticket; which ones there are, `tickets` says.
    pub(crate) fn ticket_row(&self, rest: &[u8]) -> Vec<u8> {
        self.home().key(Self::TICKET, rest)
    }

    pub(crate) fn upload(&self, blob: u128) -> Vec<u8> {
        self.key(Self::UPLOAD, &blob.to_be_bytes())
    }

    pub(crate) fn uploads(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::UPLOAD, &[]))
    }

    /// The blob in the key of an unfinished upload.
    pub(crate) fn blob_in(&self, key: &[u8]) -> Option<u128> {
        Some(u128::from_be_bytes(self.behind_tag(key)?.try_into().ok()?))
    }
}

/// A key as the storage takes it.
pub(crate) type Key = Vec<u8>;
/// A value as the storage gives it.
pub(crate) type Value = Bytes;

#[cfg(test)]
mod tests;
