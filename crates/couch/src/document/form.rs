//! `POST` to a document as `multipart/form-data`: what a form with files in a web page sends.
//!
//! `_rev` names the revision that is edited and whose other attachments stay, or `_doc` is the whole document;
//! `_attachments` are files. Source: `chttpd_db:db_doc_req`.

use super::{
    attachment_edit::load,
    read::{etag_of, put_etag},
    request::edited_rev,
    special::rules,
    write::saved,
};
use crate::{
    context::{Answer, Context},
    error::Error,
};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, Uri, header};
use hyper::body::Incoming;
use tidegate_documents::{
    Base, DEFAULT_CONTENT_TYPE, Edits, Follows, Intake, ParsedDocument, check_name, commit, contents, discard, parse,
    read_part, stage, to_its_end,
};
use tidegate_engine::{AttachmentContent, AttachmentWrite, Database, Encoding, Write, Written};
use tidegate_http::{
    media::MediaType,
    multipart::{Boundary, Multipart, PartHead},
};
use tidegate_types::{DocId, Rev};

/// Files of one form.
const FILES_MAX: usize = 1_000;

/// What a form holds. Of several `_doc` or `_rev` the first counts.
#[derive(Default)]
struct Form {
    document: Option<Bytes>,
    rev: Option<Bytes>,
    files: Vec<AttachmentWrite>,
}

pub(crate) async fn post(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    check_referer(cx.header(header::REFERER), cx.host())?;
    let content_type = cx.header(header::CONTENT_TYPE).unwrap_or_default();
    if !MediaType::parse(content_type).is_some_and(|media| media.is("multipart/form-data")) {
        return Err(Error::bad_content_type("Content-Type must be multipart/form-data"));
    }
    let boundary = Boundary::from_content_type(content_type)?;
    let mut parts = Multipart::new(cx.stream(body)?, &boundary);
    let (task_cx, task_db, task_id) = (cx.clone(), db.clone(), id.clone());
    let written = to_its_end(&cx.tasks, async move { submit(&task_cx, &task_db, task_id, &mut parts).await }).await?;
    let mut response = saved(StatusCode::CREATED, id, &written.rev);
    put_etag(&mut response, &etag_of(&written.rev));
    Ok(response)
}

/// A browser sends a form wherever a page wants it to: only pages of this host may.
fn check_referer(referer: Option<&str>, host: &str) -> Result<(), Error> {
    let referer = referer.ok_or(Error::bad_request("Referer header required."))?;
    let uri = referer.parse::<Uri>().ok();
    let matches = uri.as_ref().and_then(Uri::authority).is_some_and(|authority| authority.as_str() == host);
    if matches { Ok(()) } else { Err(Error::bad_request("Referer header must match host.")) }
}

async fn submit(cx: &Context, db: &Database, id: DocId, parts: &mut Multipart<Incoming>) -> Result<Written, Error> {
    let mut form = Form::default();
    let read = form.read(db, parts, cx.read_limits().bytes_max).await;
    let Form { document, rev, files } = form;
    let edited = match read {
        Ok(()) => edit(cx, db, id, (document, rev, &files)).await,
        Err(error) => Err(error),
    };
    match edited {
        Ok(mut write) => {
            write.attachments.splice(0..0, files);
            Ok(commit(db, write).await?)
        }
        Err(error) => {
            discard(db, contents(&files)).await;
            Err(error)
        }
    }
}

/// The edit without the files.
async fn edit(
    cx: &Context,
    db: &Database,
    id: DocId,
    (document, rev, files): (Option<Bytes>, Option<Bytes>, &[AttachmentWrite]),
) -> Result<Write, Error> {
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    if let Some(text) = document {
        return Ok(stage(db, id, whole(cx, &text, &names)?, Edits::Made).await?);
    }
    let rev = rev.ok_or(Error::bad_request("the form has neither `_doc` nor `_rev`"))?;
    let rev: Rev = str::from_utf8(&rev).ok().ok_or(Error::bad_request("Invalid rev format"))?.trim().parse()?;
    let base = Base::of(rev.clone(), &load(db, &id, &rev).await?)?;
    Ok(base.without(db, id, &names).await?)
}

/// The document of a form, without the attachments that the form brings itself.
fn whole(cx: &Context, text: &Bytes, names: &[&str]) -> Result<ParsedDocument, Error> {
    let mut document = parse(text, rules)?;
    let rev = edited_rev(cx, &cx.query()?, document.revs.first())?;
    if document.revs.is_empty() {
        document.revs.extend(rev);
    }
    document.attachments.retain(|attachment| !names.contains(&attachment.name.as_str()));
    Ok(document)
}

impl Form {
    /// Reads all fields. Files that were taken in stay in the form if it fails.
    async fn read(&mut self, db: &Database, parts: &mut Multipart<Incoming>, bytes_max: u64) -> Result<(), Error> {
        while let Some(head) = parts.next_part().await? {
            let field = head.disposition().and_then(|disposition| disposition.name().map(std::borrow::Cow::into_owned));
            match field.as_deref() {
                Some("_doc") if self.document.is_none() => self.document = Some(read_text(parts, bytes_max).await?),
                Some("_rev") if self.rev.is_none() => self.rev = Some(read_text(parts, bytes_max).await?),
                Some("_attachments") => {
                    if let Some(file) = read_file(db, parts, &head).await? {
                        self.add(db, file).await?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The later of two files with one name stays.
    async fn add(&mut self, db: &Database, file: AttachmentWrite) -> Result<(), Error> {
        let (replaced, kept) = std::mem::take(&mut self.files).into_iter().partition(|known| known.name == file.name);
        self.files = kept;
        self.files.push(file);
        let replaced: Vec<AttachmentWrite> = replaced;
        discard(db, contents(&replaced)).await;
        if self.files.len() > FILES_MAX {
            return Err(Error::bad_request(format!("the form holds more than {FILES_MAX} files")));
        }
        Ok(())
    }
}

async fn read_text(parts: &mut Multipart<Incoming>, bytes_max: u64) -> Result<Bytes, Error> {
    let mut text = BytesMut::new();
    while let Some(chunk) = parts.chunk().await? {
        if (text.len() + chunk.len()) as u64 > bytes_max {
            return Err(tidegate_http::BodyError::TooLarge { bytes_max }.into());
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text.freeze())
}

/// A field's file; a browser sends one without a name where none was chosen.
async fn read_file(
    db: &Database,
    parts: &mut Multipart<Incoming>,
    head: &PartHead,
) -> Result<Option<AttachmentWrite>, Error> {
    let Some(name) = head.filename().filter(|name| !name.is_empty()) else { return Ok(None) };
    check_name(&name)?;
    let content_type = head.content_type().unwrap_or(DEFAULT_CONTENT_TYPE).to_owned();
    let expected = Follows { encoding: Encoding::Identity, length: None, digest: None };
    let staged = read_part(parts, Intake::new(db, &name, &content_type, &expected)).await?;
    Ok(Some(AttachmentWrite { name, content_type, revpos: None, content: AttachmentContent::Staged(staged) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(referer: Option<&str>, expected: Result<(), &str>) {
        let found = check_referer(referer, "db.example.com:5984").map_err(|Error(error)| error.reason.into_owned());
        assert_eq!(found, expected.map_err(str::to_owned), "{referer:?}");
    }

    #[test]
    fn forms_come_from_pages_of_this_host() {
        check(Some("http://db.example.com:5984/app/form.html"), Ok(()));
        check(Some("https://db.example.com:5984"), Ok(()));
        check(None, Err("Referer header required."));
        for other in
            ["http://db.example.com/", "http://example.com:5984/", "http://db.example.com:5984.evil.org/", "x", ""]
        {
            check(Some(other), Err("Referer header must match host."));
        }
    }
}
