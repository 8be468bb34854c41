//! What a user's document says of its user.

use serde_json::Value;

use super::parse_members;
use crate::{Error, Role, StoredPassword, Totp};

/// What a user's document says of its user, as far as logging in goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Those that are legal, system roles but `_metrics` left out: how ever they got there, they give nothing.
    pub roles: Vec<Role>,
    /// `None` when the document holds none that could be used.
    pub password: Option<StoredPassword>,
    /// The second factor: with one, name and password alone are not enough.
    pub totp: Option<Totp>,
}

impl UserRecord {
    /// Reads the winning revision of a user's document. A document that has conflicts isn't for logging in: answer with
    /// [`UserRecord::conflicted`].
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the password or second factor is kept in a way that isn't known.
    pub fn parse(members: &[u8]) -> Result<Self, Error> {
        let document = parse_members(members)?;
        let roles = document.get("roles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let roles = roles.iter().filter_map(|role| role.as_str()?.parse::<Role>().ok());
        let totp = document.get("totp").filter(|totp| !totp.is_null()).map(Totp::parse).transpose()?;
        Ok(Self {
            roles: roles.filter(|role| !role.is_system() || role.as_str() == Role::METRICS).collect(),
            password: StoredPassword::of_document(&document)?,
            totp,
        })
    }

    /// Why a user can't log in whose document has conflicts: nobody knows which password is the right one.
    pub fn conflicted() -> Error {
        Error::unauthorized(
            "User document conflicts must be resolved before the document is used for authentication purposes.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_roles(members: &str, expected: &[&str]) {
        let record = UserRecord::parse(members.as_bytes()).unwrap();
        assert_eq!(record.roles.iter().map(Role::as_str).collect::<Vec<_>>(), expected, "{members}");
    }

    #[test]
    fn system_roles_in_a_document_give_nothing() {
        check_roles(r#""roles":["a","b"]"#, &["a", "b"]);
        check_roles(r#""roles":["_admin","_x","_metrics","",1,"a\nb"]"#, &["_metrics"]);
        check_roles(r#""roles":"a""#, &[]);
        check_roles("", &[]);
    }

    #[track_caller]
    fn check_password(members: &str, expected: Result<bool, &'static str>) {
        let found = UserRecord::parse(members.as_bytes()).map(|record| record.password.is_some());
        assert_eq!(found, expected.map_err(Error::forbidden), "{members}");
    }

    #[test]
    fn a_password_that_cant_be_read_is_none_or_told() {
        check_password(r#""name":"ada""#, Ok(false));
        check_password(r#""password_sha":"00ff","salt":"a""#, Ok(true));
        check_password(r#""password_sha":null"#, Ok(false));
        check_password(r#""password_scheme":"pbkdf2","derived_key":"zz""#, Ok(false));
        check_password(r#""password_scheme":"md5""#, Err("Password scheme `md5` not supported."));
        let bad_prf = r#""password_scheme":"pbkdf2","pbkdf2_prf":"md5""#;
        check_password(bad_prf, Err("PRF is invalid"));
    }

    #[test]
    fn a_second_factor_is_never_overlooked() {
        assert!(UserRecord::parse(br#""totp":{"key":"GEZDGNBV"}"#).unwrap().totp.is_some());
        assert!(UserRecord::parse(br#""totp":null"#).unwrap().totp.is_none());
        assert!(UserRecord::parse(br#""totp":{"key":1}"#).is_err());
    }
}
