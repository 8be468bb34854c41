//! The authorization code flow: what browser and provider are told, and what they must bring back.
//!
//! Nothing of a login under way is kept here. The browser gets one secret in a cookie; `state`, `nonce` and the code
//! challenge (RFC 7636) are hashes of it, so that who comes back with another `state`, token or code isn't let in.

use super::{Error, Provider, provider::StateCheck};
use crate::{principal, session::BASE64_URL};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;
use tidegate_types::DbName;

/// What the browser that is sent to a provider keeps until it comes back.
#[derive(Clone, PartialEq, Eq)]
pub struct Journey([u8; 32]);

/// Where a provider does what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Where browsers are sent.
    pub authorization_endpoint: String,
    /// Where codes become tokens.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
}

/// A form to be posted to a provider's token endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// `application/x-www-form-urlencoded`.
    pub body: String,
    /// The value of `Authorization`, if the client has a secret.
    pub authorization: Option<String>,
}

/// The tokens of a provider.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct TokenResponse {
    /// Who the user is.
    #[serde(default)]
    pub id_token: String,
    /// With which the next one is had.
    pub refresh_token: Option<String>,
    /// What the provider's other services take.
    pub access_token: Option<String>,
    /// How they take it.
    pub token_type: Option<String>,
    /// How long they take it, in seconds.
    pub expires_in: Option<i64>,
}

/// Whether tokens are wanted that outlive the user's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// `offline=true`.
    Offline,
    /// Otherwise.
    Online,
}

/// What the browser's cookie is called.
const COOKIE: &str = "TidegateJourney";
/// A login takes no longer.
const COOKIE_TTL_S: u64 = 600;

#[derive(Deserialize)]
struct WrittenMetadata {
    issuer: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    jwks_uri: Option<String>,
}

#[derive(Deserialize)]
struct WrittenRefusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Metadata {
    /// What a provider's document says. `issuer`, where it is given, must be the one it names.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub fn parse(json: &[u8], issuer: Option<&str>) -> Result<Self, Error> {
        let unreadable = |_invalid| Error::provider("the provider's configuration can't be read");
        let written: WrittenMetadata = serde_json::from_slice(json).map_err(unreadable)?;
        if issuer.is_some() && written.issuer.as_deref() != issuer {
            return Err(Error::provider("the provider's configuration names another issuer"));
        }
        let missing = |what: &str| Error::provider(format!("the provider's configuration has no {what}"));
        Ok(Self {
            authorization_endpoint: written.authorization_endpoint.ok_or_else(|| missing("authorization_endpoint"))?,
            token_endpoint: written.token_endpoint.ok_or_else(|| missing("token_endpoint"))?,
            jwks_uri: written.jwks_uri.ok_or_else(|| missing("jwks_uri"))?,
        })
    }
}

impl Journey {
    /// The journey of these random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// The journey that the value of a `Cookie` header tells of.
    pub fn of_cookie(header: &str) -> Option<Self> {
        let value = principal::cookie_value(header, COOKIE)?;
        Some(Self(BASE64_URL.decode(value).ok()?.try_into().ok()?))
    }

    /// The value of `Set-Cookie` that the browser gets.
    pub fn cookie(&self, db: &DbName, transport: crate::Transport) -> String {
        Self::render(db, &BASE64_URL.encode(self.0), COOKIE_TTL_S, transport)
    }

    /// The value of `Set-Cookie` that ends the journey.
    pub fn clear(db: &DbName, transport: crate::Transport) -> String {
        Self::render(db, "", 0, transport)
    }

    fn render(db: &DbName, value: &str, ttl_s: u64, transport: crate::Transport) -> String {
        let secure = match transport {
            crate::Transport::Tls => "; Secure",
            crate::Transport::Plain => "",
        };
        // The provider's page leads the browser back: that is navigation from another site.
        let path = principal::cookie_path(db);
        format!("{COOKIE}={value}; Path=/{path}; Max-Age={ttl_s}; HttpOnly{secure}; SameSite=Lax")
    }

    /// Where the browser is sent.
    pub fn authorization_url(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        callback: &str,
        presence: Presence,
    ) -> String {
        let mut url = metadata.authorization_endpoint.clone();
        url.push(if url.contains('?') { '&' } else { '?' });
        let scope = provider.scopes.join(" ");
        let mut query = Form(&mut url);
        query.put("response_type", "code").put("client_id", &provider.client).put("redirect_uri", callback);
        query.put("scope", &scope);
        if presence == Presence::Offline {
            query.put("access_type", "offline").put("prompt", "consent");
        }
        if provider.state == StateCheck::Required {
            query.put("state", &self.state()).put("nonce", &self.nonce());
            query.put("code_challenge", &self.code_challenge()).put("code_challenge_method", "S256");
        }
        url
    }

    /// Checks that the browser comes back with what it was sent with.
    ///
    /// # Errors
    /// [`Error::Callback`].
    pub fn check_state(&self, state: Option<&str>) -> Result<(), Error> {
        let is_same: bool = self.state().as_bytes().ct_eq(state.unwrap_or_default().as_bytes()).into();
        if is_same { Ok(()) } else { Err(Error::callback("state mismatch")) }
    }

    /// What the id token must name.
    pub fn nonce(&self) -> String {
        self.hash("nonce")
    }

    fn state(&self) -> String {
        self.hash("state")
    }

    fn code_verifier(&self) -> String {
        self.hash("verifier")
    }

    fn code_challenge(&self) -> String {
        BASE64_URL.encode(Sha256::digest(self.code_verifier()))
    }

    fn hash(&self, purpose: &str) -> String {
        BASE64_URL.encode(Sha256::new().chain_update(purpose).chain_update(self.0).finalize())
    }
}

impl TokenRequest {
    /// Asks for the tokens of a code. `journey` is that of the browser, where that is checked.
    pub fn of_code(provider: &Provider, code: &str, callback: &str, journey: Option<&Journey>) -> Self {
        let mut body = String::new();
        let mut form = Form(&mut body);
        form.put("grant_type", "authorization_code").put("code", code).put("redirect_uri", callback);
        if let Some(journey) = journey {
            form.put("code_verifier", &journey.code_verifier());
        }
        Self::of(provider, body)
    }

    /// Asks for the next tokens.
    pub fn of_refresh_token(provider: &Provider, token: &str) -> Self {
        let mut body = String::new();
        Form(&mut body).put("grant_type", "refresh_token").put("refresh_token", token);
        Self::of(provider, body)
    }

    fn of(provider: &Provider, mut body: String) -> Self {
        let Some(secret) = &provider.secret else {
            Form(&mut body).put("client_id", &provider.client);
            return Self { body, authorization: None };
        };
        // Both are escaped before they are joined. Source: RFC 6749, 2.3.1.
        let escaped = |text: &str| {
            let mut out = String::new();
            push_escaped(&mut out, text);
            out
        };
        let credentials = STANDARD.encode(format!("{}:{}", escaped(&provider.client), escaped(secret)));
        Self { body, authorization: Some(format!("Basic {credentials}")) }
    }
}

impl TokenResponse {
    /// What a token endpoint answered, with which status.
    ///
    /// # Errors
    /// [`Error::Refused`], or [`Error::Provider`] for what can't be read.
    pub fn parse(status: u16, json: &[u8]) -> Result<Self, Error> {
        if status != 200 {
            let refusal: WrittenRefusal = serde_json::from_slice(json)
                .map_err(|_invalid| Error::provider(format!("the provider's token endpoint answered {status}")))?;
            return Err(Error::Refused { kind: refusal.error, description: refusal.error_description });
        }
        let response: Self = serde_json::from_slice(json)
            .map_err(|_invalid| Error::provider("the answer of the provider's token endpoint can't be read"))?;
        if response.id_token.is_empty() {
            return Err(Error::provider("the provider's answer has no id_token"));
        }
        Ok(response)
    }
}

/// A form under way.
struct Form<'u>(&'u mut String);

impl Form<'_> {
    fn put(&mut self, name: &str, value: &str) -> &mut Self {
        if !self.0.is_empty() && !self.0.ends_with(['?', '&']) {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        push_escaped(self.0, value);
        self
    }
}

fn push_escaped(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            // Writing to a `String` doesn't fail.
            _ => drop(write!(out, "%{byte:02X}").ok()),
        }
    }
}

/// Without the secret.
impl std::fmt::Debug for Journey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journey").finish_non_exhaustive()
    }
}

/// Without code and secret.
impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRequest").finish_non_exhaustive()
    }
}

/// Without the tokens.
impl std::fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenResponse").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}
