//! What a session asks, over HTTP.

use super::{
    Pull, Text, transfer,
    wire::{BulkGot, Changes, Diff, Head, Info, Written, missing},
};
use crate::cli::client::{Client, Refusal, db_path, read, segment, status_of};
use anyhow::{Context, Result};
use md5::{Digest as _, Md5};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tidegate_replication::{
    ChangesRequest, Checkpoint, Doc, Failure, FailureKind, Got, Info as SideInfo, Leaves, Request, Response, Side,
    SourceSeq, StoredCheckpoint, Transferred, Wanted, WriteFailure,
};
use tidegate_types::{DocId, Rev};

/// Refusals told one by one.
const REFUSALS_TOLD_MAX: usize = 20;

/// The two databases.
pub(super) struct Sides {
    pub(super) source: Database,
    pub(super) target: Database,
    /// The name of the checkpoints' documents.
    checkpoint: String,
    /// Revisions that the target didn't take: the first of them.
    refused: Mutex<Vec<WriteFailure>>,
}

pub(super) struct Database {
    pub(super) client: Client,
    pub(super) path: String,
}

impl Sides {
    pub(super) fn new(pull: Pull) -> Self {
        let Pull { source, target, from, to, layout: _ } = pull;
        let parts = [source.shown(), from.as_str(), target.shown(), to.as_str()];
        let named = parts.map(|part| format!("{} {part}", part.len())).concat();
        let checkpoint = format!("_local/tidegate-import-{}", hex(&Md5::digest(named)));
        let source = Database { path: db_path(&from), client: source };
        Self { source, target: Database { path: db_path(&to), client: target }, checkpoint, refused: Mutex::default() }
    }

    /// The first revisions that the target didn't take.
    pub(super) fn refused(&self) -> Vec<WriteFailure> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what is left out for good.
    fn note<'f>(&self, failures: impl Iterator<Item = &'f WriteFailure>) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REFUSALS_TOLD_MAX.saturating_sub(refused.len());
        refused.extend(failures.filter(|failure| failure.kind != FailureKind::Transient).take(room).cloned());
    }

    fn side(&self, side: Side) -> &Database {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    /// Makes a request of the session's.
    pub(super) async fn perform(&self, request: Request<Text>) -> Result<Response<Text>, Failure> {
        let answer = match request {
            Request::CreateTarget(layout) => self.create_target(&layout).await,
            Request::Info(side) => self.info(side).await,
            Request::LoadCheckpoint(side) => self.load_checkpoint(side).await,
            Request::Changes(request) => self.changes(&request).await,
            // Pages tell it: nobody asks.
            Request::Pending(_) => Ok(Response::Pending(None)),
            Request::RevsDiff(leaves) => self.revs_diff(&leaves).await,
            Request::BulkGet(wanted) => self.bulk_get(&wanted).await,
            Request::Transfer(asked) => transfer::transfer(self, &asked).await.map(Response::Transferred),
            Request::BulkDocs(docs) => self.bulk_docs(&docs).await,
            Request::EnsureFullCommit(side) => self.ensure_full_commit(side).await,
            Request::StoreCheckpoint { side, rev, checkpoint } => self.store_checkpoint(side, rev, &checkpoint).await,
        };
        match &answer {
            Ok(Response::Written(refused)) => self.note(refused.iter()),
            Ok(Response::Transferred(moved)) => self.note(moved.iter().filter_map(|moved| match &moved.outcome {
                Transferred::Refused(failure) => Some(failure),
                Transferred::Written | Transferred::Loaded(_) => None,
            })),
            Ok(_) | Err(_) => {}
        }
        answer.map_err(|error| failure(&error))
    }

    async fn create_target(&self, layout: &Map<String, Value>) -> Result<Response<Text>> {
        let parameters: Vec<String> = layout.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let path = format!("{}?{}", self.target.path, parameters.join("&"));
        match self.target.client.put(path.trim_end_matches('?'), &json!({})).await {
            Err(error) if status_of(&error) == Some(412) => Ok(Response::Created),
            created => created.map(|_| Response::Created),
        }
    }

    async fn info(&self, side: Side) -> Result<Response<Text>> {
        let database = self.side(side);
        let info: Info = serde_json::from_value(database.client.get(&database.path).await?)?;
        let instance_start_time = text_of(&info.instance_start_time);
        Ok(Response::Info(SideInfo { instance_start_time, update_seq: SourceSeq::from_json(&info.update_seq) }))
    }

    async fn load_checkpoint(&self, side: Side) -> Result<Response<Text>> {
        let database = self.side(side);
        let found = database.client.find(&format!("{}/{}", database.path, self.checkpoint)).await?;
        let stored = found.and_then(|body| {
            let rev = body.get("_rev")?.as_str()?.to_owned();
            Some(StoredCheckpoint { rev, checkpoint: Checkpoint::from_json(&body) })
        });
        Ok(Response::Checkpoint(stored))
    }

    async fn changes(&self, request: &ChangesRequest) -> Result<Response<Text>> {
        let (path, since, rows_max) = (&self.source.path, segment(&request.since.to_since()), request.rows_max.max(1));
        let path = format!("{path}/_changes?style=all_docs&since={since}&limit={rows_max}");
        let page: Changes = self.source.ask(Method::GET, &path, None).await?;
        Ok(Response::Changes(page.page(rows_max)))
    }

    async fn revs_diff(&self, leaves: &[Leaves]) -> Result<Response<Text>> {
        let asked = leaves.iter().map(|leaves| {
            let revs: Vec<String> = leaves.revs.iter().map(ToString::to_string).collect();
            (leaves.id.to_string(), json!(revs))
        });
        let body = Value::Object(asked.collect()).to_string();
        let path = format!("{}/_revs_diff", self.target.path);
        let diff: BTreeMap<String, Diff> = self.target.ask(Method::POST, &path, Some(body)).await?;
        Ok(Response::Missing(missing(diff)))
    }

    /// What has attachments, or isn't found, is left out: it is asked for alone.
    async fn bulk_get(&self, wanted: &[Wanted]) -> Result<Response<Text>> {
        let docs: Vec<Value> =
            wanted.iter().map(|wanted| json!({ "id": wanted.id.as_str(), "rev": wanted.rev.to_string() })).collect();
        let path = format!("{}/_bulk_get?latest=true&revs=true&attachments=false", self.source.path);
        let body = json!({ "docs": docs }).to_string();
        let text = self.source.text(Method::POST, &path, Some(body)).await?;
        let got: BulkGot<'_> = serde_json::from_slice(&text).context("the answer of _bulk_get can't be read")?;
        // Results come in the order asked.
        let pairs = wanted.iter().zip(&got.results).filter(|(wanted, result)| wanted.id.as_str() == result.id);
        let found = pairs.filter_map(|(wanted, result)| {
            let docs = result.docs.iter().map(|found| plain(&wanted.id, found.ok?)).collect::<Option<Vec<_>>>()?;
            Some(Got { id: wanted.id.clone(), rev: wanted.rev.clone(), docs })
        });
        Ok(Response::Fetched(found.collect()))
    }

    async fn bulk_docs(&self, docs: &[Doc<Text>]) -> Result<Response<Text>> {
        let texts: Vec<&str> = docs.iter().map(|doc| &*doc.content).collect();
        let body = format!("{{\"new_edits\":false,\"docs\":[{}]}}", texts.join(","));
        let path = format!("{}/_bulk_docs", self.target.path);
        let written: Vec<Written> = self.target.ask(Method::POST, &path, Some(body)).await?;
        let refused = written.into_iter().flat_map(|written| {
            let Some(error) = written.error else { return Vec::new() };
            let rev: Option<Rev> = written.rev.and_then(|rev| rev.parse().ok());
            let is_meant =
                |doc: &&Doc<Text>| doc.id.as_str() == written.id && rev.as_ref().is_none_or(|rev| *rev == doc.rev);
            let failure = |doc: &Doc<Text>| WriteFailure {
                id: doc.id.clone(),
                rev: doc.rev.clone(),
                kind: kind_of(&error),
                reason: written.reason.clone(),
            };
            docs.iter().filter(is_meant).map(failure).collect()
        });
        Ok(Response::Written(refused.collect()))
    }

    async fn ensure_full_commit(&self, side: Side) -> Result<Response<Text>> {
        let database = self.side(side);
        let path = format!("{}/_ensure_full_commit", database.path);
        let answer = database.client.post(&path, &json!({})).await?;
        Ok(Response::Committed(answer.get("instance_start_time").map(text_of).unwrap_or_default()))
    }

    async fn store_checkpoint(
        &self,
        side: Side,
        rev: Option<String>,
        checkpoint: &Checkpoint,
    ) -> Result<Response<Text>> {
        let mut members = checkpoint.to_json();
        if let Some(rev) = rev {
            members.insert("_rev".to_owned(), rev.into());
        }
        let database = self.side(side);
        let path = format!("{}/{}", database.path, self.checkpoint);
        let answer = database.client.put(&path, &Value::Object(members)).await?;
        let rev = answer.get("rev").and_then(Value::as_str).context("the checkpoint has no revision")?;
        Ok(Response::Stored(rev.to_owned()))
    }
}

impl Database {
    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<String>) -> Result<T> {
        let text = self.text(method, path, body).await?;
        serde_json::from_slice(&text).with_context(|| format!("the answer to {path} can't be read"))
    }

    async fn text(&self, method: Method, path: &str, body: Option<String>) -> Result<Vec<u8>> {
        let request = self.client.request(method, path).header("accept", "application/json");
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body),
            None => request,
        };
        read(self.client.send(request).await?).await
    }
}

/// A revision that has no attachments, ready to be written.
pub(super) fn plain(id: &DocId, text: &RawValue) -> Option<Doc<Text>> {
    let head: Head<'_> = serde_json::from_str(text.get()).ok()?;
    let content: Arc<str> = text.get().into();
    let is_plain = head.attachments.is_empty();
    is_plain.then_some(())?;
    Some(Doc { id: id.clone(), rev: head.rev.parse().ok()?, bytes: content.len(), content })
}

/// Why the target doesn't take a revision.
pub(super) fn kind_of(error: &str) -> FailureKind {
    match error {
        "unauthorized" => FailureKind::Unauthorized,
        "forbidden" => FailureKind::Forbidden,
        "internal_server_error" | "service_unavailable" | "timeout" => FailureKind::Transient,
        _ => FailureKind::Refused,
    }
}

fn failure(error: &anyhow::Error) -> Failure {
    match error.downcast_ref::<Refusal>() {
        Some(refusal) => Failure::from_status(refusal.status, &*refusal.reason),
        None if error.is::<serde_json::Error>() => Failure::new(FailureKind::Refused, format!("{error:#}")),
        None => Failure::new(FailureKind::Transient, format!("{error:#}")),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
