//! The service of one listener: from a request to a response.

use crate::{
    changes, config,
    context::{Answer, Context, Head},
    database, design, document,
    error::Error,
    figures, list, local, principals, revisions,
    route::{self, DatabaseRoute, Keyspace, Parsed, Route, ServerRoute, Slash},
    server, session, upkeep,
};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::{sync::Arc, time::Duration};
use tidegate_engine::{Administrator, Caller, Database, Engine, Live};
use tidegate_http::{
    Arrival, Body, gzip,
    negotiate::{Accept, accepts_gzip},
    observe::Observe,
    respond,
};
use tidegate_types::{DbName, DocId};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How a listener behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of a body that is read as a whole, however much the configuration allows.
    pub read_bytes_max: u64,
    /// The longest wait for more of a body.
    pub body_timeout: Duration,
    /// The fewest bytes of a body in a second.
    pub body_rate_min: u64,
    /// Feeds that may wait at the same time.
    pub feeds_max: usize,
    /// What the process knows of itself.
    pub observe: Observe,
    /// As which version of Sync Gateway it speaks.
    pub profile: Profile,
}

/// As which version of Sync Gateway a listener speaks. They differ in presentation alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// 2.5.
    Two,
    /// 4.2.
    Four,
}

/// Which of Sync Gateway's listeners this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// For users.
    Public,
    /// For administrators.
    Admin,
}

/// Who gets in.
#[derive(Clone)]
pub enum Door {
    /// The public port: users of the database asked for.
    Users,
    /// The admin port: everybody who reaches it. On loopback only.
    Open(Administrator),
    /// The admin port: administrators of the server, by their passwords.
    Administrators,
}

/// Sync Gateway's dialect on one port. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    engine: Engine,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    draining: CancellationToken,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) port: Port,
    door: Door,
    pub(crate) feeds: Arc<Semaphore>,
}

/// JSON answers that are longer go out compressed to those who take them so.
const PACKED_BYTES_MIN: usize = 1_000;

impl Gateway {
    /// The dialect over this engine, behind this door. Streamed responses run in `tasks`, and end when `draining` is
    /// cancelled.
    pub fn new(
        engine: Engine,
        door: Door,
        settings: Settings,
        tasks: TaskTracker,
        draining: CancellationToken,
    ) -> Self {
        let feeds = Arc::new(Semaphore::new(settings.feeds_max));
        let port = match door {
            Door::Users => Port::Public,
            Door::Open(_) | Door::Administrators => Port::Admin,
        };
        Self { engine, shared: Arc::new(Shared { settings, port, door, feeds }), tasks, draining }
    }

    /// Answers a request. Never fails: a failure is an answer, too.
    pub async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let arrival = Arrival::of(&request);
        let (parts, body) = request.into_parts();
        let head = Arc::new(Head {
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            headers: parts.headers,
            arrival,
        });
        let answer = self.answer(&head, body).await.and_then(|response| accepted(&head, response));
        let mut response = packed(&head, answer.unwrap_or_else(Error::into_response));
        response.headers_mut().insert(header::SERVER, server::header(self.shared.settings.profile));
        response
    }

    async fn answer(&self, request: &Arc<Head>, body: Incoming) -> Answer {
        let live = self.engine.live();
        let target = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target as u64 > live.uri_length_max {
            return Err(Error::new(StatusCode::URI_TOO_LONG, "the request URI is too long"));
        }
        let Parsed { route, slash } = route::parse(request.uri.path())?;
        let methods = route.methods(self.shared.port);
        if methods.is_empty() {
            return Err(Error::unknown_url());
        }
        if let Some(answer) = answered_by_route(request, methods, slash) {
            return answer;
        }
        let (caller, cookie) = self.authenticate(request, &route).await?;
        let cx = self.context(live, caller, request);
        let mut response = match route {
            Route::Server(route) => answer_server(&cx, route, body).await,
            Route::Database(keyspace, route) => answer_database(&cx, &keyspace, route, body).await,
        }
        .unwrap_or_else(Error::into_response);
        if let Some(cookie) = cookie {
            session::put_cookie(&mut response, &cookie);
        }
        Ok(response)
    }

    fn context(&self, live: Arc<Live>, caller: Caller, request: &Arc<Head>) -> Context {
        Context {
            engine: self.engine.clone(),
            live,
            caller,
            request: Arc::clone(request),
            shared: Arc::clone(&self.shared),
            tasks: self.tasks.clone(),
            draining: self.draining.clone(),
        }
    }

    /// Who makes the request, and the cookie that keeps a session going.
    async fn authenticate(&self, request: &Head, route: &Route) -> Result<(Caller, Option<String>), Error> {
        match &self.shared.door {
            Door::Open(administrator) => Ok((server::check_local(request).map(|()| administrator.caller())?, None)),
            Door::Administrators => {
                let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
                let login = self.engine.authenticate(&request.credentials(&header)).await;
                match login.map_err(Error::from) {
                    _ if is_for_anybody(route) => Ok((self.engine.anonymous().caller, None)),
                    Ok(login) if login.caller.is_admin() => Ok((login.caller, None)),
                    Ok(_) => Err(challenged(Error::login_required())),
                    Err(error) => Err(challenged(error)),
                }
            }
            Door::Users => self.user(request, route).await,
        }
    }

    /// The user of the database that the request is for.
    async fn user(&self, request: &Head, route: &Route) -> Result<(Caller, Option<String>), Error> {
        let Route::Database(keyspace, route) = route else { return Ok((self.engine.anonymous().caller, None)) };
        let name = keyspace.database().map_err(|error| self.unknown(request, error))?;
        // Whoever comes to log in may bring a session that is over, or credentials that are wrong.
        let is_login = *route == DatabaseRoute::Session;
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let login = self.engine.authenticate_principal(&name, &request.credentials(&header)).await;
        match login {
            Ok(login) if login.caller.is_somebody() || is_login => Ok((login.caller, login.cookie)),
            Ok(_) => Err(challenged(Error::login_required())),
            Err(tidegate_engine::Error::NoDatabase(name)) => {
                Err(self.unknown(request, Error::no_database(name.as_str())))
            }
            Err(tidegate_engine::Error::BadCredentials) if is_login && request.method != Method::GET => {
                Ok((self.engine.anonymous().caller, None))
            }
            Err(error) => Err(challenged(error.into())),
        }
    }

    /// What is told of a database that there isn't. Version 4 tells only those of it who are let in, which nobody is.
    fn unknown(&self, request: &Head, error: Error) -> Error {
        match self.shared.settings.profile {
            Profile::Two => error,
            Profile::Four if request.headers.contains_key(header::AUTHORIZATION) => challenged(Error::invalid_login()),
            Profile::Four => challenged(Error::login_required()),
        }
    }
}

/// Whether it is told to those who don't say who they are.
fn is_for_anybody(route: &Route) -> bool {
    matches!(route, Route::Server(ServerRoute::Welcome | ServerRoute::Ping))
}

fn challenged(error: Error) -> Error {
    if error.status != StatusCode::UNAUTHORIZED {
        return error;
    }
    error.with_header(header::WWW_AUTHENTICATE, "Basic realm=\"Couchbase Sync Gateway\"")
}

/// What needs no more than the route to be answered: which methods there are, and where the path is right.
fn answered_by_route(request: &Head, methods: &[&str], slash: Slash) -> Option<Answer> {
    let method = &request.method;
    if method == Method::OPTIONS {
        let mut response = respond::empty(StatusCode::NO_CONTENT);
        let allowed = HeaderValue::try_from(methods.join(", "));
        response.headers_mut().extend(allowed.map(|value| (header::ALLOW, value)));
        return Some(Ok(response));
    }
    if !methods.contains(&method.as_str()) {
        return Some(Err(Error::method_not_allowed(&methods.join(", "))));
    }
    // Others than readers would lose their bodies, or their methods, on the way.
    let is_read = method == Method::GET || method == Method::HEAD;
    let path = request.uri.path();
    let right = match slash {
        Slash::Missing if is_read => format!("{path}/"),
        Slash::Surplus if is_read => path.trim_end_matches('/').to_owned(),
        Slash::Missing | Slash::Surplus | Slash::Right => return None,
    };
    let right = request.uri.query().map_or_else(|| right.clone(), |query| format!("{right}?{query}"));
    let mut response = respond::empty(StatusCode::MOVED_PERMANENTLY);
    response.headers_mut().extend(HeaderValue::try_from(right).map(|value| (header::LOCATION, value)));
    Some(Ok(response))
}

/// The response, if the client takes what it reads.
fn accepted(request: &Head, response: Response<Body>) -> Answer {
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    if is_read && is_json(&response) && !Accept::of(&request.headers).accepts("application/json") {
        return Err(Error::new(StatusCode::NOT_ACCEPTABLE, "only application/json available"));
    }
    Ok(response)
}

fn is_json(response: &Response<Body>) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json")
}

/// The response as it goes out: compressed where that pays and the client takes it.
fn packed(request: &Head, mut response: Response<Body>) -> Response<Body> {
    let is_packed = response.headers().contains_key(header::CONTENT_ENCODING);
    let Body::Full(text) = response.body() else { return response };
    if !is_json(&response) || is_packed || text.len() < PACKED_BYTES_MIN || !accepts_gzip(&request.headers) {
        return response;
    }
    let Ok(packed) = gzip::pack(text) else { return response };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(packed.len()));
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    *response.body_mut() = Body::Full(packed);
    response
}

/// Handlers are boxed: a request's future would have the size of the largest otherwise, and is moved about.
async fn answer_server(cx: &Context, route: ServerRoute, _body: Incoming) -> Answer {
    use ServerRoute as R;
    match route {
        R::Welcome => Ok(server::welcome(cx)),
        R::Ping => Ok(server::ping()),
        R::AllDbs => Box::pin(server::all_dbs(cx)).await,
        R::Config => server::config(cx),
        R::Logging => server::logging(cx),
        R::Status => Box::pin(figures::status(cx)).await,
        R::Expvar => Box::pin(figures::expvar(cx)).await,
        R::Metrics => Box::pin(figures::metrics(cx)).await,
        R::Stats => figures::stats(cx),
        R::Later => Err(Error::not_implemented()),
    }
}

async fn answer_database(cx: &Context, keyspace: &Keyspace, route: DatabaseRoute, body: Incoming) -> Answer {
    use DatabaseRoute as R;
    let method = cx.request.method.as_str();
    if let (R::Database, "PUT") = (&route, method) {
        return Box::pin(database::create(cx, keyspace, body)).await;
    }
    let name = keyspace.database()?;
    if route == R::Session && cx.shared.port == Port::Public {
        return Box::pin(answer_own_session(cx, &name, body)).await;
    }
    if let (R::Database, "DELETE") = (&route, method) {
        return Box::pin(database::delete(cx, &name)).await;
    }
    let db = cx.database(&name).await?;
    keyspace.check_collection()?;
    if route.needs_service(method) {
        upkeep::check_service(&db)?;
    }
    match (&route, method) {
        (R::Database, "POST") => Box::pin(document::write::post(cx, &db, body)).await,
        (R::Database, _) => Box::pin(database::info(cx, &db)).await,
        (R::EnsureFullCommit, _) => Box::pin(database::ensure_full_commit(cx, &db)).await,
        (R::Document(id), _) => answer_document(cx, &db, id, body).await,
        (R::Attachment(id, name), _) => answer_attachment(cx, &db, (id, name), body).await,
        (R::Local(id), _) => answer_local(cx, &db, id, body).await,
        (R::AllDocs, "POST") => Box::pin(list::post(cx, &db, body)).await,
        (R::AllDocs, _) => Box::pin(list::get(cx, &db)).await,
        (R::Changes, "POST") => Box::pin(changes::post(cx, &db, body)).await,
        (R::Changes, _) => Box::pin(changes::get(cx, &db)).await,
        (R::BulkDocs, _) => Box::pin(document::bulk_docs::post(cx, &db, body)).await,
        (R::BulkGet, _) => Box::pin(document::bulk_get::post(cx, &db, body)).await,
        (R::RevsDiff, _) => Box::pin(revisions::revs_diff(cx, &db, body)).await,
        (R::Purge, _) => Box::pin(revisions::purge(cx, &db, body)).await,
        (R::Raw(id), _) => Box::pin(revisions::raw(cx, &db, id)).await,
        (R::RevTree(id), _) => Box::pin(revisions::rev_tree(&db, id)).await,
        (R::Session, "POST") => Box::pin(session::create(cx, &db, body)).await,
        (R::Session, _) => Box::pin(session::get(cx, &db)).await,
        (R::Design(id), "PUT") => Box::pin(design::put(cx, &db, id, body)).await,
        (R::Design(id), "DELETE") => Box::pin(design::delete(cx, &db, id)).await,
        (R::Design(id), _) => Box::pin(design::get(cx, &db, id)).await,
        (R::View(id, view), _) => Box::pin(design::view(cx, &db, (id, view))).await,
        _ => answer_upkeep(cx, &db, (&route, method), body).await,
    }
}

/// What administrators set, on the admin port.
async fn answer_upkeep(cx: &Context, db: &Database, route: (&DatabaseRoute, &str), body: Incoming) -> Answer {
    use DatabaseRoute as R;
    match route {
        (R::Config, "PUT" | "POST") => Box::pin(config::put(cx, db, body)).await,
        (R::Config, _) => Box::pin(config::get(cx, db)).await,
        (R::SyncFunction, _) => Box::pin(config::sync_function(cx, db, body)).await,
        (R::ImportFilter, _) => Box::pin(config::import_filter(cx, db, body)).await,
        (R::Online, _) => Box::pin(upkeep::online(cx, db, body)).await,
        (R::Offline, _) => Box::pin(upkeep::offline(db)).await,
        (R::Resync, _) => upkeep::resync(db),
        (R::Compact, _) => Box::pin(upkeep::compact(cx, db)).await,
        (R::Repair, _) => upkeep::repair(),
        _ => answer_principals(cx, db, route, body).await,
    }
}

/// Users, roles and their sessions, on the admin port.
async fn answer_principals(cx: &Context, db: &Database, route: (&DatabaseRoute, &str), body: Incoming) -> Answer {
    use DatabaseRoute as R;
    match route {
        (R::Users, "POST") => Box::pin(principals::create_user(cx, db, body)).await,
        (R::Users, _) => Box::pin(principals::list_users(cx, db)).await,
        (R::User(name), "PUT") => Box::pin(principals::put_user(cx, db, name, body)).await,
        (R::User(name), "DELETE") => Box::pin(principals::delete_user(db, name)).await,
        (R::User(name), _) => Box::pin(principals::get_user(cx, db, name)).await,
        (R::Roles, "POST") => Box::pin(principals::create_role(cx, db, body)).await,
        (R::Roles, _) => Box::pin(principals::list_roles(cx, db)).await,
        (R::Role(name), "PUT") => Box::pin(principals::put_role(cx, db, name, body)).await,
        (R::Role(name), "DELETE") => Box::pin(principals::delete_role(db, name)).await,
        (R::Role(name), _) => Box::pin(principals::get_role(db, name)).await,
        (R::SessionOf(id), "DELETE") => Box::pin(session::delete(db, id, None)).await,
        (R::SessionOf(id), _) => Box::pin(session::show(cx, db, id)).await,
        (R::UserSessions(name), _) => Box::pin(session::delete_all(db, name)).await,
        (R::UserSession(name, id), _) => Box::pin(session::delete(db, id, Some(name))).await,
        _ => Err(Error::not_implemented()),
    }
}

/// The session of whoever asks, on the public port.
async fn answer_own_session(cx: &Context, name: &DbName, body: Incoming) -> Answer {
    let header = |name: &str| cx.request.headers.get(name).and_then(|value| value.to_str().ok());
    let credentials = cx.request.credentials(&header);
    match cx.request.method.as_str() {
        "POST" => session::log_in(cx, name, &credentials, body).await.map_err(challenged),
        "DELETE" => session::log_out(cx, name, &credentials).await,
        _ if cx.caller.is_somebody() => session::get(cx, &cx.database(name).await?).await,
        _ => Ok(session::nobody(cx)),
    }
}

async fn answer_document(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "PUT" => Box::pin(document::write::put(cx, db, id, body)).await,
        "DELETE" => Box::pin(document::write::delete(cx, db, id)).await,
        _ => Box::pin(document::read::get(cx, db, id)).await,
    }
}

async fn answer_attachment(cx: &Context, db: &Database, (id, name): (&DocId, &str), body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "PUT" => Box::pin(document::attachment::put(cx, db, id, name, body)).await,
        "DELETE" => Box::pin(document::attachment::delete(cx, db, id, name)).await,
        _ => Box::pin(document::attachment::get(cx, db, id, name)).await,
    }
}

async fn answer_local(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "PUT" => Box::pin(local::put(cx, db, id, body)).await,
        "DELETE" => Box::pin(local::delete(cx, db, id)).await,
        _ => Box::pin(local::get(db, id)).await,
    }
}

impl Keyspace {
    /// The database of the keyspace.
    ///
    /// # Errors
    /// No database can have this name.
    pub(crate) fn database(&self) -> Result<DbName, Error> {
        let name = self.text.split('.').next().unwrap_or_default();
        let parsed = name.parse::<DbName>();
        parsed.ok().filter(|name| !is_system(name)).ok_or_else(|| Error::no_database(name))
    }

    /// Refuses other collections than the default one: a database has no others yet.
    pub(crate) fn check_collection(&self) -> Result<(), Error> {
        let mut parts = self.text.split('.').skip(1);
        match (parts.next(), parts.next(), parts.next()) {
            (None | Some("_default"), None | Some("_default"), None) => Ok(()),
            _ => Err(Error::not_found(format!("keyspace {} not found", self.text))),
        }
    }
}

/// Whether the server keeps it for itself.
pub(crate) fn is_system(name: &DbName) -> bool {
    name.as_str().starts_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyspaces() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let keyspace = Keyspace { text: text.to_owned() };
            let found = keyspace.database().and_then(|name| keyspace.check_collection().map(|()| name.to_string()));
            assert_eq!(
                found.map_err(|error| error.reason.into_owned()),
                expected.map(str::to_owned).map_err(str::to_owned)
            );
        };
        check("db", Ok("db"));
        check("db._default", Ok("db"));
        check("db._default._default", Ok("db"));
        check("db.c", Err("keyspace db.c not found"));
        check("db.s.c", Err("keyspace db.s.c not found"));
        check("db._default._default.x", Err("keyspace db._default._default.x not found"));
        check("BAD", Err("no such database \"BAD\""));
        check("_users", Err("no such database \"_users\""));
    }
}
