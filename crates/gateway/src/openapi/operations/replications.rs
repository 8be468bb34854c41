//! Replications with other servers.

use super::super::{
    Edition,
    operation::{Kind, Methods, Operation, at, json, json_array, json_map},
    schemas::{Replication, ReplicationStatus},
    tag::Tag,
};

/// Writing one, by whichever path.
fn writing(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, summary)
        .about("It works on behalf of the administrator who writes it.")
        .takes(json::<Replication>())
        .done(200, "It is changed.")
        .done(201, "It is made.")
        .refuses(&[400, 403, 415])
}

pub(in crate::openapi) fn replications(_: Edition) -> Methods {
    let get = Operation::new("listReplications", "The replications").answers(
        200,
        "What each does, by name.",
        json_map::<Replication>(),
    );
    at(Tag::Replications)
        .get(get)
        .post(writing("postReplication", "Make a replication, or change the one that is named"))
}

pub(in crate::openapi) fn replication(_: Edition) -> Methods {
    let get = Operation::new("getReplication", "A replication").answers(200, "What it does.", json::<Replication>());
    let delete = Operation::new("deleteReplication", "Delete a replication").done(200, "It is over.");
    at(Tag::Replications).get(get).put(writing("putReplication", "Make a replication, or change it")).delete(delete)
}

const WITH_CONFIG: &str = "With `true`, with what it does.";

pub(in crate::openapi) fn statuses(_: Edition) -> Methods {
    let get = Operation::new("listReplicationStatuses", "What all replications are doing")
        .query("activeOnly", &Kind::Flag, "With `true`, without those that are stopped.")
        .query("includeConfig", &Kind::Flag, WITH_CONFIG)
        .answers(200, "Their states.", json_array::<ReplicationStatus>());
    at(Tag::Replications).get(get)
}

pub(in crate::openapi) fn status(_: Edition) -> Methods {
    let get = Operation::new("getReplicationStatus", "What a replication is doing")
        .query("includeConfig", &Kind::Flag, WITH_CONFIG)
        .answers(200, "Its state.", json::<ReplicationStatus>());
    let put = Operation::new("putReplicationStatus", "Start, stop or reset a replication")
        .required_query("action", "`start`, `stop`, or `reset`: from the beginning, when it is stopped.")
        .query("includeConfig", &Kind::Flag, WITH_CONFIG)
        .answers(200, "Its state then.", json::<ReplicationStatus>())
        .refuses(&[400, 403]);
    at(Tag::Replications).get(get).put(put)
}
