//! Tokens that an issuer signed, and whom they speak of.

use super::{Error, Jwks, Signing, Voucher};
use crate::{
    TOKEN_BYTES_MAX,
    session::{BASE64_URL, unix_s},
};
use base64::Engine as _;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, time::SystemTime};
use subtle::ConstantTimeEq as _;
use tidegate_types::{Channel, PrincipalName};

/// A token taken apart; nothing of it is known to be true.
#[derive(Clone, Debug)]
pub struct Unverified {
    signing: Signing,
    key: Option<String>,
    claims: Map<String, Value>,
    /// What was signed: the exact text.
    signed: Vec<u8>,
    signature: Vec<u8>,
}

/// Whom a good token speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user of the database that this is.
    pub name: PrincipalName,
    /// Its address, if the token tells one.
    pub email: Option<String>,
    /// The channels that the token gives; `None` where tokens of this issuer give none at all.
    pub channels: Option<BTreeSet<Channel>>,
    /// The roles that the token gives; `None` where tokens of this issuer give none at all.
    pub roles: Option<BTreeSet<PrincipalName>>,
    /// When the token ends, in seconds since 1970.
    pub expires_s: u64,
}

/// Clocks differ: a token may be so much younger than this server's.
const SKEW_S: f64 = 60.0;

impl Unverified {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`Error::Token`] when it isn't one, or isn't signed in a way that is known.
    pub fn parse(token: &str) -> Result<Self, Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::token("the token is too long"));
        }
        let malformed = || Error::token("the token is malformed");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let header = object(header).ok_or_else(malformed)?;
        let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let signing = Signing::parse(algorithm);
        Ok(Self {
            signing: signing.ok_or_else(|| Error::token(format!("tokens signed with `{algorithm}` aren't taken")))?,
            key: header.get("kid").and_then(Value::as_str).map(str::to_owned),
            claims: object(claims).ok_or_else(malformed)?,
            signed: signed.as_bytes().to_vec(),
            signature: BASE64_URL.decode(signature).ok().ok_or_else(malformed)?,
        })
    }

    /// Who claims to have issued it.
    pub fn issuer(&self) -> &str {
        self.claims.get("iss").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it claims to be meant for this client.
    pub fn is_for(&self, client: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(audience)) => audience == client,
            Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience.as_str() == Some(client)),
            _ => false,
        }
    }

    /// Whether one of these keys may have signed it.
    pub fn may_be_signed_by(&self, keys: &Jwks) -> bool {
        keys.knows(self.key.as_deref(), self.signing)
    }

    /// Checks the token, and says whom it speaks of.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn verify(&self, voucher: &Voucher, keys: &Jwks, now: SystemTime) -> Result<Identity, Error> {
        if !voucher.takes(self.signing) {
            return Err(Error::token("the token is signed in a way that isn't allowed"));
        }
        if !keys.verify(self.key.as_deref(), self.signing, &self.signed, &self.signature) {
            return Err(Error::token("the token's signature is wrong, or by a key that isn't known"));
        }
        self.check_claims(voucher, now)?;
        self.identity(voucher)
    }

    /// Checks that the token answers the question that was asked with this nonce.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn check_nonce(&self, nonce: &str) -> Result<(), Error> {
        let own = self.claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
        let is_same: bool = own.as_bytes().ct_eq(nonce.as_bytes()).into();
        if is_same { Ok(()) } else { Err(Error::token("the token answers another question")) }
    }

    fn check_claims(&self, voucher: &Voucher, now: SystemTime) -> Result<(), Error> {
        if !voucher.is_issuer(self.issuer()) {
            return Err(Error::token("the token is of another issuer"));
        }
        if voucher.client.as_deref().is_some_and(|client| !self.is_for(client)) {
            return Err(Error::token("the token is for another client"));
        }
        let now_s = seconds(unix_s(now));
        if self.time("exp")?.is_none_or(|exp| exp <= now_s) {
            return Err(Error::token("the token has expired"));
        }
        if self.time("nbf")?.is_some_and(|nbf| nbf > now_s + SKEW_S) {
            return Err(Error::token("the token isn't good yet"));
        }
        Ok(())
    }

    /// A claim in seconds since 1970.
    fn time(&self, claim: &str) -> Result<Option<f64>, Error> {
        let wrong = || Error::token(format!("the token's {claim} is no time"));
        self.claims.get(claim).map(|value| value.as_f64().ok_or_else(wrong)).transpose()
    }

    fn identity(&self, voucher: &Voucher) -> Result<Identity, Error> {
        let expires_s = self.claims.get("exp").and_then(|exp| exp.as_u64().or_else(|| whole(exp.as_f64()?)));
        Ok(Identity {
            name: self.name(voucher)?,
            email: self.claims.get("email").and_then(Value::as_str).map(str::to_owned),
            channels: voucher.channels_claim.as_deref().map(|claim| self.names(claim)),
            roles: voucher.roles_claim.as_deref().map(|claim| self.names(claim)),
            expires_s: expires_s.unwrap_or_default(),
        })
    }

    fn name(&self, voucher: &Voucher) -> Result<PrincipalName, Error> {
        let claim = voucher.username_claim.as_deref().unwrap_or("sub");
        let value = match self.claims.get(claim) {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(Error::token(format!("the token has no {claim} to make a name of"))),
        };
        let name = voucher.user_name(&value);
        name.parse().map_err(|illegal| Error::token(format!("no user can be called {name:?}: it {illegal}")))
    }

    /// The names in a list or a text. What can't be a name gives nothing.
    fn names<T: std::str::FromStr + Ord>(&self, claim: &str) -> BTreeSet<T> {
        match self.claims.get(claim) {
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).filter_map(|name| name.parse().ok()).collect()
            }
            Some(Value::String(name)) => name.parse().into_iter().collect(),
            _ => BTreeSet::new(),
        }
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&BASE64_URL.decode(part).ok()?) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Exact for as long as seconds will be counted.
fn seconds(seconds: u64) -> f64 {
    u32::try_from(seconds >> 32).map_or(f64::MAX, f64::from) * 4_294_967_296.0
        + u32::try_from(seconds & 0xffff_ffff).map_or(0.0, f64::from)
}

/// A time with a fraction, by its whole seconds.
fn whole(seconds: f64) -> Option<u64> {
    format!("{:.0}", seconds.trunc()).parse().ok()
}
