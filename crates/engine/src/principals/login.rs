//! Users of a database logging in: which credentials count, in which order.

use super::{
    known::{Known, UserKey},
    sessions::SessionPlace,
};
use crate::{
    Caller, Credentials, Engine, Error, Login, LoginForm, NewSession,
    engine::Inner,
    logins::{Acquaintance, lock},
    rules::Rules,
};
use std::{net::IpAddr, sync::Arc, time::Instant};
use tidegate_access::{
    Attempt, Basic, Handler, Standing, UserCtx, bearer_token,
    principal::{EmptyPasswords, PasswordHash, Passwords, Session, SessionId, Uses},
};
use tidegate_store::Database as Store;
use tidegate_types::{DbName, PrincipalName};

/// Somebody recognised as a user of a database, as its guest, or not at all.
#[derive(Clone, Debug)]
pub struct PrincipalLogin {
    /// Who. [`Caller::is_somebody`] says whether it is anybody.
    pub caller: Caller,
    /// The value of `Set-Cookie` that goes with the answer, if one does.
    pub cookie: Option<String>,
}

/// Before a session's id in `Sec-WebSocket-Protocol`, where browsers can't send a cookie.
const WEB_SOCKET_PREFIX: &str = "SyncGatewaySession_";

/// A database to log in to.
pub(super) struct Door<'a> {
    pub(super) inner: &'a Inner,
    pub(super) db: Store,
    pub(super) rules: Arc<Rules>,
}

impl Engine {
    /// Who makes a request to a database with these credentials, among its users; the guest, if it may come in, for who
    /// has none. Users of the server aren't known here.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], [`Error::BadCredentials`], [`Error::Access`] when the login is locked, or the storage
    /// failed.
    pub async fn authenticate_principal(
        &self,
        db: &DbName,
        credentials: &Credentials<'_>,
    ) -> Result<PrincipalLogin, Error> {
        let door = self.door(db).await?;
        if let Some(login) = door.of_header(credentials).await? {
            return Ok(login);
        }
        let authorization = (credentials.header)("authorization");
        if let Some(token) = authorization.and_then(bearer_token) {
            return door.of_token(token).await;
        }
        if let Some(basic) = authorization.map(Basic::parse).transpose()?.flatten() {
            let name = door.recognise(&LoginForm::of(&basic), credentials.client).await?;
            return Ok(door.login(name, Handler::Default));
        }
        if let Some(id) = door.session_id(credentials) {
            return door.of_session(&id, credentials).await?.ok_or(Error::BadCredentials);
        }
        door.guest().await
    }

    /// Logs a user of a database in with its password: the answer brings a session.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], [`Error::BadCredentials`], [`Error::Access`] when the login is locked, or the storage
    /// failed.
    pub async fn log_in_principal(
        &self,
        db: &DbName,
        form: &LoginForm<'_>,
        uses: Uses,
        credentials: &Credentials<'_>,
    ) -> Result<(PrincipalLogin, NewSession), Error> {
        let door = self.door(db).await?;
        let name = door.recognise(form, credentials.client).await?;
        door.with_session(name, (Session::TTL.as_secs(), uses), credentials).await
    }

    /// Gives a user of a database who was recognised otherwise a session.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], [`Error::BadCredentials`] for all but the database's users, or the storage failed.
    pub async fn session_for(
        &self,
        db: &DbName,
        caller: &Caller,
        uses: Uses,
        credentials: &Credentials<'_>,
    ) -> Result<(PrincipalLogin, NewSession), Error> {
        let door = self.door(db).await?;
        let name = caller.user_of(door.db.uuid()).filter(|name| **name != PrincipalName::guest());
        let name = name.cloned().ok_or(Error::BadCredentials)?;
        door.with_session(name, (Session::TTL.as_secs(), uses), credentials).await
    }

    /// Ends the session that these credentials show: the value of `Set-Cookie` that takes it away; `None` if they show
    /// none that there is.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], or the storage failed.
    pub async fn log_out_principal(&self, db: &DbName, credentials: &Credentials<'_>) -> Result<Option<String>, Error> {
        let door = self.door(db).await?;
        let Some(id) = door.session_id(credentials) else { return Ok(None) };
        let ended = door.db.take_ticket(&id.digest()).await?;
        Ok(ended.map(|_| door.rules.logins.cookies.clear(door.db.name(), credentials.transport)))
    }

    /// Who makes a request, where users of the server and those of the database that it is for (if its documents are in
    /// channels) may log in. What the server's own users bring comes after what the database's do.
    ///
    /// # Errors
    /// As [`Engine::authenticate`].
    pub async fn authenticate_for(&self, db: Option<&DbName>, credentials: &Credentials<'_>) -> Result<Login, Error> {
        let door = match db {
            Some(db) => match self.door(db).await {
                Ok(door) => Some(door).filter(|door| door.db.has_channels()),
                Err(Error::NoDatabase(_)) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        if let Some(door) = door
            && let Some(PrincipalLogin { caller, cookie }) = self.of_either(&door, credentials).await?
        {
            return Ok(Login { caller, cookie });
        }
        self.authenticate(credentials).await
    }

    /// The user of the database, if these are the credentials of one.
    async fn of_either(&self, door: &Door<'_>, credentials: &Credentials<'_>) -> Result<Option<PrincipalLogin>, Error> {
        if let Some(login) = door.of_header(credentials).await? {
            return Ok(Some(login));
        }
        let authorization = (credentials.header)("authorization");
        if let Some(token) = authorization.and_then(bearer_token).filter(|token| door.takes(token)) {
            return door.of_token(token).await.map(Some);
        }
        if let Some(basic) = authorization.map(Basic::parse).transpose()?.flatten() {
            return self.of_either_password(door, &basic, credentials.client).await;
        }
        match door.session_id(credentials) {
            Some(id) => door.of_session(&id, credentials).await,
            None => Ok(None),
        }
    }

    /// The user of the database, if the password is its. `None` leaves it to the users of the server.
    async fn of_either_password(
        &self,
        door: &Door<'_>,
        basic: &Basic,
        peer: IpAddr,
    ) -> Result<Option<PrincipalLogin>, Error> {
        if door.rules.logins.passwords == Passwords::Refused {
            return Ok(None);
        }
        let candidate = door.candidate(&basic.name).await?;
        if candidate.as_ref().is_some_and(|candidate| door.knows(candidate, &basic.password)) {
            return Ok(candidate.map(|candidate| door.login(candidate.name, Handler::Default)));
        }
        let acquaintance = self.acquaintance(&basic.name, &basic.password).await?;
        if acquaintance == Acquaintance::Recognised {
            return Ok(None);
        }
        match door.recognise(&LoginForm::of(basic), peer).await {
            Ok(name) => Ok(Some(door.login(name, Handler::Default))),
            // Where everybody administers the server, this is still no way past the password of the database's user.
            Err(Error::BadCredentials) if candidate.is_some() && acquaintance == Acquaintance::Stranger => {
                Err(Error::BadCredentials)
            }
            Err(Error::BadCredentials) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn door(&self, db: &DbName) -> Result<Door<'_>, Error> {
        let db = self.inner.store.database(db).await?;
        let rules = self.inner.rules(&db).await?;
        Ok(Door { inner: &self.inner, db, rules })
    }
}

impl Door<'_> {
    pub(super) fn login(&self, name: PrincipalName, handler: Handler) -> PrincipalLogin {
        PrincipalLogin { caller: self.caller(name, handler), cookie: None }
    }

    fn caller(&self, name: PrincipalName, handler: Handler) -> Caller {
        let context = match name.as_str().parse() {
            // A role of the database isn't one of the server, whatever it is called.
            Ok(user) => UserCtx::user(user, Vec::new(), handler),
            Err(_) => UserCtx::anonymous(),
        };
        Caller::user(context, self.db.uuid(), name)
    }

    async fn guest(&self) -> Result<PrincipalLogin, Error> {
        let guest = PrincipalName::guest();
        let known = self.inner.principals.user(&self.db, &guest).await?;
        let caller = match known.filter(|known| known.settings.is_enabled()) {
            Some(_) => Caller::user(UserCtx::anonymous(), self.db.uuid(), guest),
            None => Caller::new(UserCtx::anonymous()),
        };
        Ok(PrincipalLogin { caller, cookie: None })
    }

    /// What a client shows of a session.
    pub(super) fn session_id(&self, credentials: &Credentials<'_>) -> Option<SessionId> {
        let cookie = || (credentials.header)("cookie").and_then(|cookies| self.rules.logins.cookies.session(cookies));
        let protocols = || {
            let mut protocols = (credentials.header)("sec-websocket-protocol")?.split(',').map(str::trim);
            protocols.find_map(|protocol| SessionId::parse(protocol.strip_prefix(WEB_SOCKET_PREFIX)?))
        };
        cookie().or_else(protocols)
    }

    pub(super) async fn of_session(
        &self,
        id: &SessionId,
        credentials: &Credentials<'_>,
    ) -> Result<Option<PrincipalLogin>, Error> {
        let Some(found) = self.inner.find_session(&self.db, id).await? else { return Ok(None) };
        let cookie = self.inner.use_session(self.place(credentials), id, &found).await?;
        let name = found.ticket.owner;
        Ok(cookie.map(|cookie| PrincipalLogin { cookie, ..self.login(name, Handler::Cookie) }))
    }

    pub(super) fn place<'a>(&'a self, credentials: &Credentials<'_>) -> SessionPlace<'a> {
        SessionPlace { db: &self.db, cookies: &self.rules.logins.cookies, transport: credentials.transport }
    }

    pub(super) async fn with_session(
        &self,
        name: PrincipalName,
        (ttl_s, uses): (u64, Uses),
        credentials: &Credentials<'_>,
    ) -> Result<(PrincipalLogin, NewSession), Error> {
        let known = self.inner.principals.user(&self.db, &name).await?.ok_or(Error::BadCredentials)?;
        let session = Session { epoch: known.settings.epoch, ttl_s, uses };
        let made = self.inner.make_session(self.place(credentials), &name, session).await?;
        Ok((PrincipalLogin { cookie: Some(made.cookie.clone()), ..self.login(name, Handler::Cookie) }, made))
    }

    /// The user of this name and password. Takes as long for a name that nobody has.
    pub(super) async fn recognise(&self, form: &LoginForm<'_>, peer: IpAddr) -> Result<PrincipalName, Error> {
        if self.rules.logins.passwords == Passwords::Refused {
            return Err(Error::BadCredentials);
        }
        let candidate = self.candidate(form.name).await?;
        if candidate.as_ref().is_some_and(|candidate| self.knows(candidate, form.password)) {
            return candidate.map(|candidate| candidate.name).ok_or(Error::BadCredentials);
        }
        let label = format!("{}/{}", self.db.name(), form.name);
        let salt = candidate.as_ref().and_then(Candidate::password).map(PasswordHash::salt).unwrap_or_default();
        let attempt = Attempt { peer, name: &label, salt };
        self.check_throttle(attempt)?;
        if self.matches(candidate.as_ref(), form.password).await? {
            return candidate.map(|candidate| candidate.name).ok_or(Error::BadCredentials);
        }
        lock(&self.inner.logins.throttle).handle_failure(attempt, Instant::now());
        Err(Error::BadCredentials)
    }

    /// The user of this name, if it may log in.
    pub(super) async fn candidate(&self, name: &str) -> Result<Option<Candidate>, Error> {
        let Some(name) = name.parse().ok().filter(|name| *name != PrincipalName::guest()) else { return Ok(None) };
        let known = self.inner.principals.user(&self.db, &name).await?;
        Ok(known.filter(|known| known.settings.is_enabled()).map(|known| Candidate { name, known }))
    }

    /// Whether this password was found to be the right one lately.
    pub(super) fn knows(&self, candidate: &Candidate, password: &str) -> bool {
        let Some(hash) = candidate.password() else { return false };
        lock(&self.inner.principals.verified).knows(&self.key(&candidate.name), password, hash, Instant::now())
    }

    /// Compares a password in the slow way.
    pub(super) async fn matches(&self, candidate: Option<&Candidate>, password: &str) -> Result<bool, Error> {
        // Who is vouched for by somebody else has no password, which isn't an empty one.
        let has_none =
            |candidate: &Candidate| candidate.password().is_none() && candidate.known.settings.vouched.is_none();
        let is_empty_allowed = self.rules.logins.empty_passwords == EmptyPasswords::Allowed;
        if is_empty_allowed && password.is_empty() && candidate.is_some_and(has_none) {
            return Ok(true);
        }
        let (hash, text) = (candidate.and_then(Candidate::password).cloned(), password.to_owned());
        let matches = self.inner.logins.slowly(move || PasswordHash::verify(hash.as_ref(), &text)).await?;
        if let Some((candidate, hash)) = candidate.and_then(|c| Some((c, c.password()?))).filter(|_| matches) {
            let mut verified = lock(&self.inner.principals.verified);
            verified.remember(self.key(&candidate.name), password, hash, Instant::now());
        }
        Ok(matches)
    }

    fn check_throttle(&self, attempt: Attempt<'_>) -> Result<(), Error> {
        let (lockout, failures_max) = self.inner.config.live().auth.lockout;
        let standing = {
            let mut throttle = lock(&self.inner.logins.throttle);
            throttle.set_rule(lockout, failures_max);
            throttle.standing(attempt, Instant::now())
        };
        if standing == Standing::Watched {
            tracing::warn!(name = attempt.name, peer = %attempt.peer, "too many logins have failed");
        }
        Ok(standing.check()?)
    }

    fn key(&self, name: &PrincipalName) -> UserKey {
        (self.db.uuid(), name.clone())
    }
}

/// A user whose password is asked for.
pub(super) struct Candidate {
    pub(super) name: PrincipalName,
    known: Arc<Known>,
}

impl Candidate {
    pub(super) fn password(&self) -> Option<&PasswordHash> {
        self.known.settings.password.as_ref()
    }
}
