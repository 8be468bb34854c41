//! What a replication remembers on both sides, in `_local/{id}`.

use serde_json::{Map, Value, json};

use crate::{SourceSeq, Stats, Timestamp};

/// The content of a checkpoint document.
///
/// Both sides hold the same after a checkpoint that went well; what they have in common after one that did not is found
/// by [`common_ancestry`](crate::common_ancestry).
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The session that wrote it.
    pub session_id: Option<Value>,
    /// Everything up to here is on the target.
    pub source_last_seq: SourceSeq,
    /// The newest first, at most [`Checkpoint::HISTORY_MAX`]; entries that no one could read are left out.
    pub history: Vec<HistoryEntry>,
    /// For a replication of named documents, the session's own counts once more, as CouchDB 0.11 had them.
    pub one_session: Option<OneSession>,
}

/// What CouchDB 0.11 told of a replication of named documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneSession {
    /// When the session began.
    pub start_time: String,
    /// When it wrote the checkpoint.
    pub end_time: String,
    /// Revisions read.
    pub docs_read: u64,
    /// Revisions the target took.
    pub docs_written: u64,
    /// Revisions it refused.
    pub doc_write_failures: u64,
}

/// One checkpoint of one session.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEntry {
    /// The session; `None` if a stranger wrote none.
    pub session_id: Option<Value>,
    /// When the session began, as RFC 1123 has it.
    pub start_time: String,
    /// When it wrote the checkpoint.
    pub end_time: String,
    /// Where it began.
    pub start_last_seq: SourceSeq,
    /// Where it was.
    pub end_last_seq: SourceSeq,
    /// Where to go on from.
    pub recorded_seq: SourceSeq,
    /// What was counted.
    pub stats: Stats,
}

impl Checkpoint {
    /// How many entries a history keeps.
    pub const HISTORY_MAX: usize = 50;
    /// The version of the way in which ids are made that checkpoints name.
    pub const ID_VERSION: u64 = 4;

    /// The checkpoint that adds `entry` to `older` entries.
    pub fn new(entry: HistoryEntry, older: &[HistoryEntry]) -> Self {
        let (session_id, source_last_seq) = (entry.session_id.clone(), entry.recorded_seq.clone());
        let history = std::iter::once(entry).chain(older.iter().cloned()).take(Self::HISTORY_MAX).collect();
        Self { session_id, source_last_seq, history, one_session: None }
    }

    /// What `body` says, read with forbearance: a checkpoint that says nothing usable is one that goes back to the start.
    pub fn from_json(body: &Value) -> Self {
        let history = body.get("history").and_then(Value::as_array);
        let entries = history.into_iter().flatten().take(Self::HISTORY_MAX).filter(|entry| entry.is_object());
        Self {
            session_id: body.get("session_id").cloned(),
            source_last_seq: seq(body, "source_last_seq"),
            history: entries.map(HistoryEntry::from_json).collect(),
            one_session: OneSession::from_json(body),
        }
    }

    /// The document's members, without `_id` and `_rev`.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut members = Map::new();
        insert_some(&mut members, "session_id", self.session_id.as_ref());
        members.insert("source_last_seq".to_owned(), self.source_last_seq.to_json());
        members.insert("replication_id_version".to_owned(), Value::from(Self::ID_VERSION));
        if let Some(one) = &self.one_session {
            members.insert("start_time".to_owned(), json!(one.start_time));
            members.insert("end_time".to_owned(), json!(one.end_time));
            members.insert("docs_read".to_owned(), json!(one.docs_read));
            members.insert("docs_written".to_owned(), json!(one.docs_written));
            members.insert("doc_write_failures".to_owned(), json!(one.doc_write_failures));
        }
        let history = self.history.iter().map(HistoryEntry::to_json).collect();
        members.insert("history".to_owned(), Value::Array(history));
        members
    }
}

impl OneSession {
    /// What the newest entry of a history says.
    pub(crate) fn of(entry: &HistoryEntry) -> Self {
        let Stats { docs_read, docs_written, doc_write_failures, .. } = entry.stats;
        let (start_time, end_time) = (entry.start_time.clone(), entry.end_time.clone());
        Self { start_time, end_time, docs_read, docs_written, doc_write_failures }
    }

    fn from_json(body: &Value) -> Option<Self> {
        let Stats { docs_read, docs_written, doc_write_failures, .. } = Stats::from_json(body);
        let start_time = body.get("start_time")?.as_str()?.to_owned();
        Some(Self { start_time, end_time: text(body, "end_time"), docs_read, docs_written, doc_write_failures })
    }
}

impl HistoryEntry {
    /// The entry of a session that began `started` at `start_last_seq` and is `now` at `recorded_seq`.
    pub(crate) fn new(session_id: &str, started: Timestamp, start_last_seq: SourceSeq) -> Self {
        Self {
            session_id: Some(Value::from(session_id)),
            start_time: started.rfc1123(),
            end_time: String::new(),
            end_last_seq: start_last_seq.clone(),
            recorded_seq: start_last_seq.clone(),
            start_last_seq,
            stats: Stats::default(),
        }
    }

    /// The same session's entry at another place.
    pub(crate) fn at(&self, recorded_seq: &SourceSeq, now: Timestamp, stats: Stats) -> Self {
        Self {
            end_time: now.rfc1123(),
            end_last_seq: recorded_seq.clone(),
            recorded_seq: recorded_seq.clone(),
            stats,
            ..self.clone()
        }
    }

    fn from_json(members: &Value) -> Self {
        Self {
            session_id: members.get("session_id").cloned(),
            start_time: text(members, "start_time"),
            end_time: text(members, "end_time"),
            start_last_seq: seq(members, "start_last_seq"),
            end_last_seq: seq(members, "end_last_seq"),
            recorded_seq: seq(members, "recorded_seq"),
            stats: Stats::from_json(members),
        }
    }

    fn to_json(&self) -> Value {
        let mut members = Map::new();
        insert_some(&mut members, "session_id", self.session_id.as_ref());
        members.insert("start_time".to_owned(), json!(self.start_time));
        members.insert("end_time".to_owned(), json!(self.end_time));
        members.insert("start_last_seq".to_owned(), self.start_last_seq.to_json());
        members.insert("end_last_seq".to_owned(), self.end_last_seq.to_json());
        members.insert("recorded_seq".to_owned(), self.recorded_seq.to_json());
        self.stats.write(&mut members);
        Value::Object(members)
    }
}

fn insert_some(members: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value.clone());
    }
}

fn seq(members: &Value, name: &str) -> SourceSeq {
    members.get(name).map_or_else(SourceSeq::zero, SourceSeq::from_json)
}

fn text(members: &Value, name: &str) -> String {
    members.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(session: &str) -> HistoryEntry {
        let started = Timestamp::from_millis(784_111_777_000);
        let entry = HistoryEntry::new(session, started, SourceSeq::from_json(&json!("3-x")));
        let stats = Stats { docs_read: 2, docs_written: 1, doc_write_failures: 1, ..Stats::default() };
        entry.at(&SourceSeq::from_json(&json!("9-x")), started, stats)
    }

    #[test]
    fn a_checkpoint_is_written_as_couchdb_writes_it() {
        let checkpoint = Checkpoint::new(entry("s1"), &[]);
        let time = "Sun, 06 Nov 1994 08:49:37 GMT";
        let expected = json!({
            "session_id": "s1", "source_last_seq": "9-x", "replication_id_version": 4,
            "history": [{
                "session_id": "s1", "start_time": time, "end_time": time,
                "start_last_seq": "3-x", "end_last_seq": "9-x", "recorded_seq": "9-x",
                "missing_checked": 0, "missing_found": 0, "docs_read": 2, "docs_written": 1, "doc_write_failures": 1,
                "bulk_get_docs": 0, "bulk_get_attempts": 0,
            }],
        });
        let written = Value::Object(checkpoint.to_json());
        assert_eq!(written.to_string(), expected.to_string());
        assert_eq!(Checkpoint::from_json(&written), checkpoint);
    }

    #[test]
    fn a_checkpoint_of_named_documents_tells_its_counts_twice() {
        let mut checkpoint = Checkpoint::new(entry("s1"), &[]);
        checkpoint.one_session = checkpoint.history.first().map(OneSession::of);
        let written = Value::Object(checkpoint.to_json());
        assert_eq!((&written["docs_read"], &written["doc_write_failures"]), (&json!(2), &json!(1)));
        assert_eq!(Checkpoint::from_json(&written), checkpoint);
    }

    #[test]
    fn a_history_keeps_fifty_entries_newest_first() {
        let mut checkpoint = Checkpoint::new(entry("s0"), &[]);
        for session in 1..=60 {
            checkpoint = Checkpoint::new(entry(&format!("s{session}")), &checkpoint.history);
        }
        assert_eq!(checkpoint.history.len(), 50);
        assert_eq!(checkpoint.history[0].session_id, Some(json!("s60")));
        assert_eq!(checkpoint.history[49].session_id, Some(json!("s11")));
    }

    #[test]
    fn a_strange_checkpoint_goes_back_to_the_start() {
        for body in [json!({}), json!([]), json!({"history": 7, "source_last_seq": null}), json!({"history": [1]})] {
            let checkpoint = Checkpoint::from_json(&body);
            assert!(checkpoint.source_last_seq.is_zero(), "{body}");
            assert!(checkpoint.history.is_empty(), "{body}");
        }
    }
}
