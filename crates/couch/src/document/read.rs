//! `GET` and `HEAD` of a document. Source: `chttpd_db:db_doc_req`, `send_doc`.

use super::{
    open_revs,
    render::{self, following},
    request::ReadRequest,
};
use crate::context::{Answer, Context, json};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use std::future::{Future, ready};
use tidegate_documents::{Attachments, Pieces, Related};
use tidegate_engine::{Database, Document};
use tidegate_http::{
    Body,
    conditional::{Condition, ETag},
    negotiate::Accept,
    respond::{self, Aborted, Source},
};
use tidegate_types::{DocId, Rev};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(crate) async fn get(cx: &Context, db: &Database, id: &DocId) -> Answer {
    let request = ReadRequest::parse(&cx.query()?)?;
    if let Some(which) = &request.open_revs {
        return open_revs::get(cx, db, id, (which, &request.options)).await;
    }
    let document = db.get(id, &request.which, request.options.detail()).await?;
    if !request.options.is_cacheable() {
        return respond(cx, db, &document, &request).await;
    }
    let etag = etag_of(&document.rev);
    if is_known(cx, &etag) {
        return Ok(not_modified(&etag));
    }
    let mut response = respond(cx, db, &document, &request).await?;
    put_etag(&mut response, &etag);
    Ok(response)
}

async fn respond(cx: &Context, db: &Database, document: &Document, request: &ReadRequest) -> Answer {
    let options = &request.options;
    if document.attachments.is_empty() || options.attachments == Attachments::Stubs {
        let mut out = Vec::new();
        render::text(document, options, &mut out);
        out.push(b'\n');
        return Ok(json(StatusCode::OK, out));
    }
    let mut pieces = Pieces::default();
    if !Accept::of(&cx.request.headers).accepts("multipart/related") {
        render::pieces(document, options, &mut pieces);
        pieces.text().push(b'\n');
        return Ok(pieces.respond(&cx.delivery(), db, StatusCode::OK, JSON).await?);
    }
    let options = following(options);
    let related = Related::new(options.sent(document));
    let content_type = HeaderValue::try_from(related.content_type()).unwrap_or(JSON);
    related.write(&mut pieces, |out| render::text(document, &options, out));
    Ok(pieces.respond(&cx.delivery(), db, StatusCode::OK, content_type).await?)
}

pub(super) fn etag_of(rev: &Rev) -> ETag<'static> {
    ETag::strong(rev.to_string())
}

pub(super) fn put_etag(response: &mut Response<Body>, etag: &ETag<'_>) {
    if let Some(value) = etag.to_header() {
        response.headers_mut().insert(header::ETAG, value);
    }
}

/// Whether the client says that it has this already.
pub(super) fn is_known(cx: &Context, etag: &ETag<'_>) -> bool {
    cx.header(header::IF_NONE_MATCH).is_some_and(|value| Condition::parse(value).none_match_hits(etag))
}

/// No body, of which hyper does not know so before it asks.
struct Nothing;

impl Source for Nothing {
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Aborted>> + Send {
        ready(Ok(None))
    }
}

/// With `Content-Length: 0`, as CouchDB's. hyper would leave the header out of an answer that it knows to be empty.
pub(super) fn not_modified(etag: &ETag<'_>) -> Response<Body> {
    let mut response = respond::empty(StatusCode::NOT_MODIFIED);
    *response.body_mut() = respond::pulled(Nothing);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    put_etag(&mut response, etag);
    response
}
