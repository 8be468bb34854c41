//! What lies on disk. Each record begins with the byte of its version; old versions stay readable.

mod assignment;
mod attachment;
mod body;
mod change;
mod channel;
mod document;
mod grant;
mod meta;
mod periods;
mod principal;
mod purge;

pub(crate) use assignment::AssignmentRecord;
pub(crate) use attachment::AttachmentRecord;
pub use attachment::{Attachment, AttachmentDigest, Encoding};
pub(crate) use body::BodyRecord;
pub(crate) use change::ChangeRecord;
pub(crate) use channel::ChannelRecord;
pub(crate) use document::{DocumentHead, DocumentRecord};
pub(crate) use grant::GrantRecord;
pub(crate) use meta::{Counters, Meta};
pub(crate) use principal::PrincipalRecord;

pub use purge::PurgeRecord;

/// Reads bytes as a record of each kind, and writes those that can be read again: for the fuzz target.
#[doc(hidden)]
pub fn rewrite_as_each(bytes: &[u8]) -> [Option<Vec<u8>>; 11] {
    [
        DocumentRecord::decode(bytes).ok().and_then(|record| record.encode()),
        BodyRecord::decode(&bytes::Bytes::copy_from_slice(bytes)).ok().map(|record| record.encode()),
        ChangeRecord::decode(tidegate_types::Seq::new(1), bytes).ok().map(|change| ChangeRecord::encode(&change)),
        Meta::decode(bytes).ok().map(|record| record.encode()),
        Counters::decode(bytes).ok().map(|record| record.encode()),
        AssignmentRecord::decode(bytes).ok().map(|record| record.encode()),
        ChannelRecord::decode(tidegate_types::Seq::new(1), bytes).ok().map(|record| record.encode()),
        GrantRecord::decode(bytes).ok().map(|record| record.encode()),
        PrincipalRecord::decode(&bytes::Bytes::copy_from_slice(bytes)).ok().map(|record| record.encode()),
        AttachmentRecord::decode(bytes).ok().map(|record| record.encode()),
        PurgeRecord::decode(bytes).ok().map(|record| PurgeRecord::encode(&record.id, &record.revs)),
    ]
}
