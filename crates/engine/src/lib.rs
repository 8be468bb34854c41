//! The façade over everything stored: every operation starts from a [`Caller`], and what a caller may not do cannot be
//! written down.
//!
//! [`Engine::database`] checks the caller and hands out a [`Database`]: holding one *is* the proof that its caller may
//! read and write that database, and there is no other way to get one. Operations on the server ask for the caller
//! itself. Data goes in and out plain: no HTTP, no wire format, nothing serialised.

mod admins;
mod attachments;
mod caller;
mod database;
mod document;
mod engine;
mod error;
mod feed;
mod limits;
mod write;

pub use admins::{Admins, PasswordHash};
pub use attachments::{AttachmentReader, AttachmentUpload, StagedAttachment};
pub use caller::Caller;
pub use database::{Database, DocumentList, RevsDiff};
pub use document::{Availability, Detail, Document, OpenRev, OpenRevs, Which};
pub use engine::{Engine, Identity, Options};
pub use error::{Absence, Error};
pub use feed::Feed;
pub use limits::Limits;
pub use tidegate_kv::{Health, Stats};
pub use tidegate_store::{
    Attachment, AttachmentDigest, Change, DatabaseInfo, DocRange, DocRow, Encoding, FeedEnd, LocalDocument, Order,
    Purged, Written,
};
pub use write::{AttachmentContent, AttachmentWrite, Placement, Write};
