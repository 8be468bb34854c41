//! Local documents: no history, and no conflict is ever found.
//!
//! Source: `spec/couch.md` 2 (`_local/x`): the revision follows the one given, whatever is stored.

use crate::{
    context::{Answer, Context, json, json_value},
    document::parse_destination,
    error::Error,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use serde_json::json;
use tidegate_engine::{Absence, Database, LocalDocument};
use tidegate_http::path::encode_segment;
use tidegate_json::{Limits, read_string, scan_document, write_string};
use tidegate_types::{DocId, DocKind};

pub(crate) async fn get(db: &Database, id: &DocId) -> Answer {
    Ok(json(StatusCode::OK, render(&load(db, id).await?)))
}

pub(crate) async fn put(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    let body = cx.read(body).await?;
    let given = cx.query()?.get("rev").map(str::to_owned);
    write(cx, db, parse(id, &body, given.as_deref())?).await
}

/// A local document to be written, or to be taken away.
pub(crate) enum LocalWrite {
    Put(LocalDocument),
    Delete(DocId),
}

impl LocalWrite {
    /// Writes it; its id and its revision then.
    pub(crate) async fn apply(self, db: &Database) -> Result<(DocId, String), Error> {
        match self {
            Self::Put(document) => {
                let (id, rev) = (document.id.clone(), format!("0-{}", document.number));
                db.put_local(document).await?;
                Ok((id, rev))
            }
            Self::Delete(id) => {
                // Whether it was there makes no difference to who wants it gone.
                db.delete_local(&id).await?;
                Ok((id, "0-0".to_owned()))
            }
        }
    }
}

pub(crate) async fn delete(db: &Database, id: &DocId) -> Answer {
    if db.delete_local(id).await? {
        Ok(json_value(StatusCode::OK, &json!({ "ok": true, "id": id.as_str(), "rev": "0-0" })))
    } else {
        Err(tidegate_engine::Error::NotFound(Absence::Missing).into())
    }
}

pub(crate) async fn copy(cx: &Context, db: &Database, id: &DocId) -> Answer {
    let document = load(db, id).await?;
    let destination = cx.request.headers.get("destination").and_then(|value| value.to_str().ok());
    let Some(destination) = destination else {
        return Err(Error::bad_request("Destination header is mandatory for COPY."));
    };
    let (target, _) = parse_destination(destination)?;
    if target.kind() != DocKind::Local {
        return Err(Error::bad_request("a local document can be copied to a local document only"));
    }
    let number = db.local(&target).await?.map_or(1, |known| known.number + 1);
    write(cx, db, LocalWrite::Put(LocalDocument { id: target, number, members: document.members })).await
}

async fn load(db: &Database, id: &DocId) -> Result<LocalDocument, Error> {
    Ok(db.local(id).await?.ok_or(tidegate_engine::Error::NotFound(Absence::Missing))?)
}

async fn write(cx: &Context, db: &Database, write: LocalWrite) -> Answer {
    let (id, rev) = write.apply(db).await?;
    let mut response = json_value(StatusCode::CREATED, &json!({ "ok": true, "id": id.as_str(), "rev": rev }));
    let location = format!("{}/{}/{}", cx.base_url(), encode_segment(db.name().as_str()), encode_segment(id.as_str()));
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What this text makes of a local document: its number follows that of the revision it names.
pub(crate) fn parse(id: &DocId, text: &[u8], rev_in_query: Option<&str>) -> Result<LocalWrite, Error> {
    let document = scan_document(text, Limits::default())?;
    let rev_in_body = document.special("_rev").and_then(read_string);
    let number = match rev_in_body.as_deref().or(rev_in_query) {
        Some(rev) => number_of(rev).ok_or(Error::bad_request("Invalid rev format"))?.saturating_add(1),
        None => 1,
    };
    if document.special("_deleted") == Some(b"true") {
        return Ok(LocalWrite::Delete(id.clone()));
    }
    let members = Bytes::copy_from_slice(&document.members);
    Ok(LocalWrite::Put(LocalDocument { id: id.clone(), number, members }))
}

fn number_of(rev: &str) -> Option<u64> {
    rev.strip_prefix("0-")?.parse().ok()
}

pub(crate) fn render(document: &LocalDocument) -> Vec<u8> {
    let mut out = b"{\"_id\":".to_vec();
    write_string(&mut out, document.id.as_str());
    out.extend_from_slice(format!(",\"_rev\":\"0-{}\"", document.number).as_bytes());
    if !document.members.is_empty() {
        out.push(b',');
        out.extend_from_slice(&document.members);
    }
    out.extend_from_slice(b"}\n");
    out
}
