//! Users and roles as administrators write and read them. Source: `spec/gateway.md` 2.5.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
    service::Profile,
    session::rfc3339,
};
use http::StatusCode;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_engine::{
    CollectionChannels, Database, PrincipalOutcome, RoleInfo, UserInfo, WriteMode,
    principal::{Body, Collections, Error as PrincipalError, Standing},
};
use tidegate_http::{query::Query, respond};
use tidegate_types::{Channel, PrincipalName, Seq};

const COLLECTION_ACCESS: &str = "collection_access";
/// Users in one answer, where their number isn't limited.
const LISTED_MAX: usize = 1_000_000;

pub(crate) async fn list_users(cx: &Context, db: &Database) -> Answer {
    let query = cx.query()?;
    let names = db.user_names("", limit(&query)?).await?;
    if query.get("name_only") != Some("false") {
        return Ok(json_value(StatusCode::OK, &names_json(&names)));
    }
    let mut users = Vec::with_capacity(names.len());
    for name in &names {
        if let Some(user) = db.user(name).await? {
            let disabled = user.settings.standing == Standing::Disabled;
            users.push(json!({ "name": name.as_str(), "email": user.settings.email.unwrap_or_default(), "disabled": disabled }));
        }
    }
    Ok(json_value(StatusCode::OK, &Value::Array(users)))
}

pub(crate) async fn create_user(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let (name, body) = named(&cx.read_json(body).await?)?;
    put(cx, db.put_user(&name, &body, WriteMode::Create).await, "user")
}

pub(crate) async fn put_user(cx: &Context, db: &Database, name: &str, body: Incoming) -> Answer {
    let body = Body::parse(&cx.read_json(body).await?).map_err(tidegate_engine::Error::from)?;
    put(cx, db.put_user(&parse_name(name)?, &body, WriteMode::Replace).await, "user")
}

pub(crate) async fn get_user(cx: &Context, db: &Database, name: &str) -> Answer {
    let user = match name.parse() {
        Ok(name) => db.user(&name).await?,
        Err(_) => None,
    };
    let user = user.ok_or_else(|| Error::not_found("missing"))?;
    Ok(json_value(StatusCode::OK, &user_json(cx.shared.settings.profile, &user)))
}

pub(crate) async fn delete_user(db: &Database, name: &str) -> Answer {
    db.delete_user(&name.parse().map_err(|_illegal| Error::not_found("missing"))?).await?;
    Ok(respond::empty(StatusCode::OK))
}

pub(crate) async fn list_roles(cx: &Context, db: &Database) -> Answer {
    let names = db.role_names("", limit(&cx.query()?)?).await?;
    Ok(json_value(StatusCode::OK, &names_json(&names)))
}

pub(crate) async fn create_role(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let (name, body) = named(&cx.read_json(body).await?)?;
    put(cx, db.put_role(&name, &body, WriteMode::Create).await, "role")
}

pub(crate) async fn put_role(cx: &Context, db: &Database, name: &str, body: Incoming) -> Answer {
    let body = Body::parse(&cx.read_json(body).await?).map_err(tidegate_engine::Error::from)?;
    put(cx, db.put_role(&parse_name(name)?, &body, WriteMode::Replace).await, "role")
}

pub(crate) async fn get_role(db: &Database, name: &str) -> Answer {
    let role = match name.parse() {
        Ok(name) => db.role(&name).await?,
        Err(_) => None,
    };
    let RoleInfo { name, settings, channels, collections, .. } = role.ok_or_else(|| Error::not_found("missing"))?;
    let mut body = json!({
        "name": name.as_str(),
        "admin_channels": texts(&settings.channels),
        "all_channels": all_channels(&channels),
    });
    if !collections.is_empty()
        && let Some(body) = body.as_object_mut()
    {
        body.insert(COLLECTION_ACCESS.to_owned(), collection_access(&collections, &settings.collections));
    }
    Ok(json_value(StatusCode::OK, &body))
}

pub(crate) async fn delete_role(db: &Database, name: &str) -> Answer {
    db.delete_role(&name.parse().map_err(|_illegal| Error::not_found("missing"))?).await?;
    Ok(respond::empty(StatusCode::OK))
}

fn limit(query: &Query<'_>) -> Result<usize, Error> {
    Ok(query.integer("limit")?.filter(|limit| *limit > 0).unwrap_or(LISTED_MAX))
}

fn names_json(names: &[PrincipalName]) -> Value {
    names.iter().map(|name| Value::from(name.as_str())).collect()
}

/// The name that a body gives, and the body.
fn named(text: &[u8]) -> Result<(PrincipalName, Body), Error> {
    let body = Body::parse(text).map_err(tidegate_engine::Error::from)?;
    let name = body.name.clone().unwrap_or_default();
    Ok((parse_name(&name)?, body))
}

fn parse_name(name: &str) -> Result<PrincipalName, Error> {
    name.parse().map_err(|error| tidegate_engine::Error::from(PrincipalError::BadName(error)).into())
}

/// What became of a write. Version 4 says of what kind the one is that can't be made.
fn put(cx: &Context, outcome: Result<PrincipalOutcome, tidegate_engine::Error>, kind: &str) -> Answer {
    match outcome {
        Ok(PrincipalOutcome::Created) => Ok(respond::empty(StatusCode::CREATED)),
        Ok(PrincipalOutcome::Updated) => Ok(respond::empty(StatusCode::OK)),
        Err(tidegate_engine::Error::Principal(
            error @ (PrincipalError::EmptyPassword | PrincipalError::ShortPassword | PrincipalError::LongPassword),
        )) if cx.shared.settings.profile == Profile::Four => {
            Err(Error::bad_request(format!("Error creating {kind}: {error}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// What is told of a user. Version 2 leaves out what nobody has said.
fn user_json(profile: Profile, user: &UserInfo) -> Value {
    let UserInfo { name, settings, channels, collections, roles, .. } = user;
    let disabled = settings.standing == Standing::Disabled;
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    set("name", name.as_str().into());
    if !settings.channels.is_empty() {
        set("admin_channels", texts(&settings.channels));
    }
    if !(disabled && *name == PrincipalName::guest()) {
        set("all_channels", all_channels(channels));
    }
    if !collections.is_empty() {
        set(COLLECTION_ACCESS, collection_access(collections, &settings.collections));
    }
    if !settings.roles.is_empty() {
        set("admin_roles", settings.roles.iter().map(|role| Value::from(role.as_str())).collect());
    }
    if !roles.is_empty() {
        set("roles", roles.keys().map(|role| Value::from(role.as_str())).collect());
    }
    if let Some(vouched) = &settings.vouched {
        set("jwt_issuer", vouched.issuer.as_str().into());
        set("jwt_channels", texts(&vouched.channels));
        set("jwt_roles", vouched.roles.iter().map(|role| Value::from(role.as_str())).collect());
        set("jwt_last_updated", rfc3339(vouched.updated_s).into());
    }
    if profile == Profile::Four || settings.email.is_some() {
        set("email", settings.email.clone().unwrap_or_default().into());
    }
    if profile == Profile::Four || disabled {
        set("disabled", disabled.into());
    }
    Value::Object(body)
}

/// What is told of collections other than the default one: what an administrator said, and all there is.
fn collection_access(collections: &CollectionChannels, explicit: &Collections) -> Value {
    let mut scopes = Map::new();
    for (name, channels) in collections {
        let mut access = Map::from_iter([("all_channels".to_owned(), all_channels(channels))]);
        let explicit = explicit.get(&(name.scope().to_owned(), name.name().to_owned()));
        if let Some(explicit) = explicit.filter(|explicit| !explicit.is_empty()) {
            access.insert("admin_channels".to_owned(), texts(explicit));
        }
        let scope = scopes.entry(name.scope()).or_insert_with(|| Map::new().into());
        if let Some(scope) = scope.as_object_mut() {
            scope.insert(name.name().to_owned(), access.into());
        }
    }
    scopes.into()
}

fn texts(channels: &BTreeSet<Channel>) -> Value {
    channels.iter().map(|channel| Value::from(channel.as_str())).collect()
}

fn all_channels(channels: &BTreeMap<Channel, Seq>) -> Value {
    let mut all: BTreeSet<&str> = channels.keys().map(Channel::as_str).collect();
    all.insert("!");
    all.into_iter().map(Value::from).collect()
}
