//! Documents that several writers fight over: of all writes that name one parent, one is acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use serde_json::{Value, json};

use super::{Stop, Victim, database::PATH, ledger::Revision};
use crate::{
    Error,
    client::{Connection, Request},
};

/// Past a document's revision limit older revisions are forgotten.
const REVISIONS_KEPT: usize = 1000;

/// One round's contested document.
#[derive(Debug, Clone)]
pub(super) struct Contest {
    id: String,
    acknowledged: Arc<Mutex<Vec<Revision>>>,
}

/// How a contest ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The document's revision, if any write landed.
    pub(super) revision: Option<Revision>,
    /// Writes acknowledged.
    pub(super) acknowledged: u64,
    /// What was wrong.
    pub(super) violations: Vec<String>,
}

impl Contest {
    /// The contest of a round.
    pub(super) fn new(round: u32) -> Self {
        Self { id: format!("contested-{round}"), acknowledged: Arc::default() }
    }

    /// The document fought over.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Reads and writes the document over and over until the server goes: when, and what was wrong.
    pub(super) async fn fight(self, victim: Victim, name: u64) -> (Instant, Option<String>) {
        let stopped = self.fight_on(&victim, name).await;
        let wrong = match stopped {
            Err(Stop::Wrong(text)) => Some(text),
            Ok(()) | Err(Stop::Lost) => None,
        };
        (Instant::now(), wrong)
    }

    async fn fight_on(&self, victim: &Victim, name: u64) -> Result<(), Stop> {
        let mut connection = Connection::open(victim.address).await?;
        let path = format!("{PATH}/{}", self.id);
        for turn in 0.. {
            let found = connection.request(Request::new("GET", &path)).await?;
            let mut body = json!({ "name": name, "turn": turn });
            if found.is_success() {
                let found: Value = serde_json::from_slice(&found.body).unwrap_or_default();
                body = json!({ "_rev": found.get("_rev"), "name": name, "turn": turn });
            }
            let answer = connection.request(Request::json("PUT", &path, body.to_string().as_bytes())).await?;
            match answer.status {
                201 => self.note(&answer.body)?,
                409 => {}
                _ if victim.is_going() => return Err(Stop::Lost),
                status => return Err(Stop::Wrong(format!("PUT {path} was answered {status}: {}", answer.excerpt()))),
            }
        }
        Ok(())
    }

    fn note(&self, answer: &[u8]) -> Result<(), Stop> {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let revision = answer.get("rev").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let revision = revision.ok_or_else(|| Stop::Wrong(format!("a write was answered {answer}")))?;
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(revision);
        Ok(())
    }

    /// Checks after the restart that every write acknowledged is in the one branch there is.
    ///
    /// # Errors
    /// When the server doesn't answer.
    pub(super) async fn check(&self, connection: &mut Connection, contenders: u64) -> Result<Ended, Error> {
        let path = format!("{PATH}/{}?revs=true&conflicts=true", self.id);
        let response = connection.request(Request::new("GET", &path)).await?;
        let document: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut ended = Ended { acknowledged: acknowledged.len() as u64, ..Ended::default() };
        if response.status == 404 && acknowledged.is_empty() {
            return Ok(ended);
        }
        ended.violations = self.losses(&document, &acknowledged);
        ended.revision = document.get("_rev").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let landed = ended.revision.as_ref().map_or(0, |revision| revision.generation);
        if landed > ended.acknowledged + contenders {
            let text = format!("{} has {landed} revisions of {} acknowledged writes", self.id, ended.acknowledged);
            ended.violations.push(text);
        }
        Ok(ended)
    }

    fn losses(&self, document: &Value, acknowledged: &[Revision]) -> Vec<String> {
        let mut losses = Vec::new();
        let generations: BTreeSet<u64> = acknowledged.iter().map(|revision| revision.generation).collect();
        if generations.len() != acknowledged.len() {
            losses.push(format!("of {} two writes over one parent were acknowledged", self.id));
        }
        if document.get("_conflicts").is_some() {
            losses.push(format!("{} has conflicts", self.id));
        }
        let kept = history(document);
        let oldest = kept.keys().next().copied().filter(|_oldest| kept.len() >= REVISIONS_KEPT).unwrap_or_default();
        let lost = |revision: &&Revision| {
            revision.generation >= oldest && kept.get(&revision.generation) != Some(&revision.digest.as_str())
        };
        losses.extend(acknowledged.iter().filter(lost).map(|revision| format!("{} lost {revision}", self.id)));
        losses
    }
}

/// Digest by generation, from `_revisions`.
fn history(document: &Value) -> BTreeMap<u64, &str> {
    let revisions = document.get("_revisions");
    let start = revisions.and_then(|revisions| revisions.get("start")).and_then(Value::as_u64).unwrap_or_default();
    let ids = revisions.and_then(|revisions| revisions.get("ids")).and_then(Value::as_array);
    let digests = ids.into_iter().flatten().filter_map(Value::as_str);
    (0..start + 1).rev().zip(digests).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(revisions: &Value, acknowledged: &[&str], losses: usize) {
        let acknowledged: Vec<Revision> = acknowledged.iter().map(|text| text.parse().unwrap()).collect();
        let document = json!({ "_rev": "3-c", "_revisions": revisions });
        let found = Contest::new(0).losses(&document, &acknowledged);
        assert_eq!(found.len(), losses, "{found:?}");
    }

    #[test]
    fn every_acknowledged_write_is_an_ancestor() {
        let whole = || json!({ "start": 3, "ids": ["c", "b", "a"] });
        check(&whole(), &["1-a", "2-b", "3-c"], 0);
        check(&whole(), &["1-a", "3-c"], 0); // 2-b landed without an answer.
        check(&whole(), &["1-a", "2-x"], 1);
        check(&whole(), &["1-a", "2-b", "2-b"], 1);
        check(&whole(), &["4-d"], 1);
        check(&json!({ "start": 2, "ids": ["b"] }), &["1-a"], 1);
    }
}
