//! The content of one revision.

use super::Attachment;
use crate::{
    Corrupt,
    codec::{Reader, put_length},
};
use bytes::Bytes;

const VERSION: u8 = 1;

/// A revision's own members as compact JSON text without braces, and what it says of its attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BodyRecord {
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) members: Bytes,
}

impl BodyRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + self.members.len() + 96 * self.attachments.len());
        out.push(VERSION);
        put_length(&mut out, self.attachments.len());
        for attachment in &self.attachments {
            attachment.encode(&mut out);
        }
        out.extend_from_slice(&self.members);
        out
    }

    /// Copies nothing of the members: they are a slice of `bytes`.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned("body", VERSION, bytes)?;
        let count = reader.length()?;
        let mut attachments = Vec::new();
        for _ in 0..count {
            attachments.push(Attachment::decode(&mut reader)?);
        }
        let members = bytes.slice_ref(reader.rest());
        Ok(Self { attachments, members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttachmentDigest, Encoding};

    fn attachment(name: &str, digest: u8, encoding: Encoding, stored_length: u64) -> Attachment {
        Attachment {
            name: name.to_owned(),
            content_type: "text/plain".to_owned(),
            revpos: 2,
            digest: AttachmentDigest::new([digest; 16]),
            length: 300,
            stored_length,
            encoding,
        }
    }

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let bytes = b"\x01\x02\
            \x01a\x0atext/plain\x02kkkkkkkkkkkkkkkk\xac\x02\x00\
            \x01b\x0atext/plain\x02nnnnnnnnnnnnnnnn\xac\x02\x01\x07\
            \"v\":1";
        let record = BodyRecord::decode(&Bytes::from_static(bytes)).unwrap();
        assert_eq!(record.members, r#""v":1"#);
        let attachments = [attachment("a", b'k', Encoding::Identity, 300), attachment("b", b'n', Encoding::Gzip, 7)];
        assert_eq!(record.attachments, attachments);
        assert_eq!(record.encode(), bytes);
    }

    #[test]
    fn an_empty_document_is_two_bytes() {
        let record = BodyRecord { attachments: Vec::new(), members: Bytes::new() };
        assert_eq!(record.encode(), b"\x01\x00");
        assert_eq!(BodyRecord::decode(&Bytes::from_static(b"\x01\x00")), Ok(record));
    }

    #[test]
    fn what_is_no_record_is_corrupt() {
        let check = |bytes: &'static [u8], what| {
            assert_eq!(BodyRecord::decode(&Bytes::from_static(bytes)), Err(Corrupt { record: "body", what }));
        };
        check(b"", "cut short");
        check(b"\x02\x00", "unknown version");
        check(b"\x01\x01\x05a", "cut short");
        check(b"\x01\x01\x01a\x00\x01kkkkkkkkkkkkkkkk\x00\x02", "unknown encoding");
    }
}
