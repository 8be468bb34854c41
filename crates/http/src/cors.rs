//! Cross-origin rules: from a request's origin to the headers that let a browser through.
//!
//! Origins are compared exactly (they have no path and browsers write them in one way). With credentials the origin is
//! echoed, never `*`, which browsers refuse there.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::{Method, Request, Response, StatusCode};

use crate::respond::{self, Body};

/// Which origins may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All of them.
    Any,
    /// These, such as `https://app.example.com`; and, if asked for, pages served from this machine.
    Listed {
        /// As browsers write them.
        list: Vec<String>,
        /// Whether pages served from this machine may, on any port.
        loopback: Loopback,
    },
}

/// Whether pages served from this machine may call: from `localhost`, `127.0.0.1`, `[::1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loopback {
    /// They may.
    Allowed,
    /// They may only if they are listed.
    Refused,
}

impl Origins {
    /// The origins of a list, in which `*` stands for all and `loopback` for pages served from this machine.
    pub fn parse(list: &[String]) -> Self {
        if list.iter().any(|origin| origin == "*") {
            return Self::Any;
        }
        let named = list.iter().any(|origin| origin == "loopback");
        let loopback = if named { Loopback::Allowed } else { Loopback::Refused };
        Self::Listed { list: list.to_vec(), loopback }
    }
}

/// Whether browsers may send cookies and logins along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// They may.
    Allowed,
    /// They may not.
    Refused,
}

/// The rules of one listener or database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOptions {
    /// Who may call.
    pub origins: Origins,
    /// Whether as somebody.
    pub credentials: Credentials,
    /// The methods beyond GET, HEAD and POST, which are always allowed, and those.
    pub methods: Vec<Method>,
    /// The request headers allowed.
    pub headers: Vec<HeaderName>,
    /// The response headers scripts may read.
    pub exposed: Vec<HeaderName>,
    /// How long a preflight's answer holds.
    pub max_age: Duration,
}

/// The rules, made ready.
#[derive(Clone, Debug)]
pub struct Cors {
    options: CorsOptions,
    methods: HeaderValue,
    headers: HeaderValue,
    exposed: HeaderValue,
}

impl Cors {
    /// Makes rules ready to be applied.
    pub fn new(options: CorsOptions) -> Self {
        let methods = join(options.methods.iter().map(Method::as_str));
        let headers = join(options.headers.iter().map(HeaderName::as_str));
        let exposed = join(options.exposed.iter().map(HeaderName::as_str));
        Self { options, methods, headers, exposed }
    }

    /// The answer to a preflight: 204 with what is allowed. `None` if `request` is none, or asks for what isn't; answer
    /// it then as if there were no rules, and the browser will refuse.
    pub fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        if request.method() != Method::OPTIONS {
            return None;
        }
        let method = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD)?;
        let allowed = self.allows_method(method) && self.allows_headers(request.headers());
        let mut response = respond::empty(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        if !allowed || !self.allow_origin(request.headers(), headers) {
            return None;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.options.max_age.as_secs()));
        headers.append(VARY, HeaderValue::from_static("access-control-request-method, access-control-request-headers"));
        Some(response)
    }

    /// Adds to the `response` of any other request what its origin may know; nothing if that isn't allowed.
    pub fn apply(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if self.allow_origin(request, response) && !self.exposed.is_empty() {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone());
        }
    }

    /// Whether a request's origin is let through. Answers with the origin's headers if so. Whenever the answer depends
    /// on the origin, caches are told, also when it is no.
    fn allow_origin(&self, request: &HeaderMap, response: &mut HeaderMap) -> bool {
        let with_credentials = self.options.credentials == Credentials::Allowed;
        let echoes = match &self.options.origins {
            Origins::Any => with_credentials,
            Origins::Listed { .. } => true,
        };
        if echoes {
            response.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = request.get(ORIGIN).filter(|origin| self.allows_origin(origin)) else { return false };
        let allowed = if echoes { origin.clone() } else { HeaderValue::from_static("*") };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if with_credentials {
            response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        true
    }

    fn allows_origin(&self, origin: &HeaderValue) -> bool {
        match &self.options.origins {
            Origins::Any => true,
            Origins::Listed { list, loopback } => {
                let is_listed = list.iter().any(|listed| listed.as_bytes() == origin.as_bytes());
                is_listed || (*loopback == Loopback::Allowed && origin.to_str().is_ok_and(is_loopback))
            }
        }
    }

    fn allows_method(&self, method: &HeaderValue) -> bool {
        let simple = [Method::GET, Method::HEAD, Method::POST];
        simple.iter().chain(&self.options.methods).any(|allowed| allowed.as_str().as_bytes() == method.as_bytes())
    }

    fn allows_headers(&self, request: &HeaderMap) -> bool {
        let values = request.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
        let mut names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        names.all(|name| {
            let name = name.trim_ascii();
            let allowed = |header: &HeaderName| header.as_str().as_bytes().eq_ignore_ascii_case(name);
            name.is_empty() || self.options.headers.iter().any(allowed)
        })
    }
}

/// Names in a list. They are tokens, so the value can't be one a header refuses.
fn join<'a>(names: impl Iterator<Item = &'a str>) -> HeaderValue {
    let list = names.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(list).unwrap_or(HeaderValue::from_static(""))
}

/// Whether a page's origin is this machine.
fn is_loopback(origin: &str) -> bool {
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).unwrap_or_default();
    let name = ["localhost", "127.0.0.1", "[::1]"].iter().find_map(|name| host.strip_prefix(name));
    name.is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "https://app.example.com";

    fn cors(origins: Origins, credentials: Credentials) -> Cors {
        Cors::new(CorsOptions {
            origins,
            credentials,
            methods: vec![Method::GET, Method::PUT, Method::from_bytes(b"COPY").unwrap()],
            headers: vec![http::header::CONTENT_TYPE, HeaderName::from_static("x-couch-full-commit")],
            exposed: vec![http::header::ETAG, http::header::SERVER],
            max_age: Duration::from_secs(600),
        })
    }

    fn listed() -> Cors {
        cors(Origins::parse(&[APP.to_owned()]), Credentials::Allowed)
    }

    fn ask(origin: &str, method: &str, headers: &str) -> Request<()> {
        let request = Request::options("/").header(ORIGIN, origin);
        let request = request.header(ACCESS_CONTROL_REQUEST_METHOD, method);
        request.header(ACCESS_CONTROL_REQUEST_HEADERS, headers).body(()).unwrap()
    }

    fn applied(cors: &Cors, origin: &str) -> HeaderMap {
        let mut response = HeaderMap::new();
        let request = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_str(origin).unwrap())]);
        cors.apply(&request, &mut response);
        response
    }

    #[test]
    fn loopback_is_this_machine_alone() {
        for origin in ["http://localhost", "https://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:1"] {
            assert!(is_loopback(origin), "{origin}");
        }
        for origin in [
            "http://localhost.evil.example",
            "http://127.0.0.10",
            "null",
            "file://",
            "http://localhost:x",
            "http://evil/localhost",
        ] {
            assert!(!is_loopback(origin), "{origin}");
        }
    }

    #[test]
    fn origins_match_exactly() {
        assert_eq!(applied(&listed(), APP)["access-control-allow-origin"], APP);
        for origin in ["http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil", "null"]
        {
            let response = applied(&listed(), origin);
            assert_eq!(response.get(ACCESS_CONTROL_ALLOW_ORIGIN), None, "{origin}");
            assert_eq!(response["vary"], "origin", "a cache must not keep a refusal for all");
        }
    }

    #[test]
    fn a_star_never_comes_with_credentials() {
        let response = applied(&cors(Origins::Any, Credentials::Refused), APP);
        assert_eq!(response["access-control-allow-origin"], "*");
        assert_eq!(response.get(ACCESS_CONTROL_ALLOW_CREDENTIALS), None);
        assert_eq!(response.get(VARY), None);
        let response = applied(&cors(Origins::Any, Credentials::Allowed), APP);
        assert_eq!(response["access-control-allow-origin"], APP);
        assert_eq!(response["access-control-allow-credentials"], "true");
        assert_eq!(response["vary"], "origin");
        assert_eq!(response["access-control-expose-headers"], "etag, server");
    }

    #[test]
    fn requests_without_origin_get_nothing() {
        let mut response = HeaderMap::new();
        cors(Origins::Any, Credentials::Refused).apply(&HeaderMap::new(), &mut response);
        assert!(response.is_empty());
    }

    #[test]
    fn a_preflight_is_answered() {
        let response = listed().preflight(&ask(APP, "COPY", "Content-Type,x-Couch-Full-Commit, ")).unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-methods"], "GET, PUT, COPY");
        assert_eq!(headers["access-control-allow-headers"], "content-type, x-couch-full-commit");
        assert_eq!(headers["access-control-max-age"], "600");
        assert_eq!(headers["access-control-allow-origin"], APP);
    }

    #[test]
    fn a_preflight_for_too_much_is_not() {
        assert!(listed().preflight(&ask("https://evil", "PUT", "")).is_none());
        assert!(listed().preflight(&ask(APP, "PATCH", "")).is_none());
        assert!(listed().preflight(&ask(APP, "PUT", "x-other")).is_none());
        let plain = Request::options("/").header(ORIGIN, APP).body(()).unwrap();
        assert!(listed().preflight(&plain).is_none());
        let mut get = ask(APP, "PUT", "");
        *get.method_mut() = Method::GET;
        assert!(listed().preflight(&get).is_none());
    }
}
