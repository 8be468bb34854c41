//! Local documents: no history; an edit names the revision it follows. Source: `spec/gateway.md` 2.3.

use crate::{
    context::{Answer, Context, json},
    error::Error,
};
use bytes::Bytes;
use http::StatusCode;
use hyper::body::Incoming;
use tidegate_engine::{Absence, Database, LocalDocument};
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
    let known = db.local(id).await?.ok_or(tidegate_engine::Error::NotFound(Absence::Missing))?;
    let named = cx.query()?.get("rev").map(str::to_owned);
    check(Some(known.number), named.as_deref())?;
    db.delete_local(id).await?;
    Ok(json(StatusCode::OK, Bytes::from_static(b"{}")))
}

/// Writes a local document; its revision then.
pub(crate) async fn write(db: &Database, id: &DocId, document: &Scanned<'_>) -> Result<String, Error> {
    let named = document.special("_rev").and_then(read_string);
    let known = db.local(id).await?.map(|document| document.number);
    check(known, named.as_deref().filter(|rev| !rev.is_empty()))?;
    if document.special("_deleted") == Some(b"true") {
        db.delete_local(id).await?;
        return Ok("0-0".to_owned());
    }
    let number = known.unwrap_or(0).saturating_add(1);
    let members = Bytes::copy_from_slice(&document.members);
    db.put_local(LocalDocument { id: id.clone(), number, members }).await?;
    Ok(format!("0-{number}"))
}

/// Whether an edit names what is there.
fn check(known: Option<u64>, named: Option<&str>) -> Result<(), Error> {
    let known = known.map(|number| format!("0-{number}"));
    if known.as_deref() == named { Ok(()) } else { Err(Error::conflict("Document update conflict")) }
}
