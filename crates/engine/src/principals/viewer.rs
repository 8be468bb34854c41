//! As whom a caller sees a database.

use crate::{Caller, Error, engine::Inner, rules::Rules};
use tidegate_store::Database;
use tidegate_types::PrincipalName;

/// As whom a database is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Viewer {
    /// As somebody who sees every document.
    Everything,
    /// As one of its users, who sees the documents of its channels.
    User(PrincipalName),
}

impl Inner {
    /// As whom this caller sees the database.
    ///
    /// A user of the database is itself; a user of the server is the database's user of the same name; nobody is the
    /// guest. Administrators see everything.
    ///
    /// # Errors
    /// [`Error::Access`] for those who may not use the database at all, or the storage failed.
    pub(crate) async fn viewer(&self, db: &Database, rules: &Rules, caller: &Caller) -> Result<Viewer, Error> {
        let refused = || rules.security.check_member(caller.context()).err().unwrap_or_else(refusal);
        if let Some(name) = caller.user_of(db.uuid()) {
            let viewer = if db.has_channels() { self.enabled(db, name).await? } else { None };
            return viewer.ok_or_else(|| refused().into());
        }
        if caller.is_database_user() {
            return Err(refused().into());
        }
        if !db.has_channels() {
            rules.security.check_member(caller.context())?;
            return Ok(Viewer::Everything);
        }
        if rules.security.is_admin(caller.context()) {
            return Ok(Viewer::Everything);
        }
        let name = match &caller.context().name {
            None => Some(PrincipalName::guest()),
            Some(name) => name.as_str().parse().ok().filter(|name| *name != PrincipalName::guest()),
        };
        let Some(name) = name else { return Err(refused().into()) };
        self.enabled(db, &name).await?.ok_or_else(|| refused().into())
    }

    async fn enabled(&self, db: &Database, name: &PrincipalName) -> Result<Option<Viewer>, Error> {
        let known = self.principals.user(db, name).await?;
        Ok(known.filter(|known| known.settings.is_enabled()).map(|_| Viewer::User(name.clone())))
    }
}

/// Where `_security` would let somebody in whom channels don't know.
fn refusal() -> tidegate_access::Error {
    tidegate_access::Error::Unauthorized("You are not authorized to access this db.".into())
}
