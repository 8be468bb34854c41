//! The feed of changes.

use super::super::{
    Edition,
    operation::{Kind, Methods, Operation, at, bytes, json},
    schemas::{Changes, FeedOptions},
    tag::Tag,
};

const FEEDS: Kind = Kind::OneOf(&["normal", "longpoll", "continuous", "websocket"]);

const ABOUT: &str = "`normal` answers with what there is, `longpoll` waits for the first change, `continuous` goes on with a \
                     row a line, `websocket` takes its options as the first message and sends arrays of rows. An empty \
                     line, or message, is a sign of life.\n\nFor users, a grant brings the documents of its channel, with \
                     sequences such as `7:3`; a feed that goes on from any `seq` or `last_seq` misses nothing.";

pub(in crate::openapi) fn changes(_: Edition) -> Methods {
    let feed = |id, summary| {
        Operation::new(id, summary)
            .about(ABOUT)
            .query("feed", &FEEDS, "How it goes on; `normal` if nothing is said.")
            .query(
                "since",
                &Kind::Text,
                "Where it begins: a `last_seq` or `seq` that was told. Without it, at the beginning.",
            )
            .query("limit", &Kind::Number, "So many rows at the most; 0 for any number.")
            .query("style", &Kind::OneOf(&["main_only", "all_docs"]), "With `all_docs`, rows name all leaves.")
            .query("active_only", &Kind::Flag, "With `true`, without what is deleted or lost.")
            .query("include_docs", &Kind::Flag, "With `true`, with the documents.")
            .query("revocations", &Kind::Flag, "With `true`, rows tell what the user has lost.")
            .query("filter", &Kind::OneOf(&["sync_gateway/bychannel", "_doc_ids"]), "Which changes are told.")
            .query("channels", &Kind::Text, "For `sync_gateway/bychannel`: names with commas between.")
            .query("doc_ids", &Kind::Text, "For `_doc_ids`: ids with commas between, or an array in JSON.")
            .query("heartbeat", &Kind::Number, "Milliseconds between signs of life: 25000 to 3600000.")
            .query("timeout", &Kind::Number, "Milliseconds it waits without a heartbeat: 300000, at most 900000.")
            .query("version_type", &Kind::OneOf(&["rev", "cv"]), "As what rows name revisions.")
            .answers(200, "The changes; of a continuous feed, a row a line.", json::<Changes>())
            .answers(200, "", bytes("application/octet-stream"))
            .refuses(&[400])
    };
    let get = feed("getChanges", "What changed").done(101, "The connection is a WebSocket from here on.");
    let post = feed("postChanges", "What changed, asked for by a body").may_take(json::<FeedOptions>());
    at(Tag::Changes).get(get.refuses(&[426])).post(post.refuses(&[413, 415]))
}
