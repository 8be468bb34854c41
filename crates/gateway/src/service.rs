//! The service of one listener: from a request to a response.

use crate::{
    changes::Halls,
    context::{Answer, Context, Head},
    cors,
    error::Error,
    handlers::{answer_database, answer_server},
    openapi::{Edition, page::PackedDocument},
    route::{self, DatabaseRoute, Parsed, Route, ServerRoute, Slash},
    server, session,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::{sync::Arc, time::Duration};
use tidegate_documents::{PageRules, Pages};
use tidegate_engine::{Administrator, Caller, Engine, Live};
use tidegate_http::{
    Arrival, Body,
    cors::Cors,
    gzip,
    negotiate::{Accept, accepts_gzip},
    observe::Observe,
    respond,
};
use tidegate_types::DbName;
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
    /// What web pages may do on the public port. On the other one they are told nothing.
    pages: Option<Pages>,
    pub(crate) feeds: Arc<Semaphore>,
    /// Where feeds wait together.
    pub(crate) halls: Arc<Halls>,
    pub(crate) document: PackedDocument,
}

impl Shared {
    /// Which document tells of this listener.
    pub(crate) fn edition(&self) -> Edition {
        Edition { port: self.port, profile: self.settings.profile }
    }
}

/// What pages may do where the configuration doesn't say.
pub(crate) const PAGE_RULES: PageRules = PageRules {
    methods: &["PUT", "DELETE"],
    headers: &[
        "accept",
        "accept-language",
        "authorization",
        "cache-control",
        "content-type",
        "if-match",
        "if-none-match",
        "origin",
        "pragma",
        "range",
        "x-requested-with",
    ],
    exposed: &["content-type", "cache-control", "accept-ranges", "etag", "location", "server"],
};

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
        let pages = (port == Port::Public).then(|| Pages::new(PAGE_RULES));
        let (halls, document) = (Arc::default(), PackedDocument::default());
        let shared = Shared { settings, port, door, pages, feeds, halls, document };
        Self { engine, shared: Arc::new(shared), tasks, draining }
    }

    /// Answers a request. Never fails: a failure is an answer, too.
    pub async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let live = self.engine.live();
        let cors = self.cors(&live, &request).await;
        if let Some(response) = cors.as_ref().and_then(|cors| cors.preflight(&request)) {
            return response;
        }
        let arrival = Arrival::of(&request, |peer| live.peer_header(peer));
        let (parts, body) = request.into_parts();
        let head = Arc::new(Head {
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            headers: parts.headers,
            arrival,
        });
        let answer =
            self.answer((live, cors.as_deref()), &head, body).await.and_then(|response| accepted(&head, response));
        let mut response = packed(&head, answer.unwrap_or_else(Error::into_response));
        response.headers_mut().insert(header::SERVER, server::header(self.shared.settings.profile));
        if let Some(cors) = cors {
            cors.apply(&head.headers, response.headers_mut());
        }
        response
    }

    /// What web pages may do: as the database says, or the configuration.
    async fn cors<B>(&self, live: &Arc<Live>, request: &Request<B>) -> Option<Arc<Cors>> {
        let pages = self.shared.pages.as_ref()?;
        let is_of_page = request.headers().contains_key(header::ORIGIN);
        match if is_of_page { cors::of(&self.engine, request).await } else { None } {
            Some(own) => Some(own),
            None => pages.rules(live),
        }
    }

    async fn answer(&self, (live, cors): (Arc<Live>, Option<&Cors>), request: &Arc<Head>, body: Incoming) -> Answer {
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
        check_origin(request, cors)?;
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
                    _ if is_for_anybody(route, Port::Admin) => Ok((self.engine.anonymous().caller, None)),
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
        let is_login = matches!(route, DatabaseRoute::Session | DatabaseRoute::Oidc(_));
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let login = self.engine.authenticate_principal(&name, &request.credentials(&header)).await;
        match login {
            Ok(login) if login.caller.is_somebody() || is_login => Ok((login.caller, login.cookie)),
            Ok(_) => Err(self.challenge(&name, Error::login_required()).await),
            Err(tidegate_engine::Error::NoDatabase(name)) => {
                Err(self.unknown(request, Error::no_database(name.as_str())))
            }
            Err(tidegate_engine::Error::BadCredentials)
                if is_login && (request.method != Method::GET || *route != DatabaseRoute::Session) =>
            {
                Ok((self.engine.anonymous().caller, None))
            }
            Err(error) => Err(self.challenge(&name, error.into()).await),
        }
    }

    /// The refusal with which browsers ask for a password, unless the database wants none asked for.
    async fn challenge(&self, name: &DbName, error: Error) -> Error {
        let wanted = self.engine.option_for_anybody(name, "send_www_authenticate_header").await;
        if wanted.ok().flatten().is_some_and(|wanted| wanted == "false") { error } else { challenged(error) }
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

/// Refuses what a page of elsewhere makes a browser do: it would come with the user's cookie, or password, whatever the
/// page is. Reading is left to the browser, which keeps answers from pages that may not call; but for WebSockets.
fn check_origin(request: &Head, cors: Option<&Cors>) -> Result<(), Error> {
    let Some(origin) = request.header(header::ORIGIN) else { return Ok(()) };
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    if is_read && !request.headers.contains_key(header::SEC_WEBSOCKET_KEY) {
        return Ok(());
    }
    let host = request.header(header::HOST).or(request.uri.authority().map(http::uri::Authority::as_str));
    let from = origin.split_once("://").map(|(_, host)| host);
    let is_own = from.zip(host).is_some_and(|(from, host)| from.eq_ignore_ascii_case(host));
    let mut allowed = HeaderMap::new();
    if let Some(cors) = cors {
        cors.apply(&request.headers, &mut allowed);
    }
    if is_own || allowed.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return Ok(());
    }
    Err(Error::new(StatusCode::FORBIDDEN, "pages of this origin may not do this: see [cors]"))
}

/// Whether it is told to those who don't say who they are. What the public port has of the server, it has for everybody.
pub(crate) fn is_for_anybody(route: &Route, port: Port) -> bool {
    match port {
        Port::Public => matches!(route, Route::Server(_)),
        Port::Admin => matches!(route, Route::Server(ServerRoute::Welcome | ServerRoute::Ping)),
    }
}

pub(crate) fn challenged(error: Error) -> Error {
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
