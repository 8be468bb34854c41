//! Credentials that were recognised lately, so that a request with name and password costs no derivation.
//!
//! Only what was right is remembered, and only its fast hash under a key of this process. A wrong password takes the slow
//! way, so the time doesn't tell whether a name is known.

use std::{
    hash::Hash,
    time::{Duration, Instant},
};

use ring::hmac;

use crate::{
    StoredPassword, UserName,
    recent::{Bounds, Recent},
};

/// A bounded cache of recognised credentials, by whose they are.
#[derive(Debug)]
pub struct Verified<N = UserName> {
    key: hmac::Key,
    recent: Recent<N, hmac::Tag>,
}

/// A password as it is kept.
pub trait Kept {
    /// What tells it from every other.
    fn parts(&self) -> [&[u8]; 2];
}

impl Kept for StoredPassword {
    fn parts(&self) -> [&[u8]; 2] {
        [self.key(), self.salt().as_bytes()]
    }
}

impl<N: Hash + Eq + Clone> Verified<N> {
    /// CouchDB's `max_lifetime` of `couch_passwords_cache`.
    pub const LIFETIME: Duration = Duration::from_secs(600);
    /// CouchDB's `max_objects` of `couch_passwords_cache`.
    pub const ENTRIES_MAX: usize = 10_000;

    /// A cache for at most `entries_max` users. `random` is made anew for each process, and told nobody.
    pub fn new(random: &[u8; 32], entries_max: usize, lifetime: Duration) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, random);
        Self { key, recent: Recent::new(Bounds { entries_max, lifetime }) }
    }

    /// Whether this password was recognised lately, against what is stored now.
    pub fn knows(&self, name: &N, password: &str, stored: &impl Kept, now: Instant) -> bool {
        let message = message(password, stored);
        let matches = |tag: &hmac::Tag| hmac::verify(&self.key, &message, tag.as_ref()).is_ok();
        self.recent.get(name, now).is_some_and(matches)
    }

    /// The password was recognised, the slow way.
    pub fn remember(&mut self, name: N, password: &str, stored: &impl Kept, now: Instant) {
        let tag = hmac::sign(&self.key, &message(password, stored));
        self.recent.insert(name, tag, now);
    }

    /// The user's record has changed. Not needed for safety: what was stored is part of what is remembered.
    pub fn forget(&mut self, name: &N) {
        self.recent.remove(name);
    }

    /// Everybody's password is to be recognised the slow way again, as when passwords are to be kept otherwise.
    pub fn clear(&mut self) {
        self.recent.clear();
    }
}

/// Lengths go first, so that no two triples are the same text.
fn message(password: &str, stored: &impl Kept) -> Vec<u8> {
    let mut message = Vec::new();
    let [key, salt] = stored.parts();
    for part in [key, salt, password.as_bytes()] {
        message.extend_from_slice(&part.len().to_le_bytes());
        message.extend_from_slice(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hashing, Salt};

    fn stored(password: &str, salt: u8) -> StoredPassword {
        Hashing { iterations: 1, ..Hashing::default() }.store(password, Salt::new([salt; 16]))
    }

    #[test]
    fn only_what_was_recognised_is_known() {
        let (ada, eve, now) = ("ada".parse().unwrap(), "eve".parse().unwrap(), Instant::now());
        let mut verified = Verified::new(&[1; 32], 10, Duration::from_secs(10));
        let present = stored("secret", 1);
        verified.remember(UserName::clone(&ada), "secret", &present, now);
        assert!(verified.knows(&ada, "secret", &present, now));
        assert!(!verified.knows(&ada, "Secret", &present, now));
        assert!(!verified.knows(&eve, "secret", &present, now));
        assert!(!verified.knows(&ada, "secret", &stored("other", 1), now), "the password has changed");
        assert!(!verified.knows(&ada, "secret", &stored("secret", 2), now), "the salt has changed");
        assert!(!verified.knows(&ada, "secret", &present, now + Duration::from_secs(10)), "it is too old");
        verified.forget(&ada);
        assert!(!verified.knows(&ada, "secret", &present, now));
    }

    #[test]
    fn no_two_credentials_are_the_same_text() {
        let stored = stored("a", 1);
        assert_ne!(message("ab", &stored), message("a", &stored));
    }
}
