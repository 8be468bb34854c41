//! Local documents. Those of a database's user are its own: nobody else sees or overwrites its checkpoints.

use crate::{Database, DocRange, Error, LocalDocument, principals::Viewer};
use bytes::Bytes;
use tidegate_types::{DocId, PrincipalName, Seq};

const PREFIX: &str = "_local/";
/// Before and behind the name of the user: no client's id begins with it.
const OWNED: char = '\u{1}';

impl Database {
    /// The local document of this id.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn local(&self, id: &DocId) -> Result<Option<LocalDocument>, Error> {
        let found = self.store.reader()?.local(&self.owned(id).await?).await?;
        Ok(found.map(|document| LocalDocument { id: id.clone(), ..document }))
    }

    /// The local documents of a range, at most `limit`. For administrators.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn locals(&self, range: &DocRange, limit: usize) -> Result<Vec<LocalDocument>, Error> {
        self.check_listing()?;
        if self.is_seen_by_channels() {
            return Ok(Vec::new());
        }
        Ok(self.store.reader()?.locals(range, limit).await?)
    }

    /// Writes a local document over what is there.
    ///
    /// # Errors
    /// [`Error::DocumentTooLarge`], the database is gone, or the storage failed.
    pub async fn put_local(&self, document: LocalDocument) -> Result<(), Error> {
        self.check_size(&document.id, &document.members)?;
        let id = self.renewed().await?.owned(&document.id).await?;
        Ok(self.store.put_local(LocalDocument { id, ..document }).await?)
    }

    /// Writes a local document in place of the one with this number, or takes it away if there are no members; its number
    /// then, zero if it is gone. `replaced` is `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Conflict`] where another one is there, [`Error::DocumentTooLarge`], the database is gone, or the storage
    /// failed.
    pub async fn replace_local(&self, id: &DocId, replaced: Option<u64>, members: Option<Bytes>) -> Result<u64, Error> {
        self.check_size(id, members.as_deref().unwrap_or_default())?;
        let id = self.renewed().await?.owned(id).await?;
        Ok(self.store.replace_local(&id, replaced, members).await?)
    }

    /// Takes a local document away; whether it was there.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn delete_local(&self, id: &DocId) -> Result<bool, Error> {
        let id = self.renewed().await?.owned(id).await?;
        Ok(self.store.delete_local(&id).await?)
    }

    fn check_size(&self, id: &DocId, members: &[u8]) -> Result<(), Error> {
        let is_too_large = members.len() > self.engine.limits().document_bytes_max;
        if is_too_large { Err(Error::DocumentTooLarge { id: id.to_string() }) } else { Ok(()) }
    }

    /// Under which id a local document of this id is kept for the caller: a user that comes after another of its name has
    /// none of what that one left.
    async fn owned(&self, id: &DocId) -> Result<DocId, Error> {
        let Viewer::User(name) = &self.viewer else { return Ok(id.clone()) };
        let known = self.engine.inner.principals.user(&self.store, name).await?;
        let since = known.map_or(Seq::ZERO, |known| known.since);
        let rest = id.as_str().strip_prefix(PREFIX).unwrap_or_default();
        let owned = format!("{}{since}{OWNED}{rest}", owned_by(name));
        owned.parse().map_err(|_illegal| Error::IllegalDocId("Illegal local document id"))
    }
}

/// How the ids begin under which a user's local documents are kept.
pub(crate) fn owned_by(name: &PrincipalName) -> String {
    format!("{PREFIX}{OWNED}{name}{OWNED}")
}
