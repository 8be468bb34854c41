//! Looking after a database.

use super::super::{
    Edition,
    operation::{Kind, Methods, Operation, at, json, object, plain_json},
    schemas::{Compaction, Delay, Purged, Resync, ResyncScopes},
    tag::Tag,
};
use serde_json::json;
use std::collections::BTreeMap;

const START_STOP: Kind = Kind::OneOf(&["start", "stop"]);

pub(in crate::openapi) fn online(_: Edition) -> Methods {
    let post = Operation::new("bringOnline", "Take a database into use")
        .may_take(json::<Delay>())
        .done(200, "It is, or will be.")
        .refuses(&[400, 415]);
    at(Tag::Upkeep).post(post)
}

pub(in crate::openapi) fn offline(_: Edition) -> Methods {
    let post = Operation::new("takeOffline", "Take a database out of use")
        .about("What is about documents is answered with 503 from then on.")
        .done(200, "It is.");
    at(Tag::Upkeep).post(post)
}

pub(in crate::openapi) fn resync(_: Edition) -> Methods {
    let get =
        Operation::new("getResync", "How far deciding again has got").answers(200, "The state.", json::<Resync>());
    let post = Operation::new("resync", "Decide on all documents again")
        .about("By the sync function that is set. The database serves meanwhile.")
        .query("action", &START_STOP, "`start` if nothing is said.")
        .query("reset", &Kind::Flag, "With `true`, from the beginning, even if it was stopped in the middle.")
        .may_take(json::<ResyncScopes>())
        .answers(200, "The state.", json::<Resync>())
        .refuses(&[400, 415])
        .refuses_with(503, "It runs already.");
    at(Tag::Upkeep).get(get).post(post)
}

pub(in crate::openapi) fn compact(_: Edition) -> Methods {
    let get =
        Operation::new("getCompaction", "How far compaction has got").answers(200, "The state.", json::<Compaction>());
    let post = Operation::new("compact", "Forget old revisions and old tombstones")
        .query("action", &START_STOP, "`start` if nothing is said. It can't be stopped.")
        .answers(200, "The state.", json::<Compaction>())
        .refuses(&[400])
        .refuses_with(503, "It runs already.");
    at(Tag::Upkeep).get(get).post(post)
}

pub(in crate::openapi) fn flush(_: Edition) -> Methods {
    let post = Operation::new("flush", "Forget all documents")
        .about("The database is there again, empty, with its configuration and the roles that this names.")
        .answers(200, "They are gone.", object());
    at(Tag::Upkeep).post(post)
}

pub(in crate::openapi) fn repair(_: Edition) -> Methods {
    let post = Operation::new("repair", "Repair a database")
        .about("Refused, as Sync Gateway does: `tidegate doctor` finds what is to be repaired.")
        .refuses_with(500, "It isn't done here.");
    at(Tag::Upkeep).post(post)
}

pub(in crate::openapi) fn purge(_: Edition) -> Methods {
    let post = Operation::new("purge", "Take documents away with all their revisions")
        .about("Nothing is left of them, no tombstone either: replicas aren't told.")
        .takes(plain_json::<BTreeMap<String, Vec<String>>>().example(json!({ "note": ["*"] })))
        .answers(200, "Those that were there.", json::<Purged>())
        .refuses(&[400, 413, 415]);
    at(Tag::Upkeep).post(post)
}
