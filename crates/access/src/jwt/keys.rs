//! The keys that tokens are checked with. Source: `jwtf_keystore.erl`, `[jwt_keys]`.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef, der::pem};

use crate::Error;

/// Keys by kind and id. A token that names none is checked with `_default`.
#[derive(Clone, Default)]
pub struct TokenKeys {
    secrets: BTreeMap<String, Vec<u8>>,
    /// RSA keys as PKCS#1 has them.
    rsa: BTreeMap<String, Vec<u8>>,
    /// Uncompressed points. Their length tells the curve, so none is taken for one of another curve.
    ec: BTreeMap<String, Vec<u8>>,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// A key of 2048 bits has 268 bytes at least, one of 2040 bits 267 at most.
const RSA_BYTES_MIN: usize = 268;

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "HS384" => Some(Self::Hs384),
            "HS512" => Some(Self::Hs512),
            "RS256" => Some(Self::Rs256),
            "RS384" => Some(Self::Rs384),
            "RS512" => Some(Self::Rs512),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            _ => None,
        }
    }
}

impl TokenKeys {
    /// Adds an entry of CouchDB's `[jwt_keys]`: `hmac:ID` with a secret in base64, `rsa:ID` or `ec:ID` with a public key
    /// in PEM, where `\n` may stand for the ends of lines.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for another kind of entry or key.
    pub fn insert(&mut self, entry: &str, value: &str) -> Result<(), Error> {
        let (kind, id) = entry.split_once(':').filter(|(_, id)| !id.is_empty()).ok_or_else(|| unknown_kind(entry))?;
        match kind {
            "hmac" => self.secrets.insert(id.to_owned(), parse_secret(entry, value)?).map(|_| ()),
            "rsa" => self.rsa.insert(id.to_owned(), parse_rsa(entry, value)?).map(|_| ()),
            "ec" => self.ec.insert(id.to_owned(), parse_ec(entry, value)?).map(|_| ()),
            _ => return Err(unknown_kind(entry)),
        };
        Ok(())
    }

    /// Whether the key of this id and the algorithm's kind has signed `message`. A key of one kind is never taken for
    /// another's.
    pub(super) fn verify(&self, algorithm: Algorithm, id: &str, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let signed = |key: &[u8], by: &'static dyn VerificationAlgorithm| {
            let is_good = UnparsedPublicKey::new(by, key).verify(message, signature).is_ok();
            if is_good { Ok(()) } else { Err(Error::bad_request("Bad signature in authentication token")) }
        };
        let authentic = |by: hmac::Algorithm| {
            let key = hmac::Key::new(by, self.secrets.get(id).ok_or_else(unknown_kid)?);
            let is_good = hmac::verify(&key, message, signature).is_ok();
            if is_good { Ok(()) } else { Err(Error::bad_request("Bad HMAC in authentication token")) }
        };
        let rsa = || self.rsa.get(id).map(Vec::as_slice).ok_or_else(unknown_kid);
        let ec = || self.ec.get(id).map(Vec::as_slice).ok_or_else(unknown_kid);
        match algorithm {
            Algorithm::Hs256 => authentic(hmac::HMAC_SHA256),
            Algorithm::Hs384 => authentic(hmac::HMAC_SHA384),
            Algorithm::Hs512 => authentic(hmac::HMAC_SHA512),
            Algorithm::Rs256 => signed(rsa()?, &RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => signed(rsa()?, &RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => signed(rsa()?, &RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Es256 => signed(ec()?, &ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => signed(ec()?, &ECDSA_P384_SHA384_FIXED),
        }
    }
}

/// Without the keys.
impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKeys")
            .field("hmac", &self.secrets.keys())
            .field("rsa", &self.rsa.keys())
            .field("ec", &self.ec.keys())
            .finish()
    }
}

fn unknown_kid() -> Error {
    Error::bad_request("Unknown kid")
}

fn unknown_kind(entry: &str) -> Error {
    Error::misconfigured(format!("jwt_keys: `{entry}` is neither hmac:ID nor rsa:ID nor ec:ID"))
}

fn parse_secret(entry: &str, value: &str) -> Result<Vec<u8>, Error> {
    let secret = STANDARD.decode(value.trim()).ok().filter(|secret| !secret.is_empty());
    secret.ok_or_else(|| Error::misconfigured(format!("jwt_keys: {entry} isn't base64")))
}

fn parse_rsa(entry: &str, value: &str) -> Result<Vec<u8>, Error> {
    let (label, der) = parse_pem(value).ok_or_else(|| no_key(entry, "PEM"))?;
    let key = match label.as_str() {
        "RSA PUBLIC KEY" => Some(der),
        "PUBLIC KEY" => public_key(&der).filter(|key| key.algorithm == RSA).map(|key| key.bytes),
        _ => None,
    };
    let key = key.ok_or_else(|| no_key(entry, "RSA public"))?;
    if key.len() < RSA_BYTES_MIN {
        Err(no_key(entry, "RSA public key of 2048 bits or more, but another"))
    } else {
        Ok(key)
    }
}

fn parse_ec(entry: &str, value: &str) -> Result<Vec<u8>, Error> {
    let (label, der) = parse_pem(value).ok_or_else(|| no_key(entry, "PEM"))?;
    let key = public_key(&der).filter(|key| label == "PUBLIC KEY" && key.algorithm == EC);
    let key = key.ok_or_else(|| no_key(entry, "EC public"))?;
    let is_known = [Some(P256), Some(P384)].contains(&key.parameter);
    if is_known { Ok(key.bytes) } else { Err(no_key(entry, "P-256 or P-384")) }
}

fn no_key(entry: &str, wanted: &str) -> Error {
    Error::misconfigured(format!("jwt_keys: {entry} is no {wanted} key"))
}

fn parse_pem(value: &str) -> Option<(String, Vec<u8>)> {
    let text = value.replace("\\n", "\n");
    let (label, der) = pem::decode_vec(text.trim().as_bytes()).ok()?;
    Some((label.to_owned(), der))
}

struct PublicKey {
    algorithm: ObjectIdentifier,
    parameter: Option<ObjectIdentifier>,
    bytes: Vec<u8>,
}

fn public_key(der: &[u8]) -> Option<PublicKey> {
    let key = SubjectPublicKeyInfoRef::try_from(der).ok()?;
    let parameter = key.algorithm.parameters.and_then(|parameters| parameters.decode_as().ok());
    let bytes = key.subject_public_key.as_bytes()?.to_vec();
    Some(PublicKey { algorithm: key.algorithm.oid, parameter, bytes })
}
