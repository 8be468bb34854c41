//! Documents that expire: a task deletes those whose time has come.
//!
//! It looks once a second. What it writes are tombstones as a client's would be, by nobody who needs rights; the sync
//! function says which channels they are in, and if it refuses one, it is in none: a document that expires goes. When the
//! server starts, it learns when the first document of each database expires without opening them; of databases in use it
//! looks again when they have changed.
//!
//! Source: Sync Gateway, for whom the storage below deletes documents, and which then tells of the deletion.

#[cfg(test)]
mod tests;

use crate::{Absence, Database, Engine, Error, Shown, engine::Inner, principals::Viewer};
use bytes::Bytes;
use std::{collections::HashMap, sync::Weak, time::Duration};
use tidegate_script::Expiry;
use tidegate_store::{Assignment, Edit, History, Reassignment};
use tidegate_types::{DbName, DocId, Rev, Seq};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// A database is looked at again after so many looks, even if it has no new sequence.
const LOOKS_MAX: u64 = 60;
/// Documents deleted in one go; other writes get their turn between two.
const DOCUMENTS_AT_ONCE: usize = 100;
/// What the revision of a tombstone is the hash of.
const TOMBSTONE: &[u8] = br#"{"_deleted":true}"#;

/// Deletes what expires until it is told to stop.
pub(crate) async fn run(engine: Weak<Inner>, stop: CancellationToken) {
    let mut calendar = Calendar::default();
    loop {
        tokio::select! {
            () = sleep(PERIOD) => {}
            () = stop.cancelled() => return,
        }
        let Some(inner) = engine.upgrade() else { return };
        if let Err(error) = calendar.look(&Engine { inner }, &stop).await
            && !stop.is_cancelled()
        {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "documents that expire could not be deleted");
        }
    }
}

/// When the first document of each database expires.
#[derive(Default)]
struct Calendar {
    looks: u64,
    due_s: HashMap<DbName, u64>,
    /// Databases as they were when they were looked at, and in which look.
    seen: HashMap<[u8; 8], (Seq, u64)>,
}

impl Calendar {
    async fn look(&mut self, engine: &Engine, stop: &CancellationToken) -> Result<(), Error> {
        if self.looks == 0 {
            self.due_s.extend(engine.inner.store.expiries().await?);
        }
        self.looks += 1;
        for db in engine.inner.store.opened().into_iter().filter(tidegate_store::Database::has_channels) {
            let (seq, uuid) = (db.update_seq(), db.uuid());
            let is_known = |(at, look): &(Seq, u64)| *at == seq && look + LOOKS_MAX > self.looks;
            if !self.seen.get(&uuid).is_some_and(is_known) {
                self.seen.insert(uuid, (seq, self.looks));
                self.enter(&db).await?;
            }
        }
        let now_s = engine.inner.now_s();
        let due: Vec<DbName> =
            self.due_s.iter().filter(|(_, at_s)| **at_s <= now_s).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.due_s.remove(&name);
            let db = match engine.inner.store.database(&name).await {
                Err(tidegate_store::Error::NoDatabase(_)) => continue,
                db => db?,
            };
            let mut swept = Ok(());
            for collection in db.collections() {
                swept = swept.and(engine.delete_expired(&collection, now_s, stop).await);
            }
            // Whatever came of it, what is left is looked at again.
            self.enter(&db).await?;
            swept?;
        }
        Ok(())
    }

    /// Notes when the first document of a database expires, in any collection.
    async fn enter(&mut self, db: &tidegate_store::Database) -> Result<(), Error> {
        let mut first = None;
        for collection in db.collections() {
            let found = match collection.reader() {
                Ok(reader) => reader.expired(u64::MAX, 1).await?,
                Err(tidegate_store::Error::NoDatabase(_)) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            first = first.into_iter().chain(found.first().map(|(at_s, _)| *at_s)).min();
        }
        match first {
            Some(at_s) => drop(self.due_s.insert(db.name().clone(), at_s)),
            None => drop(self.due_s.remove(db.name())),
        }
        Ok(())
    }
}

impl Engine {
    /// When a document expires of which this is said now: seconds from now, up to 30 days; seconds since 1970; or a date
    /// of RFC 3339. `Ok(None)`: never.
    ///
    /// # Errors
    /// [`Error::Access`] for what is none of these.
    pub fn expiry(&self, text: &str) -> Result<Option<u64>, Error> {
        let unreadable = || tidegate_access::Error::BadRequest(format!("Unable to parse expiry {text:?}").into());
        let expiry = Expiry::parse(text).ok_or_else(unreadable)?;
        Ok(crate::sync::expires_s(Some(expiry), self.inner.now_s()).flatten())
    }

    /// Deletes the documents of a collection whose time has come.
    async fn delete_expired(
        &self,
        store: &tidegate_store::Database,
        now_s: u64,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        while !stop.is_cancelled() {
            let due = store.reader()?.expired(now_s, DOCUMENTS_AT_ONCE).await?;
            if due.is_empty() {
                return Ok(());
            }
            let rules = self.inner.rules(store).await?;
            let db = Database::new((self.clone(), store.clone(), rules), Self::own_caller(), Viewer::Everything);
            let mut progress = 0;
            for (_, id) in &due {
                progress += db.expire(id).await?;
            }
            if progress == 0 {
                // Whoever writes them all the time, or changes the rules, comes first; there is another look soon.
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Database {
    /// When a document expires of which this is said now: see [`Engine::expiry`].
    ///
    /// # Errors
    /// [`Error::Access`] for what is no time.
    pub fn parse_expiry(&self, text: &str) -> Result<Option<u64>, Error> {
        self.engine.expiry(text)
    }

    /// When a document expires, in seconds since 1970, if it does.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Access`] for one that its caller may not see, or the storage failed.
    pub async fn expires_s(&self, id: &DocId) -> Result<Option<u64>, Error> {
        let sight = self.sight().await?;
        let winner = sight.reader.winner(id).await?.ok_or(Error::NotFound(Absence::Missing))?;
        if sight.shows(winner.body).await? != Some(Shown::Whole) {
            return Err(self.hidden());
        }
        Ok(sight.reader.assigned(winner.body.unwrap_or_default()).await?.expires_s)
    }

    /// Deletes all leaves of a document that has expired; how many were.
    async fn expire(&self, id: &DocId) -> Result<usize, Error> {
        let reader = self.store.reader()?;
        let Some(state) = reader.document(id).await? else { return Ok(0) };
        let live = state.tree.leaves().into_iter().filter(|leaf| !leaf.deleted);
        let leaves: Vec<&Rev> = live.map(|leaf| &leaf.rev).collect();
        if leaves.is_empty() {
            return self.keep_forever(id, &state).await;
        }
        let mut judged: Vec<_> = leaves.iter().map(|leaf| Ok(tombstone(id, (*leaf).clone()))).collect();
        self.assign(&mut judged).await?;
        let mut edits = Vec::with_capacity(judged.len());
        for (edit, leaf) in judged.into_iter().zip(leaves) {
            edits.push(match edit {
                Ok(edit) => edit,
                // It goes all the same, and is in no channel.
                Err(Error::Access(_) | Error::Script(_)) => {
                    let assignment = Assignment { judged_by: self.rules.version(), ..Assignment::default() };
                    Edit { assignment: Some(assignment), ..tombstone(id, leaf.clone()) }
                }
                // It was edited meanwhile.
                Err(Error::Conflict) => return Ok(0),
                Err(error) => return Err(error),
            });
        }
        let mut written = 0;
        for outcome in self.store.edit(edits).await? {
            match outcome {
                Ok(_) => written += 1,
                Err(tidegate_store::Error::Conflict | tidegate_store::Error::Outdated) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }

    /// A deleted document doesn't expire.
    async fn keep_forever(&self, id: &DocId, state: &tidegate_store::DocumentState) -> Result<usize, Error> {
        let Some(body) = state.tree.winner().and_then(|winner| winner.body.stored()) else { return Ok(0) };
        let assigned = self.store.reader()?.assigned(body).await?;
        let (channels, grants, judged_by) = (assigned.channels, assigned.grants, self.rules.version());
        let assignment = Assignment { channels, grants, expires_s: None, judged_by };
        let anew = Reassignment { id: id.clone(), read_at: state.seq, revisions: vec![(body, assignment)] };
        let outcomes = self.store.reassign(vec![anew]).await?;
        Ok(outcomes.iter().filter(|outcome| outcome.is_ok()).count())
    }
}

fn tombstone(id: &DocId, parent: Rev) -> Edit {
    let history = History::Edit { parent: Some(parent), canonical: Bytes::from_static(TOMBSTONE) };
    let (id, members, attachments) = (id.clone(), Bytes::new(), Vec::new());
    Edit { id, history, deleted: true, members, attachments, assignment: None }
}
