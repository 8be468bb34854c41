//! Public keys that identity providers sign with (RFC 7517), and signatures checked with them.

use super::Error;
use crate::session::BASE64_URL;
use base64::Engine as _;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

/// The keys of an issuer. Those of kinds that aren't known are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jwks(Vec<Jwk>);

/// How a token is signed. Secrets shared with the issuer, and no signature at all, aren't among the ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// RSA, PKCS #1, SHA-256.
    Rs256,
    /// RSA, PKCS #1, SHA-384.
    Rs384,
    /// RSA, PKCS #1, SHA-512.
    Rs512,
    /// RSA, PSS, SHA-256.
    Ps256,
    /// RSA, PSS, SHA-384.
    Ps384,
    /// RSA, PSS, SHA-512.
    Ps512,
    /// ECDSA, P-256, SHA-256.
    Es256,
    /// ECDSA, P-384, SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// Keys of one issuer.
const KEYS_MAX: usize = 100;

#[derive(Clone, PartialEq, Eq)]
struct Jwk {
    id: Option<String>,
    /// What it is for, where that is said.
    signing: Option<Signing>,
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Signing {
    /// The way of this name; `None` for others than those above.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        match self {
            Self::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
            Self::Es256 | Self::Es384 | Self::EdDsa => None,
        }
    }
}

impl Jwks {
    /// The keys of a document such as `{"keys":[…]}`.
    ///
    /// # Errors
    /// [`Error::Provider`] when it isn't one.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let document: Document =
            serde_json::from_slice(json).map_err(|_invalid| Error::provider("the document of keys can't be read"))?;
        Ok(Self::of(document.keys))
    }

    /// The keys among these values.
    pub(crate) fn of(keys: Vec<serde_json::Value>) -> Self {
        let keys = keys.into_iter().filter_map(|key| Jwk::of(serde_json::from_value(key).ok()?));
        Self(keys.take(KEYS_MAX).collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key may have signed such a token: else the issuer may have made a new one since.
    pub fn knows(&self, id: Option<&str>, signing: Signing) -> bool {
        self.fitting(id, signing).next().is_some()
    }

    /// Whether one of the keys has signed `message`. A token that names no key is compared with all that fit.
    pub fn verify(&self, id: Option<&str>, signing: Signing, message: &[u8], signature: &[u8]) -> bool {
        self.fitting(id, signing).any(|key| key.material.verify(signing, message, signature))
    }

    fn fitting(&self, id: Option<&str>, signing: Signing) -> impl Iterator<Item = &Jwk> {
        let is_meant = move |key: &&Jwk| id.is_none() || key.id.as_deref() == id;
        self.0.iter().filter(is_meant).filter(move |key| key.fits(signing))
    }
}

impl Jwk {
    fn of(written: Written) -> Option<Self> {
        if written.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |text: Option<String>| BASE64_URL.decode(text?).ok().filter(|bytes| !bytes.is_empty());
        let point = |length: usize, x: Option<String>, y: Option<String>| {
            let (x, y) = (bytes(x)?, bytes(y)?);
            (x.len() == length && y.len() == length).then(|| [&[4], x.as_slice(), &y].concat())
        };
        let material = match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: unpadded(bytes(written.n)?), e: unpadded(bytes(written.e)?) },
            ("EC", Some("P-256")) => Material::P256(point(32, written.x, written.y)?),
            ("EC", Some("P-384")) => Material::P384(point(48, written.x, written.y)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(written.x)?),
            _ => return None,
        };
        let signing = match written.alg {
            Some(name) => Some(Signing::parse(&name)?),
            None => None,
        };
        Some(Self { id: written.kid, signing, material })
    }

    fn fits(&self, signing: Signing) -> bool {
        let is_kind = match &self.material {
            Material::Rsa { .. } => signing.rsa().is_some(),
            Material::P256(_) => signing == Signing::Es256,
            Material::P384(_) => signing == Signing::Es384,
            Material::Ed25519(_) => signing == Signing::EdDsa,
        };
        is_kind && self.signing.is_none_or(|own| own == signing)
    }
}

impl Material {
    fn verify(&self, signing: Signing, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa { n, e } => {
                signing.rsa().is_some_and(|rsa| RsaPublicKeyComponents { n, e }.verify(rsa, message, signature).is_ok())
            }
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Self::P384(point) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature).is_ok()
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok(),
        }
    }
}

/// Some write a zero before numbers, which the verification doesn't take.
fn unpadded(number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.into_iter().skip(zeros).collect()
}

/// By their ids: keys are long.
impl std::fmt::Debug for Jwk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwk").field("id", &self.id).finish_non_exhaustive()
    }
}
