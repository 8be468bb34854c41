//! Writes into a replication's document what became of it. Source: `couch_replicator_docs:update_rep_doc`.

use super::{
    Shell,
    peer::{Peer, Reach},
};
use serde_json::{Map, Value};
use std::time::Duration;
use tidegate_replication::{Endpoint, Failure, FailureKind};
use tidegate_types::DbName;

/// How often a document that others write, too, is tried.
const ATTEMPTS_MAX: u32 = 10;
const TIMEOUT: Duration = Duration::from_secs(30);

/// How a replication ended for good.
pub(super) enum Ending {
    /// With these counts.
    Completed(Value),
    /// For this reason.
    Failed(String),
}

/// What a document says without what the replicator wrote into it.
pub(super) fn body_of(document: &Map<String, Value>) -> Map<String, Value> {
    let is_own = |name: &str| !name.starts_with('_') || name == "_id";
    document.iter().filter(|(name, _)| is_own(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Writes the ending into the document, unless that says something else by now than `body`.
pub(super) async fn write(shell: &Shell, db: &DbName, id: &str, body: Option<&Map<String, Value>>, ending: &Ending) {
    for attempt in 1..=ATTEMPTS_MAX {
        match try_write(shell, db, id, body, ending).await {
            Ok(()) => return,
            Err(Failure { kind: FailureKind::Conflict | FailureKind::Transient, .. }) if attempt < ATTEMPTS_MAX => {
                tokio::time::sleep(Duration::from_millis(50).saturating_mul(attempt)).await;
            }
            Err(Failure { reason, .. }) => {
                tracing::error!(%db, id, reason, "the state of a replication could not be written");
                return;
            }
        }
    }
}

async fn try_write(
    shell: &Shell,
    db: &DbName,
    id: &str,
    body: Option<&Map<String, Value>>,
    ending: &Ending,
) -> Result<(), Failure> {
    let caller = shell.replicator.caller();
    let reach = Reach { couch: &shell.couch, caller: &caller, timeout: TIMEOUT };
    let documents = Peer::new(&Endpoint::Local(db.clone()), &reach)?;
    let Some(mut document) = documents.document(id).await? else { return Ok(()) };
    if body.is_some_and(|body| body_of(&document) != *body) {
        return Ok(());
    }
    if !ending.apply(&mut document, &shell.clock.now().iso8601()) {
        return Ok(());
    }
    documents.put_document(id, Value::Object(document).to_string()).await
}

impl Ending {
    /// Whether it changes anything.
    fn apply(&self, document: &mut Map<String, Value>, now: &str) -> bool {
        let (state, stats, reason) = match self {
            Self::Completed(stats) => ("completed", Some(stats.clone()), None),
            Self::Failed(reason) => ("failed", None, Some(Value::from(reason.as_str()))),
        };
        if document.get("_replication_state").is_some_and(|known| known == state) {
            return false;
        }
        let mut set = |name: &str, value: Option<Value>| match value {
            Some(value) => drop(document.insert(name.to_owned(), value)),
            None => drop(document.remove(name)),
        };
        set("_replication_state", Some(state.into()));
        set("_replication_state_time", Some(now.into()));
        set("_replication_stats", stats);
        set("_replication_state_reason", reason);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_ending_is_written_once() {
        let mut document = json!({ "_id": "a", "source": "b", "_replication_state_reason": "x" });
        let document = document.as_object_mut().unwrap();
        let ending = Ending::Completed(json!({ "docs_read": 1 }));
        assert!(ending.apply(document, "now"));
        assert!(!ending.apply(document, "later"));
        let expected = json!({
            "_id": "a", "source": "b", "_replication_state": "completed", "_replication_state_time": "now",
            "_replication_stats": { "docs_read": 1 },
        });
        assert_eq!(Value::Object(document.clone()), expected);
        assert_eq!(Value::Object(body_of(document)), json!({ "_id": "a", "source": "b" }));
    }
}
