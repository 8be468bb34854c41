//! What must hold before an edit is proposed: names, rights, and what design documents and system databases ask for.
//!
//! Source: `couch_db:validate_doc_update`, `fabric_doc_update`.

use crate::{Database, Error, Layout, designs, replicator, rules::Purpose};
use tidegate_access::user::Author;
use tidegate_store::Edit;
use tidegate_types::DocKind;

impl Database {
    /// Checks edits, and makes of them what is stored. Those that may not be are errors then.
    ///
    /// # Errors
    /// The caller may not use the database any more, or the storage failed.
    pub(crate) async fn govern(&self, edits: &mut [Result<Edit, Error>]) -> Result<(), Error> {
        for edit in edits.iter_mut() {
            if let Ok(allowed) = edit
                && let Err(error) = self.govern_one(allowed).await
            {
                *edit = Err(error);
            }
        }
        if self.rules.sync.is_some() {
            Box::pin(self.assign(edits)).await?;
        }
        Ok(())
    }

    async fn govern_one(&self, edit: &mut Edit) -> Result<(), Error> {
        self.rules.check_edit(self.rights(), edit)?;
        match self.rules.purpose {
            Purpose::Plain => {}
            // Boxed: it is large, and rare.
            Purpose::Replicator => Box::pin(replicator::govern(self, edit)).await?,
            Purpose::Users => {
                let author = Author { user: self.caller.context(), security: &self.rules.security };
                Box::pin(self.engine.inner.prepare_user(&self.store, author, edit)).await?;
            }
        }
        if edit.id.kind() == DocKind::Design && !edit.deleted {
            return Box::pin(designs::check(|| self.engine.scripts().cloned(), edit)).await;
        }
        if !self.rules.validators.is_empty() {
            Box::pin(self.validate(edit)).await?;
        }
        if self.rules.layout == Layout::Partitioned {
            Box::pin(self.check_fullness(edit)).await?;
        }
        Ok(())
    }
}
