//! Many documents in one request.

use super::{
    super::{
        Edition,
        operation::{Kind, Methods, Operation, at, bytes, json, json_array, json_map, plain_json},
        schemas::{AllDocs, BulkDocs, BulkDocsRow, BulkGet, BulkGot, Keys, MissingRevs},
        tag::Tag,
    },
    documents::reading,
};
use crate::service::Port;
use serde_json::json;
use std::collections::BTreeMap;

pub(in crate::openapi) fn all_docs(edition: Edition) -> Methods {
    let listing = |id, summary| {
        let listing = Operation::new(id, summary)
            .query("include_docs", &Kind::Flag, "With `true`, with the documents.")
            .query("revs", &Kind::Flag, "With `true`, documents have the paths to their revisions.")
            .query("update_seq", &Kind::Flag, "With `true`, rows have the sequences of their documents.")
            .query("key", &Kind::Text, "The document of this id alone.")
            .query("startkey", &Kind::Text, "From this id on.")
            .query("endkey", &Kind::Text, "Up to this id, which is part of the list.")
            .query("limit", &Kind::Number, "So many rows at the most.")
            .answers(200, "The list.", json::<AllDocs>())
            .refuses(&[400, 403]);
        match edition.port {
            Port::Public => listing,
            Port::Admin => listing
                .query("channels", &Kind::Flag, "With `true`, rows have the channels of their documents.")
                .query("access", &Kind::Flag, "With `true`, rows have what their documents grant."),
        }
    };
    let get = listing("listDocuments", "The documents that the caller sees").query(
        "keys",
        &Kind::Texts,
        "The documents of these ids, in this order.",
    );
    let post = listing("listDocumentsOf", "The documents of certain ids").may_take(json::<Keys>()).refuses(&[413, 415]);
    at(Tag::Bulk).get(get).post(post)
}

pub(in crate::openapi) fn bulk_docs(_: Edition) -> Methods {
    let post = Operation::new("writeDocuments", "Write many documents")
        .about("Each is written or refused by itself, in this order; local documents come last.")
        .takes(json::<BulkDocs>())
        .answers(201, "What became of each.", json_array::<BulkDocsRow>())
        .refuses(&[400, 413, 415]);
    at(Tag::Bulk).post(post)
}

pub(in crate::openapi) fn bulk_get(_: Edition) -> Methods {
    let post = reading(Operation::new("readDocuments", "Read many revisions"))
        .about("In parts or, for those who accept `application/json` and no multipart type by name, in JSON.")
        .takes(json::<BulkGet>())
        .answers(200, "The revisions.", bytes("multipart/mixed"))
        .answers(200, "", json::<BulkGot>())
        .refuses(&[400, 406, 413, 415]);
    at(Tag::Bulk).post(post)
}

pub(in crate::openapi) fn revs_diff(_: Edition) -> Methods {
    let post = Operation::new("diffRevisions", "Which revisions the database hasn't got")
        .about("What a push asks before it sends anything.")
        .takes(plain_json::<BTreeMap<String, Vec<String>>>().example(json!({ "note": ["2-b", "1-a"] })))
        .answers(200, "What is missing, by document; what isn't missing isn't told of.", json_map::<MissingRevs>())
        .refuses(&[400, 413, 415]);
    at(Tag::Bulk).post(post)
}
