//! The service of the listener: from a request to a response.

use crate::{
    changes,
    context::{Answer, Context, Head},
    database, document,
    error::Error,
    list, local, revisions,
    route::{self, DatabaseRoute, Endpoint, Route, ServerRoute},
    server,
    uuids::Uuids,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use std::{sync::Arc, time::Duration};
use tidegate_engine::{Caller, Database, Engine};
use tidegate_http::{
    Body, BodyLimits,
    cors::{Cors, CorsOptions},
};
use tidegate_types::{DbName, DbNameError, DocId};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How the listener behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bodies that are read whole: `max_http_request_size`.
    pub request_limits: BodyLimits,
    /// Bodies that are streamed: `max_attachment_size`, with room for the document.
    pub attachment_limits: BodyLimits,
    /// Which web pages may call, if any.
    pub cors: Option<CorsOptions>,
    /// Feeds that may wait at the same time.
    pub feeds_max: usize,
    /// The longest a feed waits without a heartbeat: `changes_timeout`.
    pub changes_timeout: Duration,
    /// `WWW-Authenticate` of a 401, if the browser is to ask for a password.
    pub realm: Option<String>,
}

/// CouchDB's dialect. Cheap to clone.
#[derive(Clone)]
pub struct Couch {
    engine: Engine,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    draining: CancellationToken,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) uuids: Uuids,
    pub(crate) feeds: Arc<Semaphore>,
    cors: Option<Cors>,
}

impl Couch {
    /// The dialect over this engine. Streamed responses run in `tasks`, and end when `draining` is cancelled.
    pub fn new(engine: Engine, settings: Settings, tasks: TaskTracker, draining: CancellationToken) -> Self {
        let feeds = Arc::new(Semaphore::new(settings.feeds_max));
        let cors = settings.cors.clone().map(Cors::new);
        Self { engine, shared: Arc::new(Shared { settings, uuids: Uuids::new(), feeds, cors }), tasks, draining }
    }

    /// Answers a request. Never fails: a failure is an answer, too.
    pub async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        if let Some(response) = self.shared.cors.as_ref().and_then(|cors| cors.preflight(&request)) {
            return response;
        }
        let (parts, body) = request.into_parts();
        let head = Head { method: method_of(&parts.method, &parts.headers), uri: parts.uri, headers: parts.headers };
        let head = Arc::new(head);
        let mut response = match self.answer(Arc::clone(&head), body).await {
            Ok(response) => response,
            Err(error) => self.refuse(error),
        };
        let headers = response.headers_mut();
        headers.insert(header::SERVER, SERVER);
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, MUST_REVALIDATE);
        }
        if let Some(cors) = &self.shared.cors {
            cors.apply(&head.headers, headers);
        }
        response
    }

    async fn answer(&self, request: Arc<Head>, body: Incoming) -> Answer {
        let caller = self.authenticate(&request.headers)?;
        let route = route::parse(request.uri.path())?;
        let (engine, shared) = (self.engine.clone(), Arc::clone(&self.shared));
        let (tasks, draining) = (self.tasks.clone(), self.draining.clone());
        let cx = Context { engine, caller, request, shared, tasks, draining };
        match route {
            Route::Server(route) => answer_server(&cx, route, body).await,
            Route::Database(name, route) => answer_database(&cx, &name, route, body).await,
        }
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Error> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(self.engine.authenticate(None)?) };
        let decoded = value.to_str().ok().and_then(|value| {
            let (scheme, credentials) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("basic").then_some(())?;
            String::from_utf8(BASE64_STANDARD.decode(credentials.trim()).ok()?).ok()
        });
        let credentials = decoded.as_deref().and_then(|text| text.split_once(':'));
        Ok(self.engine.authenticate(Some(credentials.unwrap_or(("", ""))))?)
    }

    fn refuse(&self, Error(mut error): Error) -> Response<Body> {
        let realm = self.shared.settings.realm.as_ref().filter(|_| error.status == http::StatusCode::UNAUTHORIZED);
        if let Some(value) = realm.and_then(|realm| HeaderValue::try_from(format!("Basic realm=\"{realm}\"")).ok()) {
            error = error.with_header(header::WWW_AUTHENTICATE, value);
        }
        error.into_response()
    }
}

const SERVER: HeaderValue = HeaderValue::from_static(concat!("Tidegate/", env!("CARGO_PKG_VERSION")));
const MUST_REVALIDATE: HeaderValue = HeaderValue::from_static("must-revalidate");

/// The method, or what a POST says it stands for. Source: `chttpd:process_request_int`.
fn method_of(method: &Method, headers: &HeaderMap) -> Method {
    let overriding = headers.get("x-http-method-override").filter(|_| *method == Method::POST);
    let named = overriding.and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    let allowed = |method: &Method| {
        [Method::PUT, Method::DELETE, Method::HEAD, Method::GET].contains(method) || method.as_str() == "COPY"
    };
    named.filter(allowed).unwrap_or_else(|| method.clone())
}

/// Handlers are boxed: a request's future would have the size of the largest otherwise, and is moved about.
async fn answer_server(cx: &Context, route: ServerRoute, body: Incoming) -> Answer {
    match (route, cx.request.method.as_str()) {
        (ServerRoute::Welcome, "GET" | "HEAD") => Ok(server::welcome(cx)),
        (ServerRoute::Up, "GET" | "HEAD") => server::up(cx),
        (ServerRoute::Uuids, "GET" | "HEAD") => server::uuids(cx),
        (ServerRoute::AllDbs, "GET" | "HEAD") => Box::pin(server::all_dbs(cx)).await,
        (ServerRoute::DbsInfo, "GET" | "HEAD") => Box::pin(server::dbs_info(cx)).await,
        (ServerRoute::DbsInfo, "POST") => Box::pin(server::dbs_info_of(cx, body)).await,
        (ServerRoute::Later, _) => Err(Error::not_implemented()),
        (ServerRoute::DbsInfo, _) => Err(Error::method_not_allowed("GET,HEAD,POST")),
        (ServerRoute::Welcome | ServerRoute::Up | ServerRoute::Uuids | ServerRoute::AllDbs, _) => {
            Err(Error::method_not_allowed("GET,HEAD"))
        }
    }
}

async fn answer_database(cx: &Context, name: &str, route: DatabaseRoute, body: Incoming) -> Answer {
    let parsed = name.parse::<DbName>();
    if route == DatabaseRoute::Database {
        match (cx.request.method.as_str(), &parsed) {
            ("PUT", Ok(name)) => return Box::pin(database::create(cx, name)).await,
            ("PUT", Err(error)) => return Err(illegal_name(name, *error)),
            ("DELETE", Ok(name)) => return Box::pin(database::delete(cx, name)).await,
            _ => {}
        }
    }
    let Ok(name) = parsed else { return Err(Error::not_found("Database does not exist.")) };
    let db = cx.database(&name).await?;
    match route {
        DatabaseRoute::Document(id) => answer_document(cx, &db, &id, body).await,
        DatabaseRoute::Attachment(id, name) => answer_attachment(cx, &db, (&id, &name), body).await,
        DatabaseRoute::Local(id) => answer_local(cx, &db, &id, body).await,
        DatabaseRoute::Database => match cx.request.method.as_str() {
            "GET" | "HEAD" => Box::pin(database::info(&db)).await,
            "POST" => Box::pin(document::write::post(cx, &db, body)).await,
            _ => Err(Error::method_not_allowed("DELETE,GET,HEAD,POST,PUT")),
        },
        DatabaseRoute::Endpoint(endpoint) => answer_endpoint(cx, &db, endpoint, body).await,
    }
}

async fn answer_endpoint(cx: &Context, db: &Database, route: Endpoint, body: Incoming) -> Answer {
    use Endpoint as R;
    match (route, cx.request.method.as_str()) {
        (R::List(listed), "GET" | "HEAD") => Box::pin(list::get(cx, db, listed)).await,
        (R::List(listed), "POST") => Box::pin(list::post(cx, db, listed, body)).await,
        (R::ListQueries(listed), "POST") => Box::pin(list::queries(cx, db, listed, body)).await,
        (R::Changes, "GET" | "HEAD") => Box::pin(changes::get(cx, db)).await,
        (R::Changes, "POST") => Box::pin(changes::post(cx, db, body)).await,
        (R::BulkDocs, "POST") => Box::pin(document::bulk_docs::post(cx, db, body)).await,
        (R::BulkGet, "POST") => Box::pin(document::bulk_get::post(cx, db, body)).await,
        (R::RevsDiff, "POST") => Box::pin(revisions::revs_diff(cx, db, body)).await,
        (R::MissingRevs, "POST") => Box::pin(revisions::missing_revs(cx, db, body)).await,
        (R::RevsLimit, "GET" | "HEAD") => Box::pin(revisions::limit(db)).await,
        (R::RevsLimit, "PUT") => Box::pin(revisions::set_limit(cx, db, body)).await,
        (R::Purge, "POST") => Box::pin(revisions::purge(cx, db, body)).await,
        (R::Compact, "POST") => database::compact(cx, db),
        (R::EnsureFullCommit, "POST") => Box::pin(database::ensure_full_commit(cx, db)).await,
        (R::Later, _) => Err(Error::not_implemented()),
        (R::List(_) | R::Changes, _) => Err(Error::method_not_allowed("GET,HEAD,POST")),
        (R::RevsLimit, _) => Err(Error::method_not_allowed("GET,PUT")),
        (R::ListQueries(_) | R::BulkDocs | R::BulkGet | R::RevsDiff | R::MissingRevs | R::Purge | R::Compact, _)
        | (R::EnsureFullCommit, _) => Err(Error::method_not_allowed("POST")),
    }
}

async fn answer_document(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "GET" | "HEAD" => Box::pin(document::read::get(cx, db, id)).await,
        "PUT" => Box::pin(document::write::put(cx, db, id, body)).await,
        "DELETE" => Box::pin(document::write::delete(cx, db, id)).await,
        "COPY" => Box::pin(document::write::copy(cx, db, id)).await,
        "POST" => Err(Error::not_implemented()),
        _ => Err(Error::method_not_allowed("DELETE,GET,HEAD,POST,PUT,COPY")),
    }
}

async fn answer_attachment(cx: &Context, db: &Database, (id, name): (&DocId, &str), body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "GET" | "HEAD" => Box::pin(document::attachment::get(cx, db, id, name)).await,
        "PUT" => Box::pin(document::attachment::put(cx, db, id, name, body)).await,
        "DELETE" => Box::pin(document::attachment::delete(cx, db, id, name)).await,
        _ => Err(Error::method_not_allowed("DELETE,GET,HEAD,PUT")),
    }
}

async fn answer_local(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "GET" | "HEAD" => Box::pin(local::get(db, id)).await,
        "PUT" => Box::pin(local::put(cx, db, id, body)).await,
        "DELETE" => Box::pin(local::delete(db, id)).await,
        "COPY" => Box::pin(local::copy(cx, db, id)).await,
        _ => Err(Error::method_not_allowed("DELETE,GET,HEAD,PUT,COPY")),
    }
}

fn illegal_name(name: &str, error: DbNameError) -> Error {
    match error {
        DbNameError::Illegal => {
            let reason = format!(
                "Name: '{name}'. Only lowercase characters (a-z), digits (0-9), and any of the characters _, $, (, ), +, -, \
                 and / are allowed. Must begin with a letter."
            );
            Error::new(http::StatusCode::BAD_REQUEST, "illegal_database_name", reason)
        }
        DbNameError::TooLong => {
            let reason = format!("At least one path segment of `{name}` is too long.");
            Error::new(http::StatusCode::BAD_REQUEST, "database_name_too_long", reason)
        }
    }
}
