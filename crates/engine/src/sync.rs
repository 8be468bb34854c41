//! The sync function: which channels a document is in, whom it grants what, and whether it may be written at all.
//!
//! Source: Sync Gateway, `spec/gateway.md` 2.8.

use crate::{
    Database, Error,
    sight::Reach,
    validators::{Ancestry, text_of_new, text_of_old},
};
use std::sync::Arc;
use tidegate_script::{Expiry, Grantee, Program, Rejection, SyncCaller, SyncInput, SyncOutcome};
use tidegate_store::{Assignment, Edit, Grant, Granted};
use tidegate_types::{Channel, DocKind, Principal, PrincipalName};

/// The setting that holds the function's text.
const SYNC: &str = "sync";

/// The sync function of a database, as it is set; the default if it isn't.
pub(crate) async fn load(store: &tidegate_store::Database, version: u64) -> Result<Program, Error> {
    let key = format!("{:016x}/sync@{version}", u64::from_be_bytes(store.uuid()));
    match source(store).await? {
        Some(source) => Ok(Program::sync(key, source)),
        None => Ok(Program::default_sync(key, None)),
    }
}

async fn source(store: &tidegate_store::Database) -> Result<Option<String>, Error> {
    let text = store.setting(SYNC).await?.filter(|text| !text.is_empty());
    Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
}

impl Database {
    /// The text of the sync function; `None` where it is the default.
    ///
    /// # Errors
    /// [`Error::Access`], the database is gone, or the storage failed.
    pub async fn sync_function(&self) -> Result<Option<String>, Error> {
        self.check_admin()?;
        source(&self.store).await
    }

    /// Sets the sync function, for edits from now on; `None` is the default. Documents that are there stay in their
    /// channels until they are synced again.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::Script`] for what is no function, the database is gone, or the storage failed.
    pub async fn set_sync_function(&self, source: Option<&str>) -> Result<(), Error> {
        self.renewed().await?.check_admin()?;
        if let Some(source) = source {
            self.engine.scripts()?.compile(&Program::sync(format!("check/{}", rand::random::<u64>()), source)).await?;
        }
        Ok(self.store.put_setting(SYNC, source.unwrap_or_default().as_bytes()).await?)
    }

    /// Has the sync function decide on an edit, in a database with channels.
    pub(crate) async fn assign(&self, edit: &mut Edit) -> Result<(), Error> {
        let Some(program) = self.rules.sync.as_ref() else { return Ok(()) };
        let judged_by = self.rules.version();
        if edit.id.kind() == DocKind::Design {
            edit.assignment = Some(Assignment { judged_by, ..Assignment::default() });
            return Ok(());
        }
        let sight = self.sight().await?;
        let tree = sight.reader.document(&edit.id).await?.map(|state| state.tree).unwrap_or_default();
        let Some(ancestry) = Ancestry::of(&tree, edit)? else {
            edit.assignment = Some(Assignment { judged_by, ..Assignment::default() });
            return Ok(());
        };
        let old_document = match &ancestry.old {
            Some(old) => text_of_old(&sight.reader, &edit.id, (&tree, old)).await?,
            None => None,
        };
        let document = text_of_new(edit, &ancestry.path);
        let input = SyncInput { document, old_document, meta: None, caller: caller(&sight.access) };
        let outcome = self.engine.scripts()?.sync(program, input).await?;
        edit.assignment = Some(self.assignment(outcome)?);
        Ok(())
    }

    /// What follows from what a sync function said.
    pub(crate) fn assignment(&self, outcome: SyncOutcome) -> Result<Assignment, Error> {
        let SyncOutcome { channels, access, roles, expiry, rejection, log: _ } = outcome;
        match rejection {
            Some(Rejection::Forbidden(reason)) => {
                return Err(tidegate_access::Error::Forbidden(reason.into()).into());
            }
            Some(Rejection::Unauthorized(reason)) => {
                return Err(tidegate_access::Error::Unauthorized(reason.into()).into());
            }
            None => {}
        }
        let channels = channels.iter().filter_map(|channel| channel.parse().ok()).collect();
        let mut grants: Vec<Grant> = Vec::new();
        for (grantee, channels) in access {
            let Some(to) = principal(&grantee) else { continue };
            let channels = channels.iter().filter_map(|channel| channel.parse::<Channel>().ok());
            grants.extend(channels.map(|channel| Grant { to: to.clone(), what: Granted::Channel(channel) }));
        }
        for (user, roles) in roles {
            let Ok(user) = user.parse::<PrincipalName>() else { continue };
            let roles = roles.iter().filter_map(|role| role.parse::<PrincipalName>().ok());
            grants.extend(roles.map(|role| Grant { to: Principal::User(user.clone()), what: Granted::Role(role) }));
        }
        let now = self.engine.inner.now_s();
        let expires_s = expiry.and_then(|expiry| match expiry {
            Expiry::After(0) => None,
            Expiry::After(seconds) => Some(now.saturating_add(seconds.into())),
            Expiry::At(at) => Some(at),
        });
        Ok(Assignment { channels, grants, expires_s, judged_by: self.rules.version() })
    }
}

fn principal(grantee: &Grantee) -> Option<Principal> {
    match grantee {
        Grantee::User(name) => name.parse().ok().map(Principal::User),
        Grantee::Role(name) => name.parse().ok().map(Principal::Role),
    }
}

/// For whom the function runs.
fn caller(reach: &Reach) -> SyncCaller {
    match reach {
        Reach::Everything => SyncCaller::Unrestricted,
        Reach::Channels(known) => SyncCaller::User(Arc::clone(&known.sync_user)),
    }
}
