//! Users who bring a signed token (RFC 7519).
//!
//! What is checked, in which order and with which words is CouchDB's (`jwtf.erl`, `jwtf_keystore.erl`,
//! `couch_httpd_auth:jwt_authentication_handler`), but for these: a time that isn't a number is refused, where Erlang
//! finds text to be later than any time; the algorithm must fit the curve of the key; `ES512` and RSA keys of less than
//! 2048 bits aren't known.

mod claims;
mod keys;

use std::time::SystemTime;

use base64::Engine as _;
use serde_json::{Map, Value};

use crate::{Error, Handler, UserCtx, basic::scheme, session::BASE64_URL};

pub use claims::TokenRules;
use keys::Algorithm;
pub use keys::TokenKeys;

/// Recognises tokens.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    /// Whose signatures are good.
    pub keys: TokenKeys,
    /// What a token must claim, and where its roles are.
    pub rules: TokenRules,
}

/// The longest token that is looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;

/// The token in the value of an `Authorization` header; `None` when it brings none.
pub fn bearer_token(header: &str) -> Option<&str> {
    scheme(header, "Bearer")
}

impl Tokens {
    /// The user whom the token names in `sub`, with the roles it gives.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a token that isn't one or isn't signed, [`Error::Unauthorized`] for one that is too
    /// early or too late or names nobody, [`Error::NotFound`] for one without roles where they are asked for by path.
    pub fn user(&self, token: &str, now: SystemTime) -> Result<UserCtx, Error> {
        let parts = Parts::split(token)?;
        let header = decode(parts.header)?;
        let algorithm = self.rules.check_header(&header)?;
        let claims = decode(parts.claims)?;
        self.rules.check_claims(&claims, now)?;
        let id = self.rules.key_id(&header)?;
        let signature = BASE64_URL.decode(parts.signature).unwrap_or_default();
        self.keys.verify(algorithm, id, parts.signed, &signature)?;
        let roles = self.rules.roles(&claims)?;
        let name = claims.get("sub").ok_or_else(|| Error::unauthorized("Token missing sub claim."))?;
        let name = name.as_str().and_then(|name| name.parse().ok()).ok_or_else(malformed_claims)?;
        Ok(UserCtx::user(name, roles, Handler::Jwt))
    }
}

struct Parts<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// Header and claims, with the dot between them.
    signed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, Error> {
        Self::of_token(token).filter(|_| token.len() <= TOKEN_BYTES_MAX).ok_or_else(malformed_token)
    }

    fn of_token(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.'))?;
        Some(Self { header, claims, signature, signed: signed.as_bytes() })
    }
}

fn decode(part: &str) -> Result<Map<String, Value>, Error> {
    let text = BASE64_URL.decode(part).ok().ok_or_else(malformed_token)?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::bad_request("Not an object")),
        Err(_) => Err(malformed_token()),
    }
}

fn malformed_token() -> Error {
    Error::bad_request("Malformed authentication token")
}

/// What CouchDB says of roles that aren't text, and we of a name that is illegal.
fn malformed_claims() -> Error {
    Error::bad_request("Malformed token")
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
