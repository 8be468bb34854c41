//! `PUT` and `DELETE` of an attachment: an edit of its document. Source: `chttpd_db:db_attachment_req`.

use super::{
    read::{etag_of, put_etag},
    request::edited_rev,
    write::{put_location, saved},
};
use crate::{
    context::{Answer, Context},
    error::Error,
};
use http::{HeaderMap, StatusCode, header};
use hyper::body::Incoming;
use tidegate_documents::{
    Base, DEFAULT_CONTENT_TYPE, Error as DocumentsError, Fault, Follows, Intake, check_name, commit, parse_encoding,
    parse_md5, take_in, to_its_end,
};
use tidegate_engine::{
    Absence, AttachmentContent, AttachmentDigest, AttachmentWrite, Database, Detail, Document, Encoding, Which, Written,
};
use tidegate_http::BodyReader;
use tidegate_types::{DocId, Rev};

/// How much of a refused body is read, so that the client gets to see the refusal.
const DRAIN_BYTES_MAX: u64 = 1 << 20;

pub(crate) async fn put(cx: &Context, db: &Database, id: &DocId, name: &str, body: Incoming) -> Answer {
    let (task_cx, task_db, task_id, task_name) = (cx.clone(), db.clone(), id.clone(), name.to_owned());
    let work = async move { put_streamed(&task_cx, &task_db, (task_id, task_name), body).await };
    let written = to_its_end(&cx.tasks, work).await?;
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
    let write = Base::of(rev, &document)?.without(db, id.clone(), &[name]).await?;
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
    let staged = take_in(body, if is_announced { intake.hashing() } else { intake }, content_md5).await?;
    let mut write = base.without(db, id, &[&name]).await?;
    let content = AttachmentContent::Staged(staged);
    write.attachments.insert(0, AttachmentWrite { name, content_type, revpos: None, content });
    Ok(commit(db, write).await?)
}

/// What can be refused before the body is read.
async fn prepare(cx: &Context, db: &Database, id: &DocId, name: &str) -> Result<(Base, Encoding), Error> {
    check_name(name)?;
    let encoding = parse_encoding(cx.header(header::CONTENT_ENCODING))?;
    let base = match edited_rev(cx, &cx.query()?, None)? {
        Some(rev) => {
            let document = load(db, id, &rev).await?;
            Base::of(rev, &document)?
        }
        None => match db.get(id, &Which::Winner, Detail::Plain).await {
            Ok(_) => return Err(Error::conflict()),
            Err(tidegate_engine::Error::NotFound(_)) => Base::nothing()?,
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

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.filter(|value| !value.is_empty()).unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned())
}

fn content_md5(headers: &HeaderMap) -> Result<Option<AttachmentDigest>, DocumentsError> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    let digest = value.to_str().ok().and_then(parse_md5);
    Ok(Some(digest.ok_or_else(mismatch)?))
}

fn mismatch() -> DocumentsError {
    DocumentsError::refused(Fault::Digest, "Possible message corruption.")
}

async fn drain(body: &mut BodyReader<Incoming>) {
    while body.received() < DRAIN_BYTES_MAX && matches!(body.chunk().await, Ok(Some(_))) {}
}
