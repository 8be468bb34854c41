//! Documents and their attachments, from the wire to the engine and back.
//!
//! What is the same in other dialects is in `tidegate_documents`. In: [`special`] has the rules for `_` members, [`request`]
//! finds the revision that a request edits. Out: [`render`] writes a document. Handlers: [`read`] and [`open_revs`], [`write`] and [`copy`], [`attachment`] and
//! [`attachment_edit`], [`form`], [`bulk_docs`], [`bulk_get`].

pub(crate) mod attachment;
mod attachment_edit;
pub(crate) mod bulk_docs;
pub(crate) mod bulk_get;
mod copy;
pub(crate) mod form;
mod open_revs;
pub(crate) mod read;
pub(crate) mod render;
mod request;
pub(crate) mod special;
pub(crate) mod write;

pub(crate) use copy::parse_destination;
