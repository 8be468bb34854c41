//! What a session counts.

use serde_json::{Map, Value};

use crate::SourceSeq;

/// Counts of one replication. They grow over its sessions, as CouchDB's do since 3.0: a session begins with those of
/// the checkpoint that it continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Revisions the target was asked about.
    pub missing_checked: u64,
    /// Of those, how many it lacked.
    pub missing_found: u64,
    /// Revisions read from the source.
    pub docs_read: u64,
    /// Revisions the target took.
    pub docs_written: u64,
    /// Revisions the target refused for good, and rows of the feed that no one could read.
    pub doc_write_failures: u64,
    /// Revisions that came by `_bulk_get`.
    pub bulk_get_docs: u64,
    /// Revisions that were asked for by `_bulk_get`.
    pub bulk_get_attempts: u64,
}

/// What `_scheduler/jobs` and `_active_tasks` tell of a running session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The counts.
    pub stats: Stats,
    /// How many changes lie ahead, as the source said last.
    pub changes_pending: Option<u64>,
    /// Up to where a restart would not go back.
    pub checkpointed: SourceSeq,
    /// Up to where everything is done.
    pub through: SourceSeq,
    /// Up to where the feed was read.
    pub source: SourceSeq,
}

impl Stats {
    const NAMES: [&str; 7] = [
        "missing_checked",
        "missing_found",
        "docs_read",
        "docs_written",
        "doc_write_failures",
        "bulk_get_docs",
        "bulk_get_attempts",
    ];

    /// The counts among the members of a history's entry; what is missing or no count is 0.
    pub fn from_json(members: &Value) -> Self {
        let mut stats = Self::default();
        for (name, count) in Self::NAMES.iter().zip(stats.each_mut()) {
            *count = members.get(name).and_then(Value::as_u64).unwrap_or(0);
        }
        stats
    }

    /// Adds the counts to `members`, in CouchDB's order.
    pub(crate) fn write(mut self, members: &mut Map<String, Value>) {
        for (name, count) in Self::NAMES.iter().zip(self.each_mut()) {
            members.insert((*name).to_owned(), Value::from(*count));
        }
    }

    /// The greater of each count: what is known twice is counted once.
    #[must_use]
    pub fn max(mut self, mut other: Self) -> Self {
        for (count, other) in self.each_mut().into_iter().zip(other.each_mut()) {
            *count = (*count).max(*other);
        }
        self
    }

    fn each_mut(&mut self) -> [&mut u64; 7] {
        [
            &mut self.missing_checked,
            &mut self.missing_found,
            &mut self.docs_read,
            &mut self.docs_written,
            &mut self.doc_write_failures,
            &mut self.bulk_get_docs,
            &mut self.bulk_get_attempts,
        ]
    }
}

impl Progress {
    /// The `info` of `_scheduler/jobs`.
    pub fn to_json(&self) -> Value {
        let Stats {
            missing_checked,
            missing_found,
            docs_read,
            docs_written,
            doc_write_failures,
            bulk_get_docs,
            bulk_get_attempts,
        } = self.stats;
        serde_json::json!({
            "revisions_checked": missing_checked,
            "missing_revisions_found": missing_found,
            "docs_read": docs_read,
            "docs_written": docs_written,
            "changes_pending": self.changes_pending,
            "doc_write_failures": doc_write_failures,
            "bulk_get_docs": bulk_get_docs,
            "bulk_get_attempts": bulk_get_attempts,
            "checkpointed_source_seq": self.checkpointed.to_since(),
            "source_seq": self.source.to_since(),
            "through_seq": self.through.to_since(),
        })
    }
}
