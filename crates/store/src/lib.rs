//! Durable documents: revision trees, bodies, sequences, local documents, attachments and the changes feed of many
//! databases, laid out on the ordered key-value storage of `tidegate-kv`.
//!
//! Guarantees: what a call acknowledges has reached the disk; sequences of a database are dense and become visible in
//! order; everything a document's write changes is one commit. Lacks, deliberately: users, HTTP, JSON. Whoever holds a
//! [`Database`] may do anything with it; who gets one is `engine`'s to decide.
//!
//! Reading on: [`Store`] is the catalogue, [`Database`] the handle, `commit` the one way to write, `record` what lies
//! on disk and `keys` where.

mod all_docs;
mod assignment;
mod attachment;
mod backup;
mod bells;
mod catalog;
mod changes;
mod channel_index;
mod check;
mod codec;
mod collections;
mod commit;
mod compact;
mod content;
mod database;
mod edit;
mod error;
mod expiry;
mod grants;
mod keys;
mod local;
mod news;
mod principals;
mod purge;
mod read;
mod reassign;
mod record;
mod repair;
mod ring;
mod rows;
mod settings;
mod tickets;
mod tombstone;
mod touched;
mod unpublished;
mod upload;
mod usage;

pub use all_docs::{DocRange, DocRow, Listing, Order};
pub use assignment::{Assignment, Grant, Granted};
pub use attachment::AttachmentReader;
pub use backup::{Backup, BackupHead, BackupSummary, Damage, Decoder, Item, RestoreError, restore};
pub use catalog::Store;
pub use changes::{Change, Feed, FeedEnd, Reach};
pub use channel_index::Assigned;
pub use check::{Counter, Inconsistency};
pub use collections::CollectionId;
pub use compact::Compaction;
pub use database::{Database, DatabaseInfo};
pub use edit::{Edit, History, NewAttachment, Revpos, Written};
pub use error::{Corrupt, Error};
pub use grants::{GrantState, Standing};
pub use local::LocalDocument;
pub use news::{Event, News};
pub use principals::{PrincipalKind, PrincipalState, PrincipalWrite, Replaces};
pub use purge::Purged;
pub use read::{Body, DocumentState, Reader, Winner};
pub use reassign::{Reassigned, Reassignment};
#[doc(hidden)]
pub use record::rewrite_as_each;
pub use record::{Attachment, AttachmentDigest, Encoding, PurgeRecord};
pub use repair::Repair;
pub use settings::Documents;
pub use tickets::{Ticket, TicketDigest, Tickets};
pub use unpublished::Unpublished;
pub use upload::{Staged, Upload};
pub use usage::Usage;
