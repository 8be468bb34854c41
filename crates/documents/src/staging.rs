//! From parsed documents to the engine's writes: their content is taken in first, and let go of when they aren't written.

use crate::{Content, Error, ParsedAttachment, ParsedDocument, intake::named};
use std::future::Future;
use tidegate_engine::{
    AttachmentContent, AttachmentWrite, Database, Encoding, Placement, StagedAttachment, Write, Written,
};
use tidegate_http::query::Query;
use tidegate_types::DocId;
use tokio_util::task::TaskTracker;

/// How revisions that are written take their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edits {
    /// They are made here.
    Made,
    /// Another replica made them: `new_edits=false`.
    Replicated,
}

/// What became of writes, each for itself.
pub type Outcomes = Vec<Result<Written, tidegate_engine::Error>>;

impl Edits {
    /// As a query says.
    pub fn parse(query: &Query<'_>) -> Self {
        if query.get("new_edits") == Some("false") { Self::Replicated } else { Self::Made }
    }
}

/// Runs work to its end even if the client goes away meanwhile, so that it can clear up behind itself.
///
/// # Errors
/// Those of the work.
pub async fn to_its_end<T: Send + 'static, E: From<Error> + Send + 'static>(
    tasks: &TaskTracker,
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E> {
    match tasks.spawn(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::internal(&error).into()),
    }
}

/// A write whose attachments are at hand: stubs, or in the text.
///
/// # Errors
/// Content could not be taken in; all that was taken in for it is let go of.
pub async fn stage(db: &Database, id: DocId, document: ParsedDocument, edits: Edits) -> Result<Write, Error> {
    let ParsedDocument { revs, deleted, members, canonical, attachments, id: _, told: _ } = document;
    let mut staged = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        match stage_attachment(db, attachment, edits).await {
            Ok(attachment) => staged.push(attachment),
            Err(error) => {
                discard(db, contents(&staged)).await;
                return Err(error);
            }
        }
    }
    let placement = match edits {
        Edits::Made => Placement::Edit { parent: revs.into_iter().next(), canonical },
        Edits::Replicated => Placement::Replicated(revs),
    };
    Ok(Write { id, placement, deleted, members, attachments: staged, expires_s: None })
}

async fn stage_attachment(db: &Database, attachment: ParsedAttachment, edits: Edits) -> Result<AttachmentWrite, Error> {
    let ParsedAttachment { name, content_type, revpos, content } = attachment;
    let content = match content {
        Content::Stub => AttachmentContent::Stub,
        Content::Inline(bytes) => {
            let staged = db.upload_all(&content_type, Encoding::Identity, bytes).await;
            AttachmentContent::Staged(staged.map_err(|error| named(error, &name))?)
        }
        Content::Follows(_) => return Err(not_following(&name)),
    };
    Ok(AttachmentWrite { revpos: kept_revpos(revpos, &content, edits), name, content_type, content })
}

/// Content that is new in an edit made here is as new as the edit, whatever was said.
pub(crate) fn kept_revpos(revpos: Option<u64>, content: &AttachmentContent, edits: Edits) -> Option<u64> {
    match (content, edits) {
        (AttachmentContent::Staged(_), Edits::Made) => None,
        (AttachmentContent::Stub, _) | (AttachmentContent::Staged(_), Edits::Replicated) => revpos,
    }
}

fn not_following(name: &str) -> Error {
    Error::bad_request(format!("attachment {name} follows, but the request has no parts"))
}

/// Writes one revision.
///
/// # Errors
/// It was refused, or the storage failed.
pub async fn commit(db: &Database, write: Write) -> Result<Written, Error> {
    let staged = contents(&write.attachments);
    match db.write_one(write).await {
        Ok(written) => Ok(written),
        Err(error) => {
            if is_refusal(&error) {
                discard(db, staged).await;
            }
            Err(error.into())
        }
    }
}

/// Writes many, each for itself: what became of each, in their order.
///
/// # Errors
/// The storage failed.
pub async fn commit_all(db: &Database, writes: Vec<Write>) -> Result<Outcomes, Error> {
    if writes.is_empty() {
        return Ok(Vec::new());
    }
    let staged: Vec<_> = writes.iter().map(|write| contents(&write.attachments)).collect();
    match db.write(writes).await {
        Ok(outcomes) => {
            for (outcome, staged) in outcomes.iter().zip(staged) {
                if outcome.as_ref().is_err_and(is_refusal) {
                    discard(db, staged).await;
                }
            }
            Ok(outcomes)
        }
        Err(error) => {
            if is_refusal(&error) {
                discard(db, staged.into_iter().flatten().collect()).await;
            }
            Err(error.into())
        }
    }
}

/// Whether nothing can have been written: what was taken in is surely not wanted any more.
fn is_refusal(error: &tidegate_engine::Error) -> bool {
    use tidegate_engine::Error as E;
    let is_of_edit = matches!(error, E::Conflict | E::MissingStub { .. } | E::DocumentTooLarge { .. });
    let is_of_rules = matches!(
        error,
        E::Access(_) | E::Script(_) | E::InvalidDesign(_) | E::UnknownLanguage(_) | E::PartitionFull { .. }
    );
    is_of_edit || is_of_rules || matches!(error, E::Overloaded)
}

/// What was taken in for these attachments.
pub fn contents(attachments: &[AttachmentWrite]) -> Vec<StagedAttachment> {
    let staged = attachments.iter().filter_map(|attachment| match &attachment.content {
        AttachmentContent::Stub => None,
        AttachmentContent::Staged(staged) => Some(staged.clone()),
    });
    staged.collect()
}

/// Lets go of content.
pub async fn discard(db: &Database, staged: Vec<StagedAttachment>) {
    if staged.is_empty() {
        return;
    }
    if let Err(error) = db.discard(staged).await {
        // It is cleared when the database is next opened.
        tracing::warn!(%error, "an upload could not be cleared");
    }
}
