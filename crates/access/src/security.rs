//! The `_security` object of a database: who may use it, and who administers it.
//!
//! Source: `couch_db.erl`: `is_admin`, `is_member`, `validate_security_object`.

use serde_json::{Map, Value};

use crate::{Error, Role, UserCtx};

/// Who may do what with a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    text: String,
    admins: Group,
    members: Group,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    names: Vec<String>,
    roles: Vec<String>,
}

impl Default for Security {
    /// [`Security::admin_only`].
    fn default() -> Self {
        Self::admin_only()
    }
}

impl Security {
    const ADMIN_ONLY: &str = r#"{"members":{"roles":["_admin"]},"admins":{"roles":["_admin"]}}"#;

    /// For the server's administrators alone: how databases begin, by CouchDB's `default_security` since 3.0.
    pub fn admin_only() -> Self {
        let group = || Group { names: Vec::new(), roles: vec![Role::ADMIN.to_owned()] };
        Self { text: Self::ADMIN_ONLY.to_owned(), admins: group(), members: group() }
    }

    /// For everybody: `default_security = everyone`.
    pub fn everyone() -> Self {
        Self { text: "{}".to_owned(), admins: Group::default(), members: Group::default() }
    }

    /// Reads the object that a client sent, or that was stored.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it isn't such an object. CouchDB finds the same faults, but only its log tells them.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let no_object = || Error::bad_request("Request body must be a JSON object");
        let text = str::from_utf8(text).ok().ok_or_else(no_object)?;
        let object: Map<String, Value> = serde_json::from_str(text).ok().ok_or_else(no_object)?;
        let admins = Group::parse(object.get("admins"))?;
        // CouchDB 1.0 called members readers.
        let members = Group::parse(object.get("members").or_else(|| object.get("readers")))?;
        Ok(Self { text: text.to_owned(), admins, members })
    }

    /// The object as it was sent: what is stored, and answered to `GET /db/_security`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the user may change design documents and this object.
    pub fn is_admin(&self, user: &UserCtx) -> bool {
        self.admins.holds(user)
    }

    /// Whether the user may read and write documents. Everybody may where no member is named.
    pub fn is_member(&self, user: &UserCtx) -> bool {
        self.is_admin(user) || self.members.is_empty() || self.members.holds(user)
    }

    /// Administrators of the database pass.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for those who haven't logged in, [`Error::Forbidden`] for others.
    pub fn check_admin(&self, user: &UserCtx) -> Result<(), Error> {
        if self.is_admin(user) { Ok(()) } else { Err(refusal(user, "You are not a db or server admin.")) }
    }

    /// Members pass.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for those who haven't logged in, [`Error::Forbidden`] for others.
    pub fn check_member(&self, user: &UserCtx) -> Result<(), Error> {
        if self.is_member(user) {
            return Ok(());
        }
        let reason = match user.name {
            None => "You are not authorized to access this db.",
            Some(_) => "You are not allowed to access this db.",
        };
        Err(refusal(user, reason))
    }
}

fn refusal(user: &UserCtx, reason: &'static str) -> Error {
    match user.name {
        None => Error::unauthorized(reason),
        Some(_) => Error::forbidden(reason),
    }
}

impl Group {
    fn parse(value: Option<&Value>) -> Result<Self, Error> {
        match value {
            None => Ok(Self::default()),
            Some(Value::Object(group)) => Ok(Self { names: strings(group, "names")?, roles: strings(group, "roles")? }),
            Some(_) => Err(Error::bad_request("admins or members must be a JSON list of strings")),
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.roles.is_empty()
    }

    /// Whether the user belongs to the group; the server's administrators belong to every one.
    fn holds(&self, user: &UserCtx) -> bool {
        user.is_admin()
            || self.roles.iter().any(|role| user.has_role(role))
            || self.names.iter().any(|name| user.is_named(name))
    }
}

fn strings(group: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, Error> {
    let wrong = || Error::bad_request(format!("{name} must be a JSON list of strings"));
    let Some(value) = group.get(name) else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Handler;

    fn user(name: &str, roles: &[&str]) -> UserCtx {
        let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
        UserCtx::user(name.parse().unwrap(), roles, Handler::Default)
    }

    /// What an anonymous user, `ada`, `bob` with the role `r` and an administrator may: `a`dminister, `m`erely use, or `-`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let security = Security::parse(text.as_bytes()).unwrap();
        let users = [UserCtx::anonymous(), user("ada", &[]), user("bob", &["q", "r"]), user("root", &["_admin"])];
        let found = users.iter().map(|user| match (security.is_admin(user), security.is_member(user)) {
            (true, true) => 'a',
            (false, true) => 'm',
            (_, false) => '-',
        });
        assert_eq!(found.collect::<String>(), expected, "{text}");
        assert_eq!(security.as_str(), text);
    }

    #[test]
    fn names_and_roles_decide() {
        check(r#"{}"#, "mmma");
        check(r#"{"members":{"names":[],"roles":[]},"other":1}"#, "mmma");
        check(Security::ADMIN_ONLY, "---a");
        check(r#"{"members":{"names":["ada"]}}"#, "-m-a");
        check(r#"{"members":{"roles":["r"]}}"#, "--ma");
        check(r#"{"readers":{"roles":["r"]}}"#, "--ma");
        check(r#"{"members":{},"readers":{"roles":["r"]}}"#, "mmma");
        check(r#"{"admins":{"names":["ada"]}}"#, "mama");
        check(r#"{"admins":{"roles":["r"]},"members":{"names":["ada"]}}"#, "-maa");
        check(r#"{"admins":{"names":["ada"]},"members":{"roles":["_admin"]}}"#, "-a-a");
    }

    #[test]
    fn the_two_beginnings_are_what_they_say() {
        assert_eq!(Security::parse(Security::ADMIN_ONLY.as_bytes()), Ok(Security::admin_only()));
        assert_eq!(Security::parse(b"{}"), Ok(Security::everyone()));
        assert_eq!(Security::default(), Security::admin_only());
    }

    #[track_caller]
    fn check_fault(text: &str, expected: &'static str) {
        assert_eq!(Security::parse(text.as_bytes()), Err(Error::bad_request(expected)), "{text}");
    }

    #[test]
    fn faults_are_told() {
        check_fault("[]", "Request body must be a JSON object");
        check_fault("{", "Request body must be a JSON object");
        check_fault(r#"{"admins":[]}"#, "admins or members must be a JSON list of strings");
        check_fault(r#"{"members":null}"#, "admins or members must be a JSON list of strings");
        check_fault(r#"{"members":{"names":"ada"}}"#, "names must be a JSON list of strings");
        check_fault(r#"{"members":{"names":["ada",1]}}"#, "names must be a JSON list of strings");
        check_fault(r#"{"admins":{"roles":{}}}"#, "roles must be a JSON list of strings");
        check_fault(r#"{"admins":{"roles":[null]}}"#, "roles must be a JSON list of strings");
    }

    #[test]
    fn who_is_refused_is_told_whether_to_log_in() {
        let (security, nobody, ada) = (Security::admin_only(), UserCtx::anonymous(), user("ada", &[]));
        let not_admin = "You are not a db or server admin.";
        assert_eq!(security.check_admin(&nobody), Err(Error::unauthorized(not_admin)));
        assert_eq!(security.check_admin(&ada), Err(Error::forbidden(not_admin)));
        let nobody_s = "You are not authorized to access this db.";
        assert_eq!(security.check_member(&nobody), Err(Error::unauthorized(nobody_s)));
        assert_eq!(security.check_member(&ada), Err(Error::forbidden("You are not allowed to access this db.")));
        assert_eq!(security.check_member(&UserCtx::nameless_admin()), Ok(()));
    }
}
