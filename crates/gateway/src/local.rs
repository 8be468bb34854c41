//! Local documents: no history; an edit names the revision it follows. Source: `spec/gateway.md` 2.3.

use crate::{
    context::{Answer, Context, json},
    error::Error,
};
use bytes::Bytes;
use http::StatusCode;
use hyper::body::Incoming;
use tidegate_engine::{Absence, Database};
use tidegate_json::{Document as Scanned, Limits, read_string, scan_document, write_string};
use tidegate_types::DocId;

pub(crate) async fn get(db: &Database, id: &DocId) -> Answer {
    let document = db.local(id).await?.ok_or(tidegate_engine::Error::NotFound(Absence::Missing))?;
    let mut out = b"{\"_id\":".to_vec();
    write_string(&mut out, document.id.as_str());
    out.extend_from_slice(format!(",\"_rev\":\"0-{}\"", document.number).as_bytes());
    if !document.members.is_empty() {
        out.push(b',');
        out.extend_from_slice(&document.members);
    }
    out.push(b'}');
    Ok(json(StatusCode::OK, out))
}

pub(crate) async fn put(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let rev = write(db, id, &scan_document(&text, Limits::default())?).await?;
    let mut out = b"{\"id\":".to_vec();
    write_string(&mut out, id.as_str());
    out.extend_from_slice(format!(",\"ok\":true,\"rev\":\"{rev}\"}}").as_bytes());
    Ok(json(StatusCode::CREATED, out))
}

pub(crate) async fn delete(cx: &Context, db: &Database, id: &DocId) -> Answer {
    db.local(id).await?.ok_or(tidegate_engine::Error::NotFound(Absence::Missing))?;
    replace(db, id, (cx.query()?.get("rev"), None)).await?;
    Ok(json(StatusCode::OK, Bytes::from_static(b"{}")))
}

/// Writes a local document; its revision then.
pub(crate) async fn write(db: &Database, id: &DocId, document: &Scanned<'_>) -> Result<String, Error> {
    let named = document.special("_rev").and_then(read_string);
    let is_deleted = document.special("_deleted") == Some(b"true");
    let members = (!is_deleted).then(|| Bytes::copy_from_slice(&document.members));
    let number = replace(db, id, (named.as_deref().filter(|rev| !rev.is_empty()), members)).await?;
    Ok(format!("0-{number}"))
}

/// Writes these members in place of the revision that is named, or takes that away; the number then.
async fn replace(db: &Database, id: &DocId, (named, members): (Option<&str>, Option<Bytes>)) -> Result<u64, Error> {
    let conflict = || Error::conflict("Document update conflict");
    let replaced = named.map(|rev| number_of(rev).ok_or_else(conflict)).transpose()?;
    match db.replace_local(id, replaced, members).await {
        Err(tidegate_engine::Error::Conflict) => Err(conflict()),
        number => Ok(number?),
    }
}

/// The number of a revision as it is written.
fn number_of(rev: &str) -> Option<u64> {
    rev.strip_prefix("0-")?.parse().ok().filter(|number: &u64| format!("0-{number}") == rev)
}
