//! Writing revisions: stubs are resolved here, before the commit.

use crate::{Database, Encoding, Error, Limits, Shown, StagedAttachment, Written, sight::Sight};
use bytes::Bytes;
use tidegate_revtree::Tree;
use tidegate_store::{Assignment, Attachment, Edit, History, NewAttachment, Revpos};
use tidegate_types::{DocId, Rev};

/// How often edits are judged again that the rules change under.
const JUDGED_AGAIN_MAX: usize = 5;

/// A revision to be written.
#[derive(Clone, Debug)]
pub struct Write {
    /// Of which document.
    pub id: DocId,
    /// Where it stands in the document's history.
    pub placement: Placement,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Its own members as compact JSON text, without braces.
    pub members: Bytes,
    /// All its attachments: what isn't here is gone.
    pub attachments: Vec<AttachmentWrite>,
    /// When its document expires, in seconds since 1970, unless the sync function says something else. Of no effect in
    /// databases without channels.
    pub expires_s: Option<u64>,
}

/// Where a revision stands in the history of its document.
pub type Placement = History;

/// An attachment of a revision to be written.
#[derive(Clone, Debug)]
pub struct AttachmentWrite {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// In which generation its content changed last, where another replica says so.
    pub revpos: Option<u64>,
    /// Its content.
    pub content: AttachmentContent,
}

/// Where an attachment's content comes from.
#[derive(Clone, Debug)]
pub enum AttachmentContent {
    /// The parent revision's attachment of the same name, all of it.
    Stub,
    /// New, and taken in already.
    Staged(StagedAttachment),
}

impl Database {
    /// Writes revisions, in this order, and answers each when all are durable.
    ///
    /// # Errors
    /// For a single one: [`Error::Conflict`], [`Error::MissingStub`], [`Error::DocumentTooLarge`]. For all of them: the
    /// database is gone, too much is waiting, or the storage failed.
    pub async fn write(&self, writes: Vec<Write>) -> Result<Vec<Result<Written, Error>>, Error> {
        self.renewed().await?.write_by_rules(writes).await
    }

    async fn write_by_rules(&self, writes: Vec<Write>) -> Result<Vec<Result<Written, Error>>, Error> {
        let limits = self.engine.limits();
        let mut resolved = Vec::with_capacity(writes.len());
        let wishes: Vec<Option<u64>> = writes.iter().map(|write| write.expires_s).collect();
        for write in writes {
            resolved.push(self.resolve(write, &limits).await);
        }
        self.govern(&mut resolved).await?;
        let (mut edits, mut wished) = (Vec::with_capacity(resolved.len()), Vec::with_capacity(resolved.len()));
        let mut refused = Vec::new();
        for (place, (edit, wish)) in resolved.into_iter().zip(wishes).enumerate() {
            match edit {
                Ok(edit) => {
                    edits.push(edit);
                    wished.push(wish);
                }
                Err(error) => refused.push((place, error)),
            }
        }
        let ids: Vec<DocId> = edits.iter().map(|edit| edit.id.clone()).collect();
        let written = self.commit(edits, &wished).await?;
        let outcome = |(written, id): (Result<Written, Error>, DocId)| written.map_err(|error| name(error, &id));
        let mut outcomes: Vec<_> = written.into_iter().zip(ids).map(outcome).collect();
        for (place, error) in refused {
            outcomes.insert(place, Err(error));
        }
        Ok(outcomes)
    }

    /// Has edits committed. Those that were judged by rules which changed meanwhile are judged again.
    async fn commit(&self, edits: Vec<Edit>, wished: &[Option<u64>]) -> Result<Vec<Result<Written, Error>>, Error> {
        let copies = self.rules.sync.as_ref().map(|_| edits.clone()).unwrap_or_default();
        let outcomes = self.store.edit(edits).await?;
        let places = outcomes.iter().enumerate().filter(|(_, outcome)| is_outdated(outcome));
        let mut outdated: Vec<usize> = places.map(|(place, _)| place).collect();
        let mut written: Vec<_> = outcomes.into_iter().map(|outcome| outcome.map_err(Error::from)).collect();
        for _ in 0..JUDGED_AGAIN_MAX {
            if outdated.is_empty() {
                break;
            }
            outdated = self.commit_again(&mut written, outdated, (&copies, wished)).await?;
        }
        Ok(written)
    }

    /// Judges the edits at these places again, and has those committed that are still allowed: a refusal is of one alone.
    /// Which of them are outdated once more.
    async fn commit_again(
        &self,
        written: &mut [Result<Written, Error>],
        places: Vec<usize>,
        (edits, wished): (&[Edit], &[Option<u64>]),
    ) -> Result<Vec<usize>, Error> {
        let db = self.renewed().await?;
        let mut settle = |place: usize, outcome| {
            if let Some(written) = written.get_mut(place) {
                *written = outcome;
            }
        };
        let copy = |place: &usize| {
            let (edit, wish) = edits.get(*place).zip(wished.get(*place))?;
            Some(Ok(Edit { assignment: wish_of(*wish), ..edit.clone() }))
        };
        let mut judged: Vec<Result<Edit, Error>> = places.iter().filter_map(copy).collect();
        db.assign(&mut judged).await?;
        let (mut again, mut allowed, mut outdated) = (Vec::new(), Vec::new(), Vec::new());
        for (place, edit) in places.into_iter().zip(judged) {
            match edit {
                Ok(edit) => {
                    again.push(edit);
                    allowed.push(place);
                }
                Err(error) => settle(place, Err(error)),
            }
        }
        for (place, outcome) in allowed.into_iter().zip(self.store.edit(again).await?) {
            outdated.extend(is_outdated(&outcome).then_some(place));
            settle(place, outcome.map_err(Error::from));
        }
        Ok(outdated)
    }

    /// Writes one revision.
    ///
    /// # Errors
    /// As [`Database::write`].
    pub async fn write_one(&self, write: Write) -> Result<Written, Error> {
        let mut outcomes = self.write(vec![write]).await?;
        outcomes.pop().unwrap_or(Err(Error::Conflict))
    }

    async fn resolve(&self, write: Write, limits: &Limits) -> Result<Edit, Error> {
        let Write { id, placement, deleted, members, attachments, expires_s } = write;
        if members.len() > limits.document_bytes_max || attachments.len() > limits.attachments_max {
            return Err(Error::DocumentTooLarge { id: id.to_string() });
        }
        let has_stubs = attachments.iter().any(|attachment| matches!(attachment.content, AttachmentContent::Stub));
        let known = if has_stubs { self.known_attachments(&id, &placement).await? } else { Vec::new() };
        let is_edit = matches!(placement, History::Edit { .. });
        let placement = self.rules.conflicts.placed(placement);
        let resolve = |attachment: AttachmentWrite| match attachment.content {
            AttachmentContent::Staged(ref staged) => Ok(new_attachment(&attachment, staged)),
            AttachmentContent::Stub => known
                .iter()
                .find(|known| known.name == attachment.name && agrees(known, &attachment, is_edit))
                .map(carried)
                .ok_or_else(|| Error::MissingStub { id: id.to_string(), name: attachment.name.clone() }),
        };
        let attachments = attachments.into_iter().map(resolve).collect::<Result<_, _>>()?;
        let assignment = wish_of(expires_s);
        Ok(Edit { id, history: placement, deleted, members, attachments, assignment })
    }

    /// The attachments that stubs of this revision may refer to: those of its nearest ancestor that can be read.
    async fn known_attachments(&self, id: &DocId, placement: &Placement) -> Result<Vec<Attachment>, Error> {
        let sight = self.sight().await?;
        let Some(state) = sight.reader.document(id).await? else { return Ok(Vec::new()) };
        match placement {
            History::Edit { parent: Some(parent), .. } => {
                readable(&sight, &state.tree, std::slice::from_ref(parent)).await
            }
            History::Edit { parent: None, .. } => Ok(Vec::new()),
            History::Replicated(path) | History::Linear(path) => readable(&sight, &state.tree, path).await,
        }
    }
}

/// What an edit has for its assignment until it is judged.
fn wish_of(expires_s: Option<u64>) -> Option<Assignment> {
    expires_s.map(|_| Assignment { expires_s, ..Assignment::default() })
}

/// Whether an edit was judged by rules that aren't those of its commit.
fn is_outdated(outcome: &Result<Written, tidegate_store::Error>) -> bool {
    matches!(outcome, Err(tidegate_store::Error::Outdated))
}

/// Of revisions that its caller may not see, stubs mean nothing: their content could be read by them.
async fn readable(sight: &Sight, tree: &Tree, path: &[Rev]) -> Result<Vec<Attachment>, Error> {
    for node in path.iter().filter_map(|rev| tree.get(rev)) {
        if let Some(seq) = node.body.stored() {
            if sight.shows(Some(seq)).await? != Some(Shown::Whole) {
                return Ok(Vec::new());
            }
            return Ok(sight.reader.body(seq).await?.map(|body| body.attachments).unwrap_or_default());
        }
    }
    Ok(Vec::new())
}

/// Whether a stub means this attachment: one of an edit made here must know since when it has its content.
fn agrees(known: &Attachment, stub: &AttachmentWrite, is_edit: bool) -> bool {
    !is_edit || stub.revpos.is_none_or(|revpos| revpos == known.revpos)
}

pub(crate) fn carried(known: &Attachment) -> NewAttachment {
    NewAttachment {
        name: known.name.clone(),
        content_type: known.content_type.clone(),
        revpos: Revpos::At(known.revpos),
        digest: known.digest,
        length: known.length,
        encoding: known.encoding,
        content: None,
        stored_length: known.stored_length,
    }
}

fn new_attachment(attachment: &AttachmentWrite, staged: &StagedAttachment) -> NewAttachment {
    let stored_length = staged.content.length();
    NewAttachment {
        name: attachment.name.clone(),
        content_type: attachment.content_type.clone(),
        revpos: attachment.revpos.map_or(Revpos::New, Revpos::At),
        digest: staged.content.digest(),
        length: match staged.encoding {
            Encoding::Identity => stored_length,
            Encoding::Gzip => staged.length,
        },
        encoding: staged.encoding,
        content: Some(staged.content.clone()),
        stored_length,
    }
}

/// Says of which document a stub is missing.
fn name(error: Error, of: &DocId) -> Error {
    if let Error::MissingStub { name, .. } = error {
        return Error::MissingStub { id: of.to_string(), name };
    }
    error
}
