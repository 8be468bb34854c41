//! What is known of a name that somebody wants to log in with.

use crate::{Error, Handler, Role, StoredPassword, Totp, UserCtx, UserName, UserRecord};

/// A user who can log in with a password.
///
/// Where an administrator of the configuration has a document in `_users`, too, its password is that of the
/// configuration and the document adds roles. Source: `chttpd_auth_cache:get_user_creds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: UserName,
    /// Its roles, `_admin` first.
    pub roles: Vec<Role>,
    /// Its password.
    pub password: StoredPassword,
    /// Its second factor.
    pub totp: Option<Totp>,
    /// Whence the password is.
    pub source: Source,
}

/// Where an account's password is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the configuration, which logging in leaves as it is.
    Configuration,
    /// In `_users`: an old hash is replaced there ([`user::upgrade_password`](crate::user::upgrade_password)).
    Document,
}

impl Account {
    /// The account of `name`, by its entry in the configuration and its document; `None` when neither has a password.
    pub fn find(name: &UserName, admin: Option<&StoredPassword>, record: Option<UserRecord>) -> Option<Self> {
        let name = name.clone();
        let Some(password) = admin else {
            let UserRecord { roles, password, totp } = record?;
            return Some(Self { name, roles, password: password?, totp, source: Source::Document });
        };
        let mut roles = vec![Role::admin()];
        roles.extend(record.into_iter().flat_map(|record| record.roles));
        Some(Self { name, roles, password: password.clone(), totp: None, source: Source::Configuration })
    }

    /// Accounts without a second factor may send name and password with a request; others log in to a session.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], the same as for a wrong password.
    pub fn check_basic(&self) -> Result<(), Error> {
        if self.totp.is_none() { Ok(()) } else { Err(Error::bad_credentials()) }
    }

    /// The user, once it is recognised.
    pub fn into_user(self, handler: Handler) -> UserCtx {
        UserCtx::user(self.name, self.roles, handler)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hashing, Salt};

    fn stored(password: &str) -> StoredPassword {
        Hashing { iterations: 1, ..Hashing::default() }.store(password, Salt::new([1; 16]))
    }

    /// A document with the role `a`.
    fn record(members: &str) -> UserRecord {
        let hash = r#""roles":["a"],"password_sha":"00","salt":"s""#;
        UserRecord::parse(format!("{hash}{members}").as_bytes()).unwrap()
    }

    fn find(admin: Option<&StoredPassword>, record: Option<UserRecord>) -> Option<Account> {
        Account::find(&"ada".parse().unwrap(), admin, record)
    }

    #[test]
    fn the_configuration_comes_first_and_the_document_adds_roles() {
        let admin = stored("configuration");
        let shown = |account: Account| (account.source, account.into_user(Handler::Default).session_json());
        assert_eq!(find(None, None), None);
        assert_eq!(find(None, Some(UserRecord::parse(br#""roles":["a"]"#).unwrap())), None, "it has no password");
        let document = (Source::Document, r#"{"name":"ada","roles":["a"]}"#.to_owned());
        assert_eq!(find(None, Some(record(""))).map(shown), Some(document));
        let alone = (Source::Configuration, r#"{"name":"ada","roles":["_admin"]}"#.to_owned());
        assert_eq!(find(Some(&admin), None).map(shown), Some(alone));
        let both = (Source::Configuration, r#"{"name":"ada","roles":["_admin","a"]}"#.to_owned());
        assert_eq!(find(Some(&admin), Some(record(""))).map(shown), Some(both));
        assert_eq!(find(Some(&admin), Some(record(""))).map(|account| account.password), Some(admin));
    }

    #[test]
    fn a_second_factor_needs_a_session() {
        let factor = r#","totp":{"key":"GEZDGNBV"}"#;
        assert_eq!(find(None, Some(record(factor))).unwrap().check_basic(), Err(Error::bad_credentials()));
        assert_eq!(find(None, Some(record(""))).unwrap().check_basic(), Ok(()));
        assert_eq!(find(Some(&stored("x")), Some(record(factor))).unwrap().check_basic(), Ok(()));
    }
}
