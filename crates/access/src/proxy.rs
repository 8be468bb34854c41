//! Users whom a proxy has recognised, by CouchDB's headers. Source: `couch_httpd_auth:proxy_authentication_handler`.

use std::net::IpAddr;

use crate::{Error, Handler, Keyring, Networks, Role, UserCtx, hex};

/// Which proxies are believed.
#[derive(Clone, Debug)]
pub struct ProxyRule {
    /// `proxy_use_secret`.
    keyring: Option<Keyring>,
    peers: Networks,
}

/// What a request says of its user, by the names CouchDB gives the headers where nothing else is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyHeaders<'a> {
    /// `X-Auth-CouchDB-UserName`.
    pub name: Option<&'a str>,
    /// `X-Auth-CouchDB-Roles`, separated by commas.
    pub roles: Option<&'a str>,
    /// `X-Auth-CouchDB-Token`: the user's name, signed with the secret, in hexadecimal.
    pub token: Option<&'a str>,
}

impl ProxyRule {
    /// Believes requests from `peers` (all, if empty) with a token by `keyring` (or without, if there is none).
    ///
    /// # Errors
    /// [`Error::Misconfigured`] with neither: CouchDB believes everybody then, this server nobody.
    pub fn new(keyring: Option<Keyring>, peers: Networks) -> Result<Self, Error> {
        if keyring.is_none() && peers.is_empty() {
            return Err(Error::misconfigured("proxy authentication needs a secret or trusted networks"));
        }
        Ok(Self { keyring, peers })
    }

    /// The user that the headers name; `None` when they name nobody or aren't believed. The roles are the proxy's to
    /// give, `_admin` included.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for names that aren't legal.
    pub fn user(&self, headers: ProxyHeaders<'_>, peer: IpAddr) -> Result<Option<UserCtx>, Error> {
        let Some(name) = headers.name else { return Ok(None) };
        let is_believed = self.peers.is_empty() || self.peers.contains(peer);
        if !is_believed || !self.has_signed(name, headers.token) {
            return Ok(None);
        }
        let name = name.parse().map_err(|fault| Error::bad_request(format!("The username {fault}.")))?;
        let roles = Role::parse_list(headers.roles.unwrap_or_default());
        let roles = roles.map_err(|fault| Error::bad_request(format!("A role {fault}.")))?;
        Ok(Some(UserCtx::user(name, roles, Handler::Proxy)))
    }

    fn has_signed(&self, name: &str, token: Option<&str>) -> bool {
        let Some(keyring) = &self.keyring else { return true };
        let token = token.and_then(hex::decode);
        token.is_some_and(|token| keyring.verify(name.as_bytes(), b"", &token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"92de07df7e7a3fe14808cef90a7cc0d91";
    /// `hmac.new(SECRET, b"ada", "sha1")` and `"sha256"`.
    const SHA1: &str = "55b51b02eb5abdc79547ceacf372568f1ded3bba";
    const SHA256: &str = "d86eacc2130a464fa432003163375a6848cf72f4f9acbf320fde034c80bb7f4d";

    fn rule(secret: Option<&[u8]>, peers: &str) -> ProxyRule {
        let keyring = secret.map(|secret| Keyring::new(vec![secret.to_vec()], Vec::new()).unwrap());
        ProxyRule::new(keyring, Networks::parse(peers).unwrap()).unwrap()
    }

    #[track_caller]
    fn check(rule: &ProxyRule, token: Option<&str>, expected: bool) {
        let headers = ProxyHeaders { name: Some("ada"), roles: Some("a, _admin"), token };
        let found = rule.user(headers, "10.0.0.1".parse().unwrap()).unwrap();
        let roles = ["a", "_admin"].map(|role| role.parse().unwrap()).to_vec();
        let ada = UserCtx::user("ada".parse().unwrap(), roles, Handler::Proxy);
        assert_eq!(found, expected.then_some(ada), "{token:?}");
    }

    #[test]
    fn a_token_proves_that_the_proxy_knows_the_secret() {
        let rule = rule(Some(SECRET), "");
        check(&rule, Some(SHA1), true);
        check(&rule, Some(SHA256), true);
        check(&rule, Some(&SHA256.to_uppercase()), true);
        check(&rule, Some(&SHA256[..62]), false);
        check(&rule, Some("zz"), false);
        check(&rule, Some(""), false);
        check(&rule, None, false);
        check(&self::rule(Some(b"another secret, as long"), ""), Some(SHA256), false);
    }

    #[test]
    fn peers_are_trusted_by_their_network() {
        check(&rule(None, "10.0.0.0/8"), None, true);
        check(&rule(None, "192.0.2.0/24"), None, false);
        check(&rule(Some(SECRET), "192.0.2.0/24"), Some(SHA1), false);
        check(&rule(Some(SECRET), "10.0.0.0/8"), None, false);
        let nobody = ProxyRule::new(None, Networks::default()).unwrap_err();
        assert_eq!(nobody, Error::misconfigured("proxy authentication needs a secret or trusted networks"));
    }

    #[test]
    fn headers_are_looked_at_when_there_are_any() {
        let (rule, peer) = (rule(None, "10.0.0.0/8"), "10.0.0.1".parse().unwrap());
        assert_eq!(rule.user(ProxyHeaders::default(), peer), Ok(None));
        let named = |name, roles| rule.user(ProxyHeaders { name: Some(name), roles, token: None }, peer);
        assert_eq!(named("ada", None).unwrap().unwrap().roles, []);
        assert_eq!(named("", None), Err(Error::bad_request("The username is empty.")));
        assert_eq!(named("ada", Some("a\tb")), Err(Error::bad_request("A role holds a control character.")));
    }
}
