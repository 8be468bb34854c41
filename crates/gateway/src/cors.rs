//! What web pages may do with one database: `cors` in its configuration. Source: Sync Gateway's configuration schema.

use crate::{
    error::Error,
    route::{self, DatabaseRoute, Route},
    service::PAGE_RULES,
};
use http::{Method, Request};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};
use tidegate_engine::{CorsRules, Engine, Flag};
use tidegate_http::cors::Cors;

/// Who may call, and who may log in and out.
const ORIGIN: &str = "origin";
const LOGIN_ORIGIN: &str = "login_origin";
const KEYS: [&str; 4] = ["headers", LOGIN_ORIGIN, "max_age", ORIGIN];

/// The rules for a request, where the database it is for has its own.
pub(crate) async fn of<B>(engine: &Engine, request: &Request<B>) -> Option<Arc<Cors>> {
    let Route::Database(keyspace, route) = route::parse(request.uri().path()).ok()?.route else { return None };
    let rules = engine.option_for_anybody(&keyspace.database().ok()?, "cors").await.ok()??;
    let rules: Map<String, Value> = serde_json::from_slice(&rules).ok()?;
    let logs_in = route == DatabaseRoute::Session && [Method::POST, Method::DELETE].contains(request.method());
    let rules = rules_of(&rules, if logs_in { LOGIN_ORIGIN } else { ORIGIN }).ok()?;
    Some(Arc::new(PAGE_RULES.cors(&rules)))
}

/// Refuses rules that can't be read.
pub(crate) fn check(rules: &Value) -> Result<(), Error> {
    if rules.is_null() {
        return Ok(());
    }
    let rules = rules.as_object().ok_or_else(|| Error::bad_json("cors must be an object"))?;
    if let Some(key) = rules.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Error::bad_request(format!("JSON Unknown Field: json: unknown field \"{key}\"")));
    }
    rules_of(rules, ORIGIN).and(rules_of(rules, LOGIN_ORIGIN)).map(drop)
}

/// The rules with the origins that stand under this key.
fn rules_of(rules: &Map<String, Value>, origins: &str) -> Result<CorsRules, Error> {
    let max_age = match rules.get("max_age") {
        None | Some(Value::Null) => 0,
        Some(seconds) => seconds.as_u64().ok_or_else(|| Error::bad_json("cors.max_age must be a number of seconds"))?,
    };
    Ok(CorsRules {
        origins: texts(rules, origins)?.unwrap_or_default(),
        credentials: Flag::On,
        methods: None,
        headers: texts(rules, "headers")?,
        max_age: Duration::from_secs(max_age),
    })
}

fn texts(rules: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, Error> {
    let wrong = || Error::bad_json(format!("cors.{key} must be an array of strings"));
    match rules.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(list) => {
            let list = list.as_array().ok_or_else(wrong)?.iter().map(|text| text.as_str().map(str::to_owned));
            list.collect::<Option<_>>().ok_or_else(wrong).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_read_is_refused() {
        let check = |rules: Value, expected: Option<&str>| {
            let refused = check(&rules).err().map(|error| error.reason.into_owned());
            assert_eq!(refused.as_deref(), expected, "{rules}");
        };
        check(json!(null), None);
        check(
            json!({ "origin": ["https://app.example.com"], "login_origin": [], "headers": ["a"], "max_age": 5 }),
            None,
        );
        check(json!([]), Some("Bad JSON: cors must be an object"));
        check(json!({ "origins": [] }), Some("JSON Unknown Field: json: unknown field \"origins\""));
        check(json!({ "origin": "*" }), Some("Bad JSON: cors.origin must be an array of strings"));
        check(json!({ "login_origin": [1] }), Some("Bad JSON: cors.login_origin must be an array of strings"));
        check(json!({ "max_age": "1" }), Some("Bad JSON: cors.max_age must be a number of seconds"));
    }
}
