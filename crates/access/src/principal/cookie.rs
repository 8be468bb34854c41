//! The cookie that carries a session of a database's user.

use super::SessionId;
use crate::{SameSite, Transport};
use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tidegate_types::DbName;

/// How a database's session cookies are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieRules {
    /// `session_cookie_name`.
    pub name: String,
    /// `session_cookie_secure`: whether it is sent over TLS alone; by default, when it was brought over TLS.
    pub secure: Option<Transport>,
    /// `session_cookie_same_site`: which requests from other sites carry it.
    pub same_site: Option<SameSite>,
}

impl Default for CookieRules {
    fn default() -> Self {
        Self { name: Self::NAME.to_owned(), secure: None, same_site: Some(SameSite::Lax) }
    }
}

impl CookieRules {
    /// What the cookie is called where nobody says.
    pub const NAME: &str = "SyncGatewaySession";

    /// The session that the value of a `Cookie` header shows; `None` when it shows none.
    pub fn session(&self, header: &str) -> Option<SessionId> {
        value(header, &self.name).and_then(SessionId::parse)
    }

    /// The value of `Set-Cookie` that brings a session of `db`, until `expires_s`.
    pub fn set(&self, db: &DbName, id: &SessionId, expires_s: u64, transport: Transport) -> String {
        self.render(db, &id.to_string(), expires_s, transport)
    }

    /// The value of `Set-Cookie` that takes the session away.
    pub fn clear(&self, db: &DbName, transport: Transport) -> String {
        self.render(db, "", 0, transport)
    }

    fn render(&self, db: &DbName, value: &str, expires_s: u64, transport: Transport) -> String {
        let mut cookie = format!("{}={value}; Path=/{}", self.name, path(db));
        // Years beyond 9999 can't be written.
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(expires_s.min(253_402_300_799))).unwrap_or(UNIX_EPOCH);
        write!(cookie, "; Expires={}; HttpOnly", httpdate::fmt_http_date(SystemTime::max(expires, UNIX_EPOCH))).ok();
        if self.secure.unwrap_or(transport) == Transport::Tls {
            cookie.push_str("; Secure");
        }
        if let Some(same_site) = self.same_site {
            write!(cookie, "; SameSite={}", same_site.as_str()).ok();
        }
        cookie
    }
}

/// The value of a cookie of this name in a `Cookie` header.
pub(crate) fn value<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    let mut cookies = header.split(';').filter_map(|cookie| cookie.trim().split_once('='));
    let (_, value) = cookies.find(|(own, _)| *own == name)?;
    Some(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
}

/// A database's name as it stands in a path.
pub(crate) fn path(db: &DbName) -> String {
    db.as_str().replace('/', "%2F").replace('+', "%2B")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rules: &CookieRules, db: &str, transport: Transport) -> String {
        rules.set(&db.parse().unwrap(), &SessionId::new([0xab; 20]), 784_111_777, transport)
    }

    #[test]
    fn a_cookie_is_its_databases() {
        let id = "ab".repeat(20);
        let expires = "Expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly";
        let rules = CookieRules::default();
        let plain = format!("SyncGatewaySession={id}; Path=/db; {expires}; SameSite=Lax");
        assert_eq!(set(&rules, "db", Transport::Plain), plain);
        let tls = format!("SyncGatewaySession={id}; Path=/a%2Fb; {expires}; Secure; SameSite=Lax");
        assert_eq!(set(&rules, "a/b", Transport::Tls), tls);
        let own = CookieRules { name: "own".to_owned(), secure: Some(Transport::Plain), same_site: None };
        assert_eq!(set(&own, "db", Transport::Tls), format!("own={id}; Path=/db; {expires}"));
        let cleared = "SyncGatewaySession=; Path=/db; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax";
        assert_eq!(rules.clear(&"db".parse().unwrap(), Transport::Plain), cleared);
        let ever = rules.set(&"db".parse().unwrap(), &SessionId::new([1; 20]), u64::MAX, Transport::Plain);
        assert!(ever.contains("Expires=Fri, 31 Dec 9999 23:59:59 GMT"), "{ever}");
    }

    #[test]
    fn the_session_is_found_among_cookies() {
        let id = "ab".repeat(20);
        let found = |header: &str| CookieRules::default().session(header).is_some();
        assert!(found(&format!("a=b; SyncGatewaySession={id}; c=d")));
        assert!(found(&format!("SyncGatewaySession=\"{id}\"")));
        assert!(!found(&format!("Session={id}")));
        assert!(!found("SyncGatewaySession="));
        assert!(!found("SyncGatewaySession=xyz"));
    }
}
