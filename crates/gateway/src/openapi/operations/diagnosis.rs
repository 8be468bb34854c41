//! Trying sync functions out, and why something is as it is.

use super::super::{
    Edition,
    operation::{Kind, Methods, Operation, at, json, plain_json, text},
    schemas::{DryRun, DryRunLine, Explanation, Raw, Trial, TrialInput, UserChannels},
    tag::Tag,
};
use std::collections::BTreeMap;

pub(in crate::openapi) fn trial(_: Edition) -> Methods {
    let post = Operation::new("trySync", "What a sync function decides on one document")
        .about("Nothing is written.")
        .query("doc_id", &Kind::Text, "The id of a document that is there.")
        .takes(json::<TrialInput>())
        .answers(200, "What it decides.", json::<Trial>())
        .refuses(&[400, 413, 415, 503]);
    at(Tag::SyncFunction).post(post)
}

pub(in crate::openapi) fn dry_run(_: Edition) -> Methods {
    let post = Operation::new("dryRunSync", "What a sync function would change")
        .about("All documents are decided on, and nothing is written.")
        .may_take(json::<DryRun>())
        .answers(200, "A JSON object a line.", json::<DryRunLine>().media("application/x-ndjson"))
        .refuses_with(400, "It isn't a function.")
        .refuses(&[413, 415, 503]);
    at(Tag::SyncFunction).post(post)
}

pub(in crate::openapi) fn explain(_: Edition) -> Methods {
    let get = Operation::new("explain", "Why a user sees a document, or doesn't")
        .required_query("user", "The user's name.")
        .required_query("doc", "The document's id.")
        .answers(200, "The verdict, and how it comes about.", json::<Explanation>())
        .refuses(&[400]);
    at(Tag::Diagnosis).get(get)
}

pub(in crate::openapi) fn raw(_: Edition) -> Methods {
    let get = Operation::new("getRaw", "A document with what the server knows of it")
        .query("include_doc", &Kind::Flag, "With `false`, without the document.")
        .answers(200, "Both.", json::<Raw>());
    at(Tag::Diagnosis).get(get)
}

pub(in crate::openapi) fn rev_tree(_: Edition) -> Methods {
    let get = Operation::new("getRevisionTree", "A document's revisions as a graph").answers(
        200,
        "The graph, in Graphviz's language.",
        text("text/plain"),
    );
    at(Tag::Diagnosis).get(get)
}

pub(in crate::openapi) fn dump_channel(_: Edition) -> Methods {
    let get = Operation::new("dumpChannel", "What there is in a channel")
        .query("since", &Kind::Number, "From behind this sequence on.")
        .answers(200, "A page for people.", text("text/html"))
        .refuses(&[400]);
    at(Tag::Diagnosis).get(get)
}

pub(in crate::openapi) fn user_channels(_: Edition) -> Methods {
    let get = Operation::new("getUserChannels", "Which channels a user has had, and when").answers(
        200,
        "The channels, by collection.",
        json::<UserChannels>(),
    );
    at(Tag::Diagnosis).get(get)
}

pub(in crate::openapi) fn document_channels(_: Edition) -> Methods {
    let get = Operation::new("getDocumentChannels", "Which channels a document has been in, and when")
        .about("As far back as its revisions are kept.")
        .answers(200, "The channels, with the sequences.", plain_json::<BTreeMap<String, Vec<String>>>());
    at(Tag::Diagnosis).get(get)
}
