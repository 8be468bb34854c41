//! Edits of a document's attachments that leave the rest as it is.

use crate::{DEFAULT_CONTENT_TYPE, Edits, Error, Intake, ParsedDocument, from_stored, parse, parse::everything, stage};
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Incoming;
use tidegate_engine::{
    AttachmentContent, AttachmentDigest, AttachmentWrite, Database, Document, StagedAttachment, Write,
};
use tidegate_http::BodyReader;
use tidegate_types::{DocId, Rev};

/// The revision an edit is made on.
pub struct Base {
    rev: Option<Rev>,
    document: ParsedDocument,
    /// Its attachments' names.
    names: Vec<String>,
}

impl Base {
    /// Of a document that is yet to be.
    ///
    /// # Errors
    /// None in practice.
    pub fn nothing() -> Result<Self, Error> {
        let document = parse(&Bytes::from_static(b"{}"), everything)?;
        Ok(Self { rev: None, document, names: Vec::new() })
    }

    /// Of a revision.
    ///
    /// # Errors
    /// None in practice: what is stored was parsed once.
    pub fn of(rev: Rev, document: &Document) -> Result<Self, Error> {
        let names = document.attachments.iter().map(|attachment| attachment.name.clone()).collect();
        Ok(Self { rev: Some(rev), document: from_stored(document)?, names })
    }

    /// The edit that leaves the document as it is but for these attachments, which are gone.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn without(self, db: &Database, id: DocId, gone: &[&str]) -> Result<Write, Error> {
        let Self { rev, mut document, names } = self;
        document.revs.extend(rev);
        let mut write = stage(db, id, document, Edits::Made).await?;
        let others = names.into_iter().filter(|other| !gone.contains(&other.as_str()));
        let content_type = DEFAULT_CONTENT_TYPE.to_owned();
        let stub = |name| AttachmentWrite {
            name,
            content_type: content_type.clone(),
            revpos: None,
            content: AttachmentContent::Stub,
        };
        write.attachments.extend(others.map(stub));
        Ok(write)
    }
}

/// Takes in a whole body. `digest_of` reads the digest that its trailers may announce.
///
/// # Errors
/// The body failed, isn't what was said of it, or the storage failed.
pub async fn take_in(
    mut body: BodyReader<Incoming>,
    mut intake: Intake,
    digest_of: fn(&HeaderMap) -> Result<Option<AttachmentDigest>, Error>,
) -> Result<StagedAttachment, Error> {
    loop {
        let pushed = match body.chunk().await {
            Ok(Some(chunk)) => intake.push(chunk).await,
            Ok(None) => break,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = pushed {
            intake.abort().await;
            return Err(error);
        }
    }
    match body.trailers().map(digest_of).transpose() {
        Ok(digest) => {
            if let Some(digest) = digest.flatten() {
                intake.expect(digest);
            }
            intake.finish().await
        }
        Err(error) => {
            intake.abort().await;
            Err(error)
        }
    }
}
