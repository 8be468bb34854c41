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
