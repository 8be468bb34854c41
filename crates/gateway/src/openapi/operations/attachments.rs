//! Attachments of documents.

use super::{
    super::{
        Edition,
        operation::{Kind, Methods, Operation, at, bytes, json},
        schemas::{Attachment, Written},
        tag::Tag,
    },
    documents::editing,
};

pub(in crate::openapi) fn attachment(_: Edition) -> Methods {
    let get = Operation::new("getAttachment", "Read an attachment")
        .query("rev", &Kind::Text, "Of a revision, or version. Without it, of the winner.")
        .query("meta", &Kind::Flag, "With `true`, what is known of it instead of its content.")
        .query("content_encoding", &Kind::Flag, "With `false`, never compressed.")
        .header("Range", "A part of it: `bytes=0-99`.")
        .header("If-None-Match", "The `ETag` of the content that the client has.")
        .answers(200, "The content, as the type that it was declared as; or what is known of it.", bytes("*/*"))
        .answers(200, "", json::<Attachment>())
        .answers(206, "The part.", bytes("*/*"))
        .done(304, "It is the content that the client has.")
        .refuses(&[400, 403, 416]);
    let put = editing(Operation::new("putAttachment", "Write an attachment"))
        .about("The document gets a next revision; or is made, if there is none.")
        .takes(bytes("*/*"))
        .answers(201, "It is written.", json::<Written>())
        .refuses(&[400, 403, 409, 413, 500]);
    let delete = editing(Operation::new("deleteAttachment", "Delete an attachment"))
        .about("The document gets a next revision.")
        .answers(200, "It is gone.", json::<Written>())
        .refuses(&[400, 403, 409, 500]);
    at(Tag::Attachments).get(get).put(put).delete(delete)
}
