//! What a user's document must be like, and what its user may change of it.
//!
//! The rules, their order and the texts are those of the validation function that CouchDB puts into `_users`
//! (`couch_js_functions.hrl`), where it would let JavaScript's conversions through, refusals.

use serde_json::{Map, Value};

use super::{Author, ID_PREFIX, parse_members};
use crate::{Error, Role, UserName};

/// A new revision of a user's document.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The document's id.
    pub id: &'a str,
    /// What it is to hold, the password hashed already.
    pub members: &'a [u8],
    /// What it holds; `None` for a new document.
    pub old: Option<&'a [u8]>,
    /// Whether it says that it is a user's.
    pub label: Label,
}

/// Whether a user's document must say `"type": "user"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// As in `_users`.
    Needed,
    /// It may be left out, but can't be another. CouchDB takes such documents in a database that was made
    /// `chttpd_auth/authentication_db`, until it gets round to putting its validation function there.
    Optional,
}

/// A document as its rules see it.
struct User<'a> {
    document: &'a Map<String, Value>,
    name: &'a str,
    roles: Vec<&'a str>,
}

/// Checks a new revision that isn't a deletion.
///
/// # Errors
/// [`Error::Forbidden`] with the first rule that it breaks.
pub fn check_update(update: Update<'_>, author: Author<'_>) -> Result<(), Error> {
    let document = parse_members(update.members)?;
    let old = update.old.map(parse_members).transpose()?;
    let user = User::parse(&document, update.label)?;
    user.check_id(update.id)?;
    if old.as_ref().is_some_and(|old| old.get("name") != document.get("name")) {
        return Err(Error::forbidden("Usernames can not be changed."));
    }
    user.check_password()?;
    if !author.is_admin() {
        user.check_own(old.as_ref(), author)?;
    }
    user.check_roles()?;
    user.check_name()
}

/// Checks a deletion: administrators may delete every user, a user itself.
///
/// # Errors
/// [`Error::Forbidden`] for others.
pub fn check_delete(old: Option<&[u8]>, author: Author<'_>) -> Result<(), Error> {
    let old = old.map(parse_members).transpose()?;
    let name = old.as_ref().and_then(|old| old.get("name")).and_then(Value::as_str);
    // Here, CouchDB asks for an administrator of the server.
    if author.user.is_admin() || name.is_some_and(|name| author.user.is_named(name)) {
        return Ok(());
    }
    Err(Error::forbidden("Only admins may delete other user docs."))
}

impl<'a> User<'a> {
    fn parse(document: &'a Map<String, Value>, label: Label) -> Result<Self, Error> {
        let is_user = match document.get("type") {
            Some(kind) => kind.as_str() == Some("user"),
            None => label == Label::Optional,
        };
        if !is_user {
            return Err(Error::forbidden("doc.type must be user"));
        }
        let name = document.get("name").filter(|name| is_truthy(name));
        let name = name.ok_or_else(|| Error::forbidden("doc.name is required"))?;
        let roles = document.get("roles").filter(|roles| is_truthy(roles));
        let roles = roles.ok_or_else(|| Error::forbidden("doc.roles must exist"))?;
        let roles = roles.as_array().ok_or_else(|| Error::forbidden("doc.roles must be an array"))?;
        let roles: Option<Vec<&str>> = roles.iter().map(Value::as_str).collect();
        let roles = roles.ok_or_else(|| Error::forbidden("doc.roles can only contain strings"))?;
        // A name that isn't text is no id's.
        let name = name.as_str().ok_or_else(wrong_id)?;
        Ok(Self { document, name, roles })
    }

    fn check_id(&self, id: &str) -> Result<(), Error> {
        if id.strip_prefix(ID_PREFIX) == Some(self.name) { Ok(()) } else { Err(wrong_id()) }
    }

    fn check_password(&self) -> Result<(), Error> {
        let is_set = |name: &str| self.document.get(name).is_some_and(is_truthy);
        if is_set("password_sha") && !is_set("salt") {
            return Err(Error::forbidden(
                "Users with password_sha must have a salt.See /_utils/script/couch.js for example code.",
            ));
        }
        let Some(scheme) = self.document.get("password_scheme").filter(|scheme| is_truthy(scheme)) else {
            return Ok(());
        };
        match scheme.as_str() {
            Some("pbkdf2") => self.check_derived_key(),
            Some("simple" | "simple+pbkdf2") => Ok(()),
            Some(other) => Err(Error::forbidden(format!("Password scheme `{other}` not supported."))),
            None => Err(Error::forbidden(format!("Password scheme `{scheme}` not supported."))),
        }
    }

    fn check_derived_key(&self) -> Result<(), Error> {
        if !self.document.get("iterations").is_some_and(Value::is_number) {
            return Err(Error::forbidden("iterations must be a number."));
        }
        if !self.document.get("derived_key").is_some_and(Value::is_string) {
            return Err(Error::forbidden("derived_key must be a string."));
        }
        Ok(())
    }

    /// What those may not who aren't administrators.
    fn check_own(&self, old: Option<&Map<String, Value>>, author: Author<'_>) -> Result<(), Error> {
        let Some(old) = old else {
            return if self.roles.is_empty() { Ok(()) } else { Err(Error::forbidden("Only _admin may set roles")) };
        };
        if !author.user.is_named(self.name) {
            return Err(Error::forbidden("You may only update your own user document."));
        }
        let had = old.get("roles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut had: Vec<Option<&str>> = had.iter().map(Value::as_str).collect();
        let mut has: Vec<Option<&str>> = self.roles.iter().copied().map(Some).collect();
        had.sort_unstable();
        has.sort_unstable();
        if had == has { Ok(()) } else { Err(Error::forbidden("Only _admin may edit roles")) }
    }

    fn check_roles(&self) -> Result<(), Error> {
        if self.roles.iter().any(|role| role.starts_with('_') && *role != Role::METRICS) {
            return Err(Error::forbidden("No system roles (starting with underscore) in users db."));
        }
        for role in &self.roles {
            role.parse::<Role>().map_err(|fault| Error::forbidden(format!("A role {fault}.")))?;
        }
        Ok(())
    }

    fn check_name(&self) -> Result<(), Error> {
        if self.name.starts_with('_') {
            return Err(Error::forbidden("Username may not start with underscore."));
        }
        if self.name.contains(':') {
            return Err(Error::forbidden("Character `:` is not allowed in usernames."));
        }
        let parsed = self.name.parse::<UserName>();
        parsed.map(|_legal| ()).map_err(|fault| Error::forbidden(format!("The username {fault}.")))
    }
}

fn wrong_id() -> Error {
    Error::forbidden("Doc ID must be of the form org.couchdb.user:name")
}

/// Whether JavaScript takes the value for true.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64().is_none_or(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests;
