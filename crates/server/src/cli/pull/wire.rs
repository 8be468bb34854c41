//! What the two servers answer, as far as it is of interest.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::collections::BTreeMap;
use tidegate_replication::{Missing, Page, Row, SourceSeq};

/// `GET /db`.
#[derive(Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub(super) instance_start_time: Value,
    pub(super) update_seq: Value,
}

/// `GET /db/_changes`.
#[derive(Deserialize)]
pub(super) struct Changes {
    results: Vec<Change>,
    last_seq: Value,
    pending: Option<u64>,
}

#[derive(Deserialize)]
struct Change {
    seq: Value,
    id: String,
    changes: Vec<Leaf>,
    #[serde(default)]
    deleted: bool,
}

#[derive(Deserialize)]
struct Leaf {
    rev: String,
}

/// `POST /db/_revs_diff`.
#[derive(Deserialize)]
pub(super) struct Diff {
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    possible_ancestors: Vec<String>,
}

/// `POST /db/_bulk_get`.
#[derive(Deserialize)]
pub(crate) struct BulkGot<'a> {
    #[serde(borrow)]
    pub(crate) results: Vec<GotOne<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct GotOne<'a> {
    pub(crate) id: String,
    #[serde(borrow)]
    pub(crate) docs: Vec<Found<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct Found<'a> {
    #[serde(borrow)]
    pub(crate) ok: Option<&'a RawValue>,
}

/// The members of a document that matter here.
#[derive(Deserialize)]
pub(super) struct Head<'a> {
    #[serde(rename = "_rev")]
    pub(super) rev: String,
    #[serde(rename = "_attachments", borrow, default)]
    pub(super) attachments: BTreeMap<String, &'a RawValue>,
}

/// A refusal in the answer of `_bulk_docs`.
#[derive(Deserialize)]
pub(super) struct Written {
    #[serde(default)]
    pub(super) id: String,
    pub(super) rev: Option<String>,
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) reason: String,
}

impl Changes {
    /// The page that was asked for with at most `rows_max` rows.
    pub(super) fn page(self, rows_max: usize) -> Page {
        let is_last = self.results.len() < rows_max;
        let count = self.results.len();
        let rows: Vec<Row> = self.results.into_iter().filter_map(Change::row).collect();
        let unreadable = count.saturating_sub(rows.len()) as u64;
        Page { rows, last_seq: Some(SourceSeq::from_json(&self.last_seq)), pending: self.pending, is_last, unreadable }
    }
}

impl Change {
    fn row(self) -> Option<Row> {
        let revs = self.changes.into_iter().map(|leaf| leaf.rev.parse()).collect::<Result<_, _>>().ok()?;
        Some(Row { seq: SourceSeq::from_json(&self.seq), id: self.id.parse().ok()?, revs, deleted: self.deleted })
    }
}

/// What the target lacks, in no particular order.
pub(super) fn missing(diff: BTreeMap<String, Diff>) -> Vec<Missing> {
    let one = |(id, diff): (String, Diff)| {
        let revs = |texts: Vec<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Some(Missing { id: id.parse().ok()?, revs: revs(diff.missing), ancestors: revs(diff.possible_ancestors) })
    };
    diff.into_iter().filter_map(one).collect()
}
