//! Documents and their attachments, from the wire to the engine and back.
//!
//! In: [`parse`] reads a document's text, [`parse_attachment`] what it says of its attachments; [`intake`] takes content in,
//! [`related`] that of a multipart request; [`staging`] makes engine writes of them, [`request`] finds the revision that a
//! request edits. Out: [`render`] writes a document, [`pieces`] holds a response that has attachments in it,
//! [`related`] lays out multipart ones. Handlers: [`read`] and [`open_revs`], [`write`] and [`copy`], [`attachment`] and
//! [`attachment_edit`], [`form`], [`bulk_docs`], [`bulk_get`].

pub(crate) mod attachment;
mod attachment_edit;
pub(crate) mod bulk_docs;
pub(crate) mod bulk_get;
mod copy;
pub(crate) mod form;
mod intake;
mod open_revs;
pub(crate) mod parse;
pub(crate) mod parse_attachment;
pub(crate) mod pieces;
pub(crate) mod read;
mod related;
mod related_intake;
pub(crate) mod render;
mod request;
mod staging;
pub(crate) mod write;

pub(crate) use copy::parse_destination;
