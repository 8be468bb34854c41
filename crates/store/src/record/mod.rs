//! What lies on disk. Each record begins with the byte of its version; old versions stay readable.

mod attachment;
mod body;
mod change;
mod document;
mod meta;

pub(crate) use attachment::AttachmentRecord;
pub use attachment::{Attachment, AttachmentDigest, Encoding};
pub(crate) use body::BodyRecord;
pub(crate) use change::ChangeRecord;
pub(crate) use document::{DocumentHead, DocumentRecord};
pub(crate) use meta::Meta;

/// Decodes bytes as a record of each kind, and says how many kinds they could be of: for fuzzing, where nothing may
/// panic. What decodes must encode to something that decodes to the same.
#[doc(hidden)]
pub fn decode_as_each(bytes: &[u8]) -> usize {
    let document = DocumentRecord::decode(bytes).ok();
    if let Some(again) = document.as_ref().and_then(DocumentRecord::encode) {
        assert_eq!(DocumentRecord::decode(&again).ok(), document);
    }
    let body = BodyRecord::decode(&bytes::Bytes::copy_from_slice(bytes)).ok();
    if let Some(body) = &body {
        assert_eq!(BodyRecord::decode(&body.encode().into()).as_ref(), Ok(body));
    }
    let change = ChangeRecord::decode(tidegate_types::Seq::new(1), bytes).ok();
    let meta = Meta::decode(bytes).ok();
    if let Some(meta) = &meta {
        assert_eq!(Meta::decode(&meta.encode()).as_ref(), Ok(meta));
    }
    let attachment = AttachmentRecord::decode(bytes).ok();
    [document.is_some(), body.is_some(), change.is_some(), meta.is_some(), attachment.is_some()]
        .into_iter()
        .filter(|decoded| *decoded)
        .count()
}
