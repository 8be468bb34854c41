//! Documents, local documents, design documents.

use super::super::{
    Edition,
    operation::{Kind, Methods, Operation, at, bytes, json, object},
    schemas::{Design, Document, LocalDocument, LocalWritten, ReadDocument, Written},
    tag::Tag,
};
use crate::service::Port;

/// What any reading of documents may ask for.
pub(super) fn reading(operation: Operation) -> Operation {
    operation
        .query("revs", &Kind::Flag, "With `true`, with the path to the revision, as `_revisions`.")
        .query("revs_limit", &Kind::Number, "How long that path may be; at least 1.")
        .query("revs_from", &Kind::Texts, "Revisions at which that path may end: the client has them.")
        .query("attachments", &Kind::Flag, "With `true`, with the content of attachments.")
        .query("atts_since", &Kind::Texts, "Revisions whose attachments the client has.")
        .query("show_exp", &Kind::Flag, "With `true`, with the time when a document expires, as `_exp`.")
        .query("show_cv", &Kind::Flag, "With `true`, with `_cv` in version 2 as well; with `false`, without it.")
}

/// What any edit may say.
pub(super) fn editing(operation: Operation) -> Operation {
    operation
        .query("rev", &Kind::Text, "The revision, or version, that is edited. It comes before `If-Match` and the body.")
        .header("If-Match", "The revision, or version, that is edited. It comes before the body.")
}

/// What any write of a document may say.
pub(super) fn writing(operation: Operation) -> Operation {
    operation.query("new_edits", &Kind::Flag, "With `false`, the revision was made elsewhere: it is merged.")
}

pub(in crate::openapi) fn document(_: Edition) -> Methods {
    let get = reading(Operation::new("getDocument", "Read a document"))
        .query("rev", &Kind::Text, "A revision, or version. Without it, the winner.")
        .query("open_revs", &Kind::Text, "Several revisions: `all`, for all leaves, or an array in JSON.")
        .header("If-None-Match", "The revision that the client has.")
        .answers(200, "The document, or the revisions.", json::<ReadDocument>())
        .answers(200, "", bytes("multipart/related"))
        .answers(200, "", bytes("multipart/mixed"))
        .done(304, "It is the one that the client has.")
        .refuses(&[400, 403, 406]);
    let put = writing(editing(Operation::new("putDocument", "Write a document")))
        .about("A new one, or the next revision of one that is there: of the revision that is named.")
        .takes(json::<Document>())
        .takes(bytes("multipart/related"))
        .answers(201, "It is written.", json::<Written>())
        .refuses(&[400, 403, 409, 413, 415, 500]);
    let delete = editing(Operation::new("deleteDocument", "Delete a document"))
        .about("The revision that is named gets one after it that says so.")
        .answers(200, "It is deleted.", json::<Written>())
        .refuses(&[400, 403, 409, 500]);
    at(Tag::Documents).get(get).put(put).delete(delete)
}

pub(in crate::openapi) fn local(_: Edition) -> Methods {
    let get = Operation::new("getLocalDocument", "Read a local document")
        .about("Local documents are in no feed and have no history. Each user has their own.")
        .answers(200, "The document.", json::<LocalDocument>())
        .refuses(&[400]);
    let put = Operation::new("putLocalDocument", "Write a local document")
        .about("With the revision that is there, if there is one.")
        .takes(json::<LocalDocument>())
        .answers(201, "It is written.", json::<LocalWritten>())
        .refuses(&[400, 409, 413, 415]);
    let delete = Operation::new("deleteLocalDocument", "Delete a local document")
        .query("rev", &Kind::Text, "The revision that is there.")
        .answers(200, "It is gone.", object())
        .refuses(&[400, 409]);
    at(Tag::Documents).get(get).put(put).delete(delete)
}

/// Users are refused.
const USERS_ARE_REFUSED: &str = "Refused on this port: views are for administrators.";

pub(in crate::openapi) fn design(edition: Edition) -> Methods {
    let about = |operation: Operation| match edition.port {
        Port::Public => operation.about(USERS_ARE_REFUSED).refuses(&[403]),
        Port::Admin => operation,
    };
    let get = about(Operation::new("getDesign", "Read a design document")).answers(
        200,
        "The design document.",
        json::<Design>(),
    );
    let put = about(Operation::new("putDesign", "Write a design document"))
        .takes(json::<Design>())
        .done(201, "It is written.")
        .refuses(&[400, 413, 415]);
    let delete = about(Operation::new("deleteDesign", "Delete a design document")).done(200, "It is gone.");
    at(Tag::Documents).get(get).put(put).delete(delete)
}

pub(in crate::openapi) fn view(edition: Edition) -> Methods {
    let get = Operation::new("queryView", "Ask a view").refuses(&[501]);
    at(Tag::Documents).get(match edition.port {
        Port::Public => get.about(USERS_ARE_REFUSED).refuses(&[403]),
        Port::Admin => get.about("Not done yet: views are kept, and can't be asked."),
    })
}
