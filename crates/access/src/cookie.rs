//! The cookie that carries a session.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{Error, Sessions};

/// The attributes of the cookie. Source: `couch_httpd_auth:cookie_attributes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    /// `allow_persistent_cookies`.
    pub lifetime: Lifetime,
    /// `same_site`.
    pub same_site: Option<SameSite>,
    /// `cookie_domain`.
    pub domain: Option<CookieDomain>,
}

/// How long a browser keeps the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as the session lasts, even if the browser is closed.
    #[default]
    Persistent,
    /// Until the browser is closed.
    Browser,
}

/// Which requests from other sites carry the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// All; browsers want the cookie to be secure, then.
    None,
    /// Navigation.
    Lax,
    /// None.
    Strict,
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Encrypted: the cookie is never to be sent otherwise.
    Tls,
    /// Not encrypted.
    Plain,
}

/// The domain of a cookie: letters, digits, dots and hyphens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieDomain(String);

/// The cookie's name.
pub const SESSION_COOKIE: &str = "AuthSession";

impl SameSite {
    /// The value of `same_site`, in any case; `None` where it is empty.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] for another value.
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        match text.to_ascii_lowercase().as_str() {
            "" => Ok(None),
            "none" => Ok(Some(Self::None)),
            "lax" => Ok(Some(Self::Lax)),
            "strict" => Ok(Some(Self::Strict)),
            _ => Err(Error::misconfigured(format!("`{text}` is no SameSite: none, lax or strict"))),
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Lax => "Lax",
            Self::Strict => "Strict",
        }
    }
}

impl CookieDomain {
    /// The value of `cookie_domain`.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when it is no domain.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let is_domain =
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        if is_domain { Ok(Self(text.to_owned())) } else { Err(Error::misconfigured(format!("`{text}` is no domain"))) }
    }
}

impl Cookies {
    /// The value of `Set-Cookie` that brings `token`.
    pub fn set(&self, token: &str, sessions: &Sessions, transport: Transport, now: SystemTime) -> String {
        let max_age = match self.lifetime {
            Lifetime::Persistent => Some(sessions.timeout()),
            Lifetime::Browser => None,
        };
        self.render(token, max_age.map(|age| (now + age, age)), transport)
    }

    /// The value of `Set-Cookie` that takes the token away.
    pub fn clear(&self, transport: Transport) -> String {
        self.render("", Some((UNIX_EPOCH, Duration::ZERO)), transport)
    }

    fn render(&self, token: &str, expiry: Option<(SystemTime, Duration)>, transport: Transport) -> String {
        let mut cookie = format!("{SESSION_COOKIE}={token}; Version=1");
        if let Some((at, age)) = expiry {
            // Writing to a `String` doesn't fail.
            write!(cookie, "; Expires={}; Max-Age={}", httpdate::fmt_http_date(at), age.as_secs()).ok();
        }
        if transport == Transport::Tls {
            cookie.push_str("; Secure");
        }
        if let Some(CookieDomain(domain)) = &self.domain {
            write!(cookie, "; Domain={domain}").ok();
        }
        cookie.push_str("; Path=/; HttpOnly");
        if let Some(same_site) = self.same_site {
            write!(cookie, "; SameSite={}", same_site.as_str()).ok();
        }
        cookie
    }
}

/// The session's token in the value of a `Cookie` header; `None` when it brings none.
pub fn session_token(header: &str) -> Option<&str> {
    let mut cookies = header.split(';').filter_map(|cookie| cookie.trim().split_once('='));
    let (_, value) = cookies.find(|(name, _)| *name == SESSION_COOKIE)?;
    Some(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keyring;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn sessions() -> Sessions {
        Sessions::new(Keyring::new(vec![vec![7; 16]], Vec::new()).unwrap(), Sessions::TIMEOUT)
    }

    #[test]
    fn a_cookie_lasts_as_long_as_the_session() {
        let set = Cookies::default().set("abc", &sessions(), Transport::Plain, at(784_111_777));
        let expected =
            "AuthSession=abc; Version=1; Expires=Sun, 06 Nov 1994 08:59:37 GMT; Max-Age=600; Path=/; HttpOnly";
        assert_eq!(set, expected);
        let cleared = "AuthSession=; Version=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; HttpOnly";
        assert_eq!(Cookies::default().clear(Transport::Plain), cleared);
    }

    #[test]
    fn every_attribute_has_its_place() {
        let cookies = Cookies {
            lifetime: Lifetime::Browser,
            same_site: SameSite::parse("Strict").unwrap(),
            domain: Some(CookieDomain::parse("example.com").unwrap()),
        };
        let set = cookies.set("abc", &sessions(), Transport::Tls, at(0));
        let expected = "AuthSession=abc; Version=1; Secure; Domain=example.com; Path=/; HttpOnly; SameSite=Strict";
        assert_eq!(set, expected);
    }

    #[test]
    fn bad_configuration_is_told() {
        assert_eq!(SameSite::parse("some").unwrap_err().to_string(), "`some` is no SameSite: none, lax or strict");
        assert_eq!(SameSite::parse(""), Ok(None));
        assert!(CookieDomain::parse("a.b; Secure").is_err());
        assert!(CookieDomain::parse("").is_err());
    }

    #[track_caller]
    fn check_token(header: &str, expected: Option<&str>) {
        assert_eq!(session_token(header), expected, "{header}");
    }

    #[test]
    fn the_token_is_found_among_cookies() {
        check_token("AuthSession=abc", Some("abc"));
        check_token("a=b; AuthSession=abc;c=d", Some("abc"));
        check_token("AuthSession=\"abc\"", Some("abc"));
        check_token("AuthSession=", Some(""));
        check_token("xAuthSession=abc", None);
        check_token("", None);
    }
}
