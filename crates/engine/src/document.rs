//! Reading revisions.

use crate::{
    Absence, Attachment, AttachmentReader, Change, Database, DocRow, Error, Shown, replicator, rules::Purpose,
    sight::Sight,
};
use bytes::Bytes;
use std::{borrow::Cow, ops::Range};
use tidegate_access::{
    Error as AccessError,
    user::{Author, visible_members},
};
use tidegate_revtree::{Body as Stored, Node, Tree};
use tidegate_store::{DocumentState, Reader};
use tidegate_types::{DocId, Rev, Seq};

/// One revision of a document, with its body.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document.
    pub id: DocId,
    /// The revision.
    pub rev: Rev,
    /// Whether the revision is a tombstone.
    pub deleted: bool,
    /// The sequence of the document's latest change.
    pub seq: Seq,
    /// The revision's own members as compact JSON text, without braces.
    pub members: Bytes,
    /// Its attachments.
    pub attachments: Vec<Attachment>,
    /// The document's revisions, where [`Detail::History`] was asked for.
    pub history: Option<History>,
    /// What its reader may see of it: of a stub, neither members nor attachments.
    pub shown: Shown,
}

/// The revisions of a document, and how many of a branch are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    tree: Tree,
    revs_limit: usize,
    /// Leaves that its reader may not see, or not whole.
    unseen: Vec<(Rev, Option<Shown>)>,
}

/// Which revision to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The winner, if the document isn't deleted.
    Winner,
    /// This one, even if it is a tombstone.
    Rev(Rev),
    /// The leaf that descends from this one; the greatest, if there are several.
    LatestOf(Rev),
}

/// How much to read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The revision alone.
    Plain,
    /// The document's revisions, too.
    History,
}

/// Which revisions to read of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenRevs {
    /// All leaves.
    All,
    /// These.
    These(Vec<Rev>),
    /// The leaves that descend from these.
    LatestOf(Vec<Rev>),
}

/// One of the revisions asked for.
#[derive(Clone, Debug)]
pub enum OpenRev {
    /// It is here.
    Found(Box<Document>),
    /// It isn't.
    Missing(Rev),
}

/// Whether a revision in a history can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Available,
    /// It was compacted away, or never received.
    Missing,
    /// It is a tombstone.
    Deleted,
}

impl OpenRevs {
    /// What there is of a document that isn't there.
    fn of_nothing(&self) -> Result<Vec<OpenRev>, Error> {
        match self {
            Self::All => Err(Error::NotFound(Absence::Missing)),
            Self::These(revs) | Self::LatestOf(revs) => Ok(revs.iter().cloned().map(OpenRev::Missing).collect()),
        }
    }
}

impl Database {
    /// One revision of a document.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the storage failed.
    pub async fn get(&self, id: &DocId, which: &Which, detail: Detail) -> Result<Document, Error> {
        let sight = self.sight().await?;
        let reader = &sight.reader;
        match (which, detail) {
            (Which::Winner, Detail::Plain) => {
                let winner = reader.winner(id).await?.ok_or(Error::NotFound(Absence::Missing))?;
                let shown = sight.shows(winner.body).await?.ok_or_else(|| self.hidden())?;
                if winner.deleted {
                    return Err(Error::NotFound(Absence::Deleted));
                }
                if shown == Shown::Stub {
                    return Err(self.hidden());
                }
                self.shown(from_row(reader, &DocRow { id: id.clone(), winner }).await?)
            }
            (Which::Winner | Which::Rev(_) | Which::LatestOf(_), _) => {
                let state = reader.document(id).await?.ok_or(Error::NotFound(Absence::Missing))?;
                let node = self.selected(&sight, &state, which).await?;
                let shown =
                    self.sayable(sight.shows(node.body.stored()).await?, node.deleted).ok_or_else(|| self.hidden())?;
                if shown == Shown::Stub && *which == Which::Winner {
                    return Err(self.hidden());
                }
                let mut document =
                    from_node(reader, id, &state, &node).await?.ok_or(Error::NotFound(Absence::Missing))?;
                if detail == Detail::History {
                    document.history = Some(history(&sight, state.tree).await?);
                }
                self.shown(document.cut_to(shown))
            }
        }
    }

    /// The revision that is asked for. Who may see nothing of the document doesn't learn which revisions it has.
    async fn selected(&self, sight: &Sight, state: &DocumentState, which: &Which) -> Result<Node, Error> {
        match select(&state.tree, which) {
            Ok(node) => Ok(node.clone()),
            Err(error) => {
                let leaves: Vec<_> = state.tree.leaves().iter().map(|leaf| leaf.body.stored()).collect();
                let sees_any = sight.shows_each(&leaves).await?.iter().any(Option::is_some);
                Err(if sees_any { error } else { self.hidden() })
            }
        }
    }

    /// Several revisions of a document. An unknown document has none of them: [`OpenRevs::All`] of it is an error.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the storage failed.
    pub async fn open_revs(&self, id: &DocId, which: &OpenRevs) -> Result<Vec<OpenRev>, Error> {
        let sight = self.sight().await?;
        let Some(state) = sight.reader.document(id).await? else { return which.of_nothing() };
        let history = history(&sight, state.tree.clone()).await?;
        let mut found = Vec::new();
        for (rev, node) in select_many(&state.tree, which, &history.unseen) {
            let shown = match node {
                Some(node) => self.sayable(sight.shows(node.body.stored()).await?, node.deleted),
                None => None,
            };
            let document = match (node, shown) {
                // Of all leaves, those that may not be seen aren't told of at all.
                (Some(_), None | Some(Shown::Stub)) if *which == OpenRevs::All => continue,
                (Some(node), Some(shown)) => {
                    from_node(&sight.reader, id, &state, node).await?.map(|document| document.cut_to(shown))
                }
                (Some(_) | None, None) | (None, Some(_)) => None,
            };
            found.push(match document.map(|document| self.shown(document)).transpose() {
                Ok(Some(document)) => OpenRev::Found(Box::new(Document { history: Some(history.clone()), ..document })),
                Ok(None) => OpenRev::Missing(rev),
                // Whoever may not see it mustn't learn that it is there, nor which revisions it has.
                Err(Error::Access(_) | Error::NotFound(_)) => return which.of_nothing(),
                Err(error) => return Err(error),
            });
        }
        if found.is_empty() && *which == OpenRevs::All {
            return Err(self.hidden());
        }
        Ok(found)
    }

    /// The winning revision that a change speaks of, tombstones included; `None` if it was changed again and compacted.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn changed_document(&self, change: &Change, detail: Detail) -> Result<Option<Document>, Error> {
        let sight = self.sight().await?;
        let reader = &sight.reader;
        let Some(body) = change.winner_body else { return Ok(None) };
        let Some(shown) = self.sayable(sight.shows(Some(body)).await?, change.deleted) else { return Ok(None) };
        let Some(body) = reader.body(body).await? else { return Ok(None) };
        let state = match detail {
            Detail::Plain => None,
            Detail::History => reader.document(&change.id).await?,
        };
        let history = match state {
            Some(state) => Some(history(&sight, state.tree).await?),
            None => None,
        };
        let (members, attachments) = (body.members, body.attachments);
        let (id, rev, deleted, seq) = (change.id.clone(), change.winner.clone(), change.deleted, change.seq);
        let document = Document { id, rev, deleted, seq, members, attachments, history, shown: Shown::Whole };
        Ok(Some(document.cut_to(shown)))
    }

    /// The winning revision of a row, with its body.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn row_document(&self, row: &DocRow) -> Result<Document, Error> {
        let sight = self.sight().await?;
        match sight.shows(row.winner.body).await? {
            Some(Shown::Whole) => self.shown(from_row(&sight.reader, row).await?),
            Some(Shown::Stub) | None => Err(self.hidden()),
        }
    }

    /// The document as its reader may see it. Of users, others see what is public alone; of replications, no passwords.
    fn shown(&self, mut document: Document) -> Result<Document, Error> {
        match self.rules.purpose {
            Purpose::Plain => return Ok(document),
            Purpose::Replicator => {
                document.members = replicator::shown(self, &document)?;
                return Ok(document);
            }
            Purpose::Users => {}
        }
        let author = Author { user: self.caller.context(), security: &self.rules.security };
        let live = self.engine.live();
        let shown = visible_members(document.id.as_str(), &document.members, author, &live.auth.public_fields);
        // The same error as for one that isn't there: whoever reads on must not treat them differently.
        let is_hidden = matches!(shown, Err(AccessError::NotFound(_)));
        let shown = if is_hidden { Err(Error::NotFound(Absence::Missing)) } else { shown.map_err(Error::from) }?;
        if let Cow::Owned(members) = shown {
            document.members = members.into();
            document.attachments.clear();
        }
        Ok(document)
    }

    /// The stored bytes of an attachment, or the part of them that `range` asks for.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn attachment(
        &self,
        attachment: &Attachment,
        range: Option<Range<u64>>,
    ) -> Result<AttachmentReader, Error> {
        Ok(AttachmentReader(self.store.reader()?.attachment(&attachment.digest, range).await?))
    }
}

impl Document {
    /// What is left of it for one who may see so much.
    fn cut_to(self, shown: Shown) -> Self {
        match shown {
            Shown::Whole => self,
            Shown::Stub => Self { members: Bytes::new(), attachments: Vec::new(), shown, ..self },
        }
    }

    /// The attachment of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn attachment(&self, name: &str) -> Result<&Attachment, Error> {
        let found = self.attachments.iter().find(|attachment| attachment.name == name);
        found.ok_or(Error::NotFound(Absence::Attachment))
    }

    /// This revision and its remembered ancestors, newest first, within the database's limit: it may have been lowered
    /// since they were written. Itself alone without [`Detail::History`].
    pub fn revisions(&self) -> Vec<&Rev> {
        match &self.history {
            Some(history) => history.path(&self.rev).map(|node| &node.rev).collect(),
            None => vec![&self.rev],
        }
    }

    /// Its revisions, and which of them can be read.
    pub fn revs_info(&self) -> Vec<(&Rev, Availability)> {
        let path = self.history.iter().flat_map(|history| history.path(&self.rev));
        path.map(|node| (&node.rev, availability(node))).collect()
    }

    /// The document's live leaves besides the winner.
    pub fn conflicts(&self) -> Vec<&Rev> {
        self.history.as_ref().map(|history| history.seen(history.tree.conflicts())).unwrap_or_default()
    }

    /// The document's deleted leaves besides the winner.
    pub fn deleted_conflicts(&self) -> Vec<&Rev> {
        self.history.as_ref().map(|history| history.seen(history.tree.deleted_conflicts())).unwrap_or_default()
    }
}

fn availability(node: &Node) -> Availability {
    match (node.deleted, node.body) {
        (true, _) => Availability::Deleted,
        (false, Stored::Stored(_)) => Availability::Available,
        (false, Stored::Missing) => Availability::Missing,
    }
}

fn select<'t>(tree: &'t Tree, which: &Which) -> Result<&'t Node, Error> {
    let missing = Error::NotFound(Absence::Missing);
    match which {
        Which::Winner => match tree.winner() {
            Some(winner) if winner.deleted => Err(Error::NotFound(Absence::Deleted)),
            winner => winner.ok_or(missing),
        },
        Which::Rev(rev) => tree.get(rev).ok_or(missing),
        Which::LatestOf(rev) => tree.descendants(rev).first().copied().ok_or(missing),
    }
}

/// Of leaves that weren't named, those that are `unseen` are as if they weren't there; but that a branch which was seen
/// is deleted is told.
fn select_many<'t>(tree: &'t Tree, which: &OpenRevs, unseen: &[(Rev, Option<Shown>)]) -> Vec<(Rev, Option<&'t Node>)> {
    let found = |node: &'t Node| (node.rev.clone(), Some(node));
    match which {
        OpenRevs::All => tree.leaves().into_iter().map(found).collect(),
        OpenRevs::These(revs) => revs.iter().map(|rev| (rev.clone(), tree.get(rev))).collect(),
        OpenRevs::LatestOf(revs) => {
            let mut selected: Vec<(Rev, Option<&Node>)> = Vec::new();
            for rev in revs {
                let mut leaves = tree.descendants(rev);
                let shown = |leaf: &Node| unseen.iter().find(|(rev, _)| *rev == leaf.rev).map(|(_, shown)| *shown);
                leaves.retain(|leaf| shown(leaf).is_none_or(|shown| leaf.deleted && shown.is_some()));
                let fresh: Vec<_> =
                    leaves.iter().filter(|leaf| !selected.iter().any(|(rev, _)| *rev == leaf.rev)).collect();
                selected.extend(fresh.into_iter().map(|leaf| found(leaf)));
                if leaves.is_empty() {
                    selected.push((rev.clone(), None));
                }
            }
            selected
        }
    }
}

impl History {
    /// Those of these leaves that may be seen.
    fn seen<'t>(&self, leaves: Vec<&'t Rev>) -> Vec<&'t Rev> {
        leaves.into_iter().filter(|rev| !self.unseen.iter().any(|(unseen, _)| unseen == *rev)).collect()
    }

    fn path(&self, rev: &Rev) -> impl Iterator<Item = &Node> {
        self.tree.path(rev).into_iter().take(self.revs_limit)
    }
}

async fn history(sight: &Sight, tree: Tree) -> Result<History, Error> {
    let revs_limit = usize::try_from(sight.reader.info().await?.revs_limit).unwrap_or(usize::MAX);
    Ok(History { unseen: unseen_leaves(sight, &tree).await?, tree, revs_limit })
}

/// The leaves that the reader may not see, or not whole.
pub(crate) async fn unseen_leaves(sight: &Sight, tree: &Tree) -> Result<Vec<(Rev, Option<Shown>)>, Error> {
    if sight.access.access().is_none() {
        return Ok(Vec::new());
    }
    let leaves = tree.leaves();
    let bodies: Vec<_> = leaves.iter().map(|leaf| leaf.body.stored()).collect();
    let shown = sight.shows_each(&bodies).await?;
    let leaves = leaves.into_iter().map(|leaf| leaf.rev.clone());
    Ok(leaves.zip(shown).filter(|(_, shown)| *shown != Some(Shown::Whole)).collect())
}

/// The revision of a node; `None` if its body is gone.
async fn from_node(reader: &Reader, id: &DocId, state: &DocumentState, node: &Node) -> Result<Option<Document>, Error> {
    let Some(body) = node.body.stored() else { return Ok(None) };
    let Some(body) = reader.body(body).await? else { return Ok(None) };
    let (members, attachments) = (body.members, body.attachments);
    let (id, rev, deleted, seq) = (id.clone(), node.rev.clone(), node.deleted, state.seq);
    Ok(Some(Document { id, rev, deleted, seq, members, attachments, history: None, shown: Shown::Whole }))
}

pub(crate) async fn from_row(reader: &Reader, row: &DocRow) -> Result<Document, Error> {
    let missing = Error::NotFound(Absence::Missing);
    let Some(body) = row.winner.body else { return Err(missing) };
    let body = reader.body(body).await?.ok_or(missing)?;
    let (members, attachments) = (body.members, body.attachments);
    let (id, rev, deleted, seq) = (row.id.clone(), row.winner.rev.clone(), row.winner.deleted, row.winner.seq);
    Ok(Document { id, rev, deleted, seq, members, attachments, history: None, shown: Shown::Whole })
}
