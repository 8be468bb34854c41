//! Passwords as they are kept: in `_users` documents and in the configuration of administrators.
//!
//! What can be read is all that CouchDB has ever written; what is written is PBKDF2. Deriving a key is slow on purpose
//! (a tenth of a second and more): it belongs on a bounded pool of threads. Source: `couch_passwords.erl`,
//! `couch_httpd_auth:authenticate_int`, `couch_auth_cache:get_admin`.

use serde_json::{Map, Value};
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

use crate::{Error, Prf, hex};

/// How new passwords are kept, and which ones are still accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// `pbkdf2_prf`.
    pub prf: Prf,
    /// `iterations`.
    pub iterations: u32,
    /// `min_iterations`: passwords with fewer aren't accepted.
    pub iterations_min: u32,
    /// `max_iterations`: passwords with more aren't accepted. Users write these fields of their own documents, so this
    /// bounds what a login can cost.
    pub iterations_max: u32,
    /// `upgrade_hash_on_auth`: a password kept in another way is kept anew when its user logs in.
    pub upgrade_on_login: bool,
}

/// A password as it is kept: enough to recognise it, not to tell it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword {
    scheme: Scheme,
    salt: String,
    /// What the password must become. In a length that no scheme makes, it matches nothing.
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// SHA-1 of password and salt.
    Simple,
    Pbkdf2(Rounds),
    /// What `Simple` had made, in PBKDF2: passwords that were strengthened without being known.
    SimplePbkdf2(Rounds),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rounds {
    prf: Prf,
    iterations: u32,
}

/// 16 random bytes as CouchDB writes salts: 32 hexadecimal digits, used as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salt(String);

/// What stood in the configuration for an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminPassword {
    /// A hash.
    Stored(StoredPassword),
    /// The password itself: to be hashed at the start.
    Clear(String),
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            prf: Prf::Sha256,
            iterations: 600_000,
            iterations_min: 1,
            iterations_max: 10_000_000,
            upgrade_on_login: true,
        }
    }
}

impl Salt {
    /// The salt of these random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(hex::encode(&random))
    }

    /// A salt that was in use before: sessions are bound to it.
    pub(crate) fn kept(salt: &str) -> Self {
        Self(salt.to_owned())
    }
}

impl Hashing {
    /// The password as it is to be kept from now on. Slow.
    pub fn store(&self, password: &str, salt: Salt) -> StoredPassword {
        let key = self.prf.derive(password.as_bytes(), salt.0.as_bytes(), self.iterations);
        StoredPassword { scheme: Scheme::Pbkdf2(self.rounds()), salt: salt.0, key }
    }

    /// Whether `password` is the one stored. Slow, and as slow for somebody who isn't there (`None`), so that the time
    /// doesn't tell which names are known.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when it is stored with more or fewer iterations than are accepted.
    pub fn verify(&self, stored: Option<&StoredPassword>, password: &str) -> Result<bool, Error> {
        let Some(stored) = stored else {
            let key = self.prf.derive(password.as_bytes(), b"00000000000000000000000000000000", self.iterations);
            // Seen by nobody, and yet not to be optimised away.
            std::hint::black_box(key);
            return Ok(false);
        };
        let key = match stored.scheme {
            Scheme::Simple => simple(password, &stored.salt),
            Scheme::Pbkdf2(rounds) => self.derive(rounds, password, &stored.salt)?,
            Scheme::SimplePbkdf2(rounds) => {
                self.derive(rounds, &hex::encode(&simple(password, &stored.salt)), &stored.salt)?
            }
        };
        Ok(key.as_slice().ct_eq(&stored.key).into())
    }

    /// Whether a password that was just recognised should be stored anew, with the salt it has.
    pub fn needs_upgrade(&self, stored: &StoredPassword) -> bool {
        self.upgrade_on_login && stored.scheme != Scheme::Pbkdf2(self.rounds())
    }

    fn rounds(&self) -> Rounds {
        Rounds { prf: self.prf, iterations: self.iterations }
    }

    fn derive(&self, Rounds { prf, iterations }: Rounds, password: &str, salt: &str) -> Result<Vec<u8>, Error> {
        if iterations < self.iterations_min {
            return Err(Error::forbidden("Iteration count is too low for this server"));
        }
        if iterations > self.iterations_max {
            return Err(Error::forbidden("Iteration count is too high for this server"));
        }
        Ok(prf.derive(password.as_bytes(), salt.as_bytes(), iterations))
    }
}

fn simple(password: &str, salt: &str) -> Vec<u8> {
    Sha1::new().chain_update(password).chain_update(salt).finalize().to_vec()
}

impl StoredPassword {
    /// What sessions are bound to: it changes with the password.
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// The same password, to be stored anew without ending the sessions of its user.
    pub fn kept_salt(&self) -> Salt {
        Salt::kept(&self.salt)
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The password of a user's document; `None` when it has none that could be used.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when it is stored in a way that isn't known.
    pub fn of_document(document: &Map<String, Value>) -> Result<Option<Self>, Error> {
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        let scheme_name = text("password_scheme").unwrap_or("simple");
        let (scheme, key) = match scheme_name {
            "simple" => (Scheme::Simple, text("password_sha")),
            "pbkdf2" => (Scheme::Pbkdf2(Rounds::of_document(document)?), text("derived_key")),
            "simple+pbkdf2" => (Scheme::SimplePbkdf2(Rounds::of_document(document)?), text("derived_key")),
            _ => return Err(Error::forbidden(format!("Password scheme `{scheme_name}` not supported."))),
        };
        let salt = text("salt").unwrap_or_default().to_owned();
        Ok(key.and_then(hex::decode).map(|key| Self { scheme, salt, key }))
    }

    /// The members that keep this password in a user's document, in CouchDB's order.
    pub(crate) fn members(&self) -> Vec<(&'static str, Value)> {
        let key = Value::from(hex::encode(&self.key));
        let salt = ("salt", Value::from(self.salt.as_str()));
        match self.scheme {
            Scheme::Simple => vec![("password_scheme", "simple".into()), salt, ("password_sha", key)],
            Scheme::Pbkdf2(rounds) => rounds.members("pbkdf2", salt, key),
            Scheme::SimplePbkdf2(rounds) => rounds.members("simple+pbkdf2", salt, key),
        }
    }

    /// The form in which CouchDB's configuration keeps an administrator's password; `None` for the scheme it has none for.
    pub fn admin_text(&self) -> Option<String> {
        let (key, salt) = (hex::encode(&self.key), &self.salt);
        match self.scheme {
            Scheme::Simple => Some(format!("-hashed-{key},{salt}")),
            Scheme::Pbkdf2(Rounds { prf, iterations }) => {
                Some(format!("-pbkdf2:{}-{key},{salt},{iterations}", prf.as_str()))
            }
            Scheme::SimplePbkdf2(_) => None,
        }
    }
}

/// Without what would help to guess the password.
impl std::fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredPassword").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

impl Rounds {
    fn of_document(document: &Map<String, Value>) -> Result<Self, Error> {
        let prf = match document.get("pbkdf2_prf") {
            None => Prf::Sha,
            Some(name) => Prf::parse(name.as_str().unwrap_or_default())?,
        };
        let iterations = match document.get("iterations") {
            None => 10_000,
            // Numbers that are out of range are out of the accepted range, too.
            Some(count) => count.as_u64().map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
        };
        Ok(Self { prf, iterations })
    }

    fn members(self, scheme: &str, salt: (&'static str, Value), key: Value) -> Vec<(&'static str, Value)> {
        vec![
            ("password_scheme", scheme.into()),
            ("pbkdf2_prf", self.prf.as_str().into()),
            salt,
            ("iterations", self.iterations.into()),
            ("derived_key", key),
        ]
    }
}

impl AdminPassword {
    /// The value of an administrator in CouchDB's `[admins]`: `-hashed-KEY,SALT`, `-pbkdf2-KEY,SALT,ITERATIONS`,
    /// `-pbkdf2:PRF-KEY,SALT,ITERATIONS`, or else the password itself.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for a hash that is cut or garbled.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let garbled = || Error::misconfigured("the hash of an administrator's password is garbled");
        let stored = if let Some(rest) = text.strip_prefix("-hashed-") {
            let (key, salt) = rest.split_once(',').ok_or_else(garbled)?;
            StoredPassword { scheme: Scheme::Simple, salt: salt.to_owned(), key: hex::decode(key).ok_or_else(garbled)? }
        } else if let Some((prf, rest)) = admin_prf(text) {
            pbkdf2_of_admin(prf, rest).ok_or_else(garbled)?
        } else {
            return Ok(Self::Clear(text.to_owned()));
        };
        let key_len = match stored.scheme {
            Scheme::Simple => Prf::Sha.key_len(),
            Scheme::Pbkdf2(rounds) | Scheme::SimplePbkdf2(rounds) => rounds.prf.key_len(),
        };
        if stored.key.len() == key_len { Ok(Self::Stored(stored)) } else { Err(garbled()) }
    }
}

fn admin_prf(text: &str) -> Option<(Prf, &str)> {
    let rest = text.strip_prefix("-pbkdf2")?;
    if let Some(rest) = rest.strip_prefix('-') {
        return Some((Prf::Sha, rest));
    }
    let (prf, rest) = rest.strip_prefix(':')?.split_once('-')?;
    Some((Prf::parse(prf).ok()?, rest))
}

fn pbkdf2_of_admin(prf: Prf, text: &str) -> Option<StoredPassword> {
    let mut parts = text.split(',');
    let (key, salt, iterations) = (hex::decode(parts.next()?)?, parts.next()?, parts.next()?.parse().ok()?);
    let is_whole = parts.next().is_none() && iterations > 0;
    is_whole.then(|| StoredPassword { scheme: Scheme::Pbkdf2(Rounds { prf, iterations }), salt: salt.to_owned(), key })
}

#[cfg(test)]
mod tests;
