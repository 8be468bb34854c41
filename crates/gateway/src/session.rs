//! Sessions, and who one is. Source: `spec/gateway.md` 1 and 2.5.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    service::Profile,
};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};
use tidegate_engine::{Credentials, Database, LoginForm, WhoAmI, principal::Uses};
use tidegate_http::{Body, respond};
use tidegate_types::{Channel, DbName, PrincipalName, Seq};

/// The longest session that is made.
const TTL_MAX_S: u64 = 60 * 60 * 24 * 365 * 10;

/// Who makes the request.
pub(crate) async fn get(cx: &Context, db: &Database) -> Answer {
    let WhoAmI { name, channels } = db.who_am_i().await?;
    Ok(told(cx, name.as_ref(), channels.as_ref()))
}

/// What somebody is told who didn't say who it is.
pub(crate) fn nobody(cx: &Context) -> Response<Body> {
    told(cx, None, None)
}

fn told(cx: &Context, name: Option<&PrincipalName>, channels: Option<&BTreeMap<Channel, Seq>>) -> Response<Body> {
    let channels = match (channels, cx.shared.settings.profile) {
        (Some(channels), _) => {
            let since = |(channel, since): (&Channel, &Seq)| (channel.to_string(), Value::from(since.get()));
            Value::Object(channels.iter().map(since).collect())
        }
        (None, Profile::Two) => Value::Object(Map::new()),
        (None, Profile::Four) => Value::Null,
    };
    let body = json!({
        "authentication_handlers": ["default", "cookie"],
        "ok": true,
        "userCtx": { "channels": channels, "name": name.map(PrincipalName::as_str) },
    });
    json_value(StatusCode::OK, &body)
}

/// A login on the public port: by the name and password of the body, or as whom the request comes anyway.
pub(crate) async fn log_in(cx: &Context, name: &DbName, credentials: &Credentials<'_>, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let body: Value = if text.is_empty() { json!({}) } else { serde_json::from_slice(&text)? };
    let uses = if cx.query()?.get("one_time") == Some("true") { Uses::One } else { Uses::Many };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let (login, session) = match (text("name"), text("password")) {
        (Some(user), password) => {
            let form = LoginForm { name: user, password: password.unwrap_or_default(), token: None };
            cx.engine.log_in_principal(name, &form, uses, credentials).await?
        }
        (None, _) => cx.engine.session_for(name, &cx.caller, uses, credentials).await?,
    };
    let db = cx.engine.database(&login.caller, name).await?;
    let WhoAmI { name, channels } = db.who_am_i().await?;
    if uses == Uses::One {
        return Ok(json_value(StatusCode::OK, &json!({ "one_time_session_id": session.id.to_string() })));
    }
    let mut response = told(cx, name.as_ref(), channels.as_ref());
    put_cookie(&mut response, &session.cookie);
    Ok(response)
}

/// The end of the session that the request shows.
pub(crate) async fn log_out(cx: &Context, name: &DbName, credentials: &Credentials<'_>) -> Answer {
    let cookie = cx.engine.log_out_principal(name, credentials).await?;
    let cookie = cookie.ok_or_else(|| Error::not_found("no session"))?;
    let mut response = json_value(StatusCode::OK, &json!({}));
    put_cookie(&mut response, &cookie);
    Ok(response)
}

/// Brings a cookie, unless the answer has one of its own.
pub(crate) fn put_cookie(response: &mut Response<Body>, cookie: &str) {
    if let Ok(value) = HeaderValue::try_from(cookie) {
        response.headers_mut().entry(header::SET_COOKIE).or_insert(value);
    }
}

/// An administrator makes a session for a user.
pub(crate) async fn create(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let body: Value = serde_json::from_slice(&cx.read_json(body).await?)?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let no_user = || Error::not_found(format!("No such user \"{name}\""));
    let user: PrincipalName = name.parse().map_err(|_illegal| no_user())?;
    let ttl = match body.get("ttl") {
        None | Some(Value::Null) => Database::SESSION_TTL,
        Some(ttl) => {
            let seconds = ttl.as_u64().filter(|seconds| (1..=TTL_MAX_S).contains(seconds));
            Duration::from_secs(seconds.ok_or(Error::bad_request("Invalid 'ttl' value"))?)
        }
    };
    let session = match db.create_session(&user, ttl, Uses::Many).await {
        Err(tidegate_engine::Error::NoPrincipal(_)) => return Err(no_user()),
        session => session?,
    };
    let body = json!({
        "session_id": session.id.to_string(),
        "expires": rfc3339(session.expires_s),
        "cookie_name": session.cookie_name,
    });
    Ok(json_value(StatusCode::OK, &body))
}

/// Whose session it is.
pub(crate) async fn show(cx: &Context, db: &Database, id: &str) -> Answer {
    let session = db.session(id).await?.ok_or_else(|| Error::not_found("missing"))?;
    let user = db.user(&session.user).await?.ok_or_else(|| Error::not_found("missing"))?;
    Ok(told(cx, Some(&user.name), Some(&user.channels)))
}

/// Ends a session; where a user is named, one of its own.
pub(crate) async fn delete(db: &Database, id: &str, of: Option<&str>) -> Answer {
    let of = of.map(str::parse).transpose().map_err(|_illegal| Error::not_found("missing"))?;
    if !db.delete_session(id, of.as_ref()).await? && of.is_some() {
        return Err(Error::not_found("no session"));
    }
    Ok(respond::empty(StatusCode::OK))
}

pub(crate) async fn delete_all(db: &Database, user: &str) -> Answer {
    if let Ok(user) = user.parse() {
        db.delete_sessions_of(&user).await?;
    }
    Ok(respond::empty(StatusCode::OK))
}

/// Seconds since 1970 as a date and a time.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, of which 400 years have always as many. Source: Howard Hinnant, "chrono-compatible date
    // algorithms", `civil_from_days`.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hours, minutes) = (of_day / 3_600, of_day / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{:02}Z", of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_795_288_079), "2026-11-21T19:07:59Z");
    }
}
