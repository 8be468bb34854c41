//! Logins are refused for a while after too many wrong passwords.
//!
//! Failures count for one name from one address, against one password: changing it lets its user in again. They are
//! forgotten some time after the *first* of them. Source: `couch_auth_lockout.erl`, `[chttpd_auth_lockout]`.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    recent::{Bounds, Recent},
};

/// What happens once too many logins have failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockout {
    /// Nothing is counted.
    Off,
    /// The log is to tell it.
    Warn,
    /// Logins are refused.
    Enforce,
}

/// How much is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleOptions {
    /// `mode`.
    pub lockout: Lockout,
    /// `threshold`: so many failures are too many.
    pub failures_max: u32,
    /// `max_lifetime`.
    pub lifetime: Duration,
    /// `max_objects`: so many names and addresses are counted, at 80 bytes or so each.
    pub entries_max: usize,
}

/// Counts failed logins.
#[derive(Debug)]
pub struct Throttle {
    options: ThrottleOptions,
    failures: Recent<[u8; 16], u32>,
}

/// Who tries to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// From where. Of an IPv6 address the network counts, of which the peer has all addresses.
    pub peer: IpAddr,
    /// As whom; the name needn't exist.
    pub name: &'a str,
    /// The salt of the user's password; empty where there is none.
    pub salt: &'a str,
}

/// How an attempt stands before its password is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may go on.
    Open,
    /// It may go on, and the log should tell that it wouldn't if lockout were enforced.
    Watched,
    /// It may not, whatever the password.
    Locked,
}

impl Default for ThrottleOptions {
    fn default() -> Self {
        let lifetime = Duration::from_secs(300);
        Self { lockout: Lockout::Enforce, failures_max: 5, lifetime, entries_max: 10_000 }
    }
}

impl Standing {
    /// Whether the attempt may go on.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when it may not.
    pub fn check(self) -> Result<(), Error> {
        match self {
            Self::Open | Self::Watched => Ok(()),
            Self::Locked => {
                Err(Error::forbidden("Account is temporarily locked due to multiple authentication failures"))
            }
        }
    }
}

impl Throttle {
    /// Nothing has failed yet.
    pub fn new(options: ThrottleOptions) -> Self {
        let ThrottleOptions { lifetime, entries_max, .. } = options;
        Self { options, failures: Recent::new(Bounds { entries_max, lifetime }) }
    }

    /// Changes what happens after how many failures; those that were counted count on.
    pub fn set_rule(&mut self, lockout: Lockout, failures_max: u32) {
        self.options = ThrottleOptions { lockout, failures_max, ..self.options };
    }

    /// How an attempt stands.
    pub fn standing(&self, attempt: Attempt<'_>, now: Instant) -> Standing {
        let is_over =
            || self.failures.get(&attempt.key(), now).is_some_and(|&failures| failures >= self.options.failures_max);
        match self.options.lockout {
            Lockout::Warn if is_over() => Standing::Watched,
            Lockout::Enforce if is_over() => Standing::Locked,
            Lockout::Off | Lockout::Warn | Lockout::Enforce => Standing::Open,
        }
    }

    /// The attempt has failed.
    pub fn handle_failure(&mut self, attempt: Attempt<'_>, now: Instant) {
        if self.options.lockout == Lockout::Off {
            return;
        }
        let key = attempt.key();
        match self.failures.get_mut(&key, now) {
            Some(failures) => *failures = failures.saturating_add(1),
            None => self.failures.insert(key, 1, now),
        }
    }
}

impl Attempt<'_> {
    /// Of a fixed size, whatever the names.
    fn key(&self) -> [u8; 16] {
        let peer = match self.peer.to_canonical() {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            IpAddr::V6(address) => u128::from(address) >> 64 << 64,
        };
        let hash = Sha256::new()
            .chain_update(peer.to_le_bytes())
            .chain_update(self.name.len().to_le_bytes())
            .chain_update(self.name)
            .chain_update(self.salt)
            .finalize();
        let mut key = [0; 16];
        key.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt<'a>(peer: &str, name: &'a str, salt: &'a str) -> Attempt<'a> {
        Attempt { peer: peer.parse().unwrap(), name, salt }
    }

    /// How `attempt` stands after five failures as `ada` with salt `s` from 192.0.2.1, the first one 299 s ago.
    fn standing(lockout: Lockout, attempt: Attempt<'_>) -> Standing {
        let start = Instant::now();
        let mut throttle = Throttle::new(ThrottleOptions { lockout, ..ThrottleOptions::default() });
        let failing = self::attempt("192.0.2.1", "ada", "s");
        for second in 0..5 {
            assert_eq!(throttle.standing(failing, start), Standing::Open);
            throttle.handle_failure(failing, start + Duration::from_secs(second));
        }
        assert_eq!(throttle.standing(failing, start + Duration::from_secs(300)), Standing::Open, "it is forgotten");
        throttle.standing(attempt, start + Duration::from_secs(299))
    }

    #[test]
    fn failures_count_by_address_name_and_password() {
        let check = |attempt, expected| assert_eq!(standing(Lockout::Enforce, attempt), expected, "{attempt:?}");
        check(attempt("192.0.2.1", "ada", "s"), Standing::Locked);
        check(attempt("::ffff:192.0.2.1", "ada", "s"), Standing::Locked);
        check(attempt("192.0.2.2", "ada", "s"), Standing::Open);
        check(attempt("192.0.2.1", "eve", "s"), Standing::Open);
        check(attempt("192.0.2.1", "adas", ""), Standing::Open);
        check(attempt("192.0.2.1", "ada", "new"), Standing::Open);
    }

    #[test]
    fn the_mode_decides_what_happens() {
        let failing = attempt("192.0.2.1", "ada", "s");
        assert_eq!(standing(Lockout::Warn, failing), Standing::Watched);
        assert_eq!(standing(Lockout::Off, failing), Standing::Open);
        let locked = Standing::Locked.check().unwrap_err();
        let expected = "Account is temporarily locked due to multiple authentication failures";
        assert_eq!(locked, Error::forbidden(expected));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_peer() {
        let key = |peer| attempt(peer, "ada", "").key();
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }
}
