//! `GET` and `HEAD` of a document, one revision or several. Source: `spec/gateway.md` 2.3.

use super::{
    render::{self, Options},
    request::{ReadRequest, Wanted, is_true},
};
use crate::{
    context::{Answer, Context, json},
    error::Error,
};
use http::{HeaderValue, Response, StatusCode, header};
use tidegate_documents::{Attachments, Pieces, Related, new_boundary};
use tidegate_engine::{Absence, Database, Document, OpenRev, OpenRevs, Shown};
use tidegate_http::{
    Body,
    conditional::{Condition, ETag},
    multipart::Writer,
    negotiate::Accept,
    respond,
};
use tidegate_types::{DocId, Rev};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The type of a part that says what is missing.
pub(super) const ERROR_TYPE: &str = "application/json; error=\"true\"";

pub(crate) async fn get(cx: &Context, db: &Database, id: &DocId) -> Answer {
    let mut request = ReadRequest::parse(cx)?;
    if let Some(which) = &request.open_revs {
        return open_revs(cx, db, id, (which, &request.options)).await;
    }
    let which = request.which.which(db, id).await?;
    let which = which.ok_or(tidegate_engine::Error::NotFound(Absence::Missing))?;
    let document = db.get(id, &which, request.options.detail()).await?;
    if is_true(&cx.query()?, "show_exp") && document.shown == Shown::Whole {
        request.options.expires_s = db.expires_s(id).await?;
    }
    let etag = ETag::strong(match &request.which {
        Wanted::Winner | Wanted::Rev(_) => document.rev.to_string(),
        Wanted::Version(version) => version.clone(),
    });
    let is_known = cx.header(header::IF_NONE_MATCH).is_some_and(|value| Condition::parse(value).none_match_hits(&etag));
    let mut response = if is_known {
        respond::empty(StatusCode::NOT_MODIFIED)
    } else {
        answer(cx, db, &document, &request.options).await?
    };
    put_etag(&mut response, &etag);
    Ok(response)
}

async fn answer(cx: &Context, db: &Database, document: &Document, options: &Options) -> Answer {
    if document.attachments.is_empty() || options.attachments == Attachments::Stubs {
        let mut out = Vec::new();
        render::text(db, document, options, &mut out);
        return Ok(json(StatusCode::OK, out));
    }
    let mut pieces = Pieces::default();
    let accept = Accept::of(&cx.request.headers);
    // Those that take anything mean JSON.
    if accept.via("multipart/related") < Some(tidegate_http::negotiate::Via::AnySubtype) {
        render::pieces(db, document, options, &mut pieces);
        return Ok(pieces.respond(&cx.delivery(), db, StatusCode::OK, JSON).await?);
    }
    let options = options.following();
    let related = Related::new(options.sent(document));
    let content_type = HeaderValue::try_from(related.content_type()).unwrap_or(JSON);
    related.write(&mut pieces, |out| render::text(db, document, &options, out));
    Ok(pieces.respond(&cx.delivery(), db, StatusCode::OK, content_type).await?)
}

async fn open_revs(cx: &Context, db: &Database, id: &DocId, (which, options): (&OpenRevs, &Options)) -> Answer {
    let revs = db.open_revs(id, which).await?;
    let mut pieces = Pieces::default();
    if Accept::of(&cx.request.headers).accepts("multipart/mixed") {
        let mut parts = Parts::new(options);
        let content_type = parts.content_type();
        for rev in &revs {
            match rev {
                OpenRev::Found(document) => parts.document(db, document, options, &mut pieces),
                OpenRev::Missing(rev) => {
                    parts.begin_error(&mut pieces);
                    write_missing(rev, pieces.text());
                }
            }
        }
        parts.end(&mut pieces);
        return Ok(pieces.respond(&cx.delivery(), db, StatusCode::OK, content_type).await?);
    }
    let mut separator = b"[\n".as_slice();
    for rev in &revs {
        pieces.text().extend_from_slice(std::mem::replace(&mut separator, b","));
        match rev {
            OpenRev::Found(document) => {
                pieces.text().extend_from_slice(b"{\"ok\":");
                render::pieces(db, document, options, &mut pieces);
                pieces.text().push(b'}');
            }
            OpenRev::Missing(rev) => write_missing(rev, pieces.text()),
        }
        pieces.text().push(b'\n');
    }
    pieces.text().extend_from_slice(if revs.is_empty() { b"[\n]" } else { b"]" });
    Ok(pieces.respond(&cx.delivery(), db, StatusCode::OK, JSON).await?)
}

/// Revisions as parts of one answer.
pub(super) struct Parts {
    writer: Writer,
    options: Options,
}

impl Parts {
    pub(super) fn new(options: &Options) -> Self {
        Self { writer: Writer::new(new_boundary()), options: options.following() }
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        HeaderValue::try_from(self.writer.boundary().content_type("mixed")).unwrap_or(JSON)
    }

    /// Appends a revision; as parts of its own if its attachments are asked for.
    pub(super) fn document(&mut self, db: &Database, document: &Document, asked: &Options, out: &mut Pieces) {
        let options = if asked.attachments == Attachments::Stubs { asked } else { &self.options };
        let options = Options { atts_since: asked.atts_since.clone(), ..options.clone() };
        let related = Related::new(options.sent(document));
        let rev = document.rev.to_string();
        let content_type = related.content_type();
        let headers =
            [("X-Doc-Id", document.id.as_str()), ("X-Rev-Id", rev.as_str()), ("Content-Type", content_type.as_str())];
        let head = self.writer.part(&headers);
        out.text().extend_from_slice(&head);
        related.write(out, |text| render::text(db, document, &options, text));
    }

    /// Begins a part that says what is wrong.
    pub(super) fn begin_error(&mut self, out: &mut Pieces) {
        out.text().extend_from_slice(&self.writer.part(&[("Content-Type", ERROR_TYPE)]));
    }

    pub(super) fn end(self, out: &mut Pieces) {
        out.text().extend_from_slice(&self.writer.end());
    }
}

fn write_missing(rev: &Rev, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"missing\":\"{rev}\"}}").as_bytes());
}

pub(super) fn put_etag(response: &mut Response<Body>, etag: &ETag<'_>) {
    if let Some(value) = etag.to_header() {
        response.headers_mut().insert(header::ETAG, value);
    }
}

/// A document that must be there, live or not.
pub(super) async fn load(db: &Database, id: &DocId, rev: &Rev) -> Result<Document, Error> {
    let which = tidegate_engine::Which::Rev(rev.clone());
    match db.get(id, &which, tidegate_engine::Detail::Plain).await {
        Err(tidegate_engine::Error::NotFound(_)) => Err(Error::conflict("Document revision conflict")),
        outcome => Ok(outcome?),
    }
}
