//! Sessions of a database's users: random ids, of which the server keeps a digest alone.
//!
//! A session belongs to a user as it was: with another password, or disabled, the user has another [`Epoch`], and the
//! sessions from before are nobody's.

use super::{Epoch, Error};
use crate::hex;
use sha2::{Digest as _, Sha256};
use std::{fmt, time::Duration};

/// What a client shows: 160 random bits, as 40 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId([u8; 20]);

/// What is kept of a session beside whose it is and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The user's when it began.
    pub epoch: Epoch,
    /// How long it lasts from when it was last renewed.
    pub ttl_s: u64,
    /// How often it may be shown.
    pub uses: Uses,
}

/// How often a session may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uses {
    /// With every request, until it ends.
    Many,
    /// With one request.
    One,
}

const VERSION: u8 = 1;

impl SessionId {
    /// The id of these random bytes.
    pub fn new(random: [u8; 20]) -> Self {
        Self(random)
    }

    /// The id that a client shows; `None` for what can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(hex::decode(text)?.try_into().ok()?))
    }

    /// Under which it is kept: whoever reads the storage can't show the id.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// As clients show it.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// Without the id: whoever has it is its user.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionId").finish_non_exhaustive()
    }
}

impl Session {
    /// How long a session lasts where nobody says.
    pub const TTL: Duration = Duration::from_secs(24 * 60 * 60);

    /// When a session that is renewed now ends.
    pub fn end_s(&self, now_s: u64) -> u64 {
        now_s.saturating_add(self.ttl_s)
    }

    /// Whether one that ends at `expires_s` should be renewed: more than a tenth of its time has passed.
    pub fn is_renewable(&self, expires_s: u64, now_s: u64) -> bool {
        let left_s = expires_s.saturating_sub(now_s);
        self.uses == Uses::Many && u128::from(left_s) * 10 < u128::from(self.ttl_s) * 9
    }

    /// The record of it.
    pub fn encode(&self) -> Vec<u8> {
        let uses = match self.uses {
            Uses::Many => 0,
            Uses::One => 1,
        };
        let mut record = vec![VERSION, uses];
        record.extend_from_slice(self.epoch.as_bytes());
        record.extend_from_slice(&self.ttl_s.to_be_bytes());
        record
    }

    /// The session of a record.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn decode(record: &[u8]) -> Result<Self, Error> {
        Self::of_record(record).ok_or(Error::Corrupt("a session"))
    }

    fn of_record(record: &[u8]) -> Option<Self> {
        let (&[version, uses], rest) = record.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let uses = match uses {
            0 => Uses::Many,
            1 => Uses::One,
            _ => return None,
        };
        let ttl_s = u64::from_be_bytes(rest.try_into().ok()?);
        (version == VERSION).then_some(Self { epoch: Epoch::new(*epoch), ttl_s, uses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(ttl_s: u64, uses: Uses) -> Session {
        Session { epoch: Epoch::new([9; 16]), ttl_s, uses }
    }

    #[test]
    fn ids_are_forty_digits_and_kept_as_a_digest() {
        let id = SessionId::new([0xab; 20]);
        assert_eq!(id.to_string(), "ab".repeat(20));
        assert_eq!(SessionId::parse(&id.to_string()), Some(id.clone()));
        for bad in [String::new(), "ab".repeat(19), "ab".repeat(21), "xy".repeat(20)] {
            assert_eq!(SessionId::parse(&bad), None, "{bad}");
        }
        assert_ne!(id.digest(), SessionId::new([0xac; 20]).digest());
        assert!(!format!("{id:?}").contains("ab"));
    }

    #[test]
    fn a_session_is_renewed_after_a_tenth_of_its_time() {
        let check =
            |now_s, expected| assert_eq!(session(100, Uses::Many).is_renewable(200, now_s), expected, "{now_s}");
        check(100, false);
        check(110, false);
        check(111, true);
        check(300, true);
        assert!(!session(100, Uses::One).is_renewable(200, 150));
        assert_eq!(session(100, Uses::Many).end_s(11), 111);
    }

    #[test]
    fn records_come_back_and_others_are_named() {
        for uses in [Uses::Many, Uses::One] {
            let session = session(u64::MAX, uses);
            assert_eq!(Session::decode(&session.encode()), Ok(session));
        }
        let record = session(1, Uses::One).encode();
        let mut other = record.clone();
        other[0] = 2;
        for bad in [&[], &record[..9], &other[..]] {
            assert_eq!(Session::decode(bad), Err(Error::Corrupt("a session")));
        }
    }

    /// What version 1 wrote: it must stay readable.
    #[test]
    fn the_first_version_is_read() {
        let record = hex::decode("0101090909090909090909090909090909090000000000000064").unwrap();
        assert_eq!(Session::decode(&record), Ok(session(100, Uses::One)));
    }
}
