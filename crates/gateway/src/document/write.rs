//! `PUT` and `DELETE` of a document, and `POST` to the keyspace. Source: `spec/gateway.md` 2.3.

use super::{read::put_etag, render::Version, request::edited_rev, special::rules};
use crate::{
    context::{Answer, Context, json},
    error::Error,
    service::Profile,
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use tidegate_documents::{
    Edits, ParsedDocument, commit, from_scanned, local_id, parse, read_document, stage, stage_related, to_its_end,
};
use tidegate_engine::{Absence, Database, Detail, Which, Written};
use tidegate_http::{
    Body,
    conditional::ETag,
    media::MediaType,
    multipart::{Boundary, Multipart},
};
use tidegate_json::{Limits, scan_document, write_string};
use tidegate_types::{DocId, Rev};

/// Reads a text that is one document.
fn parse_document(text: &Bytes, edits: Edits) -> Result<ParsedDocument, Error> {
    Ok(parse(text, rules(edits))?)
}

/// When the document expires, as far as it says so itself.
pub(super) fn expiry(cx: &Context, document: &ParsedDocument) -> Result<Option<u64>, Error> {
    let text = document.told("_exp");
    Ok(text.map(|text| cx.engine.expiry(&text)).transpose()?.flatten())
}

pub(crate) async fn put(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    let edits = Edits::parse(&cx.query()?);
    let content_type = cx.header(header::CONTENT_TYPE).unwrap_or_default();
    let is_related = MediaType::parse(content_type).is_some_and(|media| media.is("multipart/related"));
    let written = if is_related {
        put_related(cx, db, (id, edits), body).await?
    } else {
        let document = parse_document(&cx.read_json(body).await?, edits)?;
        let document = placed(cx, (db, id), document, edits).await?;
        save(cx, db, id.clone(), (document, edits)).await?
    };
    Ok(saved(cx, db, StatusCode::CREATED, (id, &written.rev)))
}

pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let scanned = scan_document(&text, Limits::default())?;
    if local_id(&scanned).is_some() {
        return Err(Error::bad_request("Invalid doc ID"));
    }
    let mut document = from_scanned(&text, scanned, rules(Edits::Made))?;
    let id = match document.id.take() {
        Some(id) => check_plain(id)?,
        None => format!("{:032x}", rand::random::<u128>()).parse()?,
    };
    let document = placed(cx, (db, &id), document, Edits::Made).await?;
    let written = save(cx, db, id.clone(), (document, Edits::Made)).await?;
    let mut response = saved(cx, db, StatusCode::OK, (&id, &written.rev));
    let location = HeaderValue::try_from(tidegate_http::path::encode_segment(id.as_str()).as_ref());
    response.headers_mut().extend(location.map(|value| (header::LOCATION, value)));
    Ok(response)
}

pub(crate) async fn delete(cx: &Context, db: &Database, id: &DocId) -> Answer {
    let rev = edited_rev(cx, (db, id), (None, None)).await?;
    match &rev {
        Some(rev) => check_deletable(db, id, rev).await?,
        None => match (db.get(id, &Which::Winner, Detail::Plain).await, cx.shared.settings.profile) {
            (Ok(_), _) => return Err(Error::conflict("Document exists")),
            // Version 4 makes a tombstone of nothing.
            (Err(tidegate_engine::Error::NotFound(Absence::Missing)), Profile::Four) => {}
            (Err(error), _) => return Err(error.into()),
        },
    }
    let mut document = parse(&Bytes::from_static(b"{\"_deleted\":true}"), rules(Edits::Made))?;
    document.revs.extend(rev);
    let written = save(cx, db, id.clone(), (document, Edits::Made)).await?;
    Ok(saved(cx, db, StatusCode::OK, (id, &written.rev)))
}

/// Refuses to delete what is deleted, or isn't there. Whoever may not see it may delete it, if the sync function says so.
async fn check_deletable(db: &Database, id: &DocId, rev: &Rev) -> Result<(), Error> {
    use tidegate_engine::Error as E;
    let conflict = || Error::conflict("Document revision conflict");
    match db.get(id, &Which::Rev(rev.clone()), Detail::Plain).await {
        Ok(document) if document.deleted => Err(conflict()),
        Ok(_) | Err(E::Access(_)) => Ok(()),
        Err(E::NotFound(_)) => match db.get(id, &Which::Winner, Detail::Plain).await {
            Err(E::NotFound(Absence::Missing)) => Err(E::NotFound(Absence::Missing).into()),
            Ok(_) | Err(E::NotFound(_) | E::Access(_)) => Err(conflict()),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// Refuses ids of documents that are no plain ones.
pub(super) fn check_plain(id: DocId) -> Result<DocId, Error> {
    if id.as_str().starts_with('_') { Err(Error::bad_request("Invalid doc ID")) } else { Ok(id) }
}

/// The document with the revision that the whole request says it edits, or is.
async fn placed(
    cx: &Context,
    (db, id): (&Database, &DocId),
    mut document: ParsedDocument,
    edits: Edits,
) -> Result<ParsedDocument, Error> {
    if document.id.as_ref().is_some_and(|in_body| in_body != id) {
        let reason = "The document ID provided in the body does not match the document ID in the path";
        return Err(Error::bad_request(reason));
    }
    match edits {
        Edits::Made => {
            let version = document.told("_cv").filter(|version| !version.is_empty());
            let rev = edited_rev(cx, (db, id), (version.as_deref(), document.revs.first())).await?;
            document.revs = rev.into_iter().collect();
        }
        Edits::Replicated => check_history(&document)?,
    }
    Ok(document)
}

/// Refuses a replicated revision that doesn't say which it is.
pub(super) fn check_history(document: &ParsedDocument) -> Result<(), Error> {
    if document.revs.is_empty() { Err(Error::bad_request("Bad _revisions")) } else { Ok(()) }
}

async fn put_related(
    cx: &Context,
    db: &Database,
    (id, edits): (&DocId, Edits),
    body: Incoming,
) -> Result<Written, Error> {
    let (task_cx, db, id) = (cx.clone(), db.clone(), id.clone());
    let work = async move {
        let cx = task_cx;
        let content_type = cx.header(header::CONTENT_TYPE).unwrap_or_default();
        let boundary = Boundary::from_content_type(content_type)?;
        let mut parts = Multipart::new(cx.stream(body)?, &boundary);
        let document = read_document(&mut parts, cx.read_limits().bytes_max, rules(edits)).await?;
        let document = placed(&cx, (&db, &id), document, edits).await?;
        let expires_s = expiry(&cx, &document)?;
        let parent = document.revs.first().cloned();
        let mut write = stage_related(&db, &mut parts, (id, document), edits).await?;
        write.expires_s = expires_s;
        commit(&db, write).await.map_err(|error| conflict_of(error, parent.as_ref()))
    };
    to_its_end(&cx.tasks, work).await
}

async fn save(
    cx: &Context,
    db: &Database,
    id: DocId,
    (document, edits): (ParsedDocument, Edits),
) -> Result<Written, Error> {
    let (parent, expires_s) = (document.revs.first().cloned(), expiry(cx, &document)?);
    if document.attachments.is_empty() {
        let mut write = stage(db, id, document, edits).await?;
        write.expires_s = expires_s;
        return commit(db, write).await.map_err(|error| conflict_of(error, parent.as_ref()));
    }
    let db = db.clone();
    let work = async move {
        let mut write = stage(&db, id, document, edits).await?;
        write.expires_s = expires_s;
        commit(&db, write).await.map_err(|error| conflict_of(error, parent.as_ref()))
    };
    to_its_end(&cx.tasks, work).await
}

/// The refusal of an edit, which says whether it named a revision.
pub(super) fn conflict_of(error: impl Into<Error>, parent: Option<&Rev>) -> Error {
    let error = error.into();
    match parent {
        None if error.status == StatusCode::CONFLICT => Error::conflict("Document exists"),
        Some(_) | None => error,
    }
}

/// `{"id":…,"ok":true,"rev":…}`, with the version where it is told.
pub(super) fn saved(cx: &Context, db: &Database, status: StatusCode, (id, rev): (&DocId, &Rev)) -> Response<Body> {
    let mut out = Vec::with_capacity(id.as_str().len() + 128);
    out.extend_from_slice(b"{\"id\":");
    write_string(&mut out, id.as_str());
    out.extend_from_slice(format!(",\"ok\":true,\"rev\":\"{rev}\"").as_bytes());
    if let Some(version) = Version::of(cx).text(db, rev) {
        out.extend_from_slice(format!(",\"cv\":\"{version}\"").as_bytes());
    }
    out.push(b'}');
    let mut response = json(status, out);
    put_etag(&mut response, &ETag::strong(rev.to_string()));
    response
}
