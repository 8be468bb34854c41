//! Documents and their attachments, from the wire to the engine and back.
//!
//! What is the same in other dialects is in `tidegate_documents`. In: [`special`] has the rules for `_` members,
//! [`request`] finds the revision that a request edits. Out: [`render`] writes a document. Handlers: [`read`],
//! [`write`], [`attachment`], [`bulk_docs`], [`bulk_get`].

pub(crate) mod attachment;
pub(crate) mod bulk_docs;
pub(crate) mod bulk_get;
pub(crate) mod read;
pub(crate) mod render;
mod request;
mod special;
pub(crate) mod version;
pub(crate) mod write;
