//! The hash functions that passwords are derived with.

use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::Error;

/// The hash inside PBKDF2's HMAC, by CouchDB's names. Source: `pbkdf2_prf` in `default.ini`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prf {
    /// SHA-1: what there was before CouchDB 3.4.
    Sha,
    /// SHA-224.
    Sha224,
    /// SHA-256: the default since CouchDB 3.4.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Prf {
    const ALL: [Self; 5] = [Self::Sha, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The function of that name.
    ///
    /// # Errors
    /// [`Error::Forbidden`], "PRF is invalid".
    pub fn parse(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|prf| prf.as_str() == name).ok_or_else(|| Error::forbidden("PRF is invalid"))
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha => "sha",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// PBKDF2 with a key as long as the hash. Takes `iterations` × about half a microsecond.
    pub(crate) fn derive(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut key = vec![0; self.key_len()];
        match self {
            Self::Sha => pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut key),
            Self::Sha224 => pbkdf2_hmac::<Sha224>(password, salt, iterations, &mut key),
            Self::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut key),
            Self::Sha384 => pbkdf2_hmac::<Sha384>(password, salt, iterations, &mut key),
            Self::Sha512 => pbkdf2_hmac::<Sha512>(password, salt, iterations, &mut key),
        }
        key
    }

    /// The length of a derived key, in bytes.
    pub(crate) fn key_len(self) -> usize {
        match self {
            Self::Sha => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}
