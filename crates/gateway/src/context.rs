//! What a handler knows of its request.

use crate::{error::Error, service::Shared};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, Uri, Version, header};
use hyper::body::Incoming;
use std::sync::Arc;
use tidegate_documents::Delivery;
use tidegate_engine::{Caller, Credentials, Database, Engine, Live};
use tidegate_http::{
    Arrival, Body, BodyLimits, BodyReader,
    body::{ContentCoding, read_whole},
    query::Query,
    respond,
};
use tidegate_types::DbName;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What a handler answers.
pub(crate) type Answer = Result<Response<Body>, Error>;

/// A request without its body, and who makes it. Cheap to clone: streamed responses take one along.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) engine: Engine,
    /// What the configuration said when the request came.
    pub(crate) live: Arc<Live>,
    pub(crate) caller: Caller,
    pub(crate) request: Arc<Head>,
    pub(crate) shared: Arc<Shared>,
    /// Where streamed responses run.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the server drains: feeds end.
    pub(crate) draining: CancellationToken,
}

/// The head of a request.
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) arrival: Arrival,
}

impl Head {
    /// What the request shows of who makes it.
    pub(crate) fn credentials<'r>(&self, header: &'r (dyn Fn(&str) -> Option<&'r str> + Sync)) -> Credentials<'r> {
        let transport = match self.arrival.transport {
            tidegate_http::Transport::Plain => tidegate_engine::Transport::Plain,
            tidegate_http::Transport::Tls => tidegate_engine::Transport::Tls,
        };
        Credentials { header, peer: self.arrival.peer, client: self.arrival.client, transport }
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Context {
    /// The database of this name, if the caller may use it.
    pub(crate) async fn database(&self, name: &DbName) -> Result<Database, Error> {
        Ok(self.engine.database(&self.caller, name).await?)
    }

    pub(crate) fn query(&self) -> Result<Query<'_>, Error> {
        Ok(Query::parse(self.request.uri.query())?)
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.request.header(name)
    }

    /// Of bodies that are read as a whole.
    pub(crate) fn read_limits(&self) -> BodyLimits {
        let limits = self.stream_limits();
        BodyLimits { bytes_max: limits.bytes_max.min(self.shared.settings.read_bytes_max), ..limits }
    }

    /// Of bodies that are streamed.
    pub(crate) fn stream_limits(&self) -> BodyLimits {
        let settings = &self.shared.settings;
        BodyLimits {
            bytes_max: self.live.request_bytes_max,
            frame_timeout: settings.body_timeout,
            rate_min: settings.body_rate_min,
        }
    }

    /// The whole body, unpacked.
    pub(crate) async fn read(&self, body: Incoming) -> Result<Bytes, Error> {
        Ok(read_whole(&self.request.headers, body, self.read_limits()).await?)
    }

    /// The whole body, which is JSON whatever it is declared as, unless that is something else.
    pub(crate) async fn read_json(&self, body: Incoming) -> Result<Bytes, Error> {
        let content_type = self.header(header::CONTENT_TYPE).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.is_empty() && !essence.eq_ignore_ascii_case("application/json") && is_refused(essence) {
            return Err(Error::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Invalid content type {content_type} - expected application/json"),
            ));
        }
        self.read(body).await
    }

    /// The body as it comes, unpacked if it says that it is packed.
    pub(crate) fn stream(&self, body: Incoming) -> Result<BodyReader<Incoming>, Error> {
        let coding = ContentCoding::of(&self.request.headers)?;
        Ok(BodyReader::new(body, coding, self.stream_limits())?)
    }

    /// The body as it comes, packed as it may be.
    pub(crate) fn stream_packed(&self, body: Incoming) -> Result<BodyReader<Incoming>, Error> {
        Ok(BodyReader::new(body, ContentCoding::Identity, self.stream_limits())?)
    }

    /// How answers get to the client.
    pub(crate) fn delivery(&self) -> Delivery<'_> {
        Delivery { method: &self.request.method, tasks: &self.tasks, deadline: self.shared.settings.body_timeout }
    }

    /// When the database was made, as clients are told: microseconds since 1970.
    pub(crate) async fn started_us(&self, db: &Database) -> Result<u64, Error> {
        Ok(db.info().await?.created_s.saturating_mul(1_000_000))
    }
}

/// curl declares forms where it was told nothing; others say what they mean.
fn is_refused(essence: &str) -> bool {
    !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// A JSON response.
pub(crate) fn json(status: StatusCode, json: impl Into<Bytes>) -> Response<Body> {
    respond::json(status, json.into())
}

/// A JSON response of a value. Its members stand in the order of their names, as Sync Gateway's do.
pub(crate) fn json_value(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    json(status, sorted(value).to_string())
}

/// The same value with its members in the order of their names.
fn sorted(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
