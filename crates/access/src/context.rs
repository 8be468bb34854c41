//! Who a request is from, once that is settled.

use serde_json::json;

use crate::{Error, Role, UserName};

/// Who a request is from: what CouchDB calls the user context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserCtx {
    /// `None` for somebody who gave no credentials, and for everybody where there are no administrators.
    pub name: Option<UserName>,
    /// In the order in which they were given.
    pub roles: Vec<Role>,
    /// How the user was recognised; `None` where nobody was.
    pub handler: Option<Handler>,
}

/// A way to be recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// Name and password with the request.
    Default,
    /// The cookie of a session.
    Cookie,
    /// Headers that a proxy has signed.
    Proxy,
    /// A signed token.
    Jwt,
    /// A header from a trusted peer.
    Remote,
}

impl Handler {
    /// Its name in `GET /_session`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Cookie => "cookie",
            Self::Proxy => "proxy",
            Self::Jwt => "jwt",
            Self::Remote => "remote",
        }
    }
}

impl UserCtx {
    /// Somebody who gave no credentials.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// The same, for as long as one likes.
    pub fn nobody() -> &'static Self {
        static NOBODY: UserCtx = UserCtx { name: None, roles: Vec::new(), handler: None };
        &NOBODY
    }

    /// Everybody, where there are no administrators (the "admin party"), and the server itself.
    pub fn nameless_admin() -> Self {
        Self { name: None, roles: vec![Role::admin()], handler: None }
    }

    /// A user who was recognised by `handler`.
    pub fn user(name: UserName, roles: Vec<Role>, handler: Handler) -> Self {
        Self { name: Some(name), roles, handler: Some(handler) }
    }

    /// Whether the user has a role of this name.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.as_str() == role)
    }

    /// Whether the user administers the server.
    pub fn is_admin(&self) -> bool {
        self.has_role(Role::ADMIN)
    }

    /// Whether this is the user of that name.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|own| own.as_str() == name)
    }

    /// The server's administrators pass.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for everybody else.
    pub fn check_admin(&self) -> Result<(), Error> {
        if self.is_admin() { Ok(()) } else { Err(Error::unauthorized("You are not a server admin.")) }
    }

    /// Administrators and those with [`Role::METRICS`] pass.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for everybody else.
    pub fn check_metrics(&self) -> Result<(), Error> {
        if self.is_admin() || self.has_role(Role::METRICS) {
            return Ok(());
        }
        Err(Error::unauthorized("You are not a server admin or read-only metrics user"))
    }

    /// Somebody passes, where `require_valid_user` is set.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for nobody.
    pub fn check_somebody(&self) -> Result<(), Error> {
        if self.name.is_some() { Ok(()) } else { Err(Error::unauthorized("Authentication required.")) }
    }

    /// What design documents' functions get as `userCtx`, with the database they run in.
    pub fn userctx_json(&self, db: &str) -> String {
        json!({"db": db, "name": self.name_text(), "roles": self.role_texts()}).to_string()
    }

    /// What `GET /_session` shows as `userCtx`.
    pub fn session_json(&self) -> String {
        json!({"name": self.name_text(), "roles": self.role_texts()}).to_string()
    }

    fn name_text(&self) -> Option<&str> {
        self.name.as_ref().map(UserName::as_str)
    }

    fn role_texts(&self) -> Vec<&str> {
        self.roles.iter().map(Role::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ctx(name: &str, roles: &[&str]) -> UserCtx {
        let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        UserCtx::user(name.parse().unwrap(), roles, Handler::Default)
    }

    #[test]
    fn functions_see_name_roles_and_database() {
        let (nobody, ada) = (UserCtx::anonymous(), ctx("a\"da", &["b", "a"]));
        assert_eq!(nobody.userctx_json("x"), r#"{"db":"x","name":null,"roles":[]}"#);
        assert_eq!(ada.userctx_json("x"), r#"{"db":"x","name":"a\"da","roles":["b","a"]}"#);
        assert_eq!(UserCtx::nameless_admin().session_json(), r#"{"name":null,"roles":["_admin"]}"#);
    }

    #[test]
    fn server_rules_name_who_passes() {
        let users = [
            UserCtx::anonymous(),
            ctx("a", &[]),
            ctx("m", &["_metrics"]),
            ctx("r", &["_admin"]),
            UserCtx::nameless_admin(),
        ];
        let passes = |check: fn(&UserCtx) -> Result<(), Error>| users.each_ref().map(|user| check(user).is_ok());
        assert_eq!(passes(UserCtx::check_admin), [false, false, false, true, true]);
        assert_eq!(passes(UserCtx::check_metrics), [false, false, true, true, true]);
        assert_eq!(passes(UserCtx::check_somebody), [false, true, true, true, false]);
    }
}
