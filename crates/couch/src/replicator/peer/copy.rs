//! Which revisions the target lacks, reading many from the source, writing many to the target.

use super::{ANSWER_BYTES_MAX, Ask, Peer, parse, unreadable};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::collections::BTreeMap;
use tidegate_replication::{Doc, Failure, FailureKind, Got, Leaves, Missing, Wanted, WriteFailure};
use tidegate_types::{DocId, Rev};

const FULL_COMMIT: HeaderName = HeaderName::from_static("x-couch-full-commit");

#[derive(Deserialize)]
struct Diff {
    missing: Vec<String>,
    #[serde(default)]
    possible_ancestors: Vec<String>,
}

#[derive(Deserialize)]
struct BulkGetAnswer<'a> {
    #[serde(borrow)]
    results: Vec<Fetched<'a>>,
}

#[derive(Deserialize)]
struct Fetched<'a> {
    id: String,
    #[serde(borrow)]
    docs: Vec<OneFetched<'a>>,
}

#[derive(Deserialize)]
struct OneFetched<'a> {
    #[serde(borrow)]
    ok: Option<&'a RawValue>,
}

/// What has to be known of a document on its way.
#[derive(Deserialize)]
pub(super) struct DocHead<'a> {
    #[serde(rename = "_id")]
    pub(super) id: String,
    #[serde(rename = "_rev")]
    pub(super) rev: String,
    #[serde(borrow, rename = "_attachments")]
    attachments: Option<&'a RawValue>,
}

impl DocHead<'_> {
    pub(super) fn has_attachments(&self) -> bool {
        let text = self.attachments.map(RawValue::get).unwrap_or_default();
        text.bytes().any(|byte| !matches!(byte, b'{' | b'}') && !byte.is_ascii_whitespace())
    }
}

/// A row of the answer to `_bulk_docs`.
#[derive(Deserialize)]
struct Written {
    id: Option<String>,
    rev: Option<String>,
    error: Option<String>,
    #[serde(default)]
    reason: Value,
}

impl Peer {
    /// Which of these the database lacks.
    pub(in crate::replicator) async fn revs_diff(&self, leaves: &[Leaves]) -> Result<Vec<Missing>, Failure> {
        let texts = |revs: &[Rev]| revs.iter().map(|rev| Value::from(rev.to_string())).collect::<Value>();
        let offered: Map<_, _> = leaves.iter().map(|leaf| (leaf.id.to_string(), texts(&leaf.revs))).collect();
        let ask = Ask::post("_revs_diff", Value::Object(offered).to_string());
        let diffs: BTreeMap<String, Diff> = self.json(ask).await?;
        Ok(diffs.into_iter().filter_map(|(id, diff)| missing(&id, &diff)).collect())
    }

    /// Revisions without attachments. Those that have some, and those that aren't there, are left out.
    pub(in crate::replicator) async fn bulk_get(&self, wanted: &[Wanted]) -> Result<Vec<Got<Bytes>>, Failure> {
        let asked = wanted.iter().map(|wanted| json!({ "id": wanted.id.as_str(), "rev": wanted.rev.to_string() }));
        let body = json!({ "docs": asked.collect::<Value>() }).to_string();
        let ask = Ask::post("_bulk_get", body).query("latest", "true").query("revs", "true");
        let text = self.send(ask.query("attachments", "false")).await?.whole(ANSWER_BYTES_MAX).await?;
        let answer: BulkGetAnswer<'_> = serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
        // One row for each that was asked for, in that order.
        if answer.results.len() != wanted.len() {
            return Err(Failure::new(FailureKind::Refused, "_bulk_get answered something else than was asked for"));
        }
        let pairs = wanted.iter().zip(&answer.results);
        Ok(pairs.filter_map(|(wanted, fetched)| got(&text, wanted, fetched)).collect())
    }

    /// Writes revisions; those that the database did not take.
    pub(in crate::replicator) async fn bulk_docs(&self, docs: &[Doc<Bytes>]) -> Result<Vec<WriteFailure>, Failure> {
        let bytes = docs.iter().map(|doc| doc.content.len().saturating_add(1)).sum::<usize>();
        let mut body = Vec::with_capacity(bytes.saturating_add(32));
        body.extend_from_slice(b"{\"new_edits\":false,\"docs\":[");
        for (index, doc) in docs.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&doc.content);
        }
        body.extend_from_slice(b"]}");
        let ask = Ask::post("_bulk_docs", body).with(FULL_COMMIT, HeaderValue::from_static("false"));
        let text = self.send(ask).await?.whole(ANSWER_BYTES_MAX).await?;
        let rows: Vec<Written> = parse(&text)?;
        Ok(rows.iter().filter_map(|row| failure(row, docs)).collect())
    }
}

fn missing(id: &str, diff: &Diff) -> Option<Missing> {
    let revs = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect();
    Some(Missing { id: id.parse().ok()?, revs: revs(&diff.missing), ancestors: revs(&diff.possible_ancestors) })
}

/// What came of one wanted revision, if all of it came and nothing of it has attachments.
fn got(text: &Bytes, wanted: &Wanted, fetched: &Fetched<'_>) -> Option<Got<Bytes>> {
    if fetched.id != wanted.id.as_str() || fetched.docs.is_empty() {
        return None;
    }
    let docs = fetched.docs.iter().map(|one| doc(text.slice_ref(one.ok?.get().as_bytes())));
    Some(Got { id: wanted.id.clone(), rev: wanted.rev.clone(), docs: docs.collect::<Option<_>>()? })
}

/// A document that can be written as it is.
fn doc(content: Bytes) -> Option<Doc<Bytes>> {
    let (id, rev) = {
        let head: DocHead<'_> = serde_json::from_slice(&content).ok()?;
        if head.has_attachments() {
            return None;
        }
        (head.id.parse::<DocId>().ok()?, head.rev.parse::<Rev>().ok()?)
    };
    Some(Doc { id, rev, bytes: content.len(), content })
}

fn failure(row: &Written, docs: &[Doc<Bytes>]) -> Option<WriteFailure> {
    let error = row.error.as_deref()?;
    let id: DocId = row.id.as_deref()?.parse().ok()?;
    let rev = row.rev.as_deref().and_then(|rev| rev.parse().ok());
    let rev = rev.or_else(|| docs.iter().find(|doc| doc.id == id).map(|doc| doc.rev.clone()))?;
    let reason = row.reason.as_str().map_or_else(|| row.reason.to_string(), str::to_owned);
    Some(WriteFailure { id, rev, kind: kind_of(error), reason: format!("{error}: {reason}") })
}

/// Whether a row's error may go away. Source: `chttpd:error_info`'s words for 5xx.
fn kind_of(error: &str) -> FailureKind {
    match error {
        "unauthorized" => FailureKind::Unauthorized,
        "forbidden" => FailureKind::Forbidden,
        "conflict" => FailureKind::Conflict,
        "internal_server_error" | "service unavailable" | "timeout" | "unknown_error" => FailureKind::Transient,
        _ => FailureKind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_with_attachments_are_told_apart() {
        let has = |members: &str| {
            let text = format!(r#"{{"_id":"a","_rev":"1-a"{members}}}"#);
            serde_json::from_str::<DocHead<'_>>(&text).unwrap().has_attachments()
        };
        assert!(!has(""));
        assert!(!has(r#","_attachments":{ }"#));
        assert!(has(r#","_attachments":{"a":{"stub":true}}"#));
    }
}
