//! What a token must claim, and where its roles are. Source: `jwtf.erl`, `[jwt_auth]`.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::{Algorithm, malformed_claims};
use crate::{Error, Role, session::unix_s};

/// `[jwt_auth]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    required: Vec<Required>,
    roles: RolesClaim,
    /// The names of the algorithms that a token may be signed with; all that are known where there is no list.
    algorithms: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Required {
    Exp,
    Iat,
    Iss(String),
    Kid,
    Nbf,
    Typ,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RolesClaim {
    /// `roles_claim_name`: a token without it gives no roles.
    Name(String),
    /// `roles_claim_path`: a token without it is refused.
    Path(Vec<String>),
}

impl Default for TokenRules {
    /// `exp` is required, roles are in `_couchdb.roles`.
    fn default() -> Self {
        Self { required: vec![Required::Exp], roles: RolesClaim::Name("_couchdb.roles".to_owned()), algorithms: None }
    }
}

impl TokenRules {
    /// Rules that require the claims of a list such as `exp, nbf, {iss, "MyCompany"}` (`required_claims`), which may be
    /// empty.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when the list can't be read.
    pub fn parse(required_claims: &str) -> Result<Self, Error> {
        let mut required = Vec::new();
        let mut rest = required_claims.trim();
        while !rest.is_empty() {
            let (claim, after) = parse_claim(rest)
                .ok_or_else(|| Error::misconfigured(format!("required_claims can't be read from `{rest}` on")))?;
            required.extend(claim);
            rest = after;
        }
        Ok(Self { required, ..Self::default() })
    }

    /// The same with tokens refused that aren't signed with one of these algorithms (`allowed_algorithms`).
    #[must_use]
    pub fn with_algorithms(self, names: Vec<String>) -> Self {
        Self { algorithms: Some(names), ..self }
    }

    /// The same with roles in the top-level claim of this name (`roles_claim_name`).
    #[must_use]
    pub fn with_roles_name(self, name: &str) -> Self {
        Self { roles: RolesClaim::Name(name.to_owned()), ..self }
    }

    /// The same with roles at this path (`roles_claim_path`): names with dots between them, `\.` for a dot in a name.
    #[must_use]
    pub fn with_roles_path(self, path: &str) -> Self {
        let mut names = vec![String::new()];
        let mut rest = path;
        while let Some(at) = rest.find('.') {
            let (before, after) = (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default());
            let Some(name) = names.last_mut() else { break };
            match before.strip_suffix('\\') {
                Some(escaped) => name.extend([escaped, "."]),
                None => {
                    name.push_str(before);
                    names.push(String::new());
                }
            }
            rest = after;
        }
        names.last_mut().into_iter().for_each(|name| name.push_str(rest));
        Self { roles: RolesClaim::Path(names), ..self }
    }

    pub(super) fn check_header(&self, header: &Map<String, Value>) -> Result<Algorithm, Error> {
        if self.required.contains(&Required::Typ) {
            let typ = header.get("typ").ok_or_else(|| Error::bad_request("Missing typ header parameter"))?;
            if typ.as_str() != Some("JWT") {
                return Err(Error::bad_request("Invalid typ header parameter"));
            }
        }
        let algorithm = header.get("alg").ok_or_else(|| Error::bad_request("Missing alg header parameter"))?;
        let is_allowed =
            |name: &&str| self.algorithms.as_ref().is_none_or(|names| names.iter().any(|known| known == name));
        let algorithm = algorithm.as_str().filter(is_allowed).and_then(Algorithm::parse);
        algorithm.ok_or_else(|| Error::bad_request("Invalid alg header parameter"))
    }

    /// In CouchDB's order, whatever that of the list.
    pub(super) fn check_claims(&self, claims: &Map<String, Value>, now: SystemTime) -> Result<(), Error> {
        let required = |wanted: Required| self.required.contains(&wanted);
        for rule in &self.required {
            if let Required::Iss(issuer) = rule
                && claim(claims, "iss")?.as_str() != Some(issuer)
            {
                return Err(Error::bad_request("Invalid iss claim"));
            }
        }
        if required(Required::Iat) && !is_integer(claim(claims, "iat")?) {
            return Err(Error::bad_request("Invalid iat claim"));
        }
        let now_s = seconds(unix_s(now));
        if required(Required::Nbf) && claim(claims, "nbf")?.as_f64().is_none_or(|nbf| nbf >= now_s) {
            return Err(Error::unauthorized("nbf not in past"));
        }
        if required(Required::Exp) && claim(claims, "exp")?.as_f64().is_none_or(|exp| exp <= now_s) {
            return Err(Error::unauthorized("exp not in future"));
        }
        Ok(())
    }

    /// The id of the key that the token wants to be checked with.
    pub(super) fn key_id<'a>(&self, header: &'a Map<String, Value>) -> Result<&'a str, Error> {
        match header.get("kid") {
            Some(id) => id.as_str().ok_or_else(|| Error::bad_request("Unknown kid")),
            None if self.required.contains(&Required::Kid) => Err(Error::bad_request("Missing kid claim")),
            None => Ok("_default"),
        }
    }

    pub(super) fn roles(&self, claims: &Map<String, Value>) -> Result<Vec<Role>, Error> {
        let value = match &self.roles {
            RolesClaim::Name(name) => match claims.get(name) {
                Some(value) => value,
                None => return Ok(Vec::new()),
            },
            RolesClaim::Path(names) => find(claims, names)?,
        };
        match value {
            Value::Array(roles) => {
                let roles = roles.iter().map(|role| role.as_str()?.parse().ok());
                roles.collect::<Option<_>>().ok_or_else(malformed_claims)
            }
            Value::String(list) => Role::parse_list(list).ok().ok_or_else(malformed_claims),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(malformed_claims()),
        }
    }
}

fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Error> {
    claims.get(name).ok_or_else(|| Error::bad_request(format!("Missing {name} claim")))
}

fn find<'a>(claims: &'a Map<String, Value>, names: &[String]) -> Result<&'a Value, Error> {
    let missing = |name: &String| Error::NotFound(format!("missing json key: {name}").into());
    let (first, rest) = names.split_first().ok_or_else(malformed_claims)?;
    let value = claims.get(first).ok_or_else(|| missing(first))?;
    rest.iter().try_fold(value, |value, name| value.get(name).ok_or_else(|| missing(name)))
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

/// Exact for as long as seconds will be counted.
fn seconds(seconds: u64) -> f64 {
    u32::try_from(seconds >> 32).map_or(f64::MAX, f64::from) * 4_294_967_296.0
        + u32::try_from(seconds & 0xffff_ffff).map_or(0.0, f64::from)
}

/// The first claim of a list (`None` for what is always checked), and the list behind it.
fn parse_claim(list: &str) -> Option<(Option<Required>, &str)> {
    let (required, rest) = match list.strip_prefix('{') {
        Some(inside) => {
            let (name, inside) = inside.split_once(',')?;
            let (value, rest) = inside.trim_start().strip_prefix('"')?.split_once('"')?;
            let is_issuer = name.trim() == "iss" && !value.is_empty();
            (is_issuer.then(|| Some(Required::Iss(value.to_owned())))?, rest.trim_start().strip_prefix('}')?)
        }
        None => {
            let end = list.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(list.len());
            let (name, rest) = list.split_at_checked(end)?;
            (plain_claim(name)?, rest)
        }
    };
    let rest = rest.trim_start();
    match rest.strip_prefix(',') {
        Some(rest) => Some((required, rest.trim_start())),
        None if rest.is_empty() => Some((required, rest)),
        None => None,
    }
}

fn plain_claim(name: &str) -> Option<Option<Required>> {
    match name {
        "exp" => Some(Some(Required::Exp)),
        "iat" => Some(Some(Required::Iat)),
        "kid" => Some(Some(Required::Kid)),
        "nbf" => Some(Some(Required::Nbf)),
        "typ" => Some(Some(Required::Typ)),
        "alg" | "sig" => Some(None),
        _ => None,
    }
}
