//! Documents and their attachments between the wire and the engine: what the dialects of documents have in common.
//!
//! In: [`parse`] reads a document's text by a dialect's [`Rules`] for `_` members, [`Intake`] takes content in,
//! [`read_document`] and [`stage_related`] that of a multipart request, [`stage`] and [`commit`] make engine writes of
//! them. Out: [`Pieces`] is a response that has attachments in it, [`serve_content`] answers with one of them, [`Related`] the layout of multipart ones,
//! [`respond_rows`] an answer of many rows in bounded memory. [`Pages`] says what web pages may do.
//!
//! Nothing here chooses a status: an [`Error`] says what is wrong, a dialect with which words it is told.

mod attachment_edit;
mod content;
mod error;
mod intake;
mod pages;
mod parse;
mod parse_attachment;
mod pieces;
mod related;
mod related_intake;
mod rows;
mod sent;
mod staging;

pub use attachment_edit::{Base, take_in};
pub use content::{Takes, serve_content};
pub use error::{Error, Fault};
pub use intake::Intake;
pub use pages::{PageRules, Pages};
pub use parse::{ParsedDocument, Rules, Use, from_scanned, from_stored, local_id, parse, parse_rev, parse_revs};
pub use parse_attachment::{
    Content, DEFAULT_CONTENT_TYPE, Follows, ParsedAttachment, check_name, parse_encoding, parse_md5,
};
pub use pieces::{Delivery, Form, Pieces};
pub use related::{Related, new_boundary};
pub use related_intake::{read_document, read_part, stage_related};
pub use rows::{RowSource, respond_rows};
pub use sent::{Attachments, digest_text, sent_above};
pub use staging::{Edits, Outcomes, commit, commit_all, contents, discard, stage, to_its_end};
