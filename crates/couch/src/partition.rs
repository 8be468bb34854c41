//! Partitions of a database.
//!
//! Source: `chttpd_db:handle_partition_req`, `fabric_db_partition_info`.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    list::{self, Asked},
    route::{Listed, PartitionRoute},
};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use tidegate_engine::{Database, Partition, Usage};
use tidegate_http::Body;

pub(crate) async fn answer(
    cx: &Context,
    db: &Database,
    (name, route): (&str, PartitionRoute),
    body: Incoming,
) -> Answer {
    if route == PartitionRoute::Nameless {
        return Err(Error::bad_request("invalid_partition_req"));
    }
    let partition = db.partition(name)?;
    if cx.query()?.get("partition").is_some_and(|other| other != name) {
        return Err(Error::bad_request("Conflicting value for `partition` in query string"));
    }
    let asked = Asked { listed: Listed::All, partition: Some(&partition) };
    match (route, cx.request.method.as_str()) {
        (PartitionRoute::Partition, "GET" | "HEAD") => Ok(info(db, &partition, db.partition_usage(&partition).await?)),
        (PartitionRoute::AllDocs, "GET" | "HEAD") => list::get(cx, db, asked).await,
        (PartitionRoute::AllDocs, "POST") => list::post(cx, db, asked, body).await,
        (PartitionRoute::AllDocsQueries, "POST") => list::queries(cx, db, asked, body).await,
        (PartitionRoute::Later, _) => Err(Error::not_implemented()),
        (PartitionRoute::Nameless | PartitionRoute::Unknown, _) => Err(Error::not_found("missing")),
        (PartitionRoute::Partition, _) => Err(Error::method_not_allowed("GET")),
        (PartitionRoute::AllDocs, _) => Err(Error::method_not_allowed("GET,HEAD,POST")),
        (PartitionRoute::AllDocsQueries, _) => Err(Error::method_not_allowed("POST")),
    }
}

fn info(db: &Database, partition: &Partition, usage: Usage) -> Response<Body> {
    let body = json!({
        "db_name": db.name().as_str(),
        "sizes": { "active": usage.stored_bytes, "external": usage.leaf_bytes },
        "partition": partition.as_str(),
        "doc_count": usage.doc_count,
        "doc_del_count": usage.doc_del_count,
    });
    json_value(StatusCode::OK, &body)
}
