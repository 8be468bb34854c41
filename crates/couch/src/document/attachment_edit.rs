//! `PUT` and `DELETE` of an attachment: an edit of its document. Source: `chttpd_db:db_attachment_req`.

use super::{
    intake::{Intake, md5_mismatch},
    parse::{ParsedDocument, from_stored, parse},
    parse_attachment::{DEFAULT_CONTENT_TYPE, Follows, check_name, parse_encoding, parse_md5},
    read::{etag_of, put_etag},
    request::{Edits, edited_rev},
    staging::{commit, stage, to_its_end},
    write::{put_location, saved},
};
use crate::{
    context::{Answer, Context},
    error::Error,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use hyper::body::Incoming;
use tidegate_engine::{
    Absence, AttachmentContent, AttachmentWrite, Database, Detail, Document, Encoding, StagedAttachment, Which, Write,
    Written,
};
use tidegate_http::BodyReader;
use tidegate_types::{DocId, Rev};

/// How much of a refused body is read, so that the client gets to see the refusal.
const DRAIN_BYTES_MAX: u64 = 1 << 20;

/// The revision an edit is made on.
pub(super) struct Base {
    rev: Option<Rev>,
    document: ParsedDocument,
    /// Its attachments' names.
    names: Vec<String>,
}

pub(crate) async fn put(cx: &Context, db: &Database, id: &DocId, name: &str, body: Incoming) -> Answer {
    let (task_cx, task_db, task_id, task_name) = (cx.clone(), db.clone(), id.clone(), name.to_owned());
    let work = async move { put_streamed(&task_cx, &task_db, (task_id, task_name), body).await };
    let written = to_its_end(cx, work).await?;
    let mut response = saved(StatusCode::CREATED, id, &written.rev);
    put_etag(&mut response, &etag_of(&written.rev));
    put_location(&mut response, cx, &[db.name().as_str(), id.as_str(), name]);
    Ok(response)
}

pub(crate) async fn delete(cx: &Context, db: &Database, id: &DocId, name: &str) -> Answer {
    check_name(name)?;
    let Some(rev) = edited_rev(cx, &cx.query()?, None)? else {
        db.get(id, &Which::Winner, Detail::Plain).await?.attachment(name)?;
        return Err(Error::conflict());
    };
    let document = load(db, id, &rev).await?;
    document.attachment(name)?;
    let write = without(db, id.clone(), base_of(rev, &document)?, &[name]).await?;
    let written = commit(db, write).await?;
    let mut response = saved(StatusCode::OK, id, &written.rev);
    put_etag(&mut response, &etag_of(&written.rev));
    Ok(response)
}

async fn put_streamed(
    cx: &Context,
    db: &Database,
    (id, name): (DocId, String),
    body: Incoming,
) -> Result<Written, Error> {
    let mut body = cx.stream_packed(body)?;
    let (base, encoding) = match prepare(cx, db, &id, &name).await {
        Ok(prepared) => prepared,
        Err(error) => {
            drain(&mut body).await;
            return Err(error);
        }
    };
    let content_type = content_type(&cx.request.headers);
    let digest = content_md5(&cx.request.headers)?;
    let expected = Follows { encoding, length: body.declared_length(), digest };
    let intake = Intake::new(db, &name, &content_type, &expected);
    let is_announced = cx.request.headers.contains_key(header::TRAILER);
    let staged = take_in(body, if is_announced { intake.hashing() } else { intake }).await?;
    let mut write = without(db, id, base, &[&name]).await?;
    let content = AttachmentContent::Staged(staged);
    write.attachments.insert(0, AttachmentWrite { name, content_type, revpos: None, content });
    commit(db, write).await
}

/// What can be refused before the body is read.
async fn prepare(cx: &Context, db: &Database, id: &DocId, name: &str) -> Result<(Base, Encoding), Error> {
    check_name(name)?;
    let encoding = parse_encoding(cx.header(header::CONTENT_ENCODING))?;
    let base = match edited_rev(cx, &cx.query()?, None)? {
        Some(rev) => {
            let document = load(db, id, &rev).await?;
            base_of(rev, &document)?
        }
        None => match db.get(id, &Which::Winner, Detail::Plain).await {
            Ok(_) => return Err(Error::conflict()),
            Err(tidegate_engine::Error::NotFound(_)) => {
                Base { rev: None, document: parse(&Bytes::from_static(b"{}"))?, names: Vec::new() }
            }
            Err(error) => return Err(error.into()),
        },
    };
    Ok((base, encoding))
}

pub(super) async fn load(db: &Database, id: &DocId, rev: &Rev) -> Result<Document, Error> {
    match db.get(id, &Which::Rev(rev.clone()), Detail::Plain).await {
        Err(tidegate_engine::Error::NotFound(Absence::Missing)) => {
            Err(Error::new(StatusCode::CONFLICT, "not_found", "missing_rev"))
        }
        outcome => Ok(outcome?),
    }
}

pub(super) fn base_of(rev: Rev, document: &Document) -> Result<Base, Error> {
    let names = document.attachments.iter().map(|attachment| attachment.name.clone()).collect();
    Ok(Base { rev: Some(rev), document: from_stored(document)?, names })
}

/// The edit that leaves the document as it is but for these attachments, which are gone.
pub(super) async fn without(db: &Database, id: DocId, base: Base, gone: &[&str]) -> Result<Write, Error> {
    let Base { rev, mut document, names } = base;
    document.revs.extend(rev);
    let mut write = stage(db, id, document, Edits::Made).await?;
    let others = names.into_iter().filter(|other| !gone.contains(&other.as_str()));
    let content_type = DEFAULT_CONTENT_TYPE.to_owned();
    let stub = |name| AttachmentWrite {
        name,
        content_type: content_type.clone(),
        revpos: None,
        content: AttachmentContent::Stub,
    };
    write.attachments.extend(others.map(stub));
    Ok(write)
}

async fn take_in(mut body: BodyReader<Incoming>, mut intake: Intake) -> Result<StagedAttachment, Error> {
    loop {
        let pushed = match body.chunk().await {
            Ok(Some(chunk)) => intake.push(chunk).await,
            Ok(None) => break,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = pushed {
            intake.abort().await;
            return Err(error);
        }
    }
    match body.trailers().map(content_md5).transpose() {
        Ok(digest) => {
            if let Some(digest) = digest.flatten() {
                intake.expect(digest);
            }
            intake.finish().await
        }
        Err(error) => {
            intake.abort().await;
            Err(error)
        }
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.filter(|value| !value.is_empty()).unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned())
}

fn content_md5(headers: &HeaderMap) -> Result<Option<tidegate_engine::AttachmentDigest>, Error> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    let digest = value.to_str().ok().and_then(parse_md5);
    Ok(Some(digest.ok_or_else(md5_mismatch)?))
}

async fn drain(body: &mut BodyReader<Incoming>) {
    while body.received() < DRAIN_BYTES_MAX && matches!(body.chunk().await, Ok(Some(_))) {}
}
