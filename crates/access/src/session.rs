//! Sessions: a name and a time, signed by the server. Nothing of a session is kept here.
//!
//! The token is `base64url(NAME:TIME:SIGNATURE)` with the time in hexadecimal seconds and the signature over
//! `NAME:TIME`, with the server's secret and the salt of the user's password: a new password ends the user's sessions.
//! A token is only ever made by a login or from a good one, so nobody can plant one. Source: `couch_httpd_auth.erl`,
//! `cookie_authentication_handler` and `cookie_auth_cookie`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::{Error, Keyring, UserName};

pub(crate) const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Makes sessions and recognises them.
#[derive(Clone, Debug)]
pub struct Sessions {
    keyring: Keyring,
    timeout: Duration,
}

/// What a token claims; nothing of it is known to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    name: UserName,
    time_s: Option<u64>,
    /// What was signed: the exact text, as a number has many spellings.
    signed: Vec<u8>,
    signature: Vec<u8>,
}

/// Why a session isn't one (any more). All of it means: nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It wasn't renewed in time.
    #[error("the session has expired")]
    Expired,
    /// It isn't signed with this server's secret and the user's present password.
    #[error("the session's signature is wrong")]
    Signature,
}

/// How old a good session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It needn't be renewed yet.
    Fresh,
    /// More than a tenth of its time has passed: the answer should bring a new token.
    Renewable,
}

impl Sessions {
    /// CouchDB's `timeout`.
    pub const TIMEOUT: Duration = Duration::from_secs(600);
    /// The longest token that is looked at, in bytes.
    pub const TOKEN_BYTES_MAX: usize = 1024;

    /// Sessions that last `timeout` from when they were last renewed, in whole seconds.
    pub fn new(keyring: Keyring, timeout: Duration) -> Self {
        Self { keyring, timeout }
    }

    /// How long a session lasts.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A token for `name`, who has just logged in or shown a good session. `salt` is that of its password.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a name with a colon: the token couldn't be read.
    pub fn token(&self, name: &UserName, salt: &str, now: SystemTime) -> Result<String, Error> {
        if name.as_str().contains(':') {
            return Err(Error::forbidden("Character `:` is not allowed in usernames."));
        }
        let mut token = format!("{name}:{:X}", unix_s(now)).into_bytes();
        let signature = self.keyring.sign(&token, salt.as_bytes());
        token.push(b':');
        token.extend_from_slice(&signature);
        Ok(BASE64_URL.encode(token))
    }

    /// Whether what was claimed is true. `salt` is that of the password of the user whom [`Claim::name`] names.
    ///
    /// # Errors
    /// [`Rejection`]: the request is nobody's.
    pub fn verify(&self, claim: &Claim, salt: &str, now: SystemTime) -> Result<Age, Rejection> {
        if !self.keyring.verify(&claim.signed, salt.as_bytes(), &claim.signature) {
            return Err(Rejection::Signature);
        }
        let (now_s, timeout_s) = (unix_s(now), self.timeout.as_secs());
        let time_s = claim.time_s.ok_or(Rejection::Expired)?;
        let left_s = time_s.saturating_add(timeout_s).saturating_sub(now_s);
        // Longer than a session lasts: the clock was set back, and nobody knows how old it is.
        if left_s == 0 || left_s > timeout_s.saturating_mul(2) {
            return Err(Rejection::Expired);
        }
        let is_fresh = u128::from(left_s) * 10 >= u128::from(timeout_s) * 9;
        Ok(if is_fresh { Age::Fresh } else { Age::Renewable })
    }
}

impl Claim {
    /// What a token claims; `None` for the empty one, which logging out leaves behind.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it isn't built like a token.
    pub fn parse(token: &str) -> Result<Option<Self>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        let malformed = || Error::bad_request("Malformed AuthSession cookie. Please clear your cookies.");
        if token.len() > Sessions::TOKEN_BYTES_MAX {
            return Err(malformed());
        }
        let bytes = BASE64_URL.decode(token).ok().ok_or_else(malformed)?;
        Self::of_bytes(&bytes).map(Some).ok_or_else(malformed)
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes.splitn(3, |&byte| byte == b':');
        let (name, time, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let signed = bytes.get(..name.len() + 1 + time.len())?.to_vec();
        let name = str::from_utf8(name).ok()?.parse().ok()?;
        Some(Self { name, time_s: read_time(time), signed, signature: signature.to_vec() })
    }

    /// Whose session it would be.
    pub fn name(&self) -> &UserName {
        &self.name
    }
}

fn read_time(digits: &[u8]) -> Option<u64> {
    let is_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Seconds since 1970; zero before.
pub(crate) fn unix_s(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
