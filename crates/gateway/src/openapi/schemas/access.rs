//! Users, roles, and how one logs in.

use super::diagnosis::ChannelPeriods;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What is said of a user. What isn't said stays as it was.
#[derive(ToSchema)]
#[schema(example = json!({"name":"ada","password":"secret","admin_channels":["notes"],"admin_roles":["editor"]}))]
pub(in crate::openapi) struct UserSettings {
    /// 1 to 239 bytes, with a letter or a digit, and without any of `:`, `,`, `/` and the backquote.
    #[serde(default)]
    name: String,
    #[serde(default)]
    #[schema(write_only)]
    password: String,
    /// A hash of bcrypt, of a user who comes from Sync Gateway.
    #[serde(default)]
    #[schema(write_only)]
    passwordhash_bcrypt: String,
    /// The channels that the administrator gives.
    #[serde(default)]
    admin_channels: Vec<String>,
    /// The roles that the administrator gives.
    #[serde(default)]
    admin_roles: Vec<String>,
    /// Channels in collections: by scope, then by collection.
    #[serde(default)]
    #[schema(value_type = Object)]
    collection_access: Value,
    #[serde(default)]
    email: String,
    /// Whether the user can't log in.
    #[serde(default)]
    disabled: bool,
}

/// A user.
#[derive(ToSchema)]
#[schema(example = json!({"name":"ada","admin_channels":["notes"],"all_channels":["!","notes"],"email":"",
    "disabled":false}))]
pub(in crate::openapi) struct User {
    name: String,
    #[serde(default)]
    admin_channels: Vec<String>,
    /// All channels that the user has, of whomever.
    #[serde(default)]
    all_channels: Vec<String>,
    #[serde(default)]
    admin_roles: Vec<String>,
    /// All roles that the user has, of whomever.
    #[serde(default)]
    roles: Vec<String>,
    /// Who vouched for the user last.
    #[serde(default)]
    jwt_issuer: String,
    #[serde(default)]
    jwt_channels: Vec<String>,
    #[serde(default)]
    jwt_roles: Vec<String>,
    #[serde(default)]
    jwt_last_updated: String,
    /// Channels in collections, given and had: by scope, then by collection.
    #[serde(default)]
    #[schema(value_type = Object)]
    collection_access: Value,
    #[serde(default)]
    email: String,
    #[serde(default)]
    disabled: bool,
}

/// A user's name or, asked for more, the user.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::openapi) enum NameOrUser {
    Name(String),
    User(User),
}

/// A user or, asked for documents, by which channels the user sees which of them, by document and channel.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::openapi) enum UserOrChannels {
    User(User),
    Channels(BTreeMap<String, BTreeMap<String, ChannelPeriods>>),
}

/// What is said of a role.
#[derive(ToSchema)]
#[schema(example = json!({"name":"editor","admin_channels":["notes"]}))]
pub(in crate::openapi) struct RoleSettings {
    #[serde(default)]
    name: String,
    #[serde(default)]
    admin_channels: Vec<String>,
    /// Channels in collections: by scope, then by collection.
    #[serde(default)]
    #[schema(value_type = Object)]
    collection_access: Value,
}

/// A role.
#[derive(ToSchema)]
#[schema(example = json!({"name":"editor","admin_channels":["notes"],"all_channels":["!","notes"]}))]
pub(in crate::openapi) struct Role {
    name: String,
    admin_channels: Vec<String>,
    all_channels: Vec<String>,
    /// Channels in collections, given and had: by scope, then by collection.
    #[serde(default)]
    #[schema(value_type = Object)]
    collection_access: Value,
}

/// Who somebody is.
#[derive(ToSchema)]
#[schema(example = json!({"authentication_handlers":["default","cookie"],"ok":true,
    "userCtx":{"channels":{"!":1,"notes":3},"name":"ada"}}))]
pub(in crate::openapi) struct Session {
    authentication_handlers: Vec<String>,
    ok: bool,
    #[serde(rename = "userCtx")]
    user_ctx: UserContext,
}

/// A user, and what they have.
#[derive(ToSchema)]
pub(in crate::openapi) struct UserContext {
    /// Since which sequence they have which channel. Null, or empty in version 2, for nobody.
    #[schema(required)]
    channels: Option<BTreeMap<String, u64>>,
    /// Null for nobody, and for administrators.
    #[schema(required)]
    name: Option<String>,
}

/// A login. Without a name, a session is made for whoever the request comes from.
#[derive(ToSchema)]
#[schema(example = json!({"name":"ada","password":"secret"}))]
pub(in crate::openapi) struct Login {
    #[serde(default)]
    name: String,
    #[serde(default)]
    #[schema(write_only)]
    password: String,
}

/// A session that can be used once.
#[derive(ToSchema)]
pub(in crate::openapi) struct OneTimeSession {
    one_time_session_id: String,
}

/// A session or, asked for so, one that can be used once.
#[derive(ToSchema)]
#[serde(untagged)]
pub(in crate::openapi) enum SessionOrOneTime {
    Session(Session),
    OneTime(OneTimeSession),
}

/// For whom a session is to be made.
#[derive(ToSchema)]
#[schema(example = json!({"name":"ada","ttl":3600}))]
pub(in crate::openapi) struct RequestedSession {
    name: String,
    /// How long, in seconds; a day if nothing is said.
    #[serde(default)]
    ttl: u64,
}

/// A session, to be handed to its user.
#[derive(ToSchema)]
pub(in crate::openapi) struct SessionMade {
    /// The value of the cookie.
    session_id: String,
    expires: String,
    cookie_name: String,
}

/// What a login by an identity provider brings.
#[derive(ToSchema)]
pub(in crate::openapi) struct OidcTokens {
    id_token: String,
    #[serde(default)]
    refresh_token: String,
    /// The session that was made, if one was.
    #[serde(default)]
    session_id: String,
    name: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    expires_in: u64,
}
