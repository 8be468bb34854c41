//! What an administrator says of a user or role: the bodies of Sync Gateway's admin routes, as values.

use super::{Error, PasswordHash, Standing};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_types::{Channel, PrincipalName};

/// Channels by scope and collection.
pub type Collections = BTreeMap<(String, String), BTreeSet<Channel>>;

/// What an administrator says of a user or role. What isn't mentioned (or is null) is to stay as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// `name`, as it stands there.
    pub name: Option<String>,
    /// `password`.
    pub password: Option<String>,
    /// `passwordhash_bcrypt`: the hash that Sync Gateway kept of a user who comes from there, as it is or, as it stands in
    /// its documents, in base64.
    pub password_hash: Option<PasswordHash>,
    /// `admin_channels`.
    pub channels: Option<BTreeSet<Channel>>,
    /// `admin_roles`.
    pub roles: Option<BTreeSet<PrincipalName>>,
    /// `collection_access`, but of the default collection, which is `channels`. `None` takes what is there away.
    pub collections: BTreeMap<(String, String), Option<BTreeSet<Channel>>>,
    /// `email`.
    pub email: Option<String>,
    /// `disabled`.
    pub standing: Option<Standing>,
    /// `all_channels`: it can't be set, but it may be sent as it was read.
    pub all_channels: Option<BTreeSet<Channel>>,
    /// `roles`: it can't be set, but it may be sent as it was read.
    pub all_roles: Option<BTreeSet<PrincipalName>>,
}

/// What scope and collection are called where nobody says.
const DEFAULT: &str = "_default";

impl Body {
    /// What a JSON object says. Members that aren't known don't matter.
    ///
    /// # Errors
    /// [`Error::BadJson`], [`Error::BadChannel`], [`Error::BadName`], [`Error::ReadOnly`].
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let object = match serde_json::from_slice(json) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(Error::bad_json("not an object")),
            Err(error) => return Err(Error::bad_json(error.to_string())),
        };
        let standing = |disabled| if disabled { Standing::Disabled } else { Standing::Enabled };
        let mut body = Self {
            name: text(&object, "name")?,
            password: text(&object, "password")?,
            password_hash: text(&object, "passwordhash_bcrypt")?.map(|text| hash(&text)).transpose()?,
            channels: channels(&object, "admin_channels")?,
            roles: roles(&object, "admin_roles")?,
            collections: BTreeMap::new(),
            email: text(&object, "email")?,
            standing: flag(&object, "disabled")?.map(standing),
            all_channels: channels(&object, "all_channels")?,
            all_roles: roles(&object, "roles")?,
        };
        if body.password.is_some() && body.password_hash.is_some() {
            return Err(Error::bad_json("a user has either password or passwordhash_bcrypt"));
        }
        body.read_collections(&object)?;
        Ok(body)
    }

    /// Checks that the body speaks of the user or role of this name, where it names one.
    ///
    /// # Errors
    /// [`Error::NameMismatch`].
    pub fn check_name(&self, name: &PrincipalName) -> Result<(), Error> {
        let is_same = self.name.as_deref().is_none_or(|own| own.is_empty() || own == name.as_str());
        if is_same { Ok(()) } else { Err(Error::NameMismatch) }
    }

    fn read_collections(&mut self, object: &Map<String, Value>) -> Result<(), Error> {
        const KEY: &str = "collection_access";
        let Some(scopes) = inside(object, KEY, KEY)? else { return Ok(()) };
        for scope in scopes.keys() {
            let Some(collections) = inside(scopes, scope, KEY)? else { continue };
            for collection in collections.keys() {
                let channels = match inside(collections, collection, KEY)? {
                    Some(access) => Some(collection_channels(access)?),
                    None => None,
                };
                if (scope.as_str(), collection.as_str()) == (DEFAULT, DEFAULT) {
                    self.channels = Some(channels.unwrap_or_default());
                } else {
                    self.collections.insert((scope.clone(), collection.clone()), channels);
                }
            }
        }
        Ok(())
    }
}

fn collection_channels(access: &Map<String, Value>) -> Result<BTreeSet<Channel>, Error> {
    let read_only = [
        ("all_channels", "collection_access.all_channels"),
        ("jwt_channels", "collection_access.jwt_channels"),
        ("jwt_last_updated", "collection_access.jwt_last_updated"),
    ];
    for (member, told) in read_only {
        if present(access, member).is_some() {
            return Err(Error::ReadOnly(told));
        }
    }
    Ok(channels(access, "admin_channels")?.unwrap_or_default())
}

/// The member of this name; null is as good as none.
fn present<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn of_kind<T>(
    object: &Map<String, Value>,
    name: &str,
    kind: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, Error> {
    let wrong = || Error::bad_json(format!("{name} is not {kind}"));
    present(object, name).map(|value| read(value).ok_or_else(wrong)).transpose()
}

fn text(object: &Map<String, Value>, name: &str) -> Result<Option<String>, Error> {
    of_kind(object, name, "text", |value| value.as_str().map(str::to_owned))
}

fn hash(text: &str) -> Result<PasswordHash, Error> {
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    PasswordHash::parse(decoded.as_deref().unwrap_or(text))
}

fn flag(object: &Map<String, Value>, name: &str) -> Result<Option<bool>, Error> {
    of_kind(object, name, "true or false", Value::as_bool)
}

fn texts(object: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Error> {
    of_kind(object, name, "a list of text", |value| {
        value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    })
}

fn channels(object: &Map<String, Value>, name: &str) -> Result<Option<BTreeSet<Channel>>, Error> {
    let Some(texts) = texts(object, name)? else { return Ok(None) };
    texts
        .into_iter()
        .map(|text| text.parse().map_err(|_illegal| Error::BadChannel(text)))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn roles(object: &Map<String, Value>, name: &str) -> Result<Option<BTreeSet<PrincipalName>>, Error> {
    let Some(texts) = texts(object, name)? else { return Ok(None) };
    texts.iter().map(|text| text.parse().map_err(Error::BadName)).collect::<Result<_, _>>().map(Some)
}

fn inside<'v>(
    object: &'v Map<String, Value>,
    name: &str,
    whole: &str,
) -> Result<Option<&'v Map<String, Value>>, Error> {
    let wrong = || Error::bad_json(format!("{whole} is not objects in objects"));
    present(object, name).map(|value| value.as_object().ok_or_else(wrong)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parse(json: &str) -> Body {
        Body::parse(json.as_bytes()).unwrap()
    }

    fn set(names: &[&str]) -> BTreeSet<Channel> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn every_member_has_its_place_and_others_are_ignored() {
        let body = parse(
            r#"{"name":"ada","password":"secret","admin_channels":["b","a","b","*"],"admin_roles":["r"],"email":"a@b.c",
                "disabled":true,"unheard":{"of":1},"all_channels":["!"],"roles":["r"]}"#,
        );
        assert_eq!((body.name.as_deref(), body.password.as_deref()), (Some("ada"), Some("secret")));
        assert_eq!(body.channels, Some(set(&["*", "a", "b"])));
        assert_eq!(body.roles, Some(BTreeSet::from(["r".parse().unwrap()])));
        assert_eq!((body.email.as_deref(), body.standing), (Some("a@b.c"), Some(Standing::Disabled)));
        assert_eq!((body.all_channels, body.all_roles.is_some()), (Some(set(&["!"])), true));
    }

    #[test]
    fn null_is_as_good_as_nothing() {
        let all = r#"{"name":null,"password":null,"admin_channels":null,"disabled":null,"collection_access":null}"#;
        assert_eq!(parse(all), Body::default());
        assert_eq!(parse("{}"), Body::default());
    }

    #[test]
    fn the_default_collection_is_the_database() {
        let body = parse(
            r#"{"collection_access":{"_default":{"_default":{"admin_channels":["a"]}},"s":{"c":{"admin_channels":["b"]},
                "d":null,"e":{}},"t":null}}"#,
        );
        assert_eq!(body.channels, Some(set(&["a"])));
        let of = |collection: &str| body.collections.get(&("s".to_owned(), collection.to_owned())).cloned();
        assert_eq!(
            (of("c"), of("d"), of("e"), of("f")),
            (Some(Some(set(&["b"]))), Some(None), Some(Some(set(&[]))), None)
        );
    }

    #[track_caller]
    fn check_refused(json: &str, reason: &str) {
        assert_eq!(Body::parse(json.as_bytes()).unwrap_err().to_string(), reason, "{json}");
    }

    #[test]
    fn what_cant_be_is_told() {
        check_refused("[]", "Bad JSON: not an object");
        check_refused(r#"{"admin_channels":"a"}"#, "Bad JSON: admin_channels is not a list of text");
        check_refused(r#"{"admin_channels":[1]}"#, "Bad JSON: admin_channels is not a list of text");
        check_refused(r#"{"admin_channels":["a,b"]}"#, "Illegal channel name \"a,b\"");
        check_refused(r#"{"admin_channels":[""]}"#, "Illegal channel name \"\"");
        check_refused(r#"{"admin_roles":["a/b"]}"#, "invalid name: contains '/', ':', ',', or '`'");
        check_refused(r#"{"disabled":"no"}"#, "Bad JSON: disabled is not true or false");
        check_refused(r#"{"password":1}"#, "Bad JSON: password is not text");
        check_refused(r#"{"collection_access":{"s":1}}"#, "Bad JSON: collection_access is not objects in objects");
        let read_only = r#"{"collection_access":{"s":{"c":{"all_channels":[]}}}}"#;
        check_refused(read_only, "collection_access.all_channels is read-only");
        assert!(matches!(Body::parse(b"{"), Err(Error::BadJson(_))));
    }

    #[test]
    fn users_of_sync_gateway_bring_their_hashes() {
        let text = "$2a$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        for written in [text.to_owned(), STANDARD.encode(text)] {
            let body = parse(&format!(r#"{{"passwordhash_bcrypt":"{written}"}}"#));
            assert_eq!(body.password_hash, PasswordHash::parse(text).ok(), "{written}");
        }
        check_refused(r#"{"passwordhash_bcrypt":"x"}"#, "not a bcrypt hash of cost 4 to 14");
        let both = format!(r#"{{"password":"secret","passwordhash_bcrypt":"{text}"}}"#);
        check_refused(&both, "Bad JSON: a user has either password or passwordhash_bcrypt");
    }

    #[test]
    fn names_dont_change() {
        let ada = "ada".parse().unwrap();
        assert_eq!(parse("{}").check_name(&ada), Ok(()));
        assert_eq!(parse(r#"{"name":"ada"}"#).check_name(&ada), Ok(()));
        assert_eq!(parse(r#"{"name":""}"#).check_name(&ada), Ok(()));
        assert_eq!(parse(r#"{"name":"eve"}"#).check_name(&ada), Err(Error::NameMismatch));
    }
}
