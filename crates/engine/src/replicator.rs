//! The databases of replications: who may write which document, what others see of it, and on whose behalf it works.
//!
//! Source: `couch_replicator_docs`. Two rules are stricter than CouchDB's: who doesn't administer the database can't
//! take over another's document by leaving its owner out, and what comes by replication is held to the same rules.

use crate::{Caller, Database, Document, Engine, Error, users};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_access::{Handler, Role, UserCtx};
use tidegate_replication::{JobError, UserContext, parse_job, shown as shown_endpoint};
use tidegate_store::{Edit, History};
use tidegate_types::{DbName, DocKind};

const OTHERS: &str = "Can't update replication documents from other users.";

/// What only the part of the server that runs replications may do: there is one of it. It acts for callers who aren't
/// there any more, by what a document says of them.
#[derive(Clone)]
pub struct Replicator(Engine);

/// Whether the replicator has been handed out.
#[derive(Debug, Default)]
pub(crate) struct Taken(AtomicBool);

impl Engine {
    /// The replicator's rights; `None` if somebody has them already.
    pub fn take_replicator(&self) -> Option<Replicator> {
        let is_first = !self.inner.replicator_taken.0.swap(true, Ordering::Relaxed);
        is_first.then(|| Replicator(self.clone()))
    }
}

impl Replicator {
    /// Reads replications' documents with their passwords, and writes their states.
    pub fn caller(&self) -> Caller {
        Caller::replicator()
    }

    /// All databases of replications.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn databases(&self) -> Result<Vec<DbName>, Error> {
        let mut names = self.0.inner.store.names().await?;
        names.retain(DbName::is_replicator);
        Ok(names)
    }

    /// On whose behalf the replication of a document works: its owner's, with the rights that the owner has now. Another
    /// user may stand in `user_ctx`, which is believed where the owner administers the server.
    ///
    /// # Errors
    /// [`Error::Access`] where the owner is nobody any more, or the storage failed.
    pub async fn on_behalf(&self, owner: Option<&str>, user_ctx: Option<&UserContext>) -> Result<Caller, Error> {
        let owner = self.0.owner(owner).await?;
        match user_ctx {
            Some(context) if owner.is_admin() => Ok(Caller::new(believed(context)?)),
            Some(_) | None => Ok(Caller::new(owner)),
        }
    }
}

fn believed(context: &UserContext) -> Result<UserCtx, Error> {
    let illegal = |what: &str| tidegate_access::Error::Forbidden(format!("`user_ctx` holds an illegal {what}").into());
    let name = context.name.as_deref().map(str::parse).transpose().map_err(|_illegal| illegal("name"))?;
    let roles = context.roles.iter().map(|role| role.parse::<Role>());
    let roles = roles.collect::<Result<_, _>>().map_err(|_illegal| illegal("role"))?;
    Ok(UserCtx { name, roles, handler: Some(Handler::Default) })
}

/// Checks the edit of a replication's document, and says in it who owns it.
pub(crate) async fn govern(db: &Database, edit: &mut Edit) -> Result<(), Error> {
    if edit.id.kind() != DocKind::Plain || db.caller.is_replicator() {
        return Ok(());
    }
    let mut body = members_of(&edit.members)?;
    let is_admin = db.check_admin().is_ok();
    if !is_admin {
        let old = users::previous(&db.store, edit).await?;
        check_own(&body, old.as_deref(), db.caller.context())?;
    }
    if let History::Edit { .. } = edit.history {
        own(&mut body, edit, db.caller.context(), is_admin)?;
        check_job(body, edit.deleted)?;
    }
    Ok(())
}

/// Writes the owner into a document that says nothing of one.
fn own(body: &mut Map<String, Value>, edit: &mut Edit, user: &UserCtx, is_admin: bool) -> Result<(), Error> {
    let name = user.name.as_ref().map_or(Value::Null, |name| Value::from(name.as_str()));
    match body.get("owner") {
        Some(owner) if *owner == name => return Ok(()),
        Some(owner) if is_admin && !owner.is_null() => return Ok(()),
        Some(_) if !is_admin => return Err(forbidden(OTHERS)),
        Some(_) | None => {}
    }
    body.insert("owner".to_owned(), name);
    edit.members = text_of(body);
    if let History::Edit { canonical, .. } = &mut edit.history {
        *canonical = users::canonical(&edit.members)?;
    }
    Ok(())
}

/// Whether somebody who doesn't administer the database may write this in place of that.
fn check_own(body: &Map<String, Value>, old: Option<&[u8]>, user: &UserCtx) -> Result<(), Error> {
    let old = old.map(members_of).transpose()?;
    let owners = [Some(body), old.as_ref()].into_iter().flatten().filter_map(|members| members.get("owner"));
    let is_own = |owner: &Value| match owner.as_str() {
        Some(owner) => user.is_named(owner),
        None => owner.is_null() && user.name.is_none(),
    };
    if !owners.into_iter().all(is_own) {
        return Err(forbidden(OTHERS));
    }
    Ok(())
}

/// Whether a replication can be made of the document. One that failed may say why.
fn check_job(body: Map<String, Value>, deleted: bool) -> Result<(), Error> {
    if deleted || body.get("_replication_state").is_some_and(|state| state == "failed") {
        return Ok(());
    }
    match parse_job(&Value::Object(body)) {
        Ok(_) => Ok(()),
        Err(JobError::BadDocument(reason)) => Err(tidegate_access::Error::Forbidden(reason.into()).into()),
        Err(JobError::BadRequest(reason)) => Err(tidegate_access::Error::BadRequest(reason.into()).into()),
    }
}

/// What the reader of a replication's document sees: its owner and administrators all of it, others no passwords.
pub(crate) fn shown(db: &Database, document: &Document) -> Result<Bytes, Error> {
    let is_plain = document.id.kind() == DocKind::Plain;
    if !is_plain || db.caller.is_replicator() || db.check_admin().is_ok() {
        return Ok(document.members.clone());
    }
    let mut body = members_of(&document.members)?;
    let owner = body.get("owner").and_then(Value::as_str);
    if owner.is_some_and(|owner| db.caller.context().is_named(owner)) {
        return Ok(document.members.clone());
    }
    for side in ["source", "target"] {
        if let Some(value) = body.get_mut(side) {
            strip(value);
        }
    }
    Ok(text_of(&body))
}

/// Takes away what may hold a password.
fn strip(endpoint: &mut Value) {
    if let Value::Object(members) = endpoint {
        members.remove("headers");
        members.remove("auth");
        if let Some(url) = members.get_mut("url") {
            strip(url);
        }
        return;
    }
    // A place without credentials, or nothing that could be one.
    *endpoint = shown_endpoint(endpoint).map_or(Value::Null, |text| text.replace("*****@", "").into());
}

fn members_of(members: &[u8]) -> Result<Map<String, Value>, Error> {
    let text = [b"{", members, b"}"].concat();
    let parsed = serde_json::from_slice(&text);
    parsed.map_err(|_invalid| tidegate_access::Error::BadRequest("Document must be a JSON object".into()).into())
}

/// Compact JSON text without braces.
fn text_of(members: &Map<String, Value>) -> Bytes {
    let text = Bytes::from(serde_json::to_string(members).unwrap_or_default());
    text.slice(1.min(text.len())..text.len().saturating_sub(1).max(1.min(text.len())))
}

fn forbidden(reason: &'static str) -> Error {
    tidegate_access::Error::Forbidden(reason.into()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn user(name: &str) -> UserCtx {
        UserCtx::user(name.parse().unwrap(), Vec::new(), Handler::Default)
    }

    fn members(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn others_documents_are_left_alone() {
        let check = |body: Value, old: Option<&str>, is_allowed: bool| {
            let checked = check_own(&members(&body), old.map(str::as_bytes), &user("ada"));
            assert_eq!(checked.is_ok(), is_allowed, "{body} {old:?}");
        };
        check(json!({}), None, true);
        check(json!({ "owner": "ada" }), None, true);
        check(json!({ "owner": "eve" }), None, false);
        check(json!({ "owner": null }), None, false);
        check(json!({}), Some(r#""owner":"eve""#), false);
        check(json!({ "owner": "ada" }), Some(r#""owner":"eve""#), false);
        check(json!({}), Some(r#""owner":"ada""#), true);
    }

    #[test]
    fn passwords_are_taken_away() {
        let check = |mut value: Value, expected: Value| {
            strip(&mut value);
            assert_eq!(value, expected);
        };
        check(json!("http://a:b@host/db"), json!("http://host/db/"));
        check(json!("db"), json!("db"));
        check(json!("ftp://a:b@host"), json!(null));
        let headers = json!({ "Authorization": "Basic x" });
        let auth = json!({ "basic": { "username": "a", "password": "b" } });
        let endpoint = json!({ "url": "http://a:b@host/db/", "headers": headers, "auth": auth });
        check(endpoint, json!({ "url": "http://host/db/" }));
    }

    #[test]
    fn what_makes_no_replication_is_refused() {
        let check = |body: Value, deleted: bool, expected: Option<&str>| {
            let refused = check_job(members(&body), deleted).err().map(|error| error.to_string());
            assert_eq!(refused.as_deref(), expected, "{body}");
        };
        check(json!({ "source": "a", "target": "b" }), false, None);
        check(json!({ "source": "a" }), false, Some("Missing replicator database"));
        check(json!({ "source": "a" }), true, None);
        check(json!({ "source": "a", "_replication_state": "failed" }), false, None);
    }

    #[test]
    fn text_loses_its_braces() {
        assert_eq!(text_of(&members(&json!({ "a": 1 }))), r#""a":1"#);
        assert_eq!(text_of(&Map::new()), "");
    }
}
