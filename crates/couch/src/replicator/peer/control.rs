//! What is asked of a database as a whole, and its checkpoints.

use super::{Ask, Peer, document_path};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use tidegate_replication::{Checkpoint, Failure, FailureKind, Filter, Info, SourceSeq, StoredCheckpoint};

/// The status of a database that is there already.
const FILE_EXISTS: u16 = 412;

#[derive(Deserialize)]
struct InfoAnswer {
    instance_start_time: Option<Value>,
    update_seq: Value,
}

#[derive(Deserialize)]
struct PendingAnswer {
    pending: Option<u64>,
    #[serde(default)]
    results: Vec<Value>,
}

#[derive(Deserialize)]
struct Committed {
    instance_start_time: Option<Value>,
}

#[derive(Deserialize)]
struct Stored {
    rev: String,
}

/// When a database began, as every kind of server tells it.
fn started(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        Some(other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            other.to_string()
        }
        None => "0".to_owned(),
    }
}

impl Peer {
    /// Makes the database. One that is there counts as made.
    pub(in crate::replicator) async fn create(&self, params: &Map<String, Value>) -> Result<(), Failure> {
        let mut ask = Ask::new(Method::PUT, "");
        for (name, value) in params {
            ask = ask.query(name, plain(value));
        }
        let answer = self.try_send(ask).await?;
        let status = answer.response.status();
        if status.is_success() || status.as_u16() == FILE_EXISTS { Ok(()) } else { Err(answer.refusal().await) }
    }

    /// What the database says of itself.
    pub(in crate::replicator) async fn info(&self) -> Result<Info, Failure> {
        let InfoAnswer { instance_start_time, update_seq } = self.json(Ask::get("")).await?;
        Ok(Info { instance_start_time: started(instance_start_time), update_seq: SourceSeq::from_json(&update_seq) })
    }

    /// How many changes the database has behind a place, if it tells. Source: `couch_replicator_api_wrap:get_pending_count`.
    pub(in crate::replicator) async fn pending(&self, since: &SourceSeq) -> Result<Option<u64>, Failure> {
        let ask = Ask::get("_changes").query("since", since.to_since()).query("limit", "1");
        let PendingAnswer { pending, results } = self.json(ask).await?;
        // Some servers take a limit of 0 for one of 1, and Sync Gateway for none.
        Ok(pending.map(|pending| pending.saturating_add(results.len() as u64)))
    }

    /// Has the database make everything durable; when it began.
    pub(in crate::replicator) async fn commit(&self) -> Result<String, Failure> {
        let committed: Committed = self.json(Ask::post("_ensure_full_commit", "{}")).await?;
        Ok(started(committed.instance_start_time))
    }

    /// The checkpoint in the local document `id`.
    pub(in crate::replicator) async fn checkpoint(&self, id: &str) -> Result<Option<StoredCheckpoint>, Failure> {
        let body: Value = match self.json(Ask::get(document_path(id))).await {
            Err(Failure { kind: FailureKind::NotFound, .. }) => return Ok(None),
            body => body?,
        };
        let rev = body.get("_rev").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Some(StoredCheckpoint { rev, checkpoint: Checkpoint::from_json(&body) }))
    }

    /// Writes the checkpoint; its new revision.
    pub(in crate::replicator) async fn store_checkpoint(
        &self,
        id: &str,
        rev: Option<String>,
        checkpoint: &Checkpoint,
    ) -> Result<String, Failure> {
        let mut members = Map::new();
        members.insert("_id".to_owned(), id.into());
        members.extend(rev.map(|rev| ("_rev".to_owned(), rev.into())));
        members.extend(checkpoint.to_json());
        let text = Value::Object(members).to_string();
        let stored: Stored = self.json(Ask::new(Method::PUT, document_path(id)).json(text)).await?;
        Ok(stored.rev)
    }

    /// The text of the function that a filter names: it is a part of what the replication is.
    pub(in crate::replicator) async fn filter_code(&self, filter: &Filter) -> Result<Option<String>, Failure> {
        let Filter::Function { design, name, .. } = filter else { return Ok(None) };
        let document: Value = self.json(Ask::get(document_path(&format!("_design/{design}")))).await?;
        let code = document.get("filters").and_then(|filters| filters.get(name)).and_then(Value::as_str);
        let missing = || Failure::new(FailureKind::NotFound, format!("not_found: missing json key: {name}"));
        code.map(|code| Some(code.to_owned())).ok_or_else(missing)
    }

    /// A document as JSON; `None` if there is none.
    pub(in crate::replicator) async fn document(&self, id: &str) -> Result<Option<Map<String, Value>>, Failure> {
        match self.json(Ask::get(document_path(id))).await {
            Err(Failure { kind: FailureKind::NotFound, .. }) => Ok(None),
            document => document.map(Some),
        }
    }

    /// Writes an edit of a document.
    pub(in crate::replicator) async fn put_document(&self, id: &str, text: String) -> Result<(), Failure> {
        self.send(Ask::new(Method::PUT, document_path(id)).json(text)).await.map(|_| ())
    }
}

/// A value as it stands in a query.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
