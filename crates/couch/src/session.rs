//! `/_session`: logging in, asking who one is, logging out. Source: `couch_httpd_auth:handle_session_req`.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use tidegate_engine::LoginForm;
use tidegate_http::{Body, query::Query};

pub(crate) async fn answer(cx: &Context, body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "GET" | "HEAD" => show(cx),
        "POST" => log_in(cx, body).await,
        "DELETE" => {
            let cookie = cx.engine.log_out(cx.request.transport());
            let (status, location) = redirected(cx, "next", StatusCode::OK)?;
            Ok(with_cookie(json_value(status, &json!({ "ok": true })), &cookie, location))
        }
        _ => Err(Error::method_not_allowed("GET,HEAD,POST,DELETE")),
    }
}

fn show(cx: &Context) -> Answer {
    let context = cx.caller.context();
    if context.name.is_none() && cx.query()?.get("basic") == Some("true") {
        return Err(Error::unauthorized("Please login."));
    }
    let mut info = Map::from_iter([("authentication_handlers".to_owned(), cx.engine.authentication_handlers().into())]);
    info.extend(context.handler.map(|handler| ("authenticated".to_owned(), handler.as_str().into())));
    let user: Value = serde_json::from_str(&context.session_json())?;
    Ok(json_value(StatusCode::OK, &json!({ "ok": true, "userCtx": user, "info": with_users_db(cx, info.into()) })))
}

/// The same, with the users' database where somebody has set one.
fn with_users_db(cx: &Context, mut info: Value) -> Value {
    if let (Some(info), Some(name)) = (info.as_object_mut(), cx.engine.authentication_db()) {
        info.insert("authentication_db".to_owned(), name.into());
    }
    info
}

async fn log_in(cx: &Context, body: Incoming) -> Answer {
    let form = Form::read(cx, body).await?;
    let asked = LoginForm { name: &form.name, password: &form.password, token: form.token.as_deref() };
    match cx.engine.log_in(&asked, cx.request.arrival.client, cx.request.transport()).await {
        Ok(login) => {
            let (status, location) = redirected(cx, "next", StatusCode::OK)?;
            let context = login.caller.context();
            let roles: Vec<&str> = context.roles.iter().map(|role| role.as_str()).collect();
            let body = json!({ "ok": true, "name": form.name, "roles": roles });
            Ok(with_cookie(json_value(status, &body), &login.cookie.unwrap_or_default(), location))
        }
        Err(tidegate_engine::Error::BadCredentials) => {
            let (status, location) = redirected(cx, "fail", StatusCode::UNAUTHORIZED)?;
            let body = json!({ "error": "unauthorized", "reason": "Name or password is incorrect." });
            Ok(with_cookie(json_value(status, &body), &cx.engine.log_out(cx.request.transport()), location))
        }
        Err(error) => Err(error.into()),
    }
}

/// Name and password as a form or as JSON.
struct Form {
    name: String,
    password: String,
    token: Option<String>,
}

impl Form {
    async fn read(cx: &Context, body: Incoming) -> Result<Self, Error> {
        let content_type = cx.header(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let body = cx.read(body).await?;
        let fields: Vec<(String, String)> = if content_type.starts_with("application/x-www-form-urlencoded") {
            let text = str::from_utf8(&body).map_err(|_not_text| Error::bad_request("the form is not valid UTF-8"))?;
            let query = Query::parse(Some(text))?;
            query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        } else if content_type.starts_with("application/json") {
            let object: Map<String, Value> = serde_json::from_slice(&body)?;
            object.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
        } else {
            let reason = "Content-Type must be 'application/x-www-form-urlencoded' or 'application/json'";
            return Err(Error::bad_content_type(reason));
        };
        let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let name = match (field("username"), field("name")) {
            (None, None) => return Err(Error::bad_request("request body must contain a username")),
            (Some(username), Some(name)) if username != name => {
                return Err(Error::bad_request("request body contains different usernames"));
            }
            (Some(name), _) | (None, Some(name)) => name,
        };
        Ok(Self { name, password: field("password").unwrap_or_default(), token: field("token") })
    }
}

/// Where to go from here, if the request says so: a path on this server, and nowhere else.
fn redirected(cx: &Context, parameter: &str, status: StatusCode) -> Result<(StatusCode, Option<HeaderValue>), Error> {
    let query = cx.query()?;
    let Some(path) = query.get(parameter) else { return Ok((status, None)) };
    if !path.starts_with('/') {
        return Err(Error::bad_request("path must begin with a /."));
    }
    let location = HeaderValue::try_from(format!("{}{path}", cx.base_url()));
    let location = location.map_err(|_invalid| Error::bad_request("path must begin with a /."))?;
    Ok((StatusCode::FOUND, Some(location)))
}

fn with_cookie(mut response: Response<Body>, cookie: &str, location: Option<HeaderValue>) -> Response<Body> {
    let headers = response.headers_mut();
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    if let Some(location) = location {
        headers.insert(header::LOCATION, location);
    }
    response
}
