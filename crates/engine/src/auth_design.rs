//! The design document `_auth`, with which CouchDB's database of users is born.
//!
//! Clients and scripts look for it. The rules that CouchDB keeps in its function are the server's own here, so the function
//! is empty and isn't run; one that somebody puts in its place is, beside the rules.
//!
//! Source: `chttpd_auth_cache:ensure_auth_ddoc_exists`.

use crate::{Error, engine::Inner, users::canonical};
use serde_json::json;
use tidegate_store::{Edit, Error as StoreError, History};
use tidegate_types::{DbName, DocId};

const ID: &str = "_design/_auth";
const FUNCTION: &str = "function (newDoc, oldDoc, userCtx, secObj) { /* Tidegate checks users' documents itself. */ }";

/// Whether this is the function that nothing depends on.
pub(crate) fn is_own(id: &DocId, function: &str) -> bool {
    id.as_str() == ID && function == FUNCTION
}

impl Inner {
    /// Puts the document into the database of users, unless there is one.
    ///
    /// # Errors
    /// The storage failed.
    pub(crate) async fn ensure_auth_design(&self) -> Result<(), Error> {
        let users: DbName = self.config.live().auth.users_db.clone();
        let database = match self.store.database(&users).await {
            Err(StoreError::NoDatabase(_)) => return Ok(()),
            database => database?,
        };
        let Ok(id) = ID.parse::<DocId>() else { return Ok(()) };
        if database.reader()?.winner(&id).await?.is_some_and(|winner| !winner.deleted) {
            return Ok(());
        }
        let design = json!({ "language": "javascript", "validate_doc_update": FUNCTION }).to_string();
        let members = design.trim_start_matches('{').trim_end_matches('}').to_owned();
        let history = History::Edit { parent: None, canonical: canonical(members.as_bytes())? };
        let edit =
            Edit { id, history, deleted: false, members: members.into(), attachments: Vec::new(), assignment: None };
        match database.edit(vec![edit]).await?.pop() {
            // Somebody else was faster.
            Some(Ok(_) | Err(StoreError::Conflict)) | None => Ok(()),
            Some(Err(error)) => Err(error.into()),
        }
    }
}
