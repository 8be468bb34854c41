//! The server's administrators.

use crate::{Caller, Error};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Who administers the server, and how a request's credentials are judged.
#[derive(Clone, Debug)]
pub enum Admins {
    /// Everybody is one: `tidegate dev`, which listens on loopback alone.
    Open,
    /// Those named, by password.
    Named(BTreeMap<Arc<str>, PasswordHash>),
}

/// A password as it is kept in memory: salted, and hashed once. The password itself is configuration.
#[derive(Clone, Debug)]
pub struct PasswordHash {
    salt: [u8; 16],
    hash: [u8; 32],
}

impl Admins {
    /// Administrators by name and password. An empty list admits nobody.
    pub fn named(admins: impl IntoIterator<Item = (String, String)>) -> Self {
        let hash = |(name, password): (String, String)| (Arc::from(name), PasswordHash::new(&password));
        Self::Named(admins.into_iter().map(hash).collect())
    }

    /// The caller with these credentials (basic authentication), or with none.
    ///
    /// # Errors
    /// [`Error::BadCredentials`], in the same time whether the name is known or not.
    pub fn authenticate(&self, credentials: Option<(&str, &str)>) -> Result<Caller, Error> {
        match (self, credentials) {
            (Self::Open, _) => Ok(Caller::OpenAdmin),
            (Self::Named(_), None) => Ok(Caller::Anonymous),
            (Self::Named(admins), Some((name, password))) => {
                let nobody = PasswordHash { salt: [0; 16], hash: [0; 32] };
                let known = admins.get_key_value(name);
                let matches = known.map_or(&nobody, |(_, hash)| hash).matches(password);
                known.filter(|_| matches).map(|(name, _)| Caller::Admin(Arc::clone(name))).ok_or(Error::BadCredentials)
            }
        }
    }
}

impl PasswordHash {
    fn new(password: &str) -> Self {
        let salt = rand::random();
        Self { salt, hash: digest(&salt, password) }
    }

    /// Compares every byte, so that the time tells nothing.
    fn matches(&self, password: &str) -> bool {
        let hash = digest(&self.salt, password);
        self.hash.iter().zip(hash).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

fn digest(salt: &[u8; 16], password: &str) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(password).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(admins: &Admins, credentials: Option<(&str, &str)>, expected: Option<&Caller>) {
        assert_eq!(admins.authenticate(credentials).ok().as_ref(), expected, "{credentials:?}");
    }

    #[test]
    fn names_and_passwords_must_both_be_right() {
        let admins = Admins::named([("ada".into(), "secret".into())]);
        check(&admins, Some(("ada", "secret")), Some(&Caller::Admin("ada".into())));
        check(&admins, Some(("ada", "Secret")), None);
        check(&admins, Some(("eve", "secret")), None);
        check(&admins, None, Some(&Caller::Anonymous));
        check(&Admins::Open, Some(("eve", "x")), Some(&Caller::OpenAdmin));
        check(&Admins::named([]), Some(("", "")), None);
    }
}
