//! One-time passwords by the clock (RFC 6238): the second factor of a user whose document has `totp`.
//!
//! Source: `couch_totp.erl`, `couch_hotp.erl`, `couch_httpd_auth:verify_totp`.

use std::time::SystemTime;

use ring::hmac;
use serde_json::Value;
use subtle::{Choice, ConstantTimeEq as _};

use crate::{Error, session::unix_s};

/// What one-time passwords are made from.
#[derive(Clone, PartialEq, Eq)]
pub struct Totp {
    key: Vec<u8>,
    algorithm: Algorithm,
    digits: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha,
    Sha256,
    Sha384,
    Sha512,
}

const STEP_S: u64 = 30;

impl Totp {
    /// The `totp` of a user's document: `{"key":BASE32,"algorithm":"sha","length":6}`.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when it can't be used: its user must not get in without it.
    pub fn parse(value: &Value) -> Result<Self, Error> {
        Self::of_value(value).ok_or_else(|| Error::forbidden("The second factor of this user can't be checked."))
    }

    fn of_value(value: &Value) -> Option<Self> {
        let algorithm = match value.get("algorithm") {
            None => Algorithm::Sha,
            Some(name) => Algorithm::parse(name.as_str()?)?,
        };
        let digits = match value.get("length") {
            None => 6,
            Some(length) => length.as_u64().and_then(|length| u32::try_from(length).ok())?,
        };
        let key = decode_base32(value.get("key")?.as_str()?)?;
        let is_usable = !key.is_empty() && (6..=8).contains(&digits);
        is_usable.then_some(Self { key, algorithm, digits })
    }

    /// Checks a one-time password, of now or the half minute before or after.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], the same as for a wrong password.
    pub fn check(&self, password: &str, now: SystemTime) -> Result<(), Error> {
        let now_s = unix_s(now);
        let times = [now_s.saturating_sub(STEP_S), now_s, now_s.saturating_add(STEP_S)];
        let matches = times.into_iter().fold(Choice::from(0), |matches, time_s| {
            matches | self.password(time_s).as_bytes().ct_eq(password.as_bytes())
        });
        if matches.into() { Ok(()) } else { Err(Error::bad_credentials()) }
    }

    fn password(&self, time_s: u64) -> String {
        let key = hmac::Key::new(self.algorithm.hmac(), &self.key);
        let hash = hmac::sign(&key, &(time_s / STEP_S).to_be_bytes());
        let at = hash.as_ref().last().map_or(0, |last| usize::from(last & 0xf));
        let word = hash.as_ref().get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
        let code = (u32::from_be_bytes(word) & 0x7fff_ffff) % 10_u32.pow(self.digits);
        format!("{code:0width$}", width = usize::try_from(self.digits).unwrap_or(6))
    }
}

impl Algorithm {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "sha" => Some(Self::Sha),
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

/// Without the key.
impl std::fmt::Debug for Totp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Totp").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// RFC 4648, in either case, padding optional; bits beyond the last whole byte don't count.
fn decode_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0_u16, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter.to_ascii_uppercase() {
            upper @ b'A'..=b'Z' => upper - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u16::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            let [_, byte] = (bits >> count).to_be_bytes();
            bytes.push(byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    const KEY: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn totp(algorithm: &str, key: &str) -> Totp {
        Totp::parse(&json!({"key": key, "algorithm": algorithm, "length": 8})).unwrap()
    }

    /// The vectors of RFC 6238, appendix B.
    #[test]
    fn passwords_are_those_of_the_rfc() {
        let long = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA====";
        for (time_s, sha, sha256) in [
            (59, "94287082", "46119246"),
            (1_111_111_109, "07081804", "68084774"),
            (1_234_567_890, "89005924", "91819424"),
            (20_000_000_000, "65353130", "77737706"),
        ] {
            assert_eq!(totp("sha", KEY).password(time_s), sha);
            assert_eq!(totp("sha256", long).password(time_s), sha256);
        }
    }

    #[test]
    fn a_password_is_good_for_a_while() {
        let (totp, at) = (totp("sha", KEY), |seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        for time in [0, 29, 30, 59, 60, 89] {
            assert_eq!(totp.check("94287082", at(time)), Ok(()), "{time}");
        }
        assert_eq!(totp.check("94287082", at(90)), Err(Error::bad_credentials()));
        assert_eq!(totp.check("9428708", at(59)), Err(Error::bad_credentials()));
        assert_eq!(totp.check("", at(59)), Err(Error::bad_credentials()));
    }

    #[test]
    fn what_cant_be_checked_is_refused() {
        for value in [
            json!({}),
            json!({"key": ""}),
            json!({"key": "1"}),
            json!({"key": KEY, "algorithm": "md5"}),
            json!({"key": KEY, "length": 5}),
            json!(true),
        ] {
            assert!(Totp::parse(&value).is_err(), "{value}");
        }
        assert_eq!(Totp::parse(&json!({"key": KEY.to_lowercase()})).unwrap().password(59), "287082");
    }
}
