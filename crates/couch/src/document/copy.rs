//! `COPY` of a document. Source: `chttpd_db:db_doc_req`, `couch_httpd_db:parse_copy_destination_header`.

use super::{
    read::{etag_of, put_etag},
    request::edited_rev,
    write::{put_location, saved},
};
use crate::{
    context::{Answer, Context},
    error::Error,
};
use http::StatusCode;
use tidegate_documents::{
    Edits, Error as DocumentsError, Follows, Intake, commit, contents, discard, from_stored, stage, to_its_end,
};
use tidegate_engine::{
    Attachment, AttachmentContent, AttachmentWrite, Database, Detail, Document, StagedAttachment, Which, Write, Written,
};
use tidegate_http::path::{Plus, Segments};
use tidegate_types::{DocId, DocKind, Rev};

pub(crate) async fn copy(cx: &Context, db: &Database, id: &DocId) -> Answer {
    let source_rev = edited_rev(cx, &cx.query()?, None)?;
    let destination = cx.request.headers.get("destination").map(|value| String::from_utf8_lossy(value.as_bytes()));
    let destination = destination.ok_or(Error::bad_request("Destination header is mandatory for COPY."))?;
    let (target, target_rev) = parse_destination(&destination)?;
    if target.kind() == DocKind::Local {
        return Err(Error::bad_request("a document can't be copied to a local document"));
    }
    let which = source_rev.map_or(Which::Winner, Which::Rev);
    let source = db.get(id, &which, Detail::Plain).await?;
    let (task_db, task_target) = (db.clone(), target.clone());
    let work = async move { write_copy(&task_db, task_target, target_rev, &source).await };
    let written = to_its_end(&cx.tasks, work).await?;
    let mut response = saved(StatusCode::CREATED, &target, &written.rev);
    put_etag(&mut response, &etag_of(&written.rev));
    put_location(&mut response, cx, &[db.name().as_str(), target.as_str()]);
    Ok(response)
}

/// `id` or `id?rev=…`, percent-encoded. Source: `chttpd_db:parse_copy_destination_header`.
pub(crate) fn parse_destination(destination: &str) -> Result<(DocId, Option<Rev>), Error> {
    if destination.starts_with("http://") || destination.starts_with("https://") {
        return Err(Error::bad_request("Destination URL must be relative."));
    }
    let (path, query) = destination.split_once('?').unwrap_or((destination, ""));
    let path = format!("/{}", path.trim_start_matches('/'));
    let id = Segments::parse(&path)?.join_from(0, Plus::Space).unwrap_or_default().parse()?;
    let rev = query.strip_prefix("rev=").map(str::parse).transpose()?;
    Ok((id, rev))
}

async fn write_copy(
    db: &Database,
    target: DocId,
    target_rev: Option<Rev>,
    source: &Document,
) -> Result<Written, DocumentsError> {
    let mut document = from_stored(source)?;
    document.revs.extend(target_rev);
    let mut write: Write = stage(db, target, document, Edits::Made).await?;
    for attachment in &source.attachments {
        match copy_content(db, attachment).await {
            Ok(staged) => write.attachments.push(AttachmentWrite {
                name: attachment.name.clone(),
                content_type: attachment.content_type.clone(),
                revpos: None,
                content: AttachmentContent::Staged(staged),
            }),
            Err(error) => {
                discard(db, contents(&write.attachments)).await;
                return Err(error);
            }
        }
    }
    commit(db, write).await
}

/// Takes in once more what is stored. The store finds that it has it, and keeps one.
async fn copy_content(db: &Database, attachment: &Attachment) -> Result<StagedAttachment, DocumentsError> {
    let expected = Follows { encoding: attachment.encoding, length: Some(attachment.stored_length), digest: None };
    let mut intake = Intake::new(db, &attachment.name, &attachment.content_type, &expected);
    let mut stored = db.attachment(attachment, None).await?;
    loop {
        let pushed = match stored.next().await {
            Ok(Some(chunk)) => intake.push(chunk).await,
            Ok(None) => return intake.finish().await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = pushed {
            intake.abort().await;
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(destination: &str, expected: Result<(&str, Option<&str>), &str>) {
        let parsed = parse_destination(destination).map_err(|Error(error)| error.reason.into_owned());
        let expected = expected.map(|(id, rev)| (id.parse().unwrap(), rev.map(|rev| rev.parse().unwrap())));
        assert_eq!(parsed, expected.map_err(str::to_owned), "{destination}");
    }

    #[test]
    fn destinations() {
        check("b", Ok(("b", None)));
        check("b?rev=1-a", Ok(("b", Some("1-a"))));
        check("a%2Fb%20+c", Ok(("a/b  c", None)));
        check("_design/d", Ok(("_design/d", None)));
        check("/b", Ok(("b", None)));
        check("http://localhost:5984/db/b", Err("Destination URL must be relative."));
        check("http://localhost:5984", Err("Destination URL must be relative."));
        check("_x?rev=1-a", Err("Only reserved document ids may start with underscore."));
        check("b?rev=x", Err("Invalid rev format"));
        check("", Err("Document id must not be empty"));
    }
}
