//! Logins by identity providers. Source: `spec/gateway.md` 2.5.
//!
//! What a provider redirects to depends on what the database is called by those who come: without a `callback_url` in the
//! configuration it is made of the request's `Host`. Providers know which addresses they may send browsers back to.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    session::put_cookie,
};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};
use tidegate_engine::{
    Credentials, Error as EngineError, OidcEntry, OidcLogin, OidcReturn,
    oidc::{Error as OidcError, Presence},
};
use tidegate_http::{Body, respond};
use tidegate_types::DbName;

/// Which of the routes is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OidcRoute {
    /// Sends the browser to the provider.
    Entry,
    /// Tells an app where to send its browser.
    Challenge,
    /// The browser is back.
    Callback,
    /// The next tokens.
    Refresh,
}

pub(crate) async fn answer(cx: &Context, db: &DbName, route: OidcRoute) -> Answer {
    let header = |name: &str| cx.request.headers.get(name).and_then(|value| value.to_str().ok());
    let credentials = cx.request.credentials(&header);
    match route {
        OidcRoute::Entry => enter(cx, db, &credentials).await,
        OidcRoute::Challenge => challenge(cx, db, &credentials).await,
        OidcRoute::Callback => callback(cx, db, &credentials).await,
        OidcRoute::Refresh => refresh(cx, db, &credentials).await,
    }
}

async fn entry(cx: &Context, db: &DbName, credentials: &Credentials<'_>) -> Result<OidcEntry, Error> {
    let query = cx.query()?;
    let presence = if query.get("offline") == Some("true") { Presence::Offline } else { Presence::Online };
    Ok(cx.engine.oidc_entry(db, (query.get("provider"), presence), &callback_url(cx)?, credentials).await?)
}

async fn enter(cx: &Context, db: &DbName, credentials: &Credentials<'_>) -> Answer {
    let OidcEntry { url, cookie } = entry(cx, db, credentials).await?;
    let mut response = respond::empty(StatusCode::FOUND);
    let unusable = |_| Error::new(StatusCode::BAD_GATEWAY, "the provider's address can't be used");
    response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(url).map_err(unusable)?);
    Ok(with_cookie(response, cookie))
}

async fn challenge(cx: &Context, db: &DbName, credentials: &Credentials<'_>) -> Answer {
    let OidcEntry { url, cookie } = entry(cx, db, credentials).await?;
    let refused = Error::new(StatusCode::UNAUTHORIZED, "Login Required");
    let refused = refused.with_header(header::WWW_AUTHENTICATE, &format!("OIDC login=\"{url}\""));
    Ok(with_cookie(refused.into_response(), cookie))
}

async fn callback(cx: &Context, db: &DbName, credentials: &Credentials<'_>) -> Answer {
    let query = cx.query()?;
    if query.get("error").is_some_and(|error| !error.is_empty()) {
        let description = query.get("error_description").unwrap_or_default();
        let reason = format!("oidc callback received an error: {description}");
        return Err(Error::new(StatusCode::UNAUTHORIZED, reason));
    }
    let missing = || Error::bad_request("Code must be present on oidc callback");
    let code = query.get("code").filter(|code| !code.is_empty()).ok_or_else(missing)?;
    let brought = OidcReturn { provider: query.get("provider"), code, state: query.get("state") };
    let login = cx.engine.oidc_callback(db, brought, &callback_url(cx)?, credentials).await.map_err(worded)?;
    Ok(told(&login, Told::All))
}

async fn refresh(cx: &Context, db: &DbName, credentials: &Credentials<'_>) -> Answer {
    let query = cx.query()?;
    let missing = || Error::bad_request("Refresh token must be present for oidc refresh");
    let token = query.get("refresh_token").filter(|token| !token.is_empty()).ok_or_else(missing)?;
    let login = match cx.engine.oidc_refresh(db, (query.get("provider"), token), credentials).await {
        Err(EngineError::Vouching(OidcError::Refused { kind, description })) => {
            tracing::info!(kind, description, "a provider gives no more tokens");
            return Err(Error::new(StatusCode::UNAUTHORIZED, "Unable to refresh token."));
        }
        login => login.map_err(worded)?,
    };
    Ok(told(&login, Told::ButTheRefreshToken))
}

/// What a provider refuses is told with the status that fits.
fn worded(error: EngineError) -> Error {
    let EngineError::Vouching(OidcError::Refused { kind, .. }) = &error else { return error.into() };
    let status = match kind.as_str() {
        "access_denied" | "unauthorized_client" | "invalid_client" | "invalid_grant" | "invalid_request" => {
            StatusCode::UNAUTHORIZED
        }
        "server_error" => StatusCode::BAD_GATEWAY,
        _ => StatusCode::BAD_REQUEST,
    };
    Error::new(status, error.to_string())
}

/// The address of the database's callback, as the client calls it.
fn callback_url(cx: &Context) -> Result<String, Error> {
    let host = cx.request.header(header::HOST).or_else(|| cx.request.uri.authority().map(http::uri::Authority::as_str));
    let host = host.ok_or_else(|| Error::bad_request("the request names no host"))?;
    let scheme = match cx.request.arrival.transport {
        tidegate_http::Transport::Plain => "http",
        tidegate_http::Transport::Tls => "https",
    };
    let db = cx.request.uri.path().split('/').nth(1).unwrap_or_default();
    Ok(format!("{scheme}://{host}/{db}/_oidc_callback"))
}

/// How much of a login is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    All,
    /// The client has it.
    ButTheRefreshToken,
}

fn told(login: &OidcLogin, what: Told) -> Response<Body> {
    let tokens = &login.tokens;
    let session = login.session.as_ref().map(|session| session.id.to_string());
    let mut body = Map::new();
    let mut set = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
    set("id_token", Some(tokens.id_token.as_str().into()));
    if what == Told::All {
        set("refresh_token", tokens.refresh_token.as_deref().map(Into::into));
    }
    set("session_id", session.map(Into::into));
    set("name", Some(login.name.as_str().into()));
    set("access_token", tokens.access_token.as_deref().map(Into::into));
    set("token_type", tokens.token_type.as_deref().map(Into::into));
    set("expires_in", tokens.expires_in.map(Into::into));
    let mut response = with_cookie(json_value(StatusCode::OK, &Value::Object(body)), login.login.cookie.clone());
    // Tokens are nobody else's to keep.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(over) = login.journey_cookie.as_ref().and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, over);
    }
    response
}

fn with_cookie(mut response: Response<Body>, cookie: Option<String>) -> Response<Body> {
    if let Some(cookie) = cookie {
        put_cookie(&mut response, &cookie);
    }
    response
}
