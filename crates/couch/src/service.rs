//! The service of the listener: from a request to a response.

use crate::{
    backup::BACKUPS_MAX,
    changes::{self, Circles},
    context::{Answer, Context, Head},
    cors, database, document,
    error::Error,
    list, local, node, partition, purge,
    replicator::{self, Replication, Trusted},
    revisions,
    route::{self, DatabaseRoute, Endpoint, Route, ServerRoute},
    server, session,
    uuids::Uuids,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use std::{sync::Arc, time::Duration};
use tidegate_documents::Pages;
use tidegate_engine::{Caller, Credentials, Database, Engine, Live, ValidUser};
use tidegate_http::{Arrival, Body, observe::Observe, path::Plus};
use tidegate_types::{DbName, DbNameError, DocId};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How the listener behaves, beyond what the configuration says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of a body that is read as a whole, however much `max_http_request_size` allows.
    pub read_bytes_max: u64,
    /// The longest wait for more of a body.
    pub body_timeout: Duration,
    /// The fewest bytes of a body in a second.
    pub body_rate_min: u64,
    /// Feeds that may wait at the same time.
    pub feeds_max: usize,
    /// What the process knows of itself.
    pub observe: Observe,
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
    pub(crate) circles: Arc<Circles>,
    /// Places for backups.
    pub(crate) backups: Arc<Semaphore>,
    pub(crate) replication: Replication,
    pages: Pages,
}

impl Couch {
    /// The dialect over this engine. Streamed responses run in `tasks`, and end when `draining` is cancelled. So do
    /// replications, which the first dialect over an engine runs: to be called within a runtime.
    pub fn new(engine: Engine, settings: Settings, tasks: TaskTracker, draining: CancellationToken) -> Self {
        let feeds = Arc::new(Semaphore::new(settings.feeds_max));
        let (uuids, circles) = (Uuids::new(), Arc::default());
        let (replication, inbox) = Replication::new();
        let backups = Arc::new(Semaphore::new(BACKUPS_MAX));
        let shared = Shared { settings, uuids, feeds, circles, backups, replication, pages: Pages::new(cors::RULES) };
        let couch = Self { engine, shared: Arc::new(shared), tasks, draining };
        replicator::start(&couch, inbox);
        couch
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn replication(&self) -> &Replication {
        &self.shared.replication
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub(crate) fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Answers a request. Never fails: a failure is an answer, too.
    pub async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let live = self.engine.live();
        let cors = self.shared.pages.rules(&live);
        if let Some(response) = cors.as_ref().and_then(|cors| cors.preflight(&request)) {
            return response;
        }
        let arrival = Arrival::of(&request, |peer| live.peer_header(peer));
        let (mut parts, body) = request.into_parts();
        let trusted = parts.extensions.remove::<Trusted>();
        let method = method_of(&parts.method, &parts.headers);
        let head = Arc::new(Head { method, uri: parts.uri, headers: parts.headers, arrival });
        let mut response = match self.answer(Arc::clone(&head), trusted, &live, body).await {
            Ok(response) => response,
            Err(error) => refuse(error, &live),
        };
        let headers = response.headers_mut();
        headers.insert(header::SERVER, SERVER);
        headers.insert("x-couchdb-body-time", HeaderValue::from_static("0"));
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, MUST_REVALIDATE);
        }
        if let Some(cors) = &cors {
            cors.apply(&head.headers, headers);
        }
        response
    }

    async fn answer(&self, request: Arc<Head>, trusted: Option<Trusted>, live: &Arc<Live>, body: Incoming) -> Answer {
        let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target as u64 > live.uri_length_max {
            return Err(Error::new(http::StatusCode::URI_TOO_LONG, "too_long", "the request uri is too long"));
        }
        let plus = if live.decode_plus_to_space.is_on() { Plus::Space } else { Plus::Literal };
        let route = route::parse(request.uri.path(), plus)?;
        let (caller, cookie) = match trusted {
            Some(Trusted(caller)) => (caller, None),
            None => self.authenticate(&request, live, &route).await?,
        };
        let (engine, shared) = (self.engine.clone(), Arc::clone(&self.shared));
        let (tasks, draining, live) = (self.tasks.clone(), self.draining.clone(), Arc::clone(live));
        let cx = Context { engine, live, caller, request, shared, tasks, draining };
        let mut response = match route {
            Route::Server(ServerRoute::Replicate) => match cx.request.method.as_str() {
                "POST" => Box::pin(replicator::handlers::replicate(self, &cx, body)).await,
                _ => Err(Error::method_not_allowed("POST")),
            },
            Route::Server(route) => answer_server(&cx, route, body).await,
            Route::Database(name, route) => answer_database(&cx, &name, route, body).await,
        }
        .unwrap_or_else(|error| refuse(error, &cx.live));
        // A session in use goes on, unless the answer has one of its own.
        if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
            response.headers_mut().entry(header::SET_COOKIE).or_insert(cookie);
        }
        Ok(response)
    }

    /// Who makes the request, and the cookie that keeps a session going.
    async fn authenticate(
        &self,
        request: &Head,
        live: &Live,
        route: &Route,
    ) -> Result<(Caller, Option<String>), Error> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let transport = request.transport();
        let credentials =
            Credentials { header: &header, peer: request.arrival.peer, client: request.arrival.client, transport };
        // Whoever comes to log in may bring a session that is over, or credentials that are wrong.
        let logs_in = *route == Route::Server(ServerRoute::Session) && request.method == Method::POST;
        let db: Option<DbName> = match route {
            Route::Database(name, _) => name.parse().ok(),
            Route::Server(_) => None,
        };
        let login = match self.engine.authenticate_for(db.as_ref(), &credentials).await {
            Err(_) if logs_in => self.engine.anonymous(),
            login => login?,
        };
        let must_be_somebody = match live.valid_user {
            ValidUser::WhereNeeded => false,
            ValidUser::ExceptUp => *route != Route::Server(ServerRoute::Up),
            ValidUser::Everywhere => true,
        };
        if must_be_somebody && !logs_in {
            login.caller.check_somebody()?;
        }
        Ok((login.caller, login.cookie))
    }
}

fn refuse(Error(mut error): Error, live: &Live) -> Response<Body> {
    let challenge = live.challenge.as_ref().filter(|_| error.status == http::StatusCode::UNAUTHORIZED);
    if let Some(value) = challenge.and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
        error = error.with_header(header::WWW_AUTHENTICATE, value);
    }
    error.into_response()
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
    use ServerRoute as R;
    match (route, cx.request.method.as_str()) {
        (R::Welcome, "GET" | "HEAD") => Ok(server::welcome(cx)),
        (R::Up, "GET" | "HEAD") => server::up(cx),
        (R::Uuids, "GET" | "HEAD") => server::uuids(cx),
        (R::AllDbs, "GET" | "HEAD") => Box::pin(server::all_dbs(cx)).await,
        (R::DbsInfo, "GET" | "HEAD") => Box::pin(server::dbs_info(cx)).await,
        (R::DbsInfo, "POST") => Box::pin(server::dbs_info_of(cx, body)).await,
        (R::Session, _) => Box::pin(session::answer(cx, body)).await,
        (R::Node(route), _) => Box::pin(node::answer(cx, route, body)).await,
        (R::Membership, "GET" | "HEAD") => node::membership(cx),
        (R::ClusterSetup, "GET" | "HEAD" | "POST") => Box::pin(node::cluster_setup(cx, body)).await,
        (R::ActiveTasks, "GET" | "HEAD") => Box::pin(server::active_tasks(cx)).await,
        (R::Scheduler(path), "GET" | "HEAD") => Box::pin(replicator::handlers::scheduler(cx, &path)).await,
        (R::Replicate, _) => Err(Error::method_not_allowed("POST")),
        (R::Unknown, _) => {
            cx.engine.check_admin(&cx.caller)?;
            Err(Error::not_found("missing"))
        }
        (R::DbUpdates, "GET" | "HEAD") => Box::pin(changes::db_updates(cx)).await,
        (R::DbUpdates, _) => Err(Error::method_not_allowed("GET")),
        (R::Later, _) => Err(Error::not_implemented()),
        (R::DbsInfo | R::ClusterSetup, _) => Err(Error::method_not_allowed("GET,HEAD,POST")),
        (R::Welcome | R::Up | R::Uuids | R::AllDbs | R::Membership | R::ActiveTasks | R::Scheduler(_), _) => {
            Err(Error::method_not_allowed("GET,HEAD"))
        }
    }
}

async fn answer_database(cx: &Context, name: &str, route: DatabaseRoute, body: Incoming) -> Answer {
    let parsed = name.parse::<DbName>();
    if route == DatabaseRoute::Database {
        match (cx.request.method.as_str(), &parsed) {
            ("PUT", Ok(name)) => return Box::pin(database::create(cx, name)).await,
            ("PUT", Err(error)) => {
                cx.engine.check_admin(&cx.caller)?;
                return Err(illegal_name(name, *error));
            }
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
        DatabaseRoute::Partition(name, route) => Box::pin(partition::answer(cx, &db, (&name, route), body)).await,
        DatabaseRoute::Endpoint(endpoint) => answer_endpoint(cx, &db, endpoint, body).await,
    }
}

async fn answer_endpoint(cx: &Context, db: &Database, route: Endpoint, body: Incoming) -> Answer {
    use Endpoint as R;
    match (route, cx.request.method.as_str()) {
        (R::List(listed), "GET" | "HEAD") => Box::pin(list::get(cx, db, listed.into())).await,
        (R::List(listed), "POST") => Box::pin(list::post(cx, db, listed.into(), body)).await,
        (R::ListQueries(listed), "POST") => Box::pin(list::queries(cx, db, listed.into(), body)).await,
        (R::Changes, "GET" | "HEAD") => Box::pin(changes::get(cx, db)).await,
        (R::Changes, "POST") => Box::pin(changes::post(cx, db, body)).await,
        (R::BulkDocs, "POST") => Box::pin(document::bulk_docs::post(cx, db, body)).await,
        (R::BulkGet, "POST") => Box::pin(document::bulk_get::post(cx, db, body)).await,
        (R::RevsDiff, "POST") => Box::pin(revisions::revs_diff(cx, db, body)).await,
        (R::MissingRevs, "POST") => Box::pin(revisions::missing_revs(cx, db, body)).await,
        (R::RevsLimit, "GET" | "HEAD") => Box::pin(revisions::limit(db)).await,
        (R::RevsLimit, "PUT") => Box::pin(revisions::set_limit(cx, db, body)).await,
        (R::Purge, "POST") => Box::pin(purge::purge(cx, db, body)).await,
        (R::PurgedInfos, "GET" | "HEAD") => purge::infos(db),
        (R::PurgedInfosLimit, "GET" | "HEAD") => Box::pin(purge::infos_limit(db)).await,
        (R::PurgedInfosLimit, "PUT") => Box::pin(purge::set_infos_limit(cx, db, body)).await,
        (R::Security, "GET" | "HEAD") => Ok(database::security(db)),
        (R::Security, "PUT") => Box::pin(database::set_security(cx, db, body)).await,
        (R::Shards, "GET" | "HEAD") => Ok(database::shards()),
        (R::SyncShards, "POST") => database::sync_shards(cx),
        (R::ViewCleanup, "POST") => database::view_cleanup(cx, db),
        (R::Compact, "POST") => database::compact(cx, db),
        (R::EnsureFullCommit, "POST") => Box::pin(database::ensure_full_commit(cx, db)).await,
        (R::TempView, _) => Err(Error::gone("Temporary views are not supported in CouchDB")),
        (R::Later, _) => Err(Error::not_implemented()),
        (R::List(_) | R::Changes, _) => Err(Error::method_not_allowed("GET,HEAD,POST")),
        (R::RevsLimit | R::PurgedInfosLimit | R::Security, _) => Err(Error::method_not_allowed("GET,PUT")),
        (R::PurgedInfos, _) => Err(Error::method_not_allowed("GET")),
        (R::Shards, _) => Err(Error::method_not_allowed("GET,HEAD")),
        (
            R::ListQueries(_)
            | R::BulkDocs
            | R::BulkGet
            | R::RevsDiff
            | R::MissingRevs
            | R::Purge
            | R::Compact
            | R::EnsureFullCommit
            | R::SyncShards
            | R::ViewCleanup,
            _,
        ) => Err(Error::method_not_allowed("POST")),
    }
}

async fn answer_document(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "GET" | "HEAD" => Box::pin(document::read::get(cx, db, id)).await,
        "PUT" => Box::pin(document::write::put(cx, db, id, body)).await,
        "DELETE" => Box::pin(document::write::delete(cx, db, id)).await,
        "COPY" => Box::pin(document::write::copy(cx, db, id)).await,
        "POST" => Box::pin(document::form::post(cx, db, id, body)).await,
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

/// After how many seconds whoever found no place may try again.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("2");

/// What a client gets whose request isn't HTTP, or for whom there is no place, under the status that fits.
pub fn refusal(status: http::StatusCode) -> Response<Body> {
    let reason = match status {
        http::StatusCode::URI_TOO_LONG => "The URI is too long.",
        http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "The request's head is too large.",
        http::StatusCode::SERVICE_UNAVAILABLE => "The server has as many connections as it may (max_connections).",
        _ => "The request is not valid HTTP.",
    };
    let word = match status {
        http::StatusCode::URI_TOO_LONG => "request_uri_too_long",
        http::StatusCode::SERVICE_UNAVAILABLE => "service_unavailable",
        _ => "bad_request",
    };
    let mut response = Error::new(status, word, reason).0.into_response();
    response.headers_mut().insert(header::SERVER, SERVER);
    response.headers_mut().insert(header::CACHE_CONTROL, MUST_REVALIDATE);
    if status == http::StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S);
    }
    response
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
