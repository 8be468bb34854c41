//! The one shape in which every dialect hands an error to the wire.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::respond::{self, Body};

/// An error answer: a status, an `error` word, a `reason` for humans, and extra headers (`Allow`, `WWW-Authenticate`).
///
/// It carries what the client shall see and nothing else; causes belong in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {error}: {reason}", status.as_u16())]
pub struct ApiError {
    /// The status line's code.
    pub status: StatusCode,
    /// The stable word programs compare, such as `not_found`.
    pub error: Cow<'static, str>,
    /// The sentence people read.
    pub reason: Cow<'static, str>,
    /// Headers beyond the content's own.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// An error without extra headers.
    pub fn new(status: StatusCode, error: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error: error.into(), reason: reason.into(), headers: Vec::new() }
    }

    /// The same error with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// `{"error":…,"reason":…}` and a line feed.
    pub fn to_json(&self) -> Bytes {
        let mut json = String::with_capacity(32 + self.error.len() + self.reason.len());
        json.push_str("{\"error\":");
        push_json_string(&mut json, &self.error);
        json.push_str(",\"reason\":");
        push_json_string(&mut json, &self.reason);
        json.push_str("}\n");
        Bytes::from(json)
    }

    /// The whole response: [`to_json`](Self::to_json) as `application/json`, and the headers.
    pub fn into_response(self) -> Response<Body> {
        let mut response = respond::json(self.status, self.to_json());
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

fn push_json_string(json: &mut String, text: &str) {
    json.push('"');
    for char in text.chars() {
        match char {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(char))),
            _ => json.push(char),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_escaped() {
        let error = ApiError::new(StatusCode::BAD_REQUEST, "bad_request", "no \"x\"\\\n\u{1}é");
        assert_eq!(error.to_json(), "{\"error\":\"bad_request\",\"reason\":\"no \\\"x\\\"\\\\\\n\\u0001é\"}\n");
        assert_eq!(ApiError::new(StatusCode::NOT_FOUND, "not_found", "missing").to_string(), "404 not_found: missing");
    }

    #[test]
    fn a_response_has_the_extra_headers() {
        let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Only GET allowed")
            .with_header(http::header::ALLOW, HeaderValue::from_static("GET"));
        let response = error.into_response();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET");
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["content-length"], "59");
    }
}
