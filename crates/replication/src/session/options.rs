//! What a session needs to know at its start.

use serde_json::{Map, Value};

use super::Wait;
use crate::{Filter, Job, SourceSeq, Stats, Style, Tuning};

/// What a session is to do, and within which bounds.
#[derive(Clone, Debug)]
pub struct Options {
    /// The session's own id: 32 hexadecimal digits that no other session has.
    pub session_id: String,
    /// Any number: it spreads retries in time.
    pub jitter_seed: u64,
    /// The source, as people see it.
    pub source: String,
    /// The target, as people see it.
    pub target: String,
    /// Whether the session goes on when everything is copied.
    pub wait: Wait,
    /// The members to make the target with, if it is to be made.
    pub create_target: Option<Map<String, Value>>,
    /// Which documents.
    pub filter: Filter,
    /// Which of their leaves.
    pub style: Style,
    /// Where to begin without a checkpoint.
    pub since_seq: Option<SourceSeq>,
    /// Sizes and times.
    pub tuning: Tuning,
    /// What earlier sessions of the job counted.
    pub stats: Stats,
    /// Leaves in one batch, beside the rows that [`Tuning`] bounds; a row with more is a batch of its own.
    pub batch_revs_max: usize,
    /// Revisions asked for in one `_bulk_get`.
    pub fetch_revs_max: usize,
    /// Bytes of revisions that are read and not yet written, beyond which nothing more is read. What was asked for
    /// before still comes.
    pub bytes_max: usize,
    /// Bytes after which a write begins.
    pub write_bytes_max: usize,
}

impl Options {
    /// The options of a session for `job`.
    pub fn for_job(job: &Job, session_id: impl Into<String>, jitter_seed: u64) -> Self {
        Self {
            session_id: session_id.into(),
            jitter_seed,
            source: job.source.to_string(),
            target: job.target.to_string(),
            wait: job.wait,
            create_target: job.create_target.clone(),
            filter: job.filter.clone(),
            style: job.style,
            since_seq: job.since_seq.clone(),
            tuning: job.tuning.clone(),
            stats: Stats::default(),
            batch_revs_max: 2000,
            fetch_revs_max: 100,
            bytes_max: 32 * 1024 * 1024,
            write_bytes_max: 4 * 1024 * 1024,
        }
    }

    /// Rows of the feed held before they are taken into batches. Source: `couch_replicator_scheduler_job`, twice what
    /// all workers take.
    pub(super) fn rows_max(&self) -> usize {
        self.tuning.worker_batch_size.saturating_mul(self.tuning.worker_processes).saturating_mul(2)
    }

    /// Bytes one batch holds back. What all batches hold back leaves room to read, or nothing would ever move.
    pub(super) fn held_bytes_max(&self) -> usize {
        let share = self.bytes_max.checked_div(self.tuning.worker_processes).unwrap_or(self.bytes_max);
        self.write_bytes_max.min(share)
    }
}
