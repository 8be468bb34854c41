//! Users whom a web server in front has recognised, by a header of any name, such as `Remote-User`.

use std::net::IpAddr;

use crate::{Error, Handler, Networks, Role, UserCtx};

/// Which header is believed, and from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteUser {
    name_header: String,
    roles_header: Option<String>,
    peers: Networks,
}

impl RemoteUser {
    /// Believes these headers of requests from `peers`.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] without peers, or for what can't be a header's name.
    pub fn new(name_header: &str, roles_header: Option<&str>, peers: Networks) -> Result<Self, Error> {
        if peers.is_empty() {
            return Err(Error::misconfigured("a header for users needs trusted networks"));
        }
        let name_header = header_name(name_header)?;
        Ok(Self { name_header, roles_header: roles_header.map(header_name).transpose()?, peers })
    }

    /// The header that names the user, in lower case.
    pub fn name_header(&self) -> &str {
        &self.name_header
    }

    /// The header that lists the user's roles, in lower case.
    pub fn roles_header(&self) -> Option<&str> {
        self.roles_header.as_deref()
    }

    /// Whether a peer is believed.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.peers.contains(peer)
    }

    /// The user that the headers' values name; `None` when they name nobody or the peer isn't trusted. Roles of the
    /// system aren't given in this way.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for names that aren't legal.
    pub fn user(&self, name: Option<&str>, roles: Option<&str>, peer: IpAddr) -> Result<Option<UserCtx>, Error> {
        let Some(name) = name.filter(|name| !name.is_empty() && self.trusts(peer)) else { return Ok(None) };
        let name = name.parse().map_err(|fault| Error::bad_request(format!("The username {fault}.")))?;
        let roles = roles.filter(|_| self.roles_header.is_some()).unwrap_or_default();
        let mut roles = Role::parse_list(roles).map_err(|fault| Error::bad_request(format!("A role {fault}.")))?;
        roles.retain(|role| !role.is_system());
        Ok(Some(UserCtx::user(name, roles, Handler::Remote)))
    }
}

fn header_name(name: &str) -> Result<String, Error> {
    let is_token =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if is_token { Ok(name.to_ascii_lowercase()) } else { Err(Error::misconfigured(format!("`{name}` is no header"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(roles_header: Option<&str>) -> RemoteUser {
        RemoteUser::new("Remote-User", roles_header, Networks::parse("10.0.0.0/8").unwrap()).unwrap()
    }

    #[track_caller]
    fn check(rule: &RemoteUser, name: Option<&str>, peer: &str, expected: Option<&[&str]>) {
        let found = rule.user(name, Some("a,_admin,b"), peer.parse().unwrap()).unwrap();
        let ada = |roles: &[&str]| {
            let roles = roles.iter().map(|role| role.parse().unwrap()).collect();
            UserCtx::user("ada".parse().unwrap(), roles, Handler::Remote)
        };
        assert_eq!(found, expected.map(ada), "{name:?} {peer}");
    }

    #[test]
    fn trusted_peers_name_users_but_no_administrators() {
        check(&rule(None), Some("ada"), "10.0.0.1", Some(&[]));
        check(&rule(Some("Remote-Groups")), Some("ada"), "10.0.0.1", Some(&["a", "b"]));
        check(&rule(None), Some("ada"), "11.0.0.1", None);
        check(&rule(None), Some(""), "10.0.0.1", None);
        check(&rule(None), None, "10.0.0.1", None);
    }

    #[test]
    fn bad_configuration_is_told() {
        let reason =
            |header, peers| RemoteUser::new(header, None, Networks::parse(peers).unwrap()).unwrap_err().to_string();
        assert_eq!(reason("Remote-User", ""), "a header for users needs trusted networks");
        assert_eq!(reason("Remote User", "::1"), "`Remote User` is no header");
        assert_eq!(rule(Some("X-Groups")).roles_header(), Some("x-groups"));
        assert_eq!(rule(None).name_header(), "remote-user");
    }
}
