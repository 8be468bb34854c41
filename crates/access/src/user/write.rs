//! What is done to a user's document before it is stored. Source: `couch_users_db:before_doc_update`.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tidegate_json::{Limits, Members, write_string};

use super::{Author, name_of_id, parse_members, with_braces};
use crate::{Error, Hashing, Salt, StoredPassword};

/// The members that tell or keep a password: a new password replaces them all.
const PASSWORD_MEMBERS: [&str; 8] =
    ["derived_key", "iterations", "password", "password_scheme", "password_sha", "preserve_salt", "pbkdf2_prf", "salt"];

/// Administrators pass, users with their own document, and those who aren't anybody yet: they may sign up.
///
/// # Errors
/// [`Error::NotFound`]: others shall not know which users there are.
pub fn check_writer(id: &str, author: Author<'_>) -> Result<(), Error> {
    let own = author.user.name.as_ref().is_none_or(|name| name_of_id(id) == Some(name.as_str()));
    if own || author.is_admin() { Ok(()) } else { Err(Error::missing()) }
}

/// Puts the hash of a new password in its place, in front; everything else stays as it was written. Slow if there is one.
/// `salt` is a new one.
///
/// # Errors
/// [`Error::Forbidden`] when the password isn't text.
pub fn hash_password<'a>(members: &'a [u8], hashing: &Hashing, salt: Salt) -> Result<Cow<'a, [u8]>, Error> {
    let document = parse_members(members)?;
    let password = match document.get("password") {
        None | Some(Value::Null) => return Ok(Cow::Borrowed(members)),
        Some(Value::String(password)) => password,
        Some(other) => return Err(Error::forbidden(format!("Password value of '{other}' is invalid."))),
    };
    let salt = preserved_salt(&document)?.unwrap_or(salt);
    store(members, &hashing.store(password, salt)).map(Cow::Owned)
}

/// The document with the password that was just recognised, kept in today's way. Its user's sessions go on. Slow.
///
/// # Errors
/// [`Error::BadRequest`] when the members aren't JSON.
pub fn upgrade_password(
    members: &[u8],
    password: &str,
    stored: &StoredPassword,
    hashing: &Hashing,
) -> Result<Vec<u8>, Error> {
    store(members, &hashing.store(password, stored.kept_salt()))
}

/// The salt the document has, where it asks to keep it: whoever strengthens a hash doesn't want to end sessions.
fn preserved_salt(document: &Map<String, Value>) -> Result<Option<Salt>, Error> {
    match (document.get("preserve_salt"), document.get("salt")) {
        (Some(Value::Bool(true)), Some(Value::String(salt))) => Ok(Some(Salt::kept(salt))),
        (Some(Value::Bool(true)), Some(other)) => Err(Error::forbidden(format!("Salt value of '{other}' is invalid."))),
        (_, _) => Ok(None),
    }
}

fn store(members: &[u8], password: &StoredPassword) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(members.len() + 256);
    for (name, value) in password.members() {
        push_member(&mut out, name, value.to_string().as_bytes());
    }
    copy_members(members, &mut out, |name| !PASSWORD_MEMBERS.contains(&name))?;
    Ok(out)
}

/// Appends the members whose names are wanted, as they are written.
pub(super) fn copy_members(members: &[u8], out: &mut Vec<u8>, is_wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
    let text = with_braces(members);
    let invalid = |_invalid| Error::bad_request("Document must be a JSON object");
    for member in Members::new(&text, Limits::default()).map_err(invalid)? {
        let (name, value) = member.map_err(invalid)?;
        if is_wanted(&name) {
            push_member(out, &name, value);
        }
    }
    Ok(())
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !out.is_empty() {
        out.push(b',');
    }
    write_string(out, name);
    out.push(b':');
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Handler, Security, UserCtx, UserRecord};

    fn hashing() -> Hashing {
        Hashing { iterations: 2, ..Hashing::default() }
    }

    #[track_caller]
    fn check(members: &str, expected: &str) {
        let written = hash_password(members.as_bytes(), &hashing(), Salt::new([0xab; 16])).unwrap();
        assert_eq!(str::from_utf8(&written).unwrap(), expected, "{members}");
    }

    #[test]
    fn documents_without_a_password_stay_as_they_are() {
        for members in ["", r#""name" : "ada","x":1.0"#, r#""password":null,"derived_key":"x""#] {
            check(members, members);
        }
    }

    /// The key is `hashlib.pbkdf2_hmac("sha256", b"secret", b"abababababababababababababababab", 2)`.
    #[test]
    fn a_password_becomes_its_hash_and_the_rest_stays() {
        let hash = concat!(
            r#""password_scheme":"pbkdf2","pbkdf2_prf":"sha256","salt":"abababababababababababababababab","#,
            r#""iterations":2,"derived_key":"a07b5030d650e6704c96292f27eaef10ce41a06c22605aed45ac354a4bc5a67a""#
        );
        check(r#""password":"secret""#, hash);
        let rest = r#""na\u006de":"ada","n":1.0e5,"roles":[ "a" ]"#;
        let kept = r#""name":"ada","n":1.0e5,"roles":[ "a" ]"#;
        check(&format!(r#"{rest},"password":"secret","salt":"old","iterations":1"#), &format!("{hash},{kept}"));
        let old = r#""password_scheme":"simple","password_sha":"00","derived_key":"x","pbkdf2_prf":"sha","preserve_salt":false"#;
        check(&format!(r#"{old},{rest},"password":"secret""#), &format!("{hash},{kept}"));
    }

    /// The key is `hashlib.pbkdf2_hmac("sha256", b"secret", b"old", 2)`.
    #[test]
    fn a_salt_is_kept_on_demand() {
        let expected = concat!(
            r#""password_scheme":"pbkdf2","pbkdf2_prf":"sha256","salt":"old","#,
            r#""iterations":2,"derived_key":"e49d9063b378f48a310c0e10dc06d322f442fc82788ad3da909027a332e63cd7""#
        );
        check(r#""password":"secret","preserve_salt":true,"salt":"old""#, expected);
    }

    #[track_caller]
    fn check_fault(members: &str, expected: &'static str) {
        let refused = hash_password(members.as_bytes(), &hashing(), Salt::new([0; 16])).unwrap_err();
        assert_eq!(refused, Error::forbidden(expected), "{members}");
    }

    #[test]
    fn passwords_and_salts_are_text() {
        check_fault(r#""password":12"#, "Password value of '12' is invalid.");
        check_fault(r#""password":["a"]"#, r#"Password value of '["a"]' is invalid."#);
        check_fault(r#""password":"a","preserve_salt":true,"salt":7"#, "Salt value of '7' is invalid.");
    }

    #[test]
    fn an_upgraded_password_is_the_same_and_keeps_its_salt() {
        let weak = hash_password(br#""name":"ada","password":"secret""#, &hashing(), Salt::new([1; 16])).unwrap();
        let stored = UserRecord::parse(&weak).unwrap().password.unwrap();
        let strong = Hashing { iterations: 3, ..hashing() };
        assert!(strong.needs_upgrade(&stored));
        let upgraded = upgrade_password(&weak, "secret", &stored, &strong).unwrap();
        let renewed = UserRecord::parse(&upgraded).unwrap().password.unwrap();
        assert_eq!(renewed.salt(), stored.salt());
        assert!(strong.verify(Some(&renewed), "secret").unwrap());
        assert!(!strong.needs_upgrade(&renewed));
        assert!(str::from_utf8(&upgraded).unwrap().ends_with(r#","name":"ada""#));
    }

    #[test]
    fn users_write_their_own_document() {
        let user = |name: &str| UserCtx::user(name.parse().unwrap(), Vec::new(), Handler::Default);
        let may_write =
            |user: &UserCtx, security: &Security| check_writer("org.couchdb.user:ada", Author { user, security });
        let security = Security::parse(br#"{"admins":{"names":["root"]}}"#).unwrap();
        assert_eq!(may_write(&user("ada"), &security), Ok(()));
        assert_eq!(may_write(&user("root"), &security), Ok(()));
        assert_eq!(may_write(&UserCtx::anonymous(), &security), Ok(()));
        assert_eq!(may_write(&user("eve"), &security), Err(Error::missing()));
        assert_eq!(check_writer("ada", Author { user: &user("ada"), security: &security }), Err(Error::missing()));
    }
}
