//! Databases as a whole, and how they behave.

use super::{
    super::{
        Edition,
        operation::{Kind, Methods, Operation, at, json, object, text},
        schemas::{DatabaseConfig, DatabaseInfo, Document, FullCommit, Written},
        tag::Tag,
    },
    documents::writing,
};
use crate::service::Port;
use serde_json::json;

pub(in crate::openapi) fn database(edition: Edition) -> Methods {
    let get = Operation::new("getDatabase", "A database").answers(200, "The database.", json::<DatabaseInfo>());
    let post = writing(Operation::new("postDocument", "Write a new document"))
        .about("Its id is in the body, or made by the server.")
        .takes(json::<Document>())
        .answers(200, "It is written.", json::<Written>())
        .refuses(&[400, 403, 409, 413, 415, 500]);
    let delete = Operation::new("deleteDatabase", "Delete a database, with all that is in it").answers(
        200,
        "It is gone.",
        object(),
    );
    at(Tag::Databases).get(get).put(create(edition.port)).post(post).delete(delete)
}

fn create(port: Port) -> Operation {
    match port {
        Port::Public => Operation::new("createDatabase", "Refused: databases are made on the admin port")
            .refuses(&[403])
            .refuses_with(412, "There is such a database."),
        Port::Admin => Operation::new("createDatabase", "Make a database")
            .about("Its documents are in channels: users see those of theirs.")
            .may_take(json::<DatabaseConfig>())
            .done(201, "It is made.")
            .refuses(&[400, 403, 415])
            .refuses_with(412, "There is such a database already."),
    }
}

pub(in crate::openapi) fn ensure_full_commit(_: Edition) -> Methods {
    let post = Operation::new("ensureFullCommit", "Be told that all writes are durable")
        .about("They always are: nothing is answered before.")
        .answers(201, "They are.", json::<FullCommit>());
    at(Tag::Databases).post(post)
}

pub(in crate::openapi) fn config(_: Edition) -> Methods {
    let get = Operation::new("getDatabaseConfig", "A database's configuration")
        .query("include_javascript", &Kind::Flag, "With `false`, without the functions.")
        .query("include_runtime", &Kind::Flag, "With `true`, with what counts where nothing is said.")
        .answers(200, "The configuration. Secrets are `xxxxx`.", json::<DatabaseConfig>());
    let set = |id, summary| {
        Operation::new(id, summary)
            .header("If-Match", "The `ETag` of the configuration that is changed.")
            .takes(json::<DatabaseConfig>())
            .done(201, "It is in effect.")
            .refuses(&[400, 412, 415])
    };
    at(Tag::Configuration)
        .get(get)
        .put(set("putDatabaseConfig", "Replace a database's configuration"))
        .post(set("postDatabaseConfig", "Change what is said of a database's configuration"))
}

const JAVASCRIPT: &str = "application/javascript";

pub(in crate::openapi) fn sync_function(_: Edition) -> Methods {
    let example = json!("function (doc, oldDoc, meta) { channel(doc.channels); }");
    let get = Operation::new("getSyncFunction", "The sync function").answers(
        200,
        "Its text; the default one where none is set.",
        text(JAVASCRIPT).example(example.clone()),
    );
    let put = Operation::new("putSyncFunction", "Set the sync function")
        .about("It decides on documents from now on. `_resync` decides on those that are there already.")
        .takes(text(JAVASCRIPT).example(example))
        .done(200, "It is set.")
        .refuses_with(400, "It isn't a function.")
        .refuses(&[415]);
    let delete = Operation::new("deleteSyncFunction", "Go back to the default sync function").done(200, "It is gone.");
    at(Tag::SyncFunction).get(get).put(put).delete(delete)
}

pub(in crate::openapi) fn import_filter(_: Edition) -> Methods {
    let get = Operation::new("getImportFilter", "The import filter")
        .about("It is kept for the sake of Sync Gateway's configurations: there is nothing to import.")
        .answers(200, "Its text.", text(JAVASCRIPT));
    let put = Operation::new("putImportFilter", "Set the import filter")
        .takes(text(JAVASCRIPT).example(json!("function (doc) { return true; }")))
        .done(200, "It is kept.")
        .refuses(&[415]);
    let delete = Operation::new("deleteImportFilter", "Forget the import filter").done(200, "It is gone.");
    at(Tag::Configuration).get(get).put(put).delete(delete)
}
