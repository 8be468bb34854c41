//! What a handler knows of its request.

use crate::{error::Error, service::Shared};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use std::sync::Arc;
use tidegate_documents::Delivery;
use tidegate_engine::{Caller, Database, Engine, Live};
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
    pub(crate) headers: HeaderMap,
    pub(crate) arrival: Arrival,
}

impl Head {
    pub(crate) fn transport(&self) -> tidegate_engine::Transport {
        match self.arrival.transport {
            tidegate_http::Transport::Plain => tidegate_engine::Transport::Plain,
            tidegate_http::Transport::Tls => tidegate_engine::Transport::Tls,
        }
    }
}

impl Context {
    /// The database of this name, if the caller may use it.
    pub(crate) async fn database(&self, name: &DbName) -> Result<Database, Error> {
        Ok(self.engine.database(&self.caller, name).await?.without_stubs())
    }

    pub(crate) fn query(&self) -> Result<Query<'_>, Error> {
        Ok(Query::parse(self.request.uri.query())?)
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.request.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// An id for a document that has none, made as the configuration says.
    pub(crate) fn new_uuid(&self) -> String {
        self.shared.uuids.next(&self.live.uuids, self.engine.now())
    }

    /// `http://host:port`, as the client knows us: through a proxy, as that says.
    pub(crate) fn base_url(&self) -> String {
        format!("{}://{}", scheme(&self.request), self.host())
    }

    /// `host:port`, as the client knows us. Source: `couch_httpd:host_for_request`.
    pub(crate) fn host(&self) -> &str {
        let forwarded = self.request.headers.get(self.live.forwarded_host.as_str());
        let forwarded = forwarded.and_then(|value| value.to_str().ok());
        forwarded
            .or_else(|| self.header(header::HOST))
            .or(self.request.uri.authority().map(http::uri::Authority::as_str))
            .unwrap_or("localhost")
    }

    /// Refuses a body that isn't declared as JSON.
    pub(crate) fn check_json_content_type(&self) -> Result<(), Error> {
        let content_type = self.header(header::CONTENT_TYPE).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/json") {
            Ok(())
        } else {
            Err(Error::bad_content_type("Content-Type must be application/json"))
        }
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

    /// How answers get to the client.
    pub(crate) fn delivery(&self) -> Delivery<'_> {
        Delivery { method: &self.request.method, tasks: &self.tasks, deadline: self.shared.settings.body_timeout }
    }

    /// The whole body, unpacked, within `max_http_request_size`.
    pub(crate) async fn read(&self, body: Incoming) -> Result<Bytes, Error> {
        Ok(read_whole(&self.request.headers, body, self.read_limits()).await?)
    }

    /// The whole body of a request that must declare it as JSON.
    pub(crate) async fn read_json(&self, body: Incoming) -> Result<Bytes, Error> {
        self.check_json_content_type()?;
        self.read(body).await
    }

    /// The body as it comes, unpacked if it declares `Content-Encoding: gzip`, within `max_attachment_size`.
    pub(crate) fn stream(&self, body: Incoming) -> Result<BodyReader<Incoming>, Error> {
        let coding = ContentCoding::of(&self.request.headers)?;
        Ok(BodyReader::new(body, coding, self.stream_limits())?)
    }

    /// The body as it comes, packed as it may be.
    pub(crate) fn stream_packed(&self, body: Incoming) -> Result<BodyReader<Incoming>, Error> {
        Ok(BodyReader::new(body, ContentCoding::Identity, self.stream_limits())?)
    }
}

/// What the client spoke to whoever passed the request on. Source: `chttpd:absolute_uri`.
fn scheme(request: &Head) -> &'static str {
    let is = |name, value: &str| request.headers.get(name).is_some_and(|found| found == value);
    let is_tls = request.arrival.transport == tidegate_http::Transport::Tls;
    if is_tls || is("x-forwarded-ssl", "on") || is("x-forwarded-proto", "https") { "https" } else { "http" }
}

/// A JSON response. `json` ends in a line feed, as all of CouchDB's do.
pub(crate) fn json(status: StatusCode, json: impl Into<Bytes>) -> Response<Body> {
    let mut response = respond::json(status, json.into());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("must-revalidate"));
    response
}

/// A JSON response of a value.
pub(crate) fn json_value(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    json(status, format!("{value}\n"))
}
