//! A document that comes as `multipart/related`: its text, then the content of the attachments that follow it.
//!
//! CouchDB ignores the parts' heads and cuts the bytes by the lengths in the text; here the boundaries cut them, and a
//! part that names a file is that attachment's, so that parts may come in any order.

use crate::{
    Content, Edits, Error, Fault, Follows, Intake, ParsedDocument, Rules, contents, discard, parse, stage,
    staging::kept_revpos,
};
use bytes::BytesMut;
use hyper::body::Incoming;
use tidegate_engine::{AttachmentContent, AttachmentWrite, Database, StagedAttachment, Write};
use tidegate_http::{media::MediaType, multipart::Multipart};
use tidegate_types::DocId;

/// An attachment whose content is yet to come.
struct Pending {
    /// Its place among the document's attachments.
    place: usize,
    attachment: AttachmentWrite,
    expected: Follows,
}

/// The first part: the document.
///
/// # Errors
/// There is none, it is too large or no document, or the body failed.
pub async fn read_document(
    parts: &mut Multipart<Incoming>,
    bytes_max: u64,
    rules: Rules,
) -> Result<ParsedDocument, Error> {
    let head = parts.next_part().await?.ok_or(Error::bad_request("the multipart body has no parts"))?;
    let is_json = head.content_type().and_then(MediaType::parse).is_some_and(|media| media.is("application/json"));
    if !is_json {
        return Err(Error::refused(Fault::MediaType, "Content-Type must be application/json"));
    }
    let mut text = BytesMut::new();
    while let Some(chunk) = parts.chunk().await? {
        if (text.len() + chunk.len()) as u64 > bytes_max {
            return Err(tidegate_http::BodyError::TooLarge { bytes_max }.into());
        }
        text.extend_from_slice(&chunk);
    }
    parse(&text.freeze(), rules)
}

/// The write, once all that follows was taken in.
///
/// # Errors
/// The body failed, or content isn't what was said of it. All that was taken in is let go of.
pub async fn stage_related(
    db: &Database,
    parts: &mut Multipart<Incoming>,
    (id, mut document): (DocId, ParsedDocument),
    edits: Edits,
) -> Result<Write, Error> {
    let pending = take_pending(&mut document);
    let mut write = stage(db, id, document, edits).await?;
    match read_all(db, parts, pending).await {
        Ok(followed) => {
            for (place, mut attachment) in followed {
                attachment.revpos = kept_revpos(attachment.revpos, &attachment.content, edits);
                write.attachments.insert(place.min(write.attachments.len()), attachment);
            }
            Ok(write)
        }
        Err(error) => {
            discard(db, contents(&write.attachments)).await;
            Err(error)
        }
    }
}

/// Takes the attachments that follow out of the document, in their order.
fn take_pending(document: &mut ParsedDocument) -> Vec<Pending> {
    let mut pending = Vec::new();
    let all = std::mem::take(&mut document.attachments);
    for (place, parsed) in all.into_iter().enumerate() {
        match parsed.content {
            Content::Stub | Content::Inline(_) => document.attachments.push(parsed),
            Content::Follows(expected) => {
                let content = AttachmentContent::Stub;
                let (name, content_type, revpos) = (parsed.name, parsed.content_type, parsed.revpos);
                pending.push(Pending {
                    place,
                    attachment: AttachmentWrite { name, content_type, revpos, content },
                    expected,
                });
            }
        }
    }
    pending
}

/// Takes in what follows; with their places, in the order of these.
async fn read_all(
    db: &Database,
    parts: &mut Multipart<Incoming>,
    pending: Vec<Pending>,
) -> Result<Vec<(usize, AttachmentWrite)>, Error> {
    let mut followed = Vec::with_capacity(pending.len());
    match read_each(db, parts, pending, &mut followed).await {
        Ok(()) => {
            followed.sort_by_key(|(place, _)| *place);
            Ok(followed)
        }
        Err(error) => {
            let attachments: Vec<AttachmentWrite> = followed.into_iter().map(|(_, attachment)| attachment).collect();
            discard(db, contents(&attachments)).await;
            Err(error)
        }
    }
}

async fn read_each(
    db: &Database,
    parts: &mut Multipart<Incoming>,
    mut pending: Vec<Pending>,
    followed: &mut Vec<(usize, AttachmentWrite)>,
) -> Result<(), Error> {
    while let Some(head) = parts.next_part().await? {
        let filename = head.filename();
        let named = pending.iter().position(|pending| Some(&pending.attachment.name) == filename.as_ref());
        if pending.is_empty() {
            // More parts than were announced: CouchDB doesn't mind.
            continue;
        }
        let Pending { place, mut attachment, expected } = pending.remove(named.unwrap_or(0));
        let intake = Intake::new(db, &attachment.name, &attachment.content_type, &expected);
        attachment.content = AttachmentContent::Staged(read_part(parts, intake).await?);
        followed.push((place, attachment));
    }
    if pending.is_empty() { Ok(()) } else { Err(Error::bad_request("attachment shorter than expected")) }
}

/// Takes in the part that has begun.
///
/// # Errors
/// The body failed, it isn't what was said of it, or the storage failed.
pub async fn read_part(parts: &mut Multipart<Incoming>, mut intake: Intake) -> Result<StagedAttachment, Error> {
    loop {
        let pushed = match parts.chunk().await {
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
    use bytes::Bytes;

    #[test]
    fn what_follows_keeps_its_place() {
        let text = br#"{"_attachments":{"a":{"follows":true,"length":3},"b":{"stub":true},"c":{"follows":true}}}"#;
        let mut document = parse(&Bytes::from_static(text), |_, _| Ok(crate::Use::Meaning)).unwrap();
        let pending = take_pending(&mut document);
        let places: Vec<_> = pending.iter().map(|pending| (pending.place, pending.attachment.name.as_str())).collect();
        assert_eq!(places, [(0, "a"), (2, "c")]);
        assert_eq!(pending[0].expected.length, Some(3));
        assert_eq!(document.attachments.len(), 1);
    }
}
