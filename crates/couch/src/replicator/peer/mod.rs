//! One side of a replication: a database that speaks CouchDB's protocol, wherever it is.
//!
//! [`Peer`] sends requests and reads answers, each within bounds of size and time; `control`, `copy`, `transfer` and
//! [`Feed`] know what is asked in a replication. How the connection is made ([`connect`]) makes no difference to them.

mod connect;
mod control;
mod copy;
mod feed;
mod login;
mod outgoing;
mod pipe;
mod proxy;
mod redirect;
mod rows;
mod socks;
mod tls;
mod transfer;

pub(super) use feed::Feed;
pub(crate) use pipe::Trusted;
pub(super) use transfer::transfer;

use crate::service::Couch;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use connect::{Connector, Host};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, rt::Executor};
use hyper_util::{client::legacy::Client, rt::TokioTimer};
use login::Login;
use outgoing::{Activity, Outgoing};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pipe::Pipe;
use proxy::Proxy;
use serde::{Deserialize, de::DeserializeOwned};
use std::{future::Future, pin::pin, time::Duration};
use tidegate_engine::Caller;
use tidegate_http::{
    BodyLimits, BodyReader,
    body::{BodyError, ContentCoding},
    path::encode_segment,
};
use tidegate_replication::{Basic, Endpoint, Failure, FailureKind, Remote};
use tokio::{sync::OnceCell, time::timeout};
use tokio_util::task::TaskTracker;

/// Bytes of an answer that is read as a whole.
const ANSWER_BYTES_MAX: u64 = 128 << 20;
/// Bytes of an answer that says why not.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;
/// How often a request is sent on the way to its answer: redirects, and a login.
const SENT_MAX: usize = 6;
/// How long a connection is kept for the next request.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b',');
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("Tidegate/", env!("CARGO_PKG_VERSION")));

/// What makes connections to peers, and answers those to this server.
pub(super) struct Reach<'r> {
    /// This server.
    pub(super) couch: &'r Couch,
    /// On whose behalf its databases are used.
    pub(super) caller: &'r Caller,
    /// How long to wait for something to happen.
    pub(super) timeout: Duration,
}

/// A database to ask.
pub(super) struct Peer {
    client: Client<Connector, Outgoing>,
    /// Its URL, with a slash at the end.
    base: String,
    /// What the URL asked for beside.
    query: Option<String>,
    headers: HeaderMap,
    /// How to ask for a session, where there are credentials.
    login: Option<Login>,
    timeout: Duration,
}

/// Runs connections where the server waits for their end.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tracked {
    fn execute(&self, connection: F) {
        drop(self.0.spawn(connection));
    }
}

/// A request to a peer.
pub(super) struct Ask {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Outgoing,
}

impl Ask {
    fn new(method: Method, path: impl Into<String>) -> Self {
        let headers = HeaderMap::from_iter([(header::ACCEPT, JSON)]);
        Self { method, path: path.into(), query: Vec::new(), headers, body: Outgoing::whole(Bytes::new()) }
    }

    fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    fn post(path: impl Into<String>, json: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, path).json(json)
    }

    fn json(self, json: impl Into<Bytes>) -> Self {
        self.with(header::CONTENT_TYPE, JSON).body(Outgoing::whole(json.into()))
    }

    fn body(self, body: Outgoing) -> Self {
        Self { body, ..self }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }
}

impl Peer {
    /// The database that `endpoint` names.
    ///
    /// # Errors
    /// A [`Failure`]: there is no way to it.
    pub(super) fn new(endpoint: &Endpoint, reach: &Reach<'_>) -> Result<Self, Failure> {
        let mut builder = Client::builder(Tracked(reach.couch.tasks().clone()));
        builder.pool_idle_timeout(IDLE_CONNECTION).pool_timer(TokioTimer::new());
        let timeout = reach.timeout;
        match endpoint {
            Endpoint::Local(name) => {
                let pipe = Pipe { couch: reach.couch.clone(), caller: reach.caller.clone() };
                let base = format!("http://localhost/{}/", encode_segment(name.as_str()));
                let headers = HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT)]);
                let client = builder.build(Connector::Local(pipe));
                Ok(Self { client, base, query: None, headers, login: None, timeout })
            }
            Endpoint::Remote(remote) => {
                let proxy = remote.proxy.as_deref().map(Proxy::parse).transpose();
                let proxy = proxy.map_err(|reason| Failure::new(FailureKind::Refused, reason))?;
                let headers = headers_of(remote, proxy.as_ref())?;
                let rules = &reach.couch.engine().live().replicator;
                let trusted_certificates_file = rules.trusted_certificates_file.clone();
                let host = Host { proxy, trusted_certificates_file, connect_timeout: timeout, tls: OnceCell::new() };
                let (base, query) = match remote.url.split_once('?') {
                    Some((base, query)) => (format!("{}/", base.trim_end_matches('/')), Some(query.to_owned())),
                    None => (remote.url.clone(), None),
                };
                let login = remote.basic.as_ref().map(|basic| Login::new(&base, basic));
                let client = builder.build(Connector::Host(host.into()));
                Ok(Self { client, base, query, headers, login, timeout })
            }
        }
    }

    /// Sends a request; its answer, if that is a good one.
    async fn send(&self, ask: Ask) -> Result<Answer, Failure> {
        let answer = self.try_send(ask).await?;
        if answer.response.status().is_success() { Ok(answer) } else { Err(answer.refusal().await) }
    }

    /// Sends a request, once more where it has to go elsewhere or needs a session; its answer.
    async fn try_send(&self, ask: Ask) -> Result<Answer, Failure> {
        let mut request = self.request(ask)?;
        for _ in 0..SENT_MAX {
            let used = self.login.as_ref().and_then(|login| login.stamp(request.headers_mut()));
            let copy = copy_of(&request);
            let answer = self.exchange(request).await?;
            match self.next(copy, &answer, used).await? {
                Some(next) => request = next,
                None => return Ok(answer),
            }
        }
        Err(Failure::new(FailureKind::Refused, "the peer redirects too often"))
    }

    /// The request to send after this answer to its like, if that isn't the last word.
    async fn next(
        &self,
        copy: Option<Request<Outgoing>>,
        answer: &Answer,
        used: Option<HeaderValue>,
    ) -> Result<Option<Request<Outgoing>>, Failure> {
        let (status, headers) = (answer.response.status(), answer.response.headers());
        match (&self.login, copy) {
            (Some(login), None) if status == StatusCode::UNAUTHORIZED && used.is_some() => {
                login.forget();
                Err(Failure::new(FailureKind::Transient, "the peer has ended the session"))
            }
            (Some(login), Some(copy)) if status == StatusCode::UNAUTHORIZED => {
                Ok(login.renew(self, used.as_ref()).await.then_some(copy))
            }
            (_, Some(copy)) if status.is_redirection() => Ok(redirect::follow(copy, status, headers)),
            (Some(login), _) if used.is_some() => {
                login.heed(headers);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    async fn exchange(&self, request: Request<Outgoing>) -> Result<Answer, Failure> {
        let activity = request.body().activity();
        let sent = waited(self.client.request(request), &activity, self.timeout).await?;
        let response = sent.map_err(|error| Failure::new(FailureKind::Transient, chain(&error)))?;
        Ok(Answer { response, timeout: self.timeout })
    }

    /// Sends a request; its answer as JSON.
    async fn json<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Failure> {
        let text = self.send(ask).await?.whole(ANSWER_BYTES_MAX).await?;
        parse(&text)
    }

    fn request(&self, ask: Ask) -> Result<Request<Outgoing>, Failure> {
        let mut uri = format!("{}{}", self.base, ask.path);
        let own = self.query.as_deref().map(|query| (query.to_owned(), None));
        let pairs = ask.query.iter().map(|(name, value)| (encode(name), Some(encode(value))));
        for (index, (name, value)) in own.into_iter().chain(pairs).enumerate() {
            uri.push(if index == 0 { '?' } else { '&' });
            uri.push_str(&name);
            if let Some(value) = value {
                uri.push('=');
                uri.push_str(&value);
            }
        }
        let request = Request::builder().method(ask.method).uri(uri).body(ask.body);
        let mut request = request.map_err(|error| Failure::new(FailureKind::Refused, error.to_string()))?;
        *request.headers_mut() = ask.headers;
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        Ok(request)
    }
}

/// An answer of which the head has come.
struct Answer {
    response: Response<Incoming>,
    timeout: Duration,
}

/// CouchDB's words for a failure.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    reason: Option<String>,
}

impl Answer {
    fn content_type(&self) -> &str {
        let value = self.response.headers().get(header::CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as it comes. Each piece must come in time; heartbeats count.
    fn stream(self, bytes_max: u64) -> Result<BodyReader<Incoming>, Failure> {
        let limits = BodyLimits { bytes_max, frame_timeout: self.timeout, rate_min: 0 };
        let (head, body) = self.response.into_parts();
        let coding = ContentCoding::of(&head.headers).map_err(|error| cut(&error))?;
        BodyReader::new(body, coding, limits).map_err(|error| cut(&error))
    }

    async fn whole(self, bytes_max: u64) -> Result<Bytes, Failure> {
        self.stream(bytes_max)?.into_whole().await.map_err(|error| cut(&error))
    }

    /// Why the peer refused.
    async fn refusal(self) -> Failure {
        let status = self.response.status();
        let retry_after = retry_after(status, self.response.headers());
        let location = self.response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        if status.is_redirection() {
            let reason = format!("redirects to elsewhere are not followed: use {}", location.unwrap_or("the new URL"));
            return Failure::new(FailureKind::Refused, reason);
        }
        let text = self.whole(REFUSAL_BYTES_MAX).await.unwrap_or_default();
        let reason = match serde_json::from_slice::<Refusal>(&text) {
            Ok(Refusal { error, reason: Some(reason) }) => format!("{error}: {reason}"),
            Ok(Refusal { error, reason: None }) => error,
            Err(_) => format!("HTTP status {}", status.as_u16()),
        };
        Failure::from_status(status.as_u16(), reason).with_retry_after(retry_after)
    }
}

/// How long a busy peer asks to be left alone, if it says so in seconds.
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The same request once more, if its body is at hand.
fn copy_of(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let mut copy = Request::new(request.body().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// The answer to what was sent, as long as the sending moves on or not too long has passed since.
async fn waited<F: Future>(sent: F, activity: &Activity, period: Duration) -> Result<F::Output, Failure> {
    let mut sent = pin!(sent);
    loop {
        let seen = activity.count();
        match timeout(period, &mut sent).await {
            Ok(answer) => return Ok(answer),
            Err(_) if activity.count() != seen => {}
            Err(_) => {
                let reason = format!("no answer for {} seconds", period.as_secs_f64());
                return Err(Failure::new(FailureKind::Transient, reason));
            }
        }
    }
}

fn headers_of(remote: &Remote, proxy: Option<&Proxy>) -> Result<HeaderMap, Failure> {
    let illegal = |name: &str| Failure::new(FailureKind::Refused, format!("the header `{name}` can't be sent"));
    let mut headers = HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT)]);
    for (name, value) in &remote.headers {
        let parsed = HeaderName::try_from(name).map_err(|_invalid| illegal(name))?;
        headers.insert(parsed, HeaderValue::try_from(value).map_err(|_invalid| illegal(name))?);
    }
    if let Some(Basic { username, password }) = &remote.basic {
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        let value = HeaderValue::try_from(format!("Basic {encoded}")).map_err(|_invalid| illegal("authorization"))?;
        headers.insert(header::AUTHORIZATION, value);
    }
    let through = proxy.filter(|_| remote.url.starts_with("http://")).and_then(|proxy| proxy.authorization().cloned());
    headers.extend(through.map(|value| (header::PROXY_AUTHORIZATION, value)));
    Ok(headers)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, IN_QUERY).to_string()
}

/// The path of a document.
fn document_path(id: &str) -> String {
    match id.split_once('/') {
        Some((kind @ ("_design" | "_local"), name)) => format!("{kind}/{}", encode_segment(name)),
        Some(_) | None => encode_segment(id).into_owned(),
    }
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Failure> {
    // Half an answer, or a stranger's: it may be better next time.
    serde_json::from_slice(text).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::new(FailureKind::Transient, format!("the answer can't be read: {error}"))
}

/// Why an answer did not come to its end.
fn cut(error: &BodyError) -> Failure {
    let kind = match error {
        // It would be as large next time: less has to be asked for.
        BodyError::TooLarge { .. } => FailureKind::TooLarge,
        BodyError::UnknownEncoding { .. } => FailureKind::Refused,
        BodyError::Truncated
        | BodyError::Timeout { .. }
        | BodyError::TooSlow { .. }
        | BodyError::BadEncoding(_)
        | BodyError::Transport(_) => FailureKind::Transient,
    };
    Failure::new(kind, chain(error))
}

/// What happened, with what lies behind it.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
