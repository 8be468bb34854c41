//! `GET` and `HEAD` of an attachment. Source: `chttpd_db:db_attachment_req`.
//!
//! What is stored packed is sent packed to those who take it, and unpacked on the way to the others; it has no ranges.

use super::{
    pieces::{Form, Pieces},
    read::{is_known, not_modified, put_etag},
    render::digest_text,
    request::ReadRequest,
};
use crate::{
    context::{Answer, Context},
    error::Error,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tidegate_engine::{Attachment, Database, Detail, Encoding};
use tidegate_http::{
    ApiError, Body,
    conditional::{ETag, if_range_holds},
    negotiate::accepts_gzip,
    range::{ByteRange, Ranges, byteranges, content_range_unsatisfied},
};
use tidegate_types::DocId;

pub(crate) use super::attachment_edit::{delete, put};

const OCTETS: HeaderValue = HeaderValue::from_static(super::parse_attachment::DEFAULT_CONTENT_TYPE);

pub(crate) async fn get(cx: &Context, db: &Database, id: &DocId, name: &str) -> Answer {
    let request = ReadRequest::parse(&cx.query()?)?;
    let document = db.get(id, &request.which, Detail::Plain).await?;
    let attachment = document.attachment(name)?;
    let etag = ETag::strong(digest_text(&attachment.digest));
    if is_known(cx, &etag) {
        return Ok(not_modified(&etag));
    }
    let mut response = match (attachment.encoding, accepts_gzip(&cx.request.headers)) {
        (Encoding::Identity, _) => identity(cx, db, attachment, &etag).await?,
        (Encoding::Gzip, true) => packed(cx, db, attachment).await?,
        (Encoding::Gzip, false) => whole(cx, db, attachment, Form::Unpacked).await?,
    };
    put_headers(response.headers_mut(), attachment);
    put_etag(&mut response, &etag);
    Ok(response)
}

fn put_headers(headers: &mut HeaderMap, attachment: &Attachment) {
    let ranges = match attachment.encoding {
        Encoding::Identity => "bytes",
        Encoding::Gzip => {
            headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            "none"
        }
    };
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static(ranges));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("must-revalidate"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
}

async fn identity(cx: &Context, db: &Database, attachment: &Attachment, etag: &ETag<'_>) -> Answer {
    let applies = cx.header(header::IF_RANGE).is_none_or(|value| if_range_holds(value, etag));
    let range = cx.header(header::RANGE).filter(|_| applies);
    match Ranges::parse(range, attachment.length) {
        Ranges::Whole => {
            let mut response = whole(cx, db, attachment, Form::Stored).await?;
            put_md5(&mut response, attachment);
            Ok(response)
        }
        Ranges::One(range) => one(cx, db, attachment, range).await,
        Ranges::Many(ranges) => many(cx, db, attachment, &ranges).await,
        Ranges::Unsatisfiable => Err(unsatisfiable(attachment.length)),
    }
}

async fn packed(cx: &Context, db: &Database, attachment: &Attachment) -> Answer {
    let mut response = whole(cx, db, attachment, Form::Stored).await?;
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    put_md5(&mut response, attachment);
    Ok(response)
}

async fn whole(cx: &Context, db: &Database, attachment: &Attachment, form: Form) -> Answer {
    let mut pieces = Pieces::default();
    pieces.content(attachment, form);
    pieces.respond(cx, db, StatusCode::OK, content_type(attachment)).await
}

async fn one(cx: &Context, db: &Database, attachment: &Attachment, range: ByteRange) -> Answer {
    let mut pieces = Pieces::default();
    pieces.content(attachment, part(range));
    let mut response = pieces.respond(cx, db, StatusCode::PARTIAL_CONTENT, content_type(attachment)).await?;
    if let Ok(value) = HeaderValue::try_from(range.content_range(attachment.length)) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

async fn many(cx: &Context, db: &Database, attachment: &Attachment, ranges: &[ByteRange]) -> Answer {
    let boundary = super::related::new_boundary();
    let outer_type = HeaderValue::try_from(boundary.content_type("byteranges")).unwrap_or(OCTETS);
    let layout = byteranges(boundary, &attachment.content_type, ranges, attachment.length);
    let mut pieces = Pieces::default();
    for (head, range) in layout.heads.iter().zip(ranges) {
        pieces.text().extend_from_slice(head);
        pieces.content(attachment, part(*range));
    }
    pieces.text().extend_from_slice(&layout.end);
    pieces.respond(cx, db, StatusCode::PARTIAL_CONTENT, outer_type).await
}

fn part(range: ByteRange) -> Form {
    Form::Part(range.first()..range.last() + 1)
}

/// What was stored may be no header's value.
fn content_type(attachment: &Attachment) -> HeaderValue {
    HeaderValue::from_bytes(attachment.content_type.as_bytes()).unwrap_or(OCTETS)
}

/// The MD5 of the body as it is sent, which is as it is stored.
fn put_md5(response: &mut Response<Body>, attachment: &Attachment) {
    if let Ok(value) = HeaderValue::try_from(digest_text(&attachment.digest)) {
        response.headers_mut().insert("content-md5", value);
    }
}

fn unsatisfiable(length: u64) -> Error {
    let (status, reason) = (StatusCode::RANGE_NOT_SATISFIABLE, "Requested range not satisfiable");
    let error = ApiError::new(status, "requested_range_not_satisfiable", reason);
    match HeaderValue::try_from(content_range_unsatisfied(length)) {
        Ok(value) => Error(error.with_header(header::CONTENT_RANGE, value)),
        Err(_) => Error(error),
    }
}
