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
