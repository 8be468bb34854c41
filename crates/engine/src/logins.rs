//! Who a request is from: credentials, sessions, and the users' documents they are checked against.

use crate::{
    Caller, Engine, Error,
    config::{Admin, Auth},
    engine::Party,
    users::Records,
};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Instant, SystemTime},
};
use tidegate_access::{
    Account, AdminPassword, Age, Attempt, Basic, Claim, Handler, ProxyHeaders, Salt, Standing, StoredPassword,
    Throttle, ThrottleOptions, Transport, UserCtx, UserName, Verified, bearer_token, session_token,
};
use tidegate_store::Store;
use tokio::sync::Semaphore;

/// Passwords that are hashed at the same time: each takes a processor for a while.
const HASHED_AT_ONCE: usize = 2;
/// Requests that may wait for that.
const HASHES_WAITING_MAX: usize = 256;
const SECRET: &str = "secret";

/// What a request shows of who makes it.
pub struct Credentials<'r> {
    /// The value of a header, by its name in lower case.
    pub header: &'r (dyn Fn(&str) -> Option<&'r str> + Sync),
    /// From where it comes: what proxies and web servers are believed by.
    pub peer: IpAddr,
    /// On whose behalf: by this address wrong passwords count. [`Live::peer_header`](crate::Live::peer_header) tells it.
    pub client: IpAddr,
    /// How it comes.
    pub transport: Transport,
}

/// Name and password as somebody gives them, and a one-time password where one is needed.
#[derive(Clone, Copy)]
pub struct LoginForm<'r> {
    /// As whom.
    pub name: &'r str,
    /// With which password.
    pub password: &'r str,
    /// The one-time password.
    pub token: Option<&'r str>,
}

/// Somebody recognised.
#[derive(Clone, Debug)]
pub struct Login {
    /// Who.
    pub caller: Caller,
    /// The value of `Set-Cookie` that goes with the answer, if one does.
    pub cookie: Option<String>,
}

impl<'r> LoginForm<'r> {
    pub(crate) fn of(basic: &'r Basic) -> Self {
        Self { name: &basic.name, password: &basic.password, token: None }
    }
}

/// How well the server knows a name and a password, without any work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquaintance {
    /// There is no such user.
    Stranger,
    /// There is one.
    Known,
    /// There is one, and this was found to be its password lately.
    Recognised,
}

/// How often passwords were hashed since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashings {
    /// To recognise, or to remember, what was recognised lately.
    pub fast: u64,
    /// To check a password that wasn't recognised.
    pub slow: u64,
}

/// What is remembered of logins.
pub(crate) struct Logins {
    verified: Mutex<Verified>,
    pub(crate) throttle: Mutex<Throttle>,
    hashing: Semaphore,
    waiting: Semaphore,
    fast: AtomicU64,
    slow: AtomicU64,
    pub(crate) records: Records,
}

impl Logins {
    pub(crate) fn new() -> Self {
        Self {
            verified: Mutex::new(Verified::new(
                &rand::random(),
                Verified::<UserName>::ENTRIES_MAX,
                Verified::<UserName>::LIFETIME,
            )),
            throttle: Mutex::new(Throttle::new(ThrottleOptions::default())),
            hashing: Semaphore::new(HASHED_AT_ONCE),
            waiting: Semaphore::new(HASHES_WAITING_MAX),
            fast: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            records: Records::default(),
        }
    }

    /// Recognises everybody in the slow way again: the next login sees whether its password is kept in today's way.
    pub(crate) fn forget_all(&self) {
        lock(&self.verified).clear();
    }

    /// The secret that sessions are signed with: made at the first start, and kept.
    pub(crate) async fn secret(store: &Store) -> Result<String, Error> {
        if let Some(secret) = store.setting(SECRET).await? {
            return Ok(String::from_utf8_lossy(&secret).into_owned());
        }
        let secret = format!("{:032x}", rand::random::<u128>());
        store.put_setting(SECRET, secret.as_bytes()).await?;
        Ok(secret)
    }

    /// Runs what takes a processor for a while, on a thread of its own.
    pub(crate) async fn slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _waiting = self.waiting.try_acquire().map_err(|_full| Error::Overloaded)?;
        let _turn = self.hashing.acquire().await.map_err(|_closed| Error::Overloaded)?;
        tokio::task::spawn_blocking(work).await.map_err(|_panicked| Error::Overloaded)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Who makes a request with these credentials. The first way that recognises somebody counts.
    ///
    /// # Errors
    /// [`Error::BadCredentials`], [`Error::Access`] for credentials that can't be read or used, or the storage failed.
    pub async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Login, Error> {
        let live = self.inner.config.live();
        let auth = &live.auth;
        if let Some(context) = of_headers(auth, credentials, (self.inner.clock)())? {
            return Ok(Login::of(context));
        }
        if let Some(login) = self.of_cookie(auth, credentials).await? {
            return Ok(login);
        }
        let basic = (credentials.header)("authorization").map(Basic::parse).transpose()?.flatten();
        match basic {
            Some(basic) => Ok(Login::of(self.of_basic(auth, &basic, credentials.client).await?)),
            None => Ok(Login::of(self.nobody(auth))),
        }
    }

    /// Logs somebody in: the answer brings a session.
    ///
    /// # Errors
    /// [`Error::BadCredentials`], [`Error::Access`] when the login is locked or the user's document can't be used, or
    /// the storage failed.
    pub async fn log_in(&self, form: &LoginForm<'_>, client: IpAddr, transport: Transport) -> Result<Login, Error> {
        let live = self.inner.config.live();
        let auth = &live.auth;
        let now = (self.inner.clock)();
        let account = self.recognise(auth, form, client).await?;
        let token = auth.sessions.token(&account.name, account.password.salt(), now)?;
        let cookie = auth.cookies.set(&token, &auth.sessions, transport, now);
        Ok(Login { cookie: Some(cookie), ..Login::of(account.into_user(Handler::Cookie)) })
    }

    /// The value of `Set-Cookie` that ends a session.
    pub fn log_out(&self, transport: Transport) -> String {
        self.inner.config.live().auth.cookies.clear(transport)
    }

    /// Nobody, whom everybody may be.
    pub fn anonymous(&self) -> Login {
        Login::of(UserCtx::anonymous())
    }

    /// The ways to be recognised, in the order in which they are tried.
    pub fn authentication_handlers(&self) -> Vec<&'static str> {
        self.inner.config.live().auth.handlers()
    }

    /// The database whose documents are users, if the configuration names one.
    pub fn authentication_db(&self) -> Option<String> {
        self.inner.config.sections().get("chttpd_auth", "authentication_db").map(str::to_owned)
    }

    /// An administrator's password as the configuration keeps it.
    pub(crate) async fn hash_admin(&self, password: &str) -> Result<String, Error> {
        if let AdminPassword::Stored(_) = AdminPassword::parse(password)? {
            return Ok(password.to_owned());
        }
        let (hashing, password) = (self.inner.config.live().auth.hashing.clone(), password.to_owned());
        let salt = Salt::new(rand::random());
        let hashed = self.inner.logins.slowly(move || hashing.store(&password, salt)).await?;
        Ok(hashed.admin_text().unwrap_or_default())
    }

    /// The passwords that the operator's file holds themselves, as [`Engine::hash_admin`] makes them of others.
    pub(crate) async fn admin_hashes(&self) -> Result<BTreeMap<String, String>, Error> {
        let live = self.inner.config.live();
        let mut hashes = BTreeMap::new();
        for (name, admin) in live.auth.admins.iter().filter(|(_, admin)| admin.is_clear()) {
            let stored = self.admin_password(&live.auth, admin).await?;
            hashes.extend(stored.admin_text().map(|text| (name.clone(), text)));
        }
        Ok(hashes)
    }

    /// An administrator's password as it is compared with.
    async fn admin_password(&self, auth: &Auth, admin: &Arc<Admin>) -> Result<StoredPassword, Error> {
        if !admin.is_slow() {
            return Ok(admin.stored(&auth.hashing).clone());
        }
        let (admin, hashing) = (Arc::clone(admin), auth.hashing.clone());
        self.inner.logins.slowly(move || admin.stored(&hashing).clone()).await
    }

    /// Who comes without credentials.
    fn nobody(&self, auth: &Auth) -> UserCtx {
        if self.is_party(auth) { UserCtx::nameless_admin() } else { UserCtx::anonymous() }
    }

    /// Who owns a document, with the rights that it has now. What nobody owns is nobody's.
    pub(crate) async fn owner(&self, name: Option<&str>) -> Result<UserCtx, Error> {
        let live = self.inner.config.live();
        let Some(name) = name else { return Ok(self.nobody(&live.auth)) };
        match self.account(&live.auth, name).await? {
            Some(account) => Ok(account.into_user(Handler::Default)),
            // Where everybody administers the server, names that nobody has come with no rights to lose.
            None if self.is_party(&live.auth) => Ok(self.nobody(&live.auth)),
            None => Err(tidegate_access::Error::Forbidden(format!("its owner `{name}` is no user").into()).into()),
        }
    }

    /// Whether everybody administers the server, those without a name as well.
    pub fn is_open(&self) -> bool {
        self.is_party(&self.inner.config.live().auth)
    }

    fn is_party(&self, auth: &Auth) -> bool {
        self.inner.config.party == Party::Open && auth.admins.is_empty()
    }

    async fn of_basic(&self, auth: &Auth, basic: &Basic, peer: IpAddr) -> Result<UserCtx, Error> {
        // Where everybody administers the server, a name that nobody has shuts nobody out.
        if self.is_party(auth) && self.account(auth, &basic.name).await?.is_none() {
            return Ok(self.nobody(auth));
        }
        Ok(self.recognise(auth, &LoginForm::of(basic), peer).await?.into_user(Handler::Default))
    }

    async fn of_cookie(&self, auth: &Auth, credentials: &Credentials<'_>) -> Result<Option<Login>, Error> {
        let token = (credentials.header)("cookie").and_then(session_token);
        let Some(claim) = token.map(Claim::parse).transpose()?.flatten() else { return Ok(None) };
        let Some(account) = self.account(auth, claim.name().as_str()).await? else { return Ok(None) };
        let (salt, now) = (account.password.salt(), (self.inner.clock)());
        let Ok(age) = auth.sessions.verify(&claim, salt, now) else { return Ok(None) };
        let cookie = match age {
            Age::Fresh => None,
            Age::Renewable => {
                let token = auth.sessions.token(&account.name, salt, now)?;
                Some(auth.cookies.set(&token, &auth.sessions, credentials.transport, now))
            }
        };
        Ok(Some(Login { cookie, ..Login::of(account.into_user(Handler::Cookie)) }))
    }

    /// How well the server knows a name and a password.
    pub(crate) async fn acquaintance(&self, name: &str, password: &str) -> Result<Acquaintance, Error> {
        let live = self.inner.config.live();
        let Some(account) = self.account(&live.auth, name).await? else { return Ok(Acquaintance::Stranger) };
        let verified = lock(&self.inner.logins.verified);
        let is_known = verified.knows(&account.name, password, &account.password, Instant::now());
        Ok(if is_known { Acquaintance::Recognised } else { Acquaintance::Known })
    }

    /// The user of this name and password. Takes as long for a name that nobody has.
    async fn recognise(&self, auth: &Auth, form: &LoginForm<'_>, peer: IpAddr) -> Result<Account, Error> {
        let (logins, now) = (&self.inner.logins, Instant::now());
        let account = self.account(auth, form.name).await?;
        let salt = account.as_ref().map(|account| account.password.salt()).unwrap_or_default();
        let attempt = Attempt { peer, name: form.name, salt };
        let standing = {
            let mut throttle = lock(&logins.throttle);
            throttle.set_rule(auth.lockout.0, auth.lockout.1);
            throttle.standing(attempt, now)
        };
        if standing == Standing::Watched {
            tracing::warn!(name = form.name, %peer, "too many logins have failed");
        }
        standing.check()?;
        let known =
            |account: &Account| lock(&logins.verified).knows(&account.name, form.password, &account.password, now);
        let is_known = account.as_ref().is_some_and(known);
        let hashed = if is_known { &logins.fast } else { &logins.slow };
        hashed.fetch_add(1, Relaxed);
        let matches = is_known || self.matches(auth, account.as_ref(), form.password).await?;
        let is_factored = account.as_ref().is_some_and(|account| has_factor(account, form.token, (self.inner.clock)()));
        if !matches || !is_factored {
            lock(&logins.throttle).handle_failure(attempt, now);
            return Err(Error::BadCredentials);
        }
        let account = account.ok_or(Error::BadCredentials)?;
        if !is_known {
            logins.fast.fetch_add(1, Relaxed);
            lock(&logins.verified).remember(account.name.clone(), form.password, &account.password, now);
            self.inner.strengthen(&account, form.password);
        }
        Ok(account)
    }

    /// Compares a password in the slow way.
    async fn matches(&self, auth: &Auth, account: Option<&Account>, password: &str) -> Result<bool, Error> {
        let (hashing, password) = (auth.hashing.clone(), password.to_owned());
        let stored = account.map(|account| account.password.clone());
        Ok(self.inner.logins.slowly(move || hashing.verify(stored.as_ref(), &password)).await??)
    }

    /// How often passwords were hashed since the start.
    pub fn hashings(&self) -> Hashings {
        let logins = &self.inner.logins;
        Hashings { fast: logins.fast.load(Relaxed), slow: logins.slow.load(Relaxed) }
    }

    /// Who has this name: an administrator of the configuration, or a user with a document.
    async fn account(&self, auth: &Auth, name: &str) -> Result<Option<Account>, Error> {
        let Ok(name) = name.parse::<UserName>() else { return Ok(None) };
        let record = self.inner.user_record(&name).await;
        let Some(admin) = auth.admins.get(name.as_str()) else { return Ok(Account::find(&name, None, record?)) };
        let stored = self.admin_password(auth, admin).await?;
        // Whatever may be the matter with a document, it doesn't keep an administrator out.
        Ok(Account::find(&name, Some(&stored), record.ok().flatten()))
    }
}

/// Whether the second factor is the right one, where one is needed.
fn has_factor(account: &Account, token: Option<&str>, now: SystemTime) -> bool {
    match (&account.totp, token) {
        (None, _) => true,
        (Some(totp), Some(token)) => totp.check(token, now).is_ok(),
        (Some(_), None) => false,
    }
}

fn of_headers(auth: &Auth, credentials: &Credentials<'_>, now: SystemTime) -> Result<Option<UserCtx>, Error> {
    let (header, peer) = (credentials.header, credentials.peer);
    if let Some(remote) = &auth.remote
        && let Some(user) = remote.user(header(remote.name_header()), remote.roles_header().and_then(header), peer)?
    {
        return Ok(Some(user));
    }
    if let Some(tokens) = &auth.tokens
        && let Some(token) = header("authorization").and_then(bearer_token)
    {
        return Ok(Some(tokens.user(token, now)?));
    }
    let Some(proxy) = &auth.proxy else { return Ok(None) };
    let names = &auth.proxy_headers;
    let (name, roles, token) = (header(&names.name), header(&names.roles), header(&names.token));
    Ok(proxy.user(ProxyHeaders { name, roles, token }, peer)?)
}

impl Login {
    fn of(context: UserCtx) -> Self {
        Self { caller: Caller::new(context), cookie: None }
    }
}
