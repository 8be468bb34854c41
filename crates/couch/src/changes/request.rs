//! What a function of a design document is told of the request: CouchDB's `req`.
//!
//! Source: `chttpd_external:json_req_obj`; credentials are left out, as there.

use crate::{context::Context, database::info_json, error::Error};
use http::header;
use serde_json::{Map, Value, json};
use tidegate_engine::Database;

/// The object. `body` is the text of the request's body.
pub(crate) async fn object(cx: &Context, db: &Database, body: &[u8]) -> Result<Value, Error> {
    let uri = &cx.request.uri;
    let path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let query = cx.query()?;
    let query: Map<String, Value> = query.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let is_shown = |name: &header::HeaderName| *name != header::AUTHORIZATION && *name != header::COOKIE;
    let headers = cx.request.headers.iter().filter(|(name, _)| is_shown(name));
    let headers: Map<String, Value> = headers
        .map(|(name, value)| (spelled(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let user: Value = serde_json::from_str(&cx.caller.context().userctx_json(db.name().as_str()))?;
    let security: Value = serde_json::from_str(db.security())?;
    let body = if body.is_empty() { "undefined".into() } else { String::from_utf8_lossy(body) };
    Ok(json!({
        "info": info_json(db).await?,
        "uuid": cx.new_uuid(),
        "id": null,
        "method": cx.request.method.as_str(),
        "requested_path": path,
        "path": path,
        "raw_path": uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default(),
        "query": query,
        "headers": headers,
        "body": body,
        "peer": cx.request.arrival.peer.to_string(),
        "form": {},
        "cookie": {},
        "userCtx": user,
        "secObj": security,
    }))
}

/// A header's name as people write it: functions look for `Content-Type`.
fn spelled(name: &str) -> String {
    let mut upper = true;
    let spell = |letter: char| {
        let spelled = if upper { letter.to_ascii_uppercase() } else { letter };
        upper = letter == '-';
        spelled
    };
    name.chars().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_spelled_as_people_do() {
        assert_eq!(spelled("x-couch-full-commit"), "X-Couch-Full-Commit");
        assert_eq!(spelled("host"), "Host");
    }
}
