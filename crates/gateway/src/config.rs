//! The configuration of a database: kept as it was sent, and put into effect. Source: `spec/gateway.md` 2.2.

pub(crate) mod keys;

use crate::{
    context::{Answer, Context, json_value},
    cors,
    error::Error,
    scopes,
};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Incoming;
use keys::{FLAGS, KEYS, LOGIN_KEYS};
use serde_json::{Map, Value};
use std::time::Duration;
use tidegate_engine::{
    Conflicts, Database, Existence, Service, WriteMode,
    principal::{Body as PrincipalBody, Error as PrincipalError},
};
use tidegate_http::{
    Body,
    conditional::{Condition, ETag},
    media::MediaType,
    respond,
};
use tidegate_types::PrincipalName;

/// What stands for a secret.
const REDACTED: &str = "xxxxx";

const JAVASCRIPT: HeaderValue = HeaderValue::from_static("application/javascript");

/// Reads a configuration.
///
/// # Errors
/// It isn't an object, or a key isn't known.
pub(crate) fn parse(text: &[u8]) -> Result<Map<String, Value>, Error> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    let config: Map<String, Value> = serde_json::from_slice(text)?;
    match config.keys().find(|key| !KEYS.contains(&key.as_str())) {
        Some(key) => Err(Error::bad_request(format!("JSON Unknown Field: json: unknown field \"{key}\""))),
        None => {
            config.get("cors").map_or(Ok(()), cors::check)?;
            scopes::check(&config)?;
            check_flags(config)
        }
    }
}

/// What isn't clearly on or off is refused: one who writes `"true"` means to be obeyed.
fn check_flags(config: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    let is_flag = |key: &str| config.get(key).is_none_or(|value| value.is_boolean() || value.is_null());
    match FLAGS.iter().find(|key| !is_flag(key)) {
        Some(key) => Err(Error::bad_json(format!("{key} must be true or false"))),
        None => Ok(config),
    }
}

pub(crate) async fn get(cx: &Context, db: &Database) -> Answer {
    let query = cx.query()?;
    let mut config = load(db).await?;
    let etag = etag(db, &config).await?;
    config.insert("name".to_owned(), db.name().as_str().into());
    if query.get("include_javascript") != Some("false") {
        put_functions(db, &mut config).await?;
    }
    if query.get("include_runtime") == Some("true") {
        if !scopes::are_named(&config) {
            config.entry("sync").or_insert_with(|| scopes::default_function(db.collection_name()).into());
        }
        config.insert("revs_limit".to_owned(), db.info().await?.revs_limit.into());
    }
    for_each_secret(&mut config, |_, secret| *secret = REDACTED.into());
    let mut response = json_value(StatusCode::OK, &Value::Object(config));
    put_etag(&mut response, &etag);
    Ok(response)
}

/// `PUT` replaces what was there, `POST` changes what it says.
pub(crate) async fn put(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let mut new = parse(&cx.read_json(body).await?)?;
    let old = load(db).await?;
    keep_secrets(&mut new, &old);
    check_match(cx, &etag(db, &old).await?)?;
    let (merged, left) = if cx.request.method == http::Method::POST {
        (merged(&old, &new), Left::AsItWas)
    } else {
        (new.clone(), Left::AsAtFirst)
    };
    scopes::check(&merged)?;
    scopes::check_change(&old, &merged)?;
    let db = put_into_effect(db, (&merged, &new), left).await?;
    let kept = keep(&db, merged).await?;
    let mut response = respond::empty(StatusCode::CREATED);
    put_etag(&mut response, &etag(&db, &kept).await?);
    Ok(response)
}

/// The database with the collections that it has then.
async fn put_into_effect(
    db: &Database,
    (config, said): (&Map<String, Value>, &Map<String, Value>),
    left: Left,
) -> Result<Database, Error> {
    let mut db = db.clone();
    if scopes::are_named(said) {
        db = db.use_collections(&scopes::plans(config, said)).await?;
    }
    apply(&db, said, left).await?;
    Ok(db)
}

/// What is said now, and what was said before of all else; of scopes, of what is in them.
fn merged(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut merged = old.clone();
    scopes::merge(&mut merged, new);
    merged.extend(new.clone().into_iter().filter(|(key, value)| key != "scopes" || value.is_null()));
    merged
}

/// Shows the functions that somebody set.
async fn put_functions(db: &Database, config: &mut Map<String, Value>) -> Result<(), Error> {
    if scopes::are_named(config) {
        scopes::put_functions(config, scopes::functions(db).await?);
    } else if let Some(source) = db.sync_function().await? {
        config.insert("sync".to_owned(), source.into());
    }
    Ok(())
}

/// Puts the configuration of a new database into effect.
pub(crate) async fn begin(db: &Database, config: Map<String, Value>) -> Result<(), Error> {
    let db = put_into_effect(db, (&config, &config), Left::AsItWas).await?;
    keep(&db, config).await.map(drop)
}

/// What becomes of settings that a configuration doesn't name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    AsItWas,
    AsAtFirst,
}

async fn apply(db: &Database, config: &Map<String, Value>, left: Left) -> Result<(), Error> {
    let is_touched = |key: &str| left == Left::AsAtFirst || config.contains_key(key);
    let wrong = |key: &str, kind: &str| Error::bad_json(format!("{key} must be {kind}"));
    if is_touched("sync") && !scopes::are_named(config) {
        let source = match config.get("sync") {
            None | Some(Value::Null) => None,
            Some(source) => Some(source.as_str().ok_or_else(|| wrong("sync", "a string"))?),
        };
        db.set_sync_function(source.filter(|source| !source.trim().is_empty())).await?;
    }
    if let Some(limit) = config.get("revs_limit").filter(|limit| !limit.is_null()) {
        let limit = limit.as_u64().filter(|limit| *limit > 0);
        db.set_revs_limit(limit.ok_or_else(|| wrong("revs_limit", "a positive integer"))?).await?;
    }
    if is_touched("hide_existence") {
        let hides = config.get("hide_existence").and_then(Value::as_bool).unwrap_or_default();
        db.set_existence(if hides { Existence::Hidden } else { Existence::Told }).await?;
    }
    if is_touched("allow_conflicts") {
        let are_allowed = config.get("allow_conflicts").and_then(Value::as_bool).unwrap_or(true);
        db.set_conflicts(if are_allowed { Conflicts::Kept } else { Conflicts::Refused }).await?;
    }
    if is_touched("tombstone_lifetime_days") {
        let days = config.get("tombstone_lifetime_days").filter(|days| !days.is_null());
        let days = days.map(|days| days.as_u64().ok_or_else(|| wrong("tombstone_lifetime_days", "a number of days")));
        let days = days.transpose()?.filter(|days| *days > 0);
        db.set_tombstone_lifetime(days.map(|days| Duration::from_secs(days.saturating_mul(86_400)))).await?;
    }
    if is_touched("offline") {
        let is_offline = config.get("offline").and_then(Value::as_bool).unwrap_or_default();
        db.set_service(if is_offline { Service::Offline } else { Service::Online }).await?;
    }
    if LOGIN_KEYS.iter().any(|key| is_touched(key)) {
        set_login_rules(db, config, left).await?;
    }
    apply_principals(db, config).await
}

async fn set_login_rules(db: &Database, config: &Map<String, Value>, left: Left) -> Result<(), Error> {
    let mut rules = match left {
        Left::AsItWas => load(db).await?,
        Left::AsAtFirst => Map::new(),
    };
    rules.extend(config.clone());
    rules.retain(|key, _| LOGIN_KEYS.contains(&key.as_str()));
    Ok(db.set_login_rules(Value::Object(rules).to_string().as_bytes()).await?)
}

/// Users, roles and the guest that the configuration names are written.
async fn apply_principals(db: &Database, config: &Map<String, Value>) -> Result<(), Error> {
    let of = |key: &str| config.get(key).and_then(Value::as_object).into_iter().flatten();
    for (name, body) in of("roles") {
        db.put_role(&name_of(name)?, &body_of(body)?, WriteMode::Replace).await?;
    }
    for (name, body) in of("users") {
        db.put_user(&name_of(name)?, &body_of(body)?, WriteMode::Replace).await?;
    }
    if let Some(guest) = config.get("guest").filter(|guest| !guest.is_null()) {
        db.put_user(&PrincipalName::guest(), &body_of(guest)?, WriteMode::Replace).await?;
    }
    Ok(())
}

/// Writes the roles and the guest that the configuration names. Of users it doesn't know the passwords.
pub(crate) async fn put_principals_of(db: &Database) -> Result<(), Error> {
    let mut config = load(db).await?;
    config.remove("users");
    apply_principals(db, &config).await
}

fn name_of(name: &str) -> Result<PrincipalName, Error> {
    name.parse().map_err(|error| tidegate_engine::Error::from(PrincipalError::BadName(error)).into())
}

fn body_of(body: &Value) -> Result<PrincipalBody, Error> {
    Ok(PrincipalBody::parse(body.to_string().as_bytes()).map_err(tidegate_engine::Error::from)?)
}

async fn load(db: &Database) -> Result<Map<String, Value>, Error> {
    match db.options().await? {
        Some(text) => Ok(serde_json::from_slice(&text)?),
        None => Ok(Map::new()),
    }
}

/// Keeps a configuration, without what is kept elsewhere: the sync function, and passwords.
async fn keep(db: &Database, mut config: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    config.remove("sync");
    scopes::forget_functions(&mut config);
    config.remove("name");
    for users in ["users", "guest"] {
        if let Some(users) = config.get_mut(users) {
            forget_passwords(users);
        }
    }
    db.set_options(Value::Object(config.clone()).to_string().as_bytes()).await?;
    Ok(config)
}

/// Secrets of identity providers are told nobody, and stay when they come back as they were told.
fn keep_secrets(new: &mut Map<String, Value>, old: &Map<String, Value>) {
    for_each_secret(new, |provider, secret| {
        let known = old.get("oidc").and_then(|oidc| oidc.get("providers")?.get(provider)?.get("validation_key"));
        if secret == REDACTED {
            *secret = known.cloned().unwrap_or_default();
        }
    });
}

/// Shows each secret that is there, with the name of its provider.
fn for_each_secret(config: &mut Map<String, Value>, mut visit: impl FnMut(&str, &mut Value)) {
    let providers = config.get_mut("oidc").and_then(|oidc| oidc.get_mut("providers")?.as_object_mut());
    for (name, provider) in providers.into_iter().flatten() {
        if let Some(secret) = provider.get_mut("validation_key").filter(|secret| secret.is_string()) {
            visit(name, secret);
        }
    }
}

fn forget_passwords(value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        members.remove("password");
        members.remove("passwordhash_bcrypt");
        members.values_mut().for_each(forget_passwords);
    }
}

/// Tells this configuration, with its function, from others.
async fn etag(db: &Database, config: &Map<String, Value>) -> Result<ETag<'static>, Error> {
    let mut sources = db.sync_function().await?.unwrap_or_default();
    for (name, source) in scopes::functions(db).await? {
        sources.push_str(name.as_str());
        sources.push_str(&source);
    }
    Ok(etag_of(config, &sources))
}

fn etag_of(config: &Map<String, Value>, source: &str) -> ETag<'static> {
    // FNV-1a: tells one configuration from the next.
    let spread = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let text = Value::Object(config.clone()).to_string() + source;
    ETag::strong(format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, spread)))
}

fn put_etag(response: &mut Response<Body>, etag: &ETag<'_>) {
    if let Some(value) = etag.to_header() {
        response.headers_mut().insert(header::ETAG, value);
    }
}

fn check_match(cx: &Context, etag: &ETag<'_>) -> Result<(), Error> {
    let holds = cx.header(header::IF_MATCH).is_none_or(|value| Condition::parse(value).match_holds(Some(etag)));
    if holds {
        return Ok(());
    }
    let reason = "Provided If-Match header does not match current config version";
    Err(Error::new(StatusCode::PRECONDITION_FAILED, reason))
}

/// The sync function by itself.
pub(crate) async fn sync_function(cx: &Context, db: &Database, body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "PUT" => {
            let source = read_javascript(cx, body).await?;
            db.set_sync_function(Some(source.as_str()).filter(|source| !source.trim().is_empty())).await?;
            Ok(respond::empty(StatusCode::OK))
        }
        "DELETE" => {
            db.set_sync_function(None).await?;
            Ok(respond::empty(StatusCode::OK))
        }
        _ => {
            let source = db.sync_function().await?.unwrap_or_else(|| scopes::default_function(db.collection_name()));
            Ok(respond::bytes(StatusCode::OK, JAVASCRIPT, Bytes::from(source)))
        }
    }
}

/// The function that chooses what is imported; kept, as there is nothing to import.
pub(crate) async fn import_filter(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let mut config = load(db).await?;
    let mut place = scopes::place(&mut config, db.collection_name());
    match cx.request.method.as_str() {
        "PUT" => {
            let source = read_javascript(cx, body).await?;
            place.map(|place| place.insert("import_filter".to_owned(), source.into()));
            keep(db, config).await?;
            Ok(respond::empty(StatusCode::OK))
        }
        "DELETE" => {
            place.map(|place| place.remove("import_filter"));
            keep(db, config).await?;
            Ok(respond::empty(StatusCode::OK))
        }
        _ => {
            let source = place.as_mut().and_then(|place| place.get("import_filter")?.as_str()).unwrap_or_default();
            Ok(respond::bytes(StatusCode::OK, JAVASCRIPT, Bytes::from(source.to_owned())))
        }
    }
}

async fn read_javascript(cx: &Context, body: Incoming) -> Result<String, Error> {
    let content_type = cx.header(header::CONTENT_TYPE).unwrap_or_default();
    if !MediaType::parse(content_type).is_some_and(|media| media.is("application/javascript")) {
        let reason = format!("Invalid content type {content_type} - expected application/javascript");
        return Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let text = cx.read(body).await?;
    String::from_utf8(text.into()).map_err(|_invalid| Error::bad_request("the function isn't valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_keys_are_named() {
        assert_eq!(parse(b"").unwrap(), Map::new());
        assert!(parse(br#"{"sync":"function(){}","guest":null}"#).is_ok());
        assert_eq!(parse(br#"{"synk":1}"#).unwrap_err().reason, "JSON Unknown Field: json: unknown field \"synk\"");
        assert!(parse(b"[]").unwrap_err().reason.starts_with("Bad JSON: "));
    }

    #[test]
    fn what_is_neither_on_nor_off_is_refused() {
        for flag in FLAGS {
            for value in ["\"true\"", "1", "[]"] {
                let refused = parse(format!(r#"{{"{flag}":{value}}}"#).as_bytes()).unwrap_err();
                assert_eq!(refused.reason, format!("Bad JSON: {flag} must be true or false"));
            }
            assert!(parse(format!(r#"{{"{flag}":null}}"#).as_bytes()).is_ok());
        }
    }

    #[test]
    fn secrets_are_not_told_and_stay() {
        let of = |secret: &str| {
            let config =
                json!({ "oidc": { "providers": { "p": { "validation_key": secret }, "q": { "issuer": "i" } } } });
            config.as_object().unwrap().clone()
        };
        let (mut told, stored) = (of("secret"), of("secret"));
        for_each_secret(&mut told, |_, secret| *secret = REDACTED.into());
        assert_eq!(told, of("xxxxx"));
        keep_secrets(&mut told, &stored);
        assert_eq!(told, stored);
        let mut new = of("new");
        keep_secrets(&mut new, &stored);
        assert_eq!(new, of("new"));
    }

    #[test]
    fn passwords_are_not_kept() {
        let mut users = json!({ "al": { "password": "x", "admin_channels": ["a"] } });
        forget_passwords(&mut users);
        assert_eq!(users, json!({ "al": { "admin_channels": ["a"] } }));
    }

    #[test]
    fn a_change_is_another_version() {
        let of = |value: Value| etag_of(value.as_object().unwrap(), "").text().to_owned();
        assert_eq!(of(json!({ "a": 1 })), of(json!({ "a": 1 })));
        assert_ne!(of(json!({ "a": 1 })), of(json!({ "a": 2 })));
        assert_ne!(etag_of(&Map::new(), "x").text(), etag_of(&Map::new(), "y").text());
    }
}
