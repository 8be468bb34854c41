//! Local documents. Those of a database's user are its own: nobody else sees or overwrites its checkpoints.

use crate::{Database, DocRange, Error, LocalDocument, principals::Viewer};
use tidegate_types::DocId;

const PREFIX: &str = "_local/";
/// Before and behind the name of the user: no client's id begins with it.
const OWNED: char = '\u{1}';

impl Database {
    /// The local document of this id.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn local(&self, id: &DocId) -> Result<Option<LocalDocument>, Error> {
        let found = self.store.reader()?.local(&self.owned(id)?).await?;
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
        if document.members.len() > self.engine.limits().document_bytes_max {
            return Err(Error::DocumentTooLarge { id: document.id.to_string() });
        }
        let id = self.renewed().await?.owned(&document.id)?;
        Ok(self.store.put_local(LocalDocument { id, ..document }).await?)
    }

    /// Takes a local document away; whether it was there.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn delete_local(&self, id: &DocId) -> Result<bool, Error> {
        let id = self.renewed().await?.owned(id)?;
        Ok(self.store.delete_local(&id).await?)
    }

    /// Under which id a local document of this id is kept for the caller.
    fn owned(&self, id: &DocId) -> Result<DocId, Error> {
        let Viewer::User(name) = &self.viewer else { return Ok(id.clone()) };
        let rest = id.as_str().strip_prefix(PREFIX).unwrap_or_default();
        let owned = format!("{PREFIX}{OWNED}{name}{OWNED}{rest}");
        owned.parse().map_err(|_illegal| Error::IllegalDocId("Illegal local document id"))
    }
}
