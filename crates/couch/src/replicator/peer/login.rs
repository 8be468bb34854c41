//! Sessions, for a peer that doesn't take a name and a password with every request.
//!
//! Basic authentication comes first: it costs no request, and every CouchDB takes it unless its operator has turned it
//! off. A peer that answers 401 to it is asked for a session; from then on its cookie goes in place of the password, and
//! is renewed when the peer says so or refuses it.
//!
//! Source: `couch_replicator_auth_session`, which asks for a session first.

use super::{JSON, Outgoing, Peer};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use serde_json::json;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tidegate_replication::Basic;
use tokio::sync::Mutex as AsyncMutex;

const COOKIE: &str = "AuthSession=";
/// A cookie that is refused so soon won't be better the next time.
const FRESH: Duration = Duration::from_secs(5);

/// How to log in at a peer, and the session there is.
pub(super) struct Login {
    url: String,
    basic: Basic,
    session: Mutex<Option<Session>>,
    /// Held while one asks for a session: the others wait for it.
    renewing: AsyncMutex<()>,
}

struct Session {
    cookie: HeaderValue,
    since: Instant,
}

impl Login {
    /// For the database at `base`, a URL with a slash at the end.
    pub(super) fn new(base: &str, basic: &Basic) -> Self {
        let server = base.trim_end_matches('/').rsplit_once('/').map_or(base, |(server, _)| server);
        let (session, renewing) = (Mutex::default(), AsyncMutex::default());
        Self { url: format!("{server}/_session"), basic: basic.clone(), session, renewing }
    }

    /// Puts the session's cookie in place of the password, if there is one; which.
    pub(super) fn stamp(&self, headers: &mut HeaderMap) -> Option<HeaderValue> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let cookie = session.as_ref()?.cookie.clone();
        headers.remove(header::AUTHORIZATION);
        headers.insert(header::COOKIE, cookie.clone());
        Some(cookie)
    }

    /// Takes a new cookie from an answer, if it has one.
    pub(super) fn heed(&self, answer: &HeaderMap) -> bool {
        let Some(cookie) = cookie_of(answer) else { return false };
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(Session { cookie, since: Instant::now() });
        true
    }

    /// After a request with this cookie was refused: whether another might not be.
    pub(super) async fn renew(&self, peer: &Peer, used: Option<&HeaderValue>) -> bool {
        let _turn = self.renewing.lock().await;
        match &*self.session.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(session) if Some(&session.cookie) != used => return true,
            Some(session) if session.since.elapsed() < FRESH => return false,
            Some(_) | None => {}
        }
        let Basic { username, password } = &self.basic;
        let body = Outgoing::whole(json!({ "name": username, "password": password }).to_string().into());
        let request = Request::builder().method(Method::POST).uri(&self.url).header(header::CONTENT_TYPE, JSON);
        let Ok(request) = request.header(header::ACCEPT, JSON).body(body) else { return false };
        let Ok(answer) = peer.exchange(request).await else { return false };
        answer.response.status().is_success() && self.heed(answer.response.headers())
    }

    /// Lets go of a session that was refused: the next request asks for another.
    pub(super) fn forget(&self) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// `AuthSession=…` of an answer that sets one.
fn cookie_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let cookies = headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.filter_map(|cookie| cookie.split(';').next());
    let session = pairs.map(str::trim).find(|pair| pair.starts_with(COOKIE) && pair.len() > COOKIE.len())?;
    HeaderValue::from_str(session).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_taken_from_its_cookie() {
        let check = |cookie: &'static str, expected: Option<&str>| {
            let headers = HeaderMap::from_iter([(header::SET_COOKIE, HeaderValue::from_static(cookie))]);
            assert_eq!(cookie_of(&headers).as_ref().map(|value| value.to_str().unwrap()), expected, "{cookie}");
        };
        check("AuthSession=YWRh:1:x; Version=1; Path=/; HttpOnly", Some("AuthSession=YWRh:1:x"));
        check("AuthSession=; Path=/", None);
        check("other=1; AuthSession=no", None);
    }

    #[test]
    fn sessions_are_asked_for_beside_the_database() {
        let url = |base| Login::new(base, &Basic { username: String::new(), password: String::new() }).url;
        assert_eq!(url("https://host:1/db/"), "https://host:1/_session");
        assert_eq!(url("http://host/couch/db/"), "http://host/couch/_session");
    }
}
