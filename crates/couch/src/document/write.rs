//! `PUT` and `DELETE` of a document, and `POST` to the database. Source: `chttpd_db:db_doc_req`, `update_doc_req`.

use super::{
    read::{etag_of, put_etag},
    request::edited_rev,
    special::rules,
};
use crate::{
    context::{Answer, Context, json},
    error::{Error, not_a_document},
    local,
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use std::io::Write as _;
use tidegate_documents::{
    Edits, ParsedDocument, commit, from_scanned, local_id, parse, read_document, stage, stage_related, to_its_end,
};
use tidegate_engine::{Database, Detail, Which, Write, Written};
use tidegate_http::{
    Body,
    media::MediaType,
    multipart::{Boundary, Multipart},
    path::encode_segment,
    query::Query,
};
use tidegate_json::{Limits, scan_document, write_string};
use tidegate_types::{DocId, Rev};

pub(crate) use super::copy::copy;

pub(crate) async fn put(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    let query = cx.query()?;
    let content_type = cx.header(header::CONTENT_TYPE).unwrap_or_default();
    let is_related = MediaType::parse(content_type).is_some_and(|media| media.is("multipart/related"));
    let (deleted, saving) = if is_related {
        let (deleted, written) = put_related(cx, db, id, body).await?;
        (deleted, Ok(written))
    } else {
        let document = parse_document(&cx.read(body).await?)?;
        let (document, edits) = placed(cx, &query, document)?;
        (document.deleted, save(cx, db, id.clone(), (document, edits)).await)
    };
    if is_batch(&query) {
        return saving.map(drop).or_else(unless_conflict).map(|()| accepted(id));
    }
    let written = saving?;
    let mut response = saved(saved_status(deleted), id, &written.rev);
    put_etag(&mut response, &etag_of(&written.rev));
    put_location(&mut response, cx, &[db.name().as_str(), id.as_str()]);
    Ok(response)
}

pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let scanned = scan_document(&text, Limits::default()).map_err(not_a_document)?;
    if let Some(id) = local_id(&scanned) {
        return post_local(cx, db, &id, &text).await;
    }
    let mut document = from_scanned(&text, scanned, rules)?;
    let id = match document.id.take() {
        Some(id) => id,
        None => {
            document.revs.clear();
            cx.new_uuid().parse()?
        }
    };
    let saving = save(cx, db, id.clone(), (document, Edits::Made)).await;
    if is_batch(&cx.query()?) {
        return saving.map(drop).or_else(unless_conflict).map(|()| accepted(&id));
    }
    let written = saving?;
    let mut response = saved(StatusCode::CREATED, &id, &written.rev);
    put_location(&mut response, cx, &[db.name().as_str(), id.as_str()]);
    Ok(response)
}

pub(crate) async fn delete(cx: &Context, db: &Database, id: &DocId) -> Answer {
    let rev = edited_rev(cx, &cx.query()?, None)?;
    db.get(id, &Which::Winner, Detail::Plain).await?;
    let mut document = parse(&Bytes::from_static(b"{\"_deleted\":true}"), rules)?;
    document.revs.extend(rev);
    let written = save(cx, db, id.clone(), (document, Edits::Made)).await?;
    let mut response = saved(StatusCode::OK, id, &written.rev);
    put_etag(&mut response, &etag_of(&written.rev));
    Ok(response)
}

/// Reads a text that is one document.
fn parse_document(text: &Bytes) -> Result<ParsedDocument, Error> {
    match parse(text, rules) {
        Err(tidegate_documents::Error::Json(error)) => Err(not_a_document(error)),
        parsed => Ok(parsed?),
    }
}

/// The document with the revision that the whole request says it edits, or is.
fn placed(cx: &Context, query: &Query<'_>, mut document: ParsedDocument) -> Result<(ParsedDocument, Edits), Error> {
    let rev = edited_rev(cx, query, document.revs.first())?;
    if document.revs.is_empty() {
        document.revs.extend(rev);
    }
    let edits = Edits::parse(query);
    check_revs(&document, edits)?;
    Ok((document, edits))
}

/// Refuses a replicated revision that doesn't say which it is.
pub(super) fn check_revs(document: &ParsedDocument, edits: Edits) -> Result<(), Error> {
    if edits == Edits::Replicated && document.revs.is_empty() {
        let reason = "When `new_edits: false`, the document needs `_rev` or `_revisions` specified";
        return Err(Error::bad_request(reason));
    }
    Ok(())
}

async fn put_related(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Result<(bool, Written), Error> {
    let (task_cx, db, id) = (cx.clone(), db.clone(), id.clone());
    let work = async move {
        let cx = task_cx;
        let content_type = cx.header(header::CONTENT_TYPE).unwrap_or_default();
        let boundary = Boundary::from_content_type(content_type)?;
        let mut parts = Multipart::new(cx.stream(body)?, &boundary);
        let document = read_document(&mut parts, cx.read_limits().bytes_max, rules).await?;
        let (document, edits) = placed(&cx, &cx.query()?, document)?;
        let deleted = document.deleted;
        let write = stage_related(&db, &mut parts, (id, document), edits).await?;
        Ok((deleted, commit(&db, write).await?))
    };
    to_its_end(&cx.tasks, work).await
}

async fn save(
    cx: &Context,
    db: &Database,
    id: DocId,
    (document, edits): (ParsedDocument, Edits),
) -> Result<Written, Error> {
    if document.attachments.is_empty() {
        return Ok(commit(db, stage(db, id, document, edits).await?).await?);
    }
    let db = db.clone();
    let work = async move {
        let write: Write = stage(&db, id, document, edits).await?;
        Ok(commit(&db, write).await?)
    };
    to_its_end(&cx.tasks, work).await
}

/// A posted document that is local.
async fn post_local(cx: &Context, db: &Database, id: &DocId, text: &[u8]) -> Answer {
    let (id, rev) = local::parse(id, text, None)?.apply(db).await?;
    let mut response = json(StatusCode::CREATED, saved_text(&id, &rev));
    put_location(&mut response, cx, &[db.name().as_str(), id.as_str()]);
    Ok(response)
}

/// CouchDB answers before such a write is safe; here it is safe before.
fn is_batch(query: &Query<'_>) -> bool {
    query.get("batch") == Some("ok")
}

/// CouchDB has answered before a conflict is found, so that its clients don't expect one.
fn unless_conflict(refusal: Error) -> Result<(), Error> {
    let Error(error) = &refusal;
    if error.status == StatusCode::CONFLICT { Ok(()) } else { Err(refusal) }
}

fn accepted(id: &DocId) -> Response<Body> {
    let mut out = b"{\"ok\":true,\"id\":".to_vec();
    write_string(&mut out, id.as_str());
    out.extend_from_slice(b"}\n");
    json(StatusCode::ACCEPTED, out)
}

fn saved_status(deleted: bool) -> StatusCode {
    if deleted { StatusCode::OK } else { StatusCode::CREATED }
}

/// `{"ok":true,"id":…,"rev":…}`.
pub(super) fn saved(status: StatusCode, id: &DocId, rev: &Rev) -> Response<Body> {
    json(status, saved_text(id, rev))
}

fn saved_text(id: &DocId, rev: &impl std::fmt::Display) -> Vec<u8> {
    let mut out = Vec::with_capacity(id.as_str().len() + 80);
    write_saved(&mut out, id, rev);
    out.push(b'\n');
    out
}

/// Appends `{"ok":true,"id":…,"rev":…}`.
pub(super) fn write_saved(out: &mut Vec<u8>, id: &DocId, rev: &impl std::fmt::Display) {
    out.extend_from_slice(b"{\"ok\":true,\"id\":");
    write_string(out, id.as_str());
    // A `Vec` takes everything.
    drop(write!(out, ",\"rev\":\"{rev}\"}}"));
}

/// `Location`, of path segments yet to be encoded.
pub(super) fn put_location(response: &mut Response<Body>, cx: &Context, path: &[&str]) {
    let mut location = cx.base_url();
    for segment in path {
        location.push('/');
        location.push_str(&encode_segment(segment));
    }
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
}
