//! The server's secret, and what is signed with it: sessions and the tokens of proxies.
//!
//! Source: `couch_secrets.erl`, `hash_algorithms` in `default.ini`.

use std::fmt;

use ring::hmac;

use crate::Error;

/// Signs with the newest secret and the first algorithm, and knows what any of them has signed.
#[derive(Clone)]
pub struct Keyring {
    /// The present one, then those of before.
    secrets: Vec<Vec<u8>>,
    algorithms: Vec<MacAlgorithm>,
}

/// The hash inside an HMAC, by CouchDB's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacAlgorithm {
    /// SHA-1: what CouchDB before 3.4 signs with.
    Sha,
    /// SHA-256: the default.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl MacAlgorithm {
    /// What is accepted where nothing is configured, the one to sign with first.
    pub const DEFAULT: [Self; 2] = [Self::Sha256, Self::Sha];

    /// The algorithms of a list such as `sha256, sha`.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for one that isn't known, and for none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Error> {
        text.split(',').map(str::trim).map(Self::parse).collect()
    }

    fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "sha" => Ok(Self::Sha),
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            _ => Err(Error::misconfigured(format!("`{name}` is no hash algorithm: sha, sha256, sha384 or sha512"))),
        }
    }

    fn with_key(self, secret: &[u8], extra: &[u8]) -> hmac::Key {
        let algorithm = match self {
            Self::Sha => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::Key::new(algorithm, &[secret, extra].concat())
    }
}

impl Keyring {
    /// The fewest bytes of a secret: what is signed goes out to everybody, who may guess at leisure.
    pub const SECRET_BYTES_MIN: usize = 16;
    const SECRETS_MAX: usize = 8;

    /// A keyring with the present secret and those of before, whose signatures are still good. Signs with the first of
    /// `algorithms`; an empty list stands for [`MacAlgorithm::DEFAULT`].
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when a secret is short, or there are none or more than 8.
    pub fn new(secrets: Vec<Vec<u8>>, mut algorithms: Vec<MacAlgorithm>) -> Result<Self, Error> {
        if secrets.is_empty() || secrets.len() > Self::SECRETS_MAX {
            return Err(Error::misconfigured(format!("1 to {} secrets are needed", Self::SECRETS_MAX)));
        }
        if secrets.iter().any(|secret| secret.len() < Self::SECRET_BYTES_MIN) {
            return Err(Error::misconfigured(format!("a secret has fewer than {} bytes", Self::SECRET_BYTES_MIN)));
        }
        if algorithms.is_empty() {
            algorithms = MacAlgorithm::DEFAULT.to_vec();
        }
        Ok(Self { secrets, algorithms })
    }

    /// The signature of `message`; `extra` is added to the secret.
    pub(crate) fn sign(&self, message: &[u8], extra: &[u8]) -> Vec<u8> {
        let secret = self.secrets.first().map_or(&[][..], Vec::as_slice);
        let algorithm = self.algorithms.first().copied().unwrap_or(MacAlgorithm::Sha256);
        hmac::sign(&algorithm.with_key(secret, extra), message).as_ref().to_vec()
    }

    /// Whether any secret and algorithm gives this signature. Comparisons take the same time wherever they fail.
    pub(crate) fn verify(&self, message: &[u8], extra: &[u8], signature: &[u8]) -> bool {
        self.secrets.iter().any(|secret| {
            let mut algorithms = self.algorithms.iter();
            algorithms.any(|algorithm| hmac::verify(&algorithm.with_key(secret, extra), message, signature).is_ok())
        })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    const SECRET: &[u8] = b"92de07df7e7a3fe14808cef90a7cc0d91";

    fn keyring(secrets: &[&[u8]], algorithms: &str) -> Keyring {
        let secrets = secrets.iter().map(|secret| secret.to_vec()).collect();
        Keyring::new(secrets, MacAlgorithm::parse_list(algorithms).unwrap()).unwrap()
    }

    /// Golden signatures of another implementation: `hmac.new(SECRET + b"salt", b"ada", algorithm)`.
    #[track_caller]
    fn check(algorithm: &str, expected: &str) {
        let signature = keyring(&[SECRET], algorithm).sign(b"ada", b"salt");
        assert_eq!(hex::encode(&signature), expected, "{algorithm}");
        assert!(keyring(&[SECRET], "sha256, sha,sha384, sha512").verify(b"ada", b"salt", &signature), "{algorithm}");
        assert!(!keyring(&[SECRET], "sha256, sha,sha384, sha512").verify(b"ada", b"", &signature), "{algorithm}");
    }

    #[test]
    fn signatures_are_hmacs() {
        check("sha", "186e8b06df5c94a033aaf589da2086f4335e4d77");
        check("sha256, sha", "3ef80ea18ff911a9ee68bafbf746753ca89b05594299292b47af8c280b03ae38");
        check(
            "sha384",
            "4c344abbd29a6d0ab376a74b2a720ddda64a5268362d32269d7d9d42e6d2dc8bc717cfed8ec3bf3b544ef01442098b07",
        );
        check(
            "sha512",
            "0fced3f36ea9665e67c7ef544dba138b8c446884a9ac89c959365ad15c7de828b852bcacef6b41ac8d40badce2ab3a01d4ab73501c9c1c12f782388e9a201997",
        );
    }

    #[test]
    fn what_isnt_listed_isnt_accepted() {
        let signature = keyring(&[SECRET], "sha").sign(b"ada", b"");
        assert!(!keyring(&[SECRET], "sha256").verify(b"ada", b"", &signature));
        assert!(!keyring(&[SECRET], "sha").verify(b"ada", b"", &signature[..19]));
        assert!(!keyring(&[SECRET], "sha").verify(b"ada", b"", b""));
    }

    #[test]
    fn secrets_can_be_changed() {
        let (old, new) = (keyring(&[SECRET], "sha256"), keyring(&[b"a new secret, quite long", SECRET], "sha256"));
        assert!(new.verify(b"m", b"", &old.sign(b"m", b"")));
        assert!(!old.verify(b"m", b"", &new.sign(b"m", b"")));
    }

    #[test]
    fn bad_configuration_is_told() {
        let reason = |secrets: Vec<Vec<u8>>| Keyring::new(secrets, Vec::new()).unwrap_err().to_string();
        assert_eq!(reason(vec![]), "1 to 8 secrets are needed");
        assert_eq!(reason(vec![vec![7; 15]]), "a secret has fewer than 16 bytes");
        let listed = MacAlgorithm::parse_list("sha256, md5").unwrap_err().to_string();
        assert_eq!(listed, "`md5` is no hash algorithm: sha, sha256, sha384 or sha512");
        assert!(!format!("{:?}", keyring(&[SECRET], "sha")).contains("92"));
    }
}
