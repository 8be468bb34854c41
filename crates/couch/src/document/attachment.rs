//! `GET` and `HEAD` of an attachment. Source: `chttpd_db:db_attachment_req`.

use super::{
    read::{is_known, not_modified, put_etag},
    request::ReadRequest,
};
use crate::context::{Answer, Context};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tidegate_documents::{Takes, digest_text, serve_content};
use tidegate_engine::{Attachment, Database, Detail, Encoding};
use tidegate_http::{
    Body,
    conditional::{ETag, if_range_holds},
    negotiate::accepts_gzip,
};
use tidegate_types::DocId;

pub(crate) use super::attachment_edit::{delete, put};

pub(crate) async fn get(cx: &Context, db: &Database, id: &DocId, name: &str) -> Answer {
    let request = ReadRequest::parse(&cx.query()?)?;
    let document = db.get(id, &request.which, Detail::Plain).await?;
    let attachment = document.attachment(name)?;
    let etag = ETag::strong(digest_text(&attachment.digest));
    if is_known(cx, &etag) {
        return Ok(not_modified(&etag));
    }
    let applies = cx.header(header::IF_RANGE).is_none_or(|value| if_range_holds(value, &etag));
    let range = cx.header(header::RANGE).filter(|_| applies);
    // As CouchDB: what is stored packed has no ranges.
    let range = range.filter(|_| attachment.encoding == Encoding::Identity);
    let takes = if accepts_gzip(&cx.request.headers) { Takes::Gzip } else { Takes::Plain };
    let mut response = serve_content(&cx.delivery(), db, attachment, (range, takes)).await?;
    if response.status() == StatusCode::OK && (attachment.encoding, takes) != (Encoding::Gzip, Takes::Plain) {
        put_md5(&mut response, attachment);
    }
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

/// The MD5 of the body as it is sent, which is as it is stored.
fn put_md5(response: &mut Response<Body>, attachment: &Attachment) {
    if let Ok(value) = HeaderValue::try_from(digest_text(&attachment.digest)) {
        response.headers_mut().insert("content-md5", value);
    }
}
