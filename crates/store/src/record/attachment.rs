//! Attachments: what a revision says of each of its own, and the shared content behind a digest.

use crate::{
    Corrupt,
    codec::{Reader, put_number, put_text},
};
use std::fmt;

const VERSION: u8 = 1;

/// The MD5 of an attachment's *stored* bytes: of the compressed ones where it is stored compressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentDigest([u8; 16]);

/// How an attachment's content is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it was sent.
    Identity,
    /// Compressed; `length` bytes when unpacked.
    Gzip,
}

/// What a revision says of one of its attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, unique in the revision.
    pub name: String,
    /// Its media type, as the client gave it.
    pub content_type: String,
    /// The generation of the revision in which its content changed last.
    pub revpos: u64,
    /// Of the stored bytes.
    pub digest: AttachmentDigest,
    /// Bytes of the content, unpacked.
    pub length: u64,
    /// Bytes of the content as it is stored.
    pub stored_length: u64,
    /// How it is stored.
    pub encoding: Encoding,
}

impl AttachmentDigest {
    /// The digest with these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for AttachmentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Attachment {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_text(out, &self.name);
        put_text(out, &self.content_type);
        put_number(out, self.revpos);
        out.extend_from_slice(self.digest.as_bytes());
        put_number(out, self.length);
        match self.encoding {
            Encoding::Identity => out.push(0),
            Encoding::Gzip => {
                out.push(1);
                put_number(out, self.stored_length);
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let name = reader.text()?.to_owned();
        let content_type = reader.text()?.to_owned();
        let revpos = reader.number()?;
        let digest = AttachmentDigest(reader.array()?);
        let length = reader.number()?;
        let (encoding, stored_length) = match reader.byte()? {
            0 => (Encoding::Identity, length),
            1 => (Encoding::Gzip, reader.number()?),
            _ => return Err(reader.corrupt("unknown encoding")),
        };
        Ok(Self { name, content_type, revpos, digest, length, stored_length, encoding })
    }
}

/// The content that a digest stands for, once for the whole database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttachmentRecord {
    /// Under which number its chunks lie.
    pub(crate) blob: u128,
    pub(crate) stored_length: u64,
    /// Bodies that refer to it. At zero the content goes.
    pub(crate) references: u64,
}

impl AttachmentRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.blob.to_be_bytes());
        put_number(&mut out, self.stored_length);
        put_number(&mut out, self.references);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned("attachment", VERSION, bytes)?;
        let blob = u128::from_be_bytes(reader.array()?);
        Ok(Self { blob, stored_length: reader.number()?, references: reader.number()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as version 1 wrote it stays readable.
    #[test]
    fn version_1_is_readable() {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&[0xab; 16]);
        bytes.extend_from_slice(b"\xac\x02\x03");
        let record = AttachmentRecord::decode(&bytes).unwrap();
        let blob = u128::from_be_bytes([0xab; 16]);
        assert_eq!(record, AttachmentRecord { blob, stored_length: 300, references: 3 });
        assert_eq!(record.encode(), bytes);
        for length in 0..bytes.len() {
            assert!(AttachmentRecord::decode(&bytes[..length]).is_err());
        }
    }
}
