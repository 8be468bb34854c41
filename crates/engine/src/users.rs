//! The database `_users`: its documents are users, who log in with what stands there.
//!
//! What such a document must be like is decided in `tidegate_access::user`; here it is read, hashed and written.

use crate::{Error, engine::Inner};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tidegate_access::{
    Account, Salt, Source, UserName,
    user::{self, Author, ID_PREFIX, Label, Update, UserRecord},
};
use tidegate_json::{Limits, scan_document};
use tidegate_store::{Database, Edit, History};
use tidegate_types::{DocId, DocKind, Rev};
use tokio::time::timeout;

/// Users whose documents are kept at hand.
const RECORDS_MAX: usize = 10_000;

/// How long after a login its password is kept in today's way: what the user changes with this login goes first.
const UPGRADE_DELAY: Duration = Duration::from_secs(1);

/// Users' documents as they were when they were read last: good as long as the revision is.
#[derive(Default)]
pub(crate) struct Records(Mutex<HashMap<UserName, (Rev, UserRecord)>>);

impl Records {
    fn get(&self, name: &UserName, rev: &Rev) -> Option<UserRecord> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.get(name).filter(|(known, _)| known == rev).map(|(_, record)| record.clone())
    }

    fn insert(&self, name: UserName, rev: Rev, record: UserRecord) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() >= RECORDS_MAX {
            records.clear();
        }
        records.insert(name, (rev, record));
    }
}

impl Inner {
    /// What the document of a user says; `None` if there is none.
    pub(crate) async fn user_record(&self, name: &UserName) -> Result<Option<UserRecord>, Error> {
        let Ok(id) = format!("{ID_PREFIX}{name}").parse::<DocId>() else { return Ok(None) };
        let users = match self.store.database(&self.config.live().auth.users_db).await {
            Err(tidegate_store::Error::NoDatabase(_)) => return Ok(None),
            users => users?,
        };
        let reader = users.reader()?;
        let Some(winner) = reader.winner(&id).await?.filter(|winner| !winner.deleted) else { return Ok(None) };
        if let Some(record) = self.logins.records.get(name, &winner.rev) {
            return Ok(Some(record));
        }
        let conflicts = reader.document(&id).await?.is_some_and(|state| !state.tree.conflicts().is_empty());
        if conflicts {
            return Err(UserRecord::conflicted().into());
        }
        let Some(body) = winner.body else { return Ok(None) };
        let Some(body) = reader.body(body).await? else { return Ok(None) };
        let record = UserRecord::parse(&body.members)?;
        self.logins.records.insert(name.clone(), winner.rev, record.clone());
        Ok(Some(record))
    }

    /// Keeps a password that was just recognised in today's way, when there is time: a login neither waits for it nor
    /// fails with it, and what its user changes at once goes first.
    pub(crate) fn strengthen(self: &Arc<Self>, account: &Account, password: &str) {
        let auth = &self.config.live().auth;
        if account.source != Source::Document || !auth.hashing.needs_upgrade(&account.password) {
            return;
        }
        let (inner, account, password) = (Arc::clone(self), account.clone(), password.to_owned());
        let stopped = self.stop_token().cancelled_owned();
        drop(self.tasks.spawn(async move {
            if timeout(UPGRADE_DELAY, stopped).await.is_ok() {
                return;
            }
            if let Err(error) = inner.try_strengthen(&account, &password).await {
                let (name, error): (_, &dyn std::error::Error) = (&account.name, &error);
                tracing::warn!(%name, error, "a password could not be stored in today's way");
            }
        }));
    }

    async fn try_strengthen(&self, account: &Account, password: &str) -> Result<(), Error> {
        let Ok(id) = format!("{ID_PREFIX}{}", account.name).parse::<DocId>() else { return Ok(()) };
        let users = self.store.database(&self.config.live().auth.users_db).await?;
        let reader = users.reader()?;
        let Some(winner) = reader.winner(&id).await? else { return Ok(()) };
        let Some(seq) = winner.body else { return Ok(()) };
        let Some(body) = reader.body(seq).await? else { return Ok(()) };
        if UserRecord::parse(&body.members)?.password.as_ref() != Some(&account.password) {
            return Ok(());
        }
        let hashing = self.config.live().auth.hashing.clone();
        let (password, stored) = (password.to_owned(), account.password.clone());
        let members = body.members.clone();
        let hashed = move || user::upgrade_password(&members, &password, &stored, &hashing);
        let members: Bytes = self.logins.slowly(hashed).await??.into();
        let canonical = canonical(&members)?;
        let history = History::Edit { parent: Some(winner.rev), canonical };
        // Attachments stay with the document, or its user's sessions would cost its picture.
        let attachments = body.attachments.iter().map(crate::write::carried).collect();
        let edit = Edit { id, history, deleted: false, members, attachments, assignment: None };
        users.edit(vec![edit]).await?.into_iter().try_for_each(|written| written.map(|_| ()))?;
        Ok(())
    }

    /// What a document of `_users` becomes before it is stored: checked, and with its password hashed.
    pub(crate) async fn prepare_user(
        &self,
        users: &Database,
        author: Author<'_>,
        edit: &mut Edit,
    ) -> Result<(), Error> {
        if edit.id.kind() == DocKind::Design {
            return Ok(());
        }
        user::check_writer(edit.id.as_str(), author)?;
        let old = previous(users, edit).await?;
        if edit.deleted {
            return Ok(user::check_delete(old.as_deref(), author)?);
        }
        let (hashing, members) = (self.config.live().auth.hashing.clone(), edit.members.clone());
        let salt = Salt::new(rand::random());
        let has_password = memchr::memmem::find(&members, b"password").is_some();
        if has_password {
            self.config.live().auth.requirements.check_document(&members)?;
            let hash = move || user::hash_password(&members, &hashing, salt).map(std::borrow::Cow::into_owned);
            edit.members = self.logins.slowly(hash).await??.into();
            if let History::Edit { canonical: text, .. } = &mut edit.history {
                *text = canonical(&edit.members)?;
            }
        }
        let label = if users.name().as_str() == "_users" { Label::Needed } else { Label::Optional };
        let update = Update { id: edit.id.as_str(), members: &edit.members, old: old.as_deref(), label };
        Ok(user::check_update(update, author)?)
    }
}

/// What the edited document holds until now; `None` for a new one, or one that was deleted. An edit that can't be made
/// now is a conflict: it isn't to be checked against one state and written over another.
pub(crate) async fn previous(users: &Database, edit: &Edit) -> Result<Option<Bytes>, Error> {
    let reader = users.reader()?;
    let state = reader.document(&edit.id).await?;
    let is_edit_of =
        |parent: Option<&Rev>| state.as_ref().map_or(parent.is_none(), |state| state.tree.edit_parent(parent).is_ok());
    if let History::Edit { parent, .. } = &edit.history
        && !is_edit_of(parent.as_ref())
    {
        return Err(Error::Conflict);
    }
    let Some(state) = state else { return Ok(None) };
    let Some(winner) = state.tree.winner().filter(|winner| !winner.deleted) else { return Ok(None) };
    let Some(seq) = winner.body.stored() else { return Ok(None) };
    Ok(reader.body(seq).await?.map(|body| body.members))
}

/// The text that the revision's id is a hash of.
pub(crate) fn canonical(members: &[u8]) -> Result<Bytes, Error> {
    let text = [b"{", members, b"}"].concat();
    let scanned = scan_document(&text, Limits::default());
    let scanned =
        scanned.map_err(|_invalid| tidegate_access::Error::BadRequest("Document must be a JSON object".into()))?;
    Ok(scanned.canonical_with(&[]).into())
}
