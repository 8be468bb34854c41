//! Attachments: content of their own, and edits of their documents. Source: `spec/gateway.md` 2.3.

use super::{
    read::{load, put_etag},
    render::described,
    request::{Wanted, edited_rev, is_true},
    write::{conflict_of, saved},
};
use crate::{
    context::{Answer, Context, json},
    error::Error,
    service::Port,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use tidegate_documents::{
    Base, DEFAULT_CONTENT_TYPE, Follows, Intake, Takes, check_name, commit, digest_text, parse_encoding, serve_content,
    take_in, to_its_end,
};
use tidegate_engine::{
    Absence, Attachment, AttachmentContent, AttachmentWrite, Database, Detail, Encoding, Which, Written,
};
use tidegate_http::{
    BodyReader,
    conditional::{Condition, ETag, if_range_holds},
    media::MediaType,
    negotiate::accepts_gzip,
    respond,
};
use tidegate_types::{DocId, Rev};

/// How much of a refused body is read, so that the client gets to see the refusal.
const DRAIN_BYTES_MAX: u64 = 1 << 20;

/// Types that a browser would run scripts of.
const ACTIVE_TYPES: [&str; 4] = ["text/html", "application/xhtml+xml", "image/svg+xml", "text/xml"];

pub(crate) async fn get(cx: &Context, db: &Database, id: &DocId, name: &str) -> Answer {
    let query = cx.query()?;
    let wanted = match query.get("rev") {
        None | Some("") => Wanted::Winner,
        Some(rev) => Wanted::parse(rev)?,
    };
    let which = wanted.which(db, id).await?.ok_or(tidegate_engine::Error::NotFound(Absence::Missing))?;
    let document = db.get(id, &which, Detail::Plain).await?;
    let attachment = document.attachment(name)?;
    if is_true(&query, "meta") {
        let mut out = Vec::new();
        described(attachment, ("", ""), &mut out);
        return Ok(json(StatusCode::OK, out));
    }
    let etag = ETag::strong(format!("md5-{}", digest_text(&attachment.digest)));
    let is_known = cx.header(header::IF_NONE_MATCH).is_some_and(|value| Condition::parse(value).none_match_hits(&etag));
    let mut response = if is_known {
        respond::empty(StatusCode::NOT_MODIFIED)
    } else {
        let applies = cx.header(header::IF_RANGE).is_none_or(|value| if_range_holds(value, &etag));
        let range = cx.header(header::RANGE).filter(|_| applies);
        let takes = takes(cx, query.get("content_encoding") != Some("false"));
        serve_content(&cx.delivery(), db, attachment, (range, takes)).await?
    };
    put_headers(cx, response.headers_mut(), attachment);
    put_etag(&mut response, &etag);
    Ok(response)
}

fn takes(cx: &Context, is_encoded_wanted: bool) -> Takes {
    if is_encoded_wanted && accepts_gzip(&cx.request.headers) { Takes::Gzip } else { Takes::Plain }
}

fn put_headers(cx: &Context, headers: &mut HeaderMap, attachment: &Attachment) {
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if attachment.encoding == Encoding::Gzip {
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    let media = MediaType::parse(&attachment.content_type);
    let is_active = media.is_none_or(|media| ACTIVE_TYPES.iter().any(|active| media.is(active)));
    if is_active || cx.shared.port == Port::Admin {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

pub(crate) async fn put(cx: &Context, db: &Database, id: &DocId, name: &str, body: Incoming) -> Answer {
    let (task_cx, task_db, task_id, task_name) = (cx.clone(), db.clone(), id.clone(), name.to_owned());
    let work = async move { put_streamed(&task_cx, &task_db, (task_id, task_name), body).await };
    let written = to_its_end(&cx.tasks, work).await?;
    Ok(saved(cx, db, StatusCode::CREATED, (id, &written.rev)))
}

pub(crate) async fn delete(cx: &Context, db: &Database, id: &DocId, name: &str) -> Answer {
    check_name(name)?;
    let Some(rev) = edited_rev(cx, (db, id), (None, None)).await? else {
        db.get(id, &Which::Winner, Detail::Plain).await?.attachment(name)?;
        return Err(without_rev());
    };
    let document = load(db, id, &rev).await?;
    document.attachment(name)?;
    let write = Base::of(rev.clone(), &document)?.without(db, id.clone(), &[name]).await?;
    let written = commit(db, write).await.map_err(|error| conflict_of(error, Some(&rev)))?;
    Ok(saved(cx, db, StatusCode::OK, (id, &written.rev)))
}

fn without_rev() -> Error {
    Error::conflict("Cannot modify attachments without a specific rev ID")
}

async fn put_streamed(
    cx: &Context,
    db: &Database,
    (id, name): (DocId, String),
    body: Incoming,
) -> Result<Written, Error> {
    let mut body = cx.stream_packed(body)?;
    let (base, rev, encoding) = match prepare(cx, db, &id, &name).await {
        Ok(prepared) => prepared,
        Err(error) => {
            drain(&mut body).await;
            return Err(error);
        }
    };
    let content_type = content_type(&cx.request.headers);
    let expected = Follows { encoding, length: body.declared_length(), digest: None };
    let intake = Intake::new(db, &name, &content_type, &expected);
    let staged = take_in(body, intake, |_trailers| Ok(None)).await?;
    let mut write = base.without(db, id, &[&name]).await?;
    let content = AttachmentContent::Staged(staged);
    write.attachments.insert(0, AttachmentWrite { name, content_type, revpos: None, content });
    commit(db, write).await.map_err(|error| conflict_of(error, rev.as_ref()))
}

/// What can be refused before the body is read.
async fn prepare(cx: &Context, db: &Database, id: &DocId, name: &str) -> Result<(Base, Option<Rev>, Encoding), Error> {
    check_name(name)?;
    let encoding = parse_encoding(cx.header(header::CONTENT_ENCODING))?;
    let rev = edited_rev(cx, (db, id), (None, None)).await?;
    let base = match &rev {
        Some(rev) => Base::of(rev.clone(), &load(db, id, rev).await?)?,
        None => match db.get(id, &Which::Winner, Detail::Plain).await {
            Ok(_) => return Err(without_rev()),
            Err(tidegate_engine::Error::NotFound(_)) => Base::nothing()?,
            Err(error) => return Err(error.into()),
        },
    };
    Ok((base, rev, encoding))
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.filter(|value| !value.is_empty()).unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned())
}

async fn drain(body: &mut BodyReader<Incoming>) {
    while body.received() < DRAIN_BYTES_MAX && matches!(body.chunk().await, Ok(Some(_))) {}
}
