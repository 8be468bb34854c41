//! Sessions of a database's users.

use super::known::Known;
use crate::{Database, Error, engine::Inner};
use std::time::Duration;
use tidegate_access::{
    Transport,
    principal::{CookieRules, Session, SessionId, Uses},
};
use tidegate_store::{Database as Store, Ticket, Tickets};
use tidegate_types::PrincipalName;

/// Sessions of one user; those that end first make room for more.
const SESSIONS_MAX: usize = if cfg!(test) { 100 } else { 1_000 };
/// Ended sessions that are cleared when one is made.
const CLEARED_AT_ONCE: usize = 100;

/// A session that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// What its client shows. Told this once.
    pub id: SessionId,
    /// When it ends, in seconds since 1970.
    pub expires_s: u64,
    /// What its cookie is called.
    pub cookie_name: String,
    /// The value of `Set-Cookie` that brings it.
    pub cookie: String,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// Whose it is.
    pub user: PrincipalName,
    /// When it ends, in seconds since 1970.
    pub expires_s: u64,
}

impl Database {
    /// How long a session lasts where nobody says.
    pub const SESSION_TTL: Duration = Session::TTL;

    /// Makes a session of a user.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::NoPrincipal`] (the guest has none, either), or the storage failed.
    pub async fn create_session(&self, user: &PrincipalName, ttl: Duration, uses: Uses) -> Result<NewSession, Error> {
        let db = self.renewed().await?;
        db.check_admin()?;
        let known = db.engine.inner.principals.user(&db.store, user).await?;
        let known = known.filter(|_| *user != PrincipalName::guest());
        let known = known.ok_or_else(|| Error::NoPrincipal(user.to_string()))?;
        let session = Session { epoch: known.settings.epoch, ttl_s: ttl.as_secs(), uses };
        let made = SessionPlace { db: &db.store, cookies: &db.rules.logins.cookies, transport: Transport::Plain };
        db.engine.inner.make_session(made, user, session).await
    }

    /// A session that hasn't ended, by what its client shows; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Access`], or the storage failed.
    pub async fn session(&self, id: &str) -> Result<Option<SessionInfo>, Error> {
        self.check_admin()?;
        let Some(id) = SessionId::parse(id) else { return Ok(None) };
        let found = self.engine.inner.find_session(&self.store, &id).await?;
        Ok(found.map(|found| SessionInfo { user: found.ticket.owner, expires_s: found.ticket.expires_s }))
    }

    /// Ends a session; whether it was there. Where a user is named, only a session of it.
    ///
    /// # Errors
    /// [`Error::Access`], or the storage failed.
    pub async fn delete_session(&self, id: &str, of: Option<&PrincipalName>) -> Result<bool, Error> {
        self.renewed().await?.check_admin()?;
        let Some(id) = SessionId::parse(id) else { return Ok(false) };
        let Some(ticket) = self.store.ticket(&id.digest()).await? else { return Ok(false) };
        if of.is_some_and(|user| *user != ticket.owner) {
            return Ok(false);
        }
        Ok(self.store.take_ticket(&id.digest()).await?.is_some())
    }

    /// Ends all sessions of a user; how many.
    ///
    /// # Errors
    /// [`Error::Access`], or the storage failed.
    pub async fn delete_sessions_of(&self, user: &PrincipalName) -> Result<u64, Error> {
        self.renewed().await?.check_admin()?;
        Ok(self.store.delete_tickets(Tickets::Of(user), usize::MAX).await?)
    }
}

/// A session that is good.
pub(super) struct FoundSession {
    pub(super) ticket: Ticket,
    pub(super) session: Session,
}

/// Where a session is made, and how it is brought.
#[derive(Clone, Copy)]
pub(super) struct SessionPlace<'a> {
    pub(super) db: &'a Store,
    pub(super) cookies: &'a CookieRules,
    pub(super) transport: Transport,
}

impl Inner {
    /// Makes a session. Whoever calls this has recognised the user.
    pub(super) async fn make_session(
        &self,
        place: SessionPlace<'_>,
        user: &PrincipalName,
        session: Session,
    ) -> Result<NewSession, Error> {
        let (db, now_s) = (place.db, self.now_s());
        db.delete_tickets(Tickets::EndedBy(now_s), CLEARED_AT_ONCE).await?;
        if db.count_tickets(Tickets::Of(user), SESSIONS_MAX).await? >= SESSIONS_MAX {
            db.delete_tickets(Tickets::Of(user), SESSIONS_MAX / 10).await?;
        }
        let (id, expires_s) = (SessionId::new(rand::random()), session.end_s(now_s));
        let ticket = Ticket { digest: id.digest(), owner: user.clone(), expires_s, content: session.encode().into() };
        db.put_ticket(ticket).await?;
        let cookie = place.cookies.set(db.name(), &id, expires_s, place.transport);
        Ok(NewSession { id, expires_s, cookie_name: place.cookies.name.clone(), cookie })
    }

    /// The session of this id, if it is good: not over, and of a user who is as it was then.
    pub(super) async fn find_session(&self, db: &Store, id: &SessionId) -> Result<Option<FoundSession>, Error> {
        let Some(ticket) = db.ticket(&id.digest()).await? else { return Ok(None) };
        let session = Session::decode(&ticket.content)?;
        let user = self.principals.user(db, &ticket.owner).await?;
        let is_good = |user: &std::sync::Arc<Known>| {
            user.settings.is_enabled() && user.settings.epoch == session.epoch && ticket.expires_s > self.now_s()
        };
        let is_good = user.as_ref().is_some_and(is_good);
        Ok(is_good.then_some(FoundSession { ticket, session }))
    }

    /// Uses a session that was found: one that is good once is gone then, another one goes on. The value of `Set-Cookie`
    /// that prolongs it; `None` if somebody else has used it up, or ended it, meanwhile.
    pub(super) async fn use_session(
        &self,
        place: SessionPlace<'_>,
        id: &SessionId,
        found: &FoundSession,
    ) -> Result<Option<Option<String>>, Error> {
        let now_s = self.now_s();
        match found.session.uses {
            Uses::One => Ok(place.db.take_ticket(&id.digest()).await?.map(|_| None)),
            Uses::Many if found.session.is_renewable(found.ticket.expires_s, now_s) => {
                let expires_s = found.session.end_s(now_s);
                let is_there = place.db.prolong_ticket(&id.digest(), expires_s).await?;
                Ok(is_there.then(|| Some(place.cookies.set(place.db.name(), id, expires_s, place.transport))))
            }
            Uses::Many => Ok(Some(None)),
        }
    }
}
