//! Where everything lies: the keys, and the ranges of keys.
//!
//! `C name` is the catalogue, `S name` a setting of the server, `T number` a deleted database whose data is still being
//! cleared, `D number tag …` the data of a database. Within a database, bodies and the sequence index are appended to, and only the document record
//! lands at a random place. Scopes (who may write what) are the same prefixes.

use crate::{Corrupt, Grant, Granted, PrincipalKind, record::AttachmentDigest};
use bytes::Bytes;
use std::ops::Bound;
use std::str::FromStr;
use tidegate_kv::KeyRange;
use tidegate_types::{Channel, DbName, DocId, Principal, PrincipalName, Seq};

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

/// The keys of one database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    prefix: [u8; 5],
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

    pub(crate) fn new(number: u32) -> Self {
        let [a, b, c, d] = number.to_be_bytes();
        Self { prefix: [DATA, a, b, c, d] }
    }

    /// Everything of the database.
    pub(crate) fn all(&self) -> KeyRange {
        KeyRange::prefix(self.prefix)
    }

    /// The scope of the database's commits.
    pub(crate) fn scope(&self) -> &[u8] {
        &self.prefix
    }

    fn key(&self, tag: u8, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(6 + rest.len());
        key.extend_from_slice(&self.prefix);
        key.push(tag);
        key.extend_from_slice(rest);
        key
    }

    pub(crate) fn meta(&self) -> Vec<u8> {
        self.key(Self::META, &[])
    }

    pub(crate) fn setting(&self, name: &str) -> Vec<u8> {
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
        str::from_utf8(key.get(self.prefix.len() + 1..)?).ok()
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
        let number = key.get(self.prefix.len() + 1..)?.try_into().ok()?;
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
        let (rest, seq) = key.get(self.prefix.len() + 1..)?.split_last_chunk()?;
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
        str::from_utf8(key.get(self.prefix.len() + 2 + id.as_str().len()..)?).ok()?.parse().ok()
    }

    pub(crate) fn departures(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::DEPARTURE, &[]))
    }

    /// The document and the channel in the key of a departure.
    pub(crate) fn departure_in(&self, key: &[u8]) -> Option<(DocId, Channel)> {
        let rest = key.get(self.prefix.len() + 1..)?;
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
        let (at, id) = key.get(self.prefix.len() + 1..)?.split_first_chunk()?;
        Some((u64::from_be_bytes(*at), str::from_utf8(id).ok()?.parse().ok()?))
    }

    fn principal_text(principal: &Principal) -> Vec<u8> {
        let (kind, name) = match principal {
            Principal::User(name) => (Self::USER, name),
            Principal::Role(name) => (Self::ROLE, name),
        };
        [&[kind], name.as_str().as_bytes()].concat()
    }

    pub(crate) fn principal(&self, principal: &Principal) -> Vec<u8> {
        self.key(Self::PRINCIPAL, &Self::principal_text(principal))
    }

    /// The principals of a kind whose names come after `after`.
    pub(crate) fn principals(&self, kind: PrincipalKind, after: &str) -> KeyRange {
        let kind = match kind {
            PrincipalKind::User => Self::USER,
            PrincipalKind::Role => Self::ROLE,
        };
        let start = self.key(Self::PRINCIPAL, &[&[kind], after.as_bytes()].concat());
        KeyRange { start: Bound::Excluded(start), end: Bound::Excluded(self.key(Self::PRINCIPAL, &[kind + 1])) }
    }

    /// All principals.
    pub(crate) fn principals_all(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::PRINCIPAL, &[]))
    }

    /// The name in a principal's key.
    pub(crate) fn principal_in(&self, key: &[u8]) -> Result<PrincipalName, Corrupt> {
        text_in(key.get(self.prefix.len() + 2..), "principal")
    }

    /// The principal in its key.
    pub(crate) fn whose_record(&self, key: &[u8]) -> Result<Principal, Corrupt> {
        principal_from(key.get(self.prefix.len() + 1..), "principal")
    }

    pub(crate) fn grant(&self, grant: &Grant) -> Vec<u8> {
        let (kind, text) = match &grant.what {
            Granted::Channel(channel) => (Self::CHANNEL, channel.as_str()),
            Granted::Role(role) => (Self::ROLE, role.as_str()),
        };
        [self.grants_prefix(&grant.to).as_slice(), &[kind], text.as_bytes()].concat()
    }

    fn grants_prefix(&self, to: &Principal) -> Vec<u8> {
        [self.key(Self::GRANT, &Self::principal_text(to)).as_slice(), &[Self::END_OF_TEXT]].concat()
    }

    /// What was granted to a principal.
    pub(crate) fn grants(&self, to: &Principal) -> KeyRange {
        KeyRange::prefix(self.grants_prefix(to))
    }

    /// What was granted to all.
    pub(crate) fn grants_all(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::GRANT, &[]))
    }

    /// What a key of [`Keys::grants`] grants.
    pub(crate) fn granted_in(&self, to: &Principal, key: &[u8]) -> Result<Granted, Corrupt> {
        let rest = key.get(self.grants_prefix(to).len()..).and_then(<[u8]>::split_first);
        match rest {
            Some((&Self::CHANNEL, text)) => Ok(Granted::Channel(text_in(Some(text), "grant")?)),
            Some((&Self::ROLE, text)) => Ok(Granted::Role(text_in(Some(text), "grant")?)),
            Some(_) | None => Err(Corrupt { record: "grant", what: "illegal key" }),
        }
    }

    /// The grant in its key.
    pub(crate) fn grant_in(&self, key: &[u8]) -> Result<Grant, Corrupt> {
        let rest = key.get(self.prefix.len() + 1..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == Self::END_OF_TEXT);
        let to = principal_from(end.and_then(|end| rest.get(..end)), "grant")?;
        let what = self.granted_in(&to, key)?;
        Ok(Grant { to, what })
    }

    pub(crate) fn attachment(&self, digest: &AttachmentDigest) -> Vec<u8> {
        self.key(Self::ATTACHMENT, digest.as_bytes())
    }

    pub(crate) fn attachments(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::ATTACHMENT, &[]))
    }

    /// The digest in an attachment's key.
    pub(crate) fn digest_in(&self, key: &[u8]) -> Option<AttachmentDigest> {
        Some(AttachmentDigest::new(key.get(self.prefix.len() + 1..)?.try_into().ok()?))
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
        let (blob, index) = key.get(self.prefix.len() + 1..)?.split_first_chunk()?;
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
        Some(u64::from_be_bytes(key.get(self.prefix.len() + 1..)?.try_into().ok()?))
    }

    /// A row of a ticket; which ones there are, `tickets` says.
    pub(crate) fn ticket_row(&self, rest: &[u8]) -> Vec<u8> {
        self.key(Self::TICKET, rest)
    }

    pub(crate) fn upload(&self, blob: u128) -> Vec<u8> {
        self.key(Self::UPLOAD, &blob.to_be_bytes())
    }

    pub(crate) fn uploads(&self) -> KeyRange {
        KeyRange::prefix(self.key(Self::UPLOAD, &[]))
    }

    /// The blob in the key of an unfinished upload.
    pub(crate) fn blob_in(&self, key: &[u8]) -> Option<u128> {
        Some(u128::from_be_bytes(key.get(self.prefix.len() + 1..)?.try_into().ok()?))
    }
}

/// What stands in a key as a principal's kind and name.
fn principal_from(bytes: Option<&[u8]>, record: &'static str) -> Result<Principal, Corrupt> {
    match bytes.and_then(<[u8]>::split_first) {
        Some((&Keys::USER, name)) => text_in(Some(name), record).map(Principal::User),
        Some((&Keys::ROLE, name)) => text_in(Some(name), record).map(Principal::Role),
        Some(_) | None => Err(Corrupt { record, what: "illegal key" }),
    }
}

/// What stands in a key as text.
fn text_in<T: FromStr>(bytes: Option<&[u8]>, record: &'static str) -> Result<T, Corrupt> {
    let text = bytes.and_then(|bytes| str::from_utf8(bytes).ok()?.parse().ok());
    text.ok_or(Corrupt { record, what: "illegal key" })
}

/// A key as the storage takes it.
pub(crate) type Key = Vec<u8>;
/// A value as the storage gives it.
pub(crate) type Value = Bytes;
