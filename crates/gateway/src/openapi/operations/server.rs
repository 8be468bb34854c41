//! The server as a whole, and this document.

use super::super::{
    Edition,
    operation::{Kind, Methods, Operation, at, json, json_array, object, text},
    schemas::{Expvar, NameOrState, Stats, Status, Welcome},
    tag::Tag,
};
use serde_json::json;

pub(in crate::openapi) fn welcome(_: Edition) -> Methods {
    let get = Operation::new("getServer", "What the server is")
        .about("Clients look here to learn what they speak to.")
        .answers(200, "The server.", json::<Welcome>());
    at(Tag::Server).get(get)
}

pub(in crate::openapi) fn ping(_: Edition) -> Methods {
    let get = Operation::new("ping", "Whether the server answers").answers(200, "`OK`.", text("text/plain"));
    at(Tag::Server).get(get)
}

pub(in crate::openapi) fn all_dbs(_: Edition) -> Methods {
    let get = Operation::new("listDatabases", "The databases")
        .query("verbose", &Kind::Flag, "With `true`, each database's state as well (`DatabaseState`).")
        .answers(200, "Their names, or their states.", json_array::<NameOrState>().example(json!(["notes"])));
    at(Tag::Server).get(get)
}

pub(in crate::openapi) fn config(_: Edition) -> Methods {
    let get = Operation::new("getServerConfig", "What the server was started with").answers(
        200,
        "The configuration, as far as Sync Gateway has names for it.",
        object(),
    );
    let put = Operation::new("putServerConfig", "Change the server's configuration")
        .about("Not done: the server is configured by its file.")
        .may_take(object())
        .refuses(&[501]);
    at(Tag::Server).get(get).put(put)
}

pub(in crate::openapi) fn status(_: Edition) -> Methods {
    let get = Operation::new("getStatus", "How the server and all databases are").answers(
        200,
        "Their states.",
        json::<Status>(),
    );
    at(Tag::Server).get(get)
}

pub(in crate::openapi) fn logging(_: Edition) -> Methods {
    let get = Operation::new("getLogging", "What is logged to the console")
        .about("What is logged is told at the start: there are no keys of the console's log.")
        .answers(200, "Nothing.", object());
    let set = |id| {
        let set = Operation::new(id, "Change what is logged to the console");
        set.about("Not done.").may_take(object()).refuses(&[501])
    };
    at(Tag::Server).get(get).put(set("putLogging")).post(set("postLogging"))
}

pub(in crate::openapi) fn expvar(_: Edition) -> Methods {
    let get = Operation::new("getExpvar", "Figures of the server and of each database").answers(
        200,
        "The figures, under Sync Gateway's names.",
        json::<Expvar>(),
    );
    at(Tag::Server).get(get)
}

pub(in crate::openapi) fn metrics(_: Edition) -> Methods {
    let get = Operation::new("getMetrics", "Figures for Prometheus").answers(
        200,
        "The figures, in Prometheus' text format.",
        text("text/plain"),
    );
    at(Tag::Server).get(get)
}

pub(in crate::openapi) fn stats(_: Edition) -> Methods {
    let get = Operation::new("getStats", "Memory of the process").answers(200, "The figures.", json::<Stats>());
    at(Tag::Server).get(get)
}

pub(in crate::openapi) fn page(_: Edition) -> Methods {
    let get = Operation::new("getApiPage", "The page that shows this document")
        .about("Swagger UI, out of the server itself: nothing is loaded from anywhere else.")
        .answers(200, "The page.", text("text/html"));
    at(Tag::Api).get(get)
}

pub(in crate::openapi) fn document(_: Edition) -> Methods {
    let get = Operation::new("getApiDocument", "This document")
        .answers(200, "An OpenAPI 3.1 document of this port.", object())
        .done(304, "It is the one that the client has.");
    at(Tag::Api).get(get)
}

/// A part of the page.
fn part(id: &'static str, summary: &'static str, media: &'static str) -> Methods {
    let get = Operation::new(id, summary).answers(200, "The file.", text(media));
    at(Tag::Api).get(get)
}

pub(in crate::openapi) fn swagger_ui(_: Edition) -> Methods {
    part("getSwaggerUi", "Swagger UI's script", "text/javascript")
}

pub(in crate::openapi) fn swagger_ui_style(_: Edition) -> Methods {
    part("getSwaggerUiStyle", "Swagger UI's style sheet", "text/css")
}

pub(in crate::openapi) fn page_script(_: Edition) -> Methods {
    part("getApiPageScript", "The page's script", "text/javascript")
}

pub(in crate::openapi) fn page_style(_: Edition) -> Methods {
    part("getApiPageStyle", "The page's style sheet", "text/css")
}
