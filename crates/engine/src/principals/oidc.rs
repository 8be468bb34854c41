//! Logins by identity providers: tokens with requests, and browsers that are sent to a provider and come back.
//!
//! The engine opens no connections: the process hands it a [`Fetch`]. It is asked for nothing but the addresses that a
//! database's configuration names, and those that the documents found there name.

use super::{
    login::{Door, PrincipalLogin},
    vouched::Testimony,
};
use crate::{Credentials, Engine, Error, NewSession};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt::Write as _,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};
use tidegate_access::{
    Handler,
    oidc::{
        AccessTokens, Error as OidcError, Identity, Journey, Jwks, KeySource, Metadata, Presence, Provider, Sessions,
        StateCheck, Strictness, TokenRequest, TokenResponse, Unverified, Voucher,
    },
    principal::Uses,
};
use tidegate_types::{DbName, PrincipalName};
use tokio::sync::Semaphore;

use crate::logins::lock;

/// Asks an identity provider something, in the process's way of connecting.
pub type Fetch = Arc<dyn Fn(FetchRequest) -> Fetching + Send + Sync>;

/// A question under way.
type Fetching = Pin<Box<dyn Future<Output = Result<Fetched, FetchFailure>> + Send>>;

/// What an identity provider is asked.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// Where.
    pub url: String,
    /// A form to post; without one, the document is read.
    pub form: Option<TokenRequest>,
}

/// What it answered.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The whole body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("the identity provider can't be reached")]
pub struct FetchFailure(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where a browser goes to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcEntry {
    /// The provider's page.
    pub url: String,
    /// The value of `Set-Cookie` that it takes along, where that is wanted.
    pub cookie: Option<String>,
}

/// A login by a provider.
#[derive(Clone, Debug)]
pub struct OidcLogin {
    /// Who; its cookie is that of the session.
    pub login: PrincipalLogin,
    /// The user.
    pub name: PrincipalName,
    /// The session, unless the provider's are disabled.
    pub session: Option<NewSession>,
    /// What the provider answered. Without its access token where that isn't the client's.
    pub tokens: TokenResponse,
    /// The value of `Set-Cookie` that ends the browser's journey, where it made one.
    pub journey_cookie: Option<String>,
}

/// What a browser brings back.
#[derive(Clone, Copy, Debug)]
pub struct OidcReturn<'a> {
    /// From which provider; the default one where none is named.
    pub provider: Option<&'a str>,
    /// `code`.
    pub code: &'a str,
    /// `state`.
    pub state: Option<&'a str>,
}

/// Keys are looked at again after this time.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// Keys that can't be had again are good for this time.
const STALE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// An issuer isn't asked more often than this, whatever keys tokens name.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5_000 });
/// Issuers whose documents are kept.
const ISSUERS_MAX: usize = 1_000;

/// Logins that may wait for providers at the same time.
const EXCHANGES_MAX: usize = 64;

/// What is known of issuers' documents.
pub(crate) struct Issuers {
    fetch: OnceLock<Fetch>,
    /// Places for those who bring a code or a refresh token, which anybody can make up.
    exchanges: Semaphore,
    issuers: Mutex<HashMap<String, Arc<Issuer>>>,
}

#[derive(Default)]
struct Issuer {
    /// Whoever asks the issuer; others wait for the answer.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<IssuerState>,
}

#[derive(Clone, Default)]
struct IssuerState {
    known: Option<(Documents, Instant)>,
    asked: Option<Instant>,
}

/// What an issuer told of itself.
#[derive(Clone, Debug)]
struct Documents {
    /// Where it does what, if it is a provider.
    metadata: Option<Metadata>,
    keys: Arc<Jwks>,
}

impl IssuerState {
    fn fresh(&self, now: Instant) -> Option<&Documents> {
        self.known.as_ref().filter(|(_, since)| now.duration_since(*since) < FRESH).map(|(documents, _)| documents)
    }

    fn usable(&self, now: Instant) -> Option<&Documents> {
        self.known.as_ref().filter(|(_, since)| now.duration_since(*since) < STALE_MAX).map(|(documents, _)| documents)
    }
}

impl Default for Issuers {
    fn default() -> Self {
        let exchanges = Semaphore::new(EXCHANGES_MAX);
        Self { fetch: OnceLock::new(), exchanges, issuers: Mutex::default() }
    }
}

impl Issuers {
    /// The documents of who vouches, asked for where they aren't known, are old, or don't do (`does`).
    async fn documents(&self, voucher: &Voucher, does: impl Fn(&Documents) -> bool) -> Result<Documents, Error> {
        let Some(issuer) = self.issuer(voucher) else {
            let KeySource::Static(keys) = &voucher.keys else { return Err(Error::Overloaded) };
            return Ok(Documents { metadata: None, keys: Arc::new(keys.clone()) });
        };
        let now = Instant::now();
        let fresh = |state: &IssuerState| state.fresh(now).filter(|documents| does(documents)).cloned();
        if let Some(documents) = fresh(&lock(&issuer.state)) {
            return Ok(documents);
        }
        let _turn = issuer.turn.lock().await;
        let state = lock(&issuer.state).clone();
        let was_asked = state.asked.is_some_and(|asked| Instant::now().duration_since(asked) < ASKED_AGAIN_AFTER);
        if let Some(documents) = fresh(&state).or_else(|| state.usable(now).filter(|_| was_asked).cloned()) {
            return Ok(documents);
        }
        if was_asked {
            return Err(OidcError::Provider("the identity provider was asked a moment ago, in vain".into()).into());
        }
        lock(&issuer.state).asked = Some(Instant::now());
        match self.ask(voucher).await {
            Ok(documents) => {
                lock(&issuer.state).known = Some((documents.clone(), Instant::now()));
                Ok(documents)
            }
            Err(error) => {
                let failure: &dyn std::error::Error = &error;
                tracing::warn!(issuer = voucher.issuer, error = failure, "an identity provider's keys can't be had");
                state.usable(now).cloned().ok_or(error)
            }
        }
    }

    /// Where the documents of an issuer are kept; `None` for one whose keys are in the configuration.
    fn issuer(&self, voucher: &Voucher) -> Option<Arc<Issuer>> {
        let url = match &voucher.keys {
            KeySource::Static(_) => return None,
            KeySource::Url(url) | KeySource::Discovered { url, .. } => url,
        };
        let mut issuers = lock(&self.issuers);
        if issuers.len() >= ISSUERS_MAX {
            issuers.clear();
        }
        Some(Arc::clone(issuers.entry(format!("{} {url}", voucher.issuer)).or_default()))
    }

    async fn ask(&self, voucher: &Voucher) -> Result<Documents, Error> {
        let (metadata, url) = match &voucher.keys {
            KeySource::Static(keys) => return Ok(Documents { metadata: None, keys: Arc::new(keys.clone()) }),
            KeySource::Url(url) => (None, url.clone()),
            KeySource::Discovered { url, strict } => {
                let issuer = match strict {
                    Strictness::Standard => Some(voucher.issuer.as_str()),
                    Strictness::Lenient => None,
                };
                let metadata = Metadata::parse(&self.read(url).await?, issuer)?;
                let url = metadata.jwks_uri.clone();
                (Some(metadata), url)
            }
        };
        let keys = Jwks::parse(&self.read(&url).await?)?;
        Ok(Documents { metadata, keys: Arc::new(keys) })
    }

    async fn read(&self, url: &str) -> Result<Bytes, Error> {
        let Fetched { status, body } = self.send(FetchRequest { url: url.to_owned(), form: None }).await?;
        if status == 200 {
            return Ok(body);
        }
        Err(OidcError::Provider(format!("the identity provider answered {status} for {url}").into()).into())
    }

    async fn send(&self, request: FetchRequest) -> Result<Fetched, Error> {
        let fetch = self.fetch.get().ok_or_else(|| OidcError::Provider("no way to connect was given".into()))?;
        Ok(fetch(request).await?)
    }
}

impl Engine {
    /// How identity providers are asked. Once; without it, none is.
    pub fn set_fetch(&self, fetch: Fetch) {
        // Whoever came first stays.
        self.inner.principals.issuers.fetch.set(fetch).ok();
    }

    /// Where a browser goes that wants to log in to a database. `callback` is the address of the database's
    /// `_oidc_callback`, as the browser knows it.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], [`Error::Vouching`], [`Error::Unreachable`], or the storage failed.
    pub async fn oidc_entry(
        &self,
        db: &DbName,
        (provider, presence): (Option<&str>, Presence),
        callback: &str,
        credentials: &Credentials<'_>,
    ) -> Result<OidcEntry, Error> {
        let door = self.door(db).await?;
        let provider = door.provider(provider)?;
        let metadata = door.metadata(provider).await?;
        let journey = Journey::new(rand::random());
        let url = journey.authorization_url(provider, &metadata, &door.callback(provider, callback), presence);
        let cookie = match provider.state {
            StateCheck::Required => Some(journey.cookie(db, credentials.transport)),
            StateCheck::Disabled => None,
        };
        Ok(OidcEntry { url, cookie })
    }

    /// Lets a browser in that comes back from a provider.
    ///
    /// # Errors
    /// [`Error::NoDatabase`], [`Error::Vouching`], [`Error::Unreachable`], [`Error::BadCredentials`] for a token that
    /// proves nothing or a user who may not come in, or the storage failed.
    pub async fn oidc_callback(
        &self,
        db: &DbName,
        brought: OidcReturn<'_>,
        callback: &str,
        credentials: &Credentials<'_>,
    ) -> Result<OidcLogin, Error> {
        let door = self.door(db).await?;
        let provider = door.provider(brought.provider)?;
        let journey = match provider.state {
            StateCheck::Disabled => None,
            StateCheck::Required => {
                let journey = (credentials.header)("cookie").and_then(Journey::of_cookie);
                let journey =
                    journey.ok_or(OidcError::Callback("the login was begun elsewhere, or too long ago".into()))?;
                journey.check_state(brought.state)?;
                Some(journey)
            }
        };
        let callback = door.callback(provider, callback);
        let request = TokenRequest::of_code(provider, brought.code, &callback, journey.as_ref());
        let nonce = journey.as_ref().map(Journey::nonce);
        let login = door.exchange(provider, request, nonce.as_deref(), credentials).await?;
        let journey_cookie = journey.map(|_| Journey::clear(db, credentials.transport));
        Ok(OidcLogin { journey_cookie, ..login })
    }

    /// Gets a client its next tokens, and a session with them.
    ///
    /// # Errors
    /// As [`Engine::oidc_callback`].
    pub async fn oidc_refresh(
        &self,
        db: &DbName,
        (provider, refresh_token): (Option<&str>, &str),
        credentials: &Credentials<'_>,
    ) -> Result<OidcLogin, Error> {
        let door = self.door(db).await?;
        let provider = door.provider(provider)?;
        let request = TokenRequest::of_refresh_token(provider, refresh_token);
        door.exchange(provider, request, None, credentials).await
    }
}

impl Door<'_> {
    /// The user of a token that came with a request.
    pub(super) async fn of_token(&self, token: &str) -> Result<PrincipalLogin, Error> {
        let token = Unverified::parse(token).map_err(|error| self.refused(&error))?;
        let voucher = self.rules.logins.vouchers.issuer_of(&token);
        let voucher =
            voucher.ok_or_else(|| self.refused(&OidcError::Token("nobody vouches with such tokens".into())))?;
        let (name, _) = self.of_identity(voucher, &token).await?;
        Ok(self.login(name, Handler::Jwt))
    }

    /// Whether somebody whom this database believes claims to have issued a token.
    pub(super) fn takes(&self, token: &str) -> bool {
        Unverified::parse(token).is_ok_and(|token| self.rules.logins.vouchers.issuer_of(&token).is_some())
    }

    async fn of_identity(&self, voucher: &Voucher, token: &Unverified) -> Result<(PrincipalName, u64), Error> {
        let signs = |documents: &Documents| token.may_be_signed_by(&documents.keys);
        let documents = self.inner.principals.issuers.documents(voucher, signs).await?;
        let identity = token.verify(voucher, &documents.keys, (self.inner.clock)());
        let identity: Identity = identity.map_err(|error| self.refused(&error))?;
        let expires_s = identity.expires_s;
        let name = self.accept(Testimony::of(identity, voucher, self.inner.now_s())).await?;
        Ok((name, expires_s))
    }

    /// The caller is told no more than that the login is invalid.
    fn refused(&self, error: &OidcError) -> Error {
        tracing::info!(db = %self.db.name(), %error, "a token was refused");
        Error::BadCredentials
    }

    fn provider(&self, name: Option<&str>) -> Result<&Provider, Error> {
        let provider = self.rules.logins.vouchers.provider(name);
        Ok(provider.ok_or_else(|| OidcError::NoProvider(self.db.name().to_string()))?)
    }

    async fn metadata(&self, provider: &Provider) -> Result<Metadata, Error> {
        let documents = self.inner.principals.issuers.documents(&provider.voucher, |_| true).await?;
        let missing = || OidcError::Provider("the provider's configuration isn't known".into());
        Ok(documents.metadata.ok_or_else(missing)?)
    }

    /// The address that the provider sends the browser back to.
    fn callback(&self, provider: &Provider, of_request: &str) -> String {
        let mut url = provider.callback_url.clone().unwrap_or_else(|| of_request.to_owned());
        if provider.callback_url.is_none() && !self.rules.logins.vouchers.is_default(provider) {
            url.push_str(if url.contains('?') { "&provider=" } else { "?provider=" });
            for byte in provider.voucher.name.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
                    // Writing to a `String` doesn't fail.
                    _ => drop(write!(url, "%{byte:02X}").ok()),
                }
            }
        }
        url
    }

    async fn exchange(
        &self,
        provider: &Provider,
        request: TokenRequest,
        nonce: Option<&str>,
        credentials: &Credentials<'_>,
    ) -> Result<OidcLogin, Error> {
        let issuers = &self.inner.principals.issuers;
        let _place = issuers.exchanges.try_acquire().map_err(|_full| Error::Overloaded)?;
        let url = self.metadata(provider).await?.token_endpoint;
        let Fetched { status, body } = issuers.send(FetchRequest { url, form: Some(request) }).await?;
        let mut tokens = TokenResponse::parse(status, &body)?;
        let token = Unverified::parse(&tokens.id_token).map_err(|error| self.refused(&error))?;
        if let Some(nonce) = nonce {
            token.check_nonce(nonce).map_err(|error| self.refused(&error))?;
        }
        let (name, expires_s) = self.of_identity(&provider.voucher, &token).await?;
        if provider.access_tokens == AccessTokens::Kept {
            (tokens.access_token, tokens.token_type, tokens.expires_in) = (None, None, None);
        }
        let (login, session) = match provider.voucher.sessions {
            Sessions::Disabled => (self.login(name.clone(), Handler::Jwt), None),
            Sessions::Made => {
                let ttl_s = expires_s.saturating_sub(self.inner.now_s());
                let (login, session) = self.with_session(name.clone(), (ttl_s, Uses::Many), credentials).await?;
                (login, Some(session))
            }
        };
        Ok(OidcLogin { login, name, session, tokens, journey_cookie: None })
    }
}
