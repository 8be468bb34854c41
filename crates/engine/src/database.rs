//! A database that its caller may use.

use crate::{
    Caller, Change, DatabaseInfo, DocRange, DocRow, Document, Engine, Error, Feed, Layout, Order, PurgeRecord, Purged,
    document::{from_row, unseen_leaves},
    principals::Viewer,
    rules::{Purpose, Rules},
    sight::{Existence, Shown, Sight, Stubs},
};
use std::sync::Arc;
use tidegate_access::{Security, UserCtx};
use tidegate_revtree::Tree;
use tidegate_store::{CollectionId, Listing, Reader, Winner};
use tidegate_types::{DbName, DocId, Rev, Seq};

/// A database whose holder may use it: only the access check makes one.
#[derive(Clone)]
pub struct Database {
    pub(crate) engine: Engine,
    pub(crate) store: tidegate_store::Database,
    pub(crate) rules: Arc<Rules>,
    pub(crate) caller: Caller,
    pub(crate) viewer: Viewer,
    pub(crate) stubs: Stubs,
}

/// Which of the revisions somebody offers are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevsDiff {
    /// Of which document.
    pub id: DocId,
    /// Those that aren't here, in the order they were offered.
    pub missing: Vec<Rev>,
    /// Leaves that may be their ancestors.
    pub possible_ancestors: Vec<Rev>,
}

/// Live documents in the order of their ids, read page by page, all as they were at one moment.
pub struct DocumentList {
    sight: Sight,
    listing: Listing,
    info: DatabaseInfo,
    range: DocRange,
}

/// Purges in the order they were asked for, read page by page, all as they were at one moment.
pub struct PurgeList {
    reader: Reader,
    last: u64,
}

/// What becomes of a document that a list is asked for by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundRow {
    /// It is there, deleted or not.
    Seen(DocRow),
    /// The caller may not see it, and may know that it is there.
    Forbidden,
    /// It isn't there, or may not be known to be.
    Missing,
}

impl FoundRow {
    fn seen(self) -> Option<DocRow> {
        match self {
            Self::Seen(row) => Some(row),
            Self::Forbidden | Self::Missing => None,
        }
    }
}

impl Database {
    /// Whoever calls this has checked the caller.
    pub(crate) fn new(
        (engine, store, rules): (Engine, tidegate_store::Database, Arc<Rules>),
        caller: Caller,
        viewer: Viewer,
    ) -> Self {
        Self { engine, store, rules, caller, viewer, stubs: Stubs::default() }
    }

    /// Checks that the caller administers the database.
    ///
    /// # Errors
    /// [`Error::Access`].
    pub fn check_admin(&self) -> Result<(), Error> {
        Ok(self.rules.security.check_admin(self.rights())?)
    }

    /// With which rights the caller comes: users of the database have none by their names, which may be those of others
    /// on the server.
    pub(crate) fn rights(&self) -> &UserCtx {
        match &self.viewer {
            Viewer::Everything => self.caller.context(),
            Viewer::User(_) => UserCtx::nobody(),
        }
    }

    /// Checks that the caller may look after the database's files.
    ///
    /// # Errors
    /// [`Error::Access`]: unauthorized even for those who have logged in. Source: `chttpd_auth_request:require_db_admin`.
    pub fn check_upkeep(&self) -> Result<(), Error> {
        let refusal = |_| tidegate_access::Error::Unauthorized("You are not a server or db admin.".into());
        Ok(self.rules.security.check_admin(self.rights()).map_err(refusal)?)
    }

    /// The database under the rules of now, if its caller may still use it. A request may take long: whoever lost the
    /// right to write meanwhile doesn't write, and functions that judge edits judge from the moment they are there.
    ///
    /// # Errors
    /// [`Error::Access`], or the storage failed.
    pub(crate) async fn renewed(&self) -> Result<Self, Error> {
        // A user of the database may have been disabled since, by which its rules don't change.
        if self.is_current() && self.viewer == Viewer::Everything {
            return Ok(self.clone());
        }
        let rules = self.engine.inner.rules(&self.store).await?;
        let viewer = self.engine.inner.viewer(&self.store, &rules, &self.caller).await?;
        let renewed = Self { rules, viewer, ..self.clone() };
        renewed.check_in_use()?;
        Ok(renewed)
    }

    /// Whether the rules that its holder was checked by are those of now.
    pub fn is_current(&self) -> bool {
        self.rules.is_current(self.store.rules_version(), &self.engine.live())
    }

    /// Checks that the caller may see which documents there are: everybody who may use the database, but of users, only
    /// administrators.
    pub(crate) fn check_listing(&self) -> Result<(), Error> {
        match self.rules.purpose {
            Purpose::Plain => Ok(()),
            Purpose::Users | Purpose::Replicator => self.engine.check_admin(&self.caller),
        }
    }

    /// Who may use the database, as a JSON object.
    pub fn security(&self) -> &str {
        self.rules.security.as_str()
    }

    /// Sets who may use the database.
    ///
    /// # Errors
    /// [`Error::Access`] for callers who don't administer the database and for objects of another shape, the database is
    /// gone, or the storage failed.
    pub async fn set_security(&self, object: &[u8]) -> Result<(), Error> {
        if self.rules.purpose == Purpose::Users && !self.engine.live().users_db_security_editable.is_on() {
            let reason = "You can't edit the security object of the user database.";
            return Err(tidegate_access::Error::Forbidden(reason.into()).into());
        }
        self.renewed().await?.check_admin()?;
        Rules::set_security(&self.store, &Security::parse(object)?).await
    }

    /// How its documents' ids are laid out.
    pub fn layout(&self) -> Layout {
        self.rules.layout
    }

    /// How many purges are remembered.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn purged_infos_limit(&self) -> Result<u64, Error> {
        self.engine.check_admin(&self.caller)?;
        Ok(self.store.purges_max().await?)
    }

    /// Sets how many purges are remembered.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn set_purged_infos_limit(&self, limit: u64) -> Result<(), Error> {
        self.engine.check_admin(&self.caller)?;
        Ok(self.store.set_purges_max(limit).await?)
    }

    /// The purges that are remembered, as they are now.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub fn purges(&self) -> Result<PurgeList, Error> {
        self.check_listing()?;
        // Of which documents there were, those who see some of them learn nothing.
        if self.is_seen_by_channels() {
            self.check_upkeep()?;
        }
        Ok(PurgeList { reader: self.store.reader()?, last: 0 })
    }

    /// Its name.
    pub fn name(&self) -> &DbName {
        self.store.name()
    }

    /// Tells the collection that it is seen as from all others.
    pub fn collection_id(&self) -> CollectionId {
        self.store.collection_id()
    }

    /// Random; tells the database from another of the same name.
    pub fn uuid(&self) -> [u8; 8] {
        self.store.uuid()
    }

    /// Its counters and settings.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn info(&self) -> Result<DatabaseInfo, Error> {
        Ok(self.store.info().await?)
    }

    /// The sequence of the latest durable change.
    pub fn update_seq(&self) -> Seq {
        self.store.update_seq()
    }

    /// Sets how many revisions of each branch are kept.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn set_revs_limit(&self, limit: u64) -> Result<(), Error> {
        self.renewed().await?.check_admin()?;
        Ok(self.store.set_revs_limit(limit).await?)
    }

    /// Lets go of the bodies of revisions that were edited since, in the background.
    ///
    /// # Errors
    /// The database is gone.
    pub fn compact(&self) -> Result<(), Error> {
        self.check_upkeep()?;
        Ok(self.store.compact(self.engine.inner.now_s())?)
    }

    /// Takes leaves away as if they had never been.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn purge(&self, requests: Vec<(DocId, Vec<Rev>)>) -> Result<Vec<Purged>, Error> {
        self.engine.check_admin(&self.caller)?;
        let purged = self.store.purge(requests).await?;
        self.engine.inner.measurements.forget_all_of(self.uuid());
        Ok(purged)
    }

    /// Which of these revisions aren't here. Documents of which nothing is missing are left out.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn revs_diff(&self, offered: Vec<(DocId, Vec<Rev>)>) -> Result<Vec<RevsDiff>, Error> {
        self.check_listing()?;
        let ids: Vec<DocId> = offered.iter().map(|(id, _)| id.clone()).collect();
        let sight = self.sight().await?;
        let mut documents = sight.reader.documents(&ids).await?;
        // Of a document that its caller may not see, nothing is here.
        let winner = |state: &tidegate_store::DocumentState| state.tree.winner().and_then(|node| node.body.stored());
        let bodies: Vec<_> = documents.iter().map(|state| state.as_ref().and_then(winner)).collect();
        for (state, shown) in documents.iter_mut().zip(sight.shows_each(&bodies).await?) {
            *state = state.take().filter(|_| shown.is_some());
        }
        let mut diffs = Vec::with_capacity(offered.len());
        for ((id, revs), document) in offered.into_iter().zip(documents) {
            let diff = match document {
                None => RevsDiff { id, missing: revs, possible_ancestors: Vec::new() },
                Some(state) => {
                    let unseen = unseen_leaves(&sight, &state.tree).await?;
                    RevsDiff::of(id, &revs, (&state.tree, &unseen))
                }
            };
            diffs.extend(Some(diff).filter(|diff| !diff.missing.is_empty()));
        }
        Ok(diffs)
    }

    /// The live documents of a range.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn list(&self, range: DocRange) -> Result<DocumentList, Error> {
        self.check_listing()?;
        let sight = self.sight().await?;
        let info = sight.reader.info().await?;
        Ok(DocumentList { listing: sight.reader.list(&range), sight, info, range })
    }

    /// The documents of these ids, deleted ones included, in the order asked for; with the database's state then.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn rows(&self, ids: &[DocId]) -> Result<(DatabaseInfo, Vec<Option<DocRow>>), Error> {
        let (info, rows) = self.find_rows(ids).await?;
        Ok((info, rows.into_iter().map(FoundRow::seen).collect()))
    }

    /// The same, telling what the caller may not see from what isn't there, if the caller may learn of it.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn find_rows(&self, ids: &[DocId]) -> Result<(DatabaseInfo, Vec<FoundRow>), Error> {
        self.check_listing()?;
        let Sight { reader, access } = self.sight().await?;
        let winners = reader.winners(ids).await?;
        let bodies: Vec<_> = winners.iter().map(|winner| winner.as_ref().and_then(|winner| winner.body)).collect();
        let info = reader.info().await?;
        let shown = Sight { reader, access }.shows_each(&bodies).await?;
        let hidden = match self.existence() {
            Existence::Told => FoundRow::Forbidden,
            Existence::Hidden => FoundRow::Missing,
        };
        let row = |((winner, shown), id): ((Option<Winner>, Option<Shown>), &DocId)| match winner {
            Some(winner) if shown == Some(Shown::Whole) => FoundRow::Seen(DocRow { id: id.clone(), winner }),
            Some(_) => hidden.clone(),
            None => FoundRow::Missing,
        };
        Ok((info, winners.into_iter().zip(shown).zip(ids).map(row).collect()))
    }

    /// A feed of what changes after `since`: subscribed from now on.
    ///
    /// # Errors
    /// [`Error::Access`].
    pub fn follow(&self, since: Seq) -> Result<Feed, Error> {
        self.check_listing()?;
        Ok(Feed::new(self.clone(), self.store.follow(since)))
    }

    /// The changes after `after` up to and including `until`, at most `limit`, as they are now.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn changes(&self, after: Seq, until: Seq, order: Order, limit: usize) -> Result<Vec<Change>, Error> {
        self.renewed().await?.check_listing()?;
        Ok(self.store.changes(after, until, order, limit).await?)
    }

    /// How many changes there are after `after`: exact up to 10,000, estimated beyond.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn pending(&self, after: Seq) -> Result<u64, Error> {
        // How many there are that its caller may not see is nobody's business.
        if self.is_seen_by_channels() {
            return Ok(0);
        }
        Ok(self.store.count_changes(after, 10_000).await?)
    }
}

impl RevsDiff {
    /// Leaves that are hidden aren't here. Of those that are stubs, nobody learns by offering others.
    fn of(id: DocId, revs: &[Rev], (tree, unseen): (&Tree, &[(Rev, Option<Shown>)])) -> Self {
        let unknown = tree.missing(revs);
        let is_unseen = |rev: &Rev| unseen.iter().any(|(unseen, _)| unseen == rev);
        let is_hidden = |rev: &Rev| unseen.iter().any(|(unseen, shown)| unseen == rev && shown.is_none());
        let missing: Vec<&Rev> = revs.iter().filter(|rev| unknown.contains(rev) || is_hidden(rev)).collect();
        let ancestors = tree.possible_ancestors(&missing).into_iter().filter(|rev| !is_unseen(rev));
        let possible_ancestors = ancestors.cloned().collect();
        Self { id, missing: missing.into_iter().cloned().collect(), possible_ancestors }
    }
}

impl PurgeList {
    /// The next ones, at most `limit`; none at the end.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<PurgeRecord>, Error> {
        let rows = self.reader.purges(self.last, limit).await?;
        self.last = rows.last().map_or(self.last, |(number, _)| *number);
        Ok(rows.into_iter().map(|(_, purge)| purge).collect())
    }
}

impl DocumentList {
    /// The database's counters at the moment of the list.
    pub fn info(&self) -> &DatabaseInfo {
        &self.info
    }

    /// How many live documents come before the range: counted up to 10,000, `None` beyond.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn offset(&self) -> Result<Option<u64>, Error> {
        // How many there are that its caller may not see is nobody's business.
        if self.sight.access.access().is_some() {
            return Ok(None);
        }
        Ok(self.sight.reader.count_before(&self.range, 10_000).await?)
    }

    /// The next rows, at most `limit`; none at the end.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<DocRow>, Error> {
        loop {
            let rows = self.listing.next(limit).await?;
            let bodies: Vec<_> = rows.iter().map(|row| row.winner.body).collect();
            let shown = self.sight.shows_each(&bodies).await?;
            let was_last = rows.is_empty();
            let seen = rows.into_iter().zip(shown).filter(|(_, shown)| *shown == Some(Shown::Whole));
            let seen: Vec<DocRow> = seen.map(|(row, _)| row).collect();
            if was_last || !seen.is_empty() {
                return Ok(seen);
            }
        }
    }

    /// The winning revision of a row, with its body.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn document(&self, row: &DocRow) -> Result<Document, Error> {
        from_row(&self.sight.reader, row).await
    }
}
