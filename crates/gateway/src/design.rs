//! Design documents, which hold views. Source: `spec/gateway.md` 1 and 2.2.
//!
//! Their functions take a document and its `meta`, which CouchDB's don't, so they are kept as of a language of their own,
//! and taken as they are: whether one can be run is found out when it is.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    service::{Port, Profile},
    stored::{edit, members},
};
use http::StatusCode;
use hyper::body::Incoming;
use serde_json::{Map, Value};
use tidegate_engine::{Absence, Database, Detail, Document, Which};
use tidegate_http::respond;
use tidegate_types::{DocId, Rev};

/// The language of the functions, as it is stored.
const LANGUAGE: &str = "gateway";

/// Attempts, where others write the same document at the same time.
const ATTEMPTS_MAX: usize = 10;

/// Refuses users: views are for administrators.
fn check_port(cx: &Context) -> Result<(), Error> {
    match cx.shared.port {
        Port::Admin => Ok(()),
        Port::Public => Err(Error::new(StatusCode::FORBIDDEN, "forbidden")),
    }
}

pub(crate) async fn get(cx: &Context, db: &Database, id: &DocId) -> Answer {
    check_port(cx)?;
    let mut design = members(&load(db, id).await?)?;
    let is_own = design.get("language").and_then(Value::as_str) == Some(LANGUAGE);
    match cx.shared.settings.profile {
        Profile::Two if is_own => drop(design.remove("language")),
        Profile::Four if is_own => drop(design.insert("language".to_owned(), "javascript".into())),
        Profile::Two | Profile::Four => {}
    }
    Ok(json_value(StatusCode::OK, &Value::Object(design)))
}

pub(crate) async fn put(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    check_port(cx)?;
    let mut design: Map<String, Value> = serde_json::from_slice(&cx.read_json(body).await?)?;
    if design.get("views").is_some_and(|views| !views.is_object()) {
        return Err(Error::bad_json("views must be an object"));
    }
    design.retain(|name, _| !name.starts_with('_'));
    design.insert("language".to_owned(), LANGUAGE.into());
    write(db, id, Some(&design)).await?;
    Ok(respond::empty(StatusCode::CREATED))
}

pub(crate) async fn delete(cx: &Context, db: &Database, id: &DocId) -> Answer {
    check_port(cx)?;
    load(db, id).await?;
    write(db, id, None).await?;
    Ok(respond::empty(StatusCode::OK))
}

pub(crate) async fn view(cx: &Context, db: &Database, (id, view): (&DocId, &str)) -> Answer {
    check_port(cx)?;
    let design = members(&load(db, id).await?)?;
    let views = design.get("views").and_then(Value::as_object);
    if !views.is_some_and(|views| views.contains_key(view)) {
        return Err(tidegate_engine::Error::NotFound(Absence::Missing).into());
    }
    Err(Error::not_implemented())
}

async fn load(db: &Database, id: &DocId) -> Result<Document, Error> {
    Ok(db.get(id, &Which::Winner, Detail::Plain).await?)
}

/// Writes over what is there; a tombstone where there is nothing to write.
async fn write(db: &Database, id: &DocId, design: Option<&Map<String, Value>>) -> Result<(), Error> {
    for _ in 0..ATTEMPTS_MAX {
        let write = edit(id, design, current(db, id).await?)?;
        match db.write_one(write).await {
            Err(tidegate_engine::Error::Conflict) => {}
            written => return written.map(drop).map_err(Error::from),
        }
    }
    Err(tidegate_engine::Error::Conflict.into())
}

async fn current(db: &Database, id: &DocId) -> Result<Option<Rev>, Error> {
    match db.get(id, &Which::Winner, Detail::Plain).await {
        Ok(document) => Ok(Some(document.rev)),
        Err(tidegate_engine::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
