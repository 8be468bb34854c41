//! How users of a database log in: what its configuration says of it.

use super::{CookieRules, Error, Vouched};
use crate::{
    Networks, RemoteUser, SameSite, Transport, oidc,
    oidc::{Registration, Vouchers},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use tidegate_types::PrincipalName;

/// How users of a database log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginRules {
    /// Whose tokens are taken: `oidc` and `local_jwt`.
    pub vouchers: Vouchers,
    /// `disable_password_auth`.
    pub passwords: Passwords,
    /// `allow_empty_password`.
    pub empty_passwords: EmptyPasswords,
    /// `session_cookie_name`, `session_cookie_secure`, `session_cookie_same_site`.
    pub cookies: CookieRules,
    /// `remote_user`: a web server in front that has recognised users.
    pub remote: Option<RemotePrincipals>,
}

/// Whether users log in with passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passwords {
    /// They do.
    #[default]
    Taken,
    /// They don't.
    Refused,
}

/// Whether a user may be without a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyPasswords {
    /// It may not.
    #[default]
    Refused,
    /// It may.
    Allowed,
}

/// Users whom a web server in front has recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemotePrincipals {
    header: RemoteUser,
    /// What is done with somebody whom the database doesn't know.
    pub registration: Registration,
    /// The roles that groups stand for; a group is the role of its name where nothing is said.
    group_roles: Option<BTreeMap<String, BTreeSet<PrincipalName>>>,
    issuer: String,
}

/// Somebody whom a web server in front has recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemotePrincipal {
    /// Who.
    pub name: PrincipalName,
    /// The roles of its groups; `None` where groups aren't told.
    pub roles: Option<BTreeSet<PrincipalName>>,
}

#[derive(Deserialize)]
struct Written {
    oidc: Option<serde_json::Value>,
    local_jwt: Option<serde_json::Value>,
    disable_password_auth: Option<bool>,
    allow_empty_password: Option<bool>,
    session_cookie_name: Option<String>,
    session_cookie_secure: Option<bool>,
    session_cookie_same_site: Option<String>,
    remote_user: Option<WrittenRemote>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRemote {
    header: String,
    groups_header: Option<String>,
    networks: Vec<String>,
    #[serde(default)]
    register: bool,
    group_roles: Option<BTreeMap<String, BTreeSet<String>>>,
}

impl LoginRules {
    /// What an object of a database's configuration says; members that are about other things don't matter.
    ///
    /// # Errors
    /// [`oidc::Error::Misconfigured`].
    pub fn parse(json: &[u8]) -> Result<Self, oidc::Error> {
        let written: Written =
            serde_json::from_slice(json).map_err(|error| oidc::Error::misconfigured(error.to_string()))?;
        let passwords = match written.disable_password_auth {
            Some(true) => Passwords::Refused,
            Some(false) | None => Passwords::Taken,
        };
        let empty_passwords = match written.allow_empty_password {
            Some(true) => EmptyPasswords::Allowed,
            Some(false) | None => EmptyPasswords::Refused,
        };
        Ok(Self {
            vouchers: Vouchers::parse(written.oidc.as_ref(), written.local_jwt.as_ref())?,
            passwords,
            empty_passwords,
            cookies: cookies(&written)?,
            remote: written.remote_user.map(RemotePrincipals::new).transpose()?,
        })
    }
}

fn cookies(written: &Written) -> Result<CookieRules, oidc::Error> {
    let usual = CookieRules::default();
    let name = written.session_cookie_name.clone().filter(|name| !name.is_empty()).unwrap_or(usual.name);
    let is_token = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !is_token {
        return Err(oidc::Error::misconfigured(format!("session_cookie_name: no cookie can be called {name:?}")));
    }
    let same_site = match written.session_cookie_same_site.as_deref() {
        None => usual.same_site,
        Some("Default" | "default") => None,
        Some(text) => SameSite::parse(text).map_err(|error| oidc::Error::misconfigured(error.to_string()))?,
    };
    let transport = |secure| if secure { Transport::Tls } else { Transport::Plain };
    Ok(CookieRules { name, secure: written.session_cookie_secure.map(transport), same_site })
}

impl RemotePrincipals {
    fn new(written: WrittenRemote) -> Result<Self, oidc::Error> {
        let misconfigured = |error: crate::Error| oidc::Error::misconfigured(format!("remote_user: {error}"));
        let networks = Networks::parse(&written.networks.join(",")).map_err(misconfigured)?;
        let header = RemoteUser::new(&written.header, written.groups_header.as_deref(), networks);
        let role = |role: String| {
            role.parse().map_err(|illegal| oidc::Error::misconfigured(format!("remote_user: role {role:?} {illegal}")))
        };
        let roles = |roles: BTreeSet<String>| roles.into_iter().map(role).collect::<Result<_, _>>();
        let group_roles =
            written.group_roles.map(|groups| groups.into_iter().map(|(group, of)| Ok((group, roles(of)?))).collect());
        Ok(Self {
            header: header.map_err(misconfigured)?,
            registration: if written.register { Registration::Automatic } else { Registration::Closed },
            group_roles: group_roles.transpose()?,
            issuer: format!("header:{}", written.header.to_ascii_lowercase()),
        })
    }

    /// The header that names the user, in lower case.
    pub fn name_header(&self) -> &str {
        self.header.name_header()
    }

    /// The header that lists the user's groups, in lower case.
    pub fn groups_header(&self) -> Option<&str> {
        self.header.roles_header()
    }

    /// The user that the headers' values name; `None` when they name nobody or the peer isn't trusted.
    ///
    /// # Errors
    /// [`Error::BadName`].
    pub fn user(
        &self,
        name: Option<&str>,
        groups: Option<&str>,
        peer: IpAddr,
    ) -> Result<Option<RemotePrincipal>, Error> {
        let Some(name) = name.filter(|name| !name.is_empty() && self.header.trusts(peer)) else { return Ok(None) };
        let name = name.parse().map_err(Error::BadName)?;
        let groups = self.groups_header().map(|_| groups.unwrap_or_default());
        Ok(Some(RemotePrincipal { name, roles: groups.map(|groups| self.roles(groups)) }))
    }

    /// What is kept of what the web server says of a user.
    pub fn vouched(&self, user: &RemotePrincipal, now_s: u64) -> Vouched {
        let roles = user.roles.clone().unwrap_or_default();
        Vouched { issuer: self.issuer.clone(), channels: BTreeSet::new(), roles, updated_s: now_s }
    }

    /// Groups that can't be roles give nothing.
    fn roles(&self, groups: &str) -> BTreeSet<PrincipalName> {
        let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
        match &self.group_roles {
            None => groups.filter_map(|group| group.parse().ok()).collect(),
            Some(roles) => groups.filter_map(|group| roles.get(group)).flatten().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> LoginRules {
        LoginRules::parse(json.as_bytes()).unwrap()
    }

    #[track_caller]
    fn check_refused(json: &str, reason: &str) {
        assert_eq!(LoginRules::parse(json.as_bytes()).unwrap_err().to_string(), reason, "{json}");
    }

    #[test]
    fn nothing_said_is_passwords_and_cookies() {
        assert_eq!(rules("{}"), LoginRules::default());
        assert_eq!(rules(r#"{"import_docs":true,"oidc":null}"#), LoginRules::default());
    }

    #[test]
    fn what_is_said_counts() {
        let rules = rules(
            r#"{"disable_password_auth":true,"allow_empty_password":true,"session_cookie_name":"own",
                "session_cookie_secure":true,"session_cookie_same_site":"Strict"}"#,
        );
        assert_eq!((rules.passwords, rules.empty_passwords), (Passwords::Refused, EmptyPasswords::Allowed));
        let cookies = CookieRules {
            name: "own".to_owned(),
            secure: Some(Transport::Tls),
            same_site: SameSite::parse("strict").unwrap(),
        };
        assert_eq!(rules.cookies, cookies);
    }

    fn remote(groups: &str) -> RemotePrincipals {
        let json = format!(
            r#"{{"remote_user":{{"header":"Remote-User","networks":["10.0.0.0/8","::1"],"register":true{groups}}}}}"#
        );
        rules(&json).remote.unwrap()
    }

    #[track_caller]
    fn check_remote(groups: &str, peer: &str, expected: Option<Option<&[&str]>>) {
        let found = remote(groups).user(Some("ada"), Some("staff, ops,,a/b"), peer.parse().unwrap()).unwrap();
        let roles = |roles: &[&str]| roles.iter().map(|role| role.parse().unwrap()).collect();
        let ada = |told: Option<&[&str]>| RemotePrincipal { name: "ada".parse().unwrap(), roles: told.map(roles) };
        assert_eq!(found, expected.map(ada), "{groups} {peer}");
    }

    #[test]
    fn trusted_servers_name_users_and_their_groups() {
        check_remote("", "11.0.0.1", None);
        check_remote("", "10.0.0.1", Some(None));
        check_remote(r#","groups_header":"Remote-Groups""#, "::1", Some(Some(&["ops", "staff"])));
        let mapped = r#","groups_header":"g","group_roles":{"staff":["nurse","reader"],"other":["x"]}"#;
        check_remote(mapped, "10.1.2.3", Some(Some(&["nurse", "reader"])));
        assert_eq!(remote("").user(None, None, "10.0.0.1".parse().unwrap()), Ok(None));
        assert!(remote("").user(Some("a/b"), None, "10.0.0.1".parse().unwrap()).is_err());
        assert_eq!(remote("").registration, Registration::Automatic);
    }

    #[test]
    fn bad_configuration_is_told() {
        check_refused(
            r#"{"remote_user":{"header":"R","networks":[]}}"#,
            "remote_user: a header for users needs trusted networks",
        );
        check_refused(
            r#"{"remote_user":{"header":"R","networks":["x"]}}"#,
            "remote_user: `x` is no network, such as 10.0.0.0/8 or ::1",
        );
        let role = r#"{"remote_user":{"header":"R","networks":["::1"],"group_roles":{"g":["a/b"]}}}"#;
        check_refused(role, "remote_user: role \"a/b\" contains '/', ':', ',', or '`'");
        check_refused(r#"{"session_cookie_name":"a b"}"#, "session_cookie_name: no cookie can be called \"a b\"");
        check_refused(r#"{"oidc":{"default_provider":"x"}}"#, "oidc.default_provider: there is no provider \"x\"");
    }
}
