//! The two sides of a job: a database of this server, or one behind a URL.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use tidegate_types::DbName;

use super::JobError;

/// A database to read from or write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// One of this server's.
    Local(DbName),
    /// One that speaks CouchDB's protocol at a URL.
    Remote(Remote),
}

/// A database behind a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// The database's URL, without credentials, and with a slash at the end unless it has a query.
    pub url: String,
    /// Headers to send, sorted by name, without credentials.
    pub headers: Vec<(String, String)>,
    /// Name and password, wherever they stood: in `auth`, else in the URL, else in a header.
    pub basic: Option<Basic>,
    /// The proxy to go through, as it was given.
    pub proxy: Option<String>,
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Basic {
    /// The user's name.
    pub username: String,
    /// The password; `Debug` does not show it.
    pub password: String,
}

const HIDDEN: &str = "*****";

impl Endpoint {
    /// The endpoint that a job's `source` or `target` names.
    pub(super) fn parse(value: Option<&Value>, proxy: Option<&str>) -> Result<Self, JobError> {
        let bad = |reason: &str| Err(JobError::BadDocument(reason.to_owned()));
        match value {
            None | Some(Value::Null) => bad("Missing replicator database"),
            Some(Value::String(text)) if has_scheme(text) => Remote::parse(text, &Map::new(), proxy).map(Self::Remote),
            Some(Value::String(name)) => match name.parse() {
                Ok(name) => Ok(Self::Local(name)),
                Err(_) => bad("endpoint is neither a URL nor a database name"),
            },
            Some(Value::Object(members)) => {
                let Some(url) = members.get("url").and_then(Value::as_str) else { return bad(INVALID_URL) };
                Remote::parse(url, members, proxy).map(Self::Remote)
            }
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_)) => bad(INVALID_URL),
        }
    }
}

const INVALID_URL: &str = "endpoint has an invalid url";

fn has_scheme(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

impl Remote {
    fn parse(url: &str, members: &Map<String, Value>, proxy: Option<&str>) -> Result<Self, JobError> {
        let invalid = || JobError::BadDocument(INVALID_URL.to_owned());
        let (in_url, url) = split_url(url).ok_or_else(invalid)?;
        let (in_headers, headers) = split_headers(members.get("headers"));
        let basic = Basic::from_auth(members.get("auth")).or(in_url).or(in_headers);
        let proxy = proxy.filter(|proxy| !proxy.is_empty()).map(str::to_owned);
        Ok(Self { url, headers, basic, proxy })
    }

    /// Host, port unless it is the usual one, and path.
    pub(super) fn place(&self) -> (String, Option<u16>, &str) {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (host, port) = split_port(authority);
        let usual = match (scheme, port) {
            (_, None) => true,
            ("https", Some(port)) => port == 443,
            (_, Some(port)) => port == 80 || port == 5984,
        };
        (host.to_ascii_lowercase(), port.filter(|_| !usual), path)
    }
}

fn split_port(authority: &str) -> (&str, Option<u16>) {
    // The colons of `[::1]` are none of ours.
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        Some(_) | None => (authority, None),
    }
}

/// Takes the credentials out of a URL and puts the slash at its end. `None` if it is no URL of a database.
fn split_url(url: &str) -> Option<(Option<Basic>, String)> {
    let (scheme, rest) = url.split_once("://").filter(|_| has_scheme(url))?;
    if url.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A `#`, `/` or `?` in credentials has to be escaped: they would be taken for a path, and shown.
    if path.contains(['@', '#']) {
        return None;
    }
    let (user_info, host) = match authority.rsplit_once('@') {
        Some((user_info, host)) => (Some(user_info), host),
        None => (None, authority),
    };
    let (name, port) = split_port(host);
    let port_given = host.strip_prefix(name).is_some_and(|rest| rest.len() > 1);
    if name.is_empty() || (port_given && port.is_none()) {
        return None;
    }
    let slash = if path.contains('?') || path.ends_with('/') { "" } else { "/" };
    Some((user_info.and_then(Basic::from_user_info), format!("{scheme}://{host}{path}{slash}")))
}

/// Takes the credentials out of the headers. Of those that are no texts, nothing is sent.
fn split_headers(headers: Option<&Value>) -> (Option<Basic>, Vec<(String, String)>) {
    let members = headers.and_then(Value::as_object).into_iter().flatten();
    let mut basic = None;
    let mut others = Vec::new();
    for (name, value) in members.filter_map(|(name, value)| Some((name, value.as_str()?))) {
        let found = Some(value).filter(|_| name.eq_ignore_ascii_case("authorization")).and_then(Basic::from_header);
        match found {
            Some(found) => basic = basic.or(Some(found)),
            None => others.push((name.clone(), value.to_owned())),
        }
    }
    others.sort();
    (basic, others)
}

impl Basic {
    fn from_auth(auth: Option<&Value>) -> Option<Self> {
        let basic = auth?.get("basic")?;
        let text = |name| basic.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self { username: text("username")?, password: text("password")? })
    }

    fn from_user_info(user_info: &str) -> Option<Self> {
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (username, password) = user_info.split_once(':')?;
        Some(Self { username: decoded(username), password: decoded(password) })
    }

    fn from_header(value: &str) -> Option<Self> {
        let (scheme, encoded) = value.split_once(' ')?;
        let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Self { username: username.to_owned(), password: password.to_owned() })
    }
}

/// How people see the endpoint that `value` (a `source` or `target`) names: without credentials, and a URL's place for
/// them says only that there are some. `None` where it names none: what is no URL may hold a password anywhere.
pub fn shown(value: &Value) -> Option<String> {
    Endpoint::parse(Some(value), None).ok().map(|endpoint| endpoint.to_string())
}

impl fmt::Display for Endpoint {
    /// The database's name, or its URL with `*****` for credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(name) => f.write_str(name.as_str()),
            Self::Remote(remote) => remote.fmt(f),
        }
    }
}

impl fmt::Display for Remote {
    /// The URL with `*****` for credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.basic, self.url.split_once("://")) {
            (Some(_), Some((scheme, rest))) => write!(f, "{scheme}://{HIDDEN}@{rest}"),
            (Some(_) | None, _) => f.write_str(&self.url),
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold tokens, a proxy's URL a password.
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Remote").field("url", &self.to_string()).field("headers", &names).finish_non_exhaustive()
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic").field("username", &self.username).field("password", &HIDDEN).finish()
    }
}
