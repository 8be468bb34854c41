//! One write of one document, planned before it is sent, so that the ledger knows what it would leave behind.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    content::{Attachment, body},
    ledger::{Attempt, Leaf, Naming, Revision},
};

/// What happens to the document.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A new body; the parent's attachments stay or go by the luck of its marker, and one may come.
    Body,
    /// A tombstone.
    Delete,
    /// The parent's body with one more attachment.
    Attach {
        /// Its name.
        name: String,
        /// Its content.
        attachment: Attachment,
    },
}

/// A planned write.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) id: String,
    pub(super) attempt: Attempt,
    /// The attachments the parent has already: they are sent as stubs.
    stubs: BTreeMap<String, Attachment>,
    /// The revision to be sent; none for a document that doesn't exist or is deleted.
    revision: Option<Revision>,
}

impl Edit {
    /// Plans a change of the leaf `parent`, or of nothing.
    pub(super) fn plan(id: &str, parent: Option<(Revision, Leaf)>, change: Change, marker: u64) -> Self {
        let (revision, base) = parent.unzip();
        let base = base.unwrap_or_default();
        let live = base.marker.is_some();
        let leaf = match change {
            Change::Body => Leaf { deleted: false, marker: Some(marker), attachments: attachments(&base, marker) },
            Change::Delete => Leaf { deleted: true, ..Leaf::default() },
            Change::Attach { name, attachment } => {
                let mut leaf = base.clone();
                leaf.attachments.insert(name, attachment);
                leaf
            }
        };
        Self {
            id: id.to_owned(),
            stubs: base.attachments,
            revision: revision.clone().filter(|_revision| live),
            attempt: Attempt { naming: Naming::Server { parent: revision }, leaf },
        }
    }

    /// Plans a revision that is named already, with its path, newest first.
    pub(super) fn branch(id: &str, leaf: Leaf, path: Vec<Revision>) -> Self {
        let naming = Naming::Writer { path };
        Self { id: id.to_owned(), attempt: Attempt { naming, leaf }, stubs: BTreeMap::new(), revision: None }
    }

    /// The document as it is sent, with `_id`.
    pub(super) fn json(&self) -> Map<String, Value> {
        let mut json = self.attempt.leaf.marker.map(body).unwrap_or_default();
        let mut put = |name: &str, value: Value| drop(json.insert(name.to_owned(), value));
        put("_id", json!(self.id));
        if let Some(revision) = &self.revision {
            put("_rev", json!(revision.to_string()));
        }
        if let Naming::Writer { path } = &self.attempt.naming {
            let ids: Vec<&str> = path.iter().map(|revision| revision.digest.as_str()).collect();
            put("_revisions", json!({ "start": path.first().map(|revision| revision.generation), "ids": ids }));
        }
        if self.attempt.leaf.deleted {
            put("_deleted", json!(true));
        }
        if !self.attempt.leaf.attachments.is_empty() {
            let entry = |(name, attachment): (&String, &Attachment)| {
                let stub = self.stubs.get(name) == Some(attachment);
                (name.clone(), if stub { attachment.stub() } else { attachment.inline() })
            };
            put("_attachments", Value::Object(self.attempt.leaf.attachments.iter().map(entry).collect()));
        }
        json
    }

    /// The revision as it is sent in a query.
    pub(super) fn sent_revision(&self) -> String {
        self.revision.as_ref().map(Revision::to_string).unwrap_or_default()
    }

    /// The new revision, if the writer names it.
    pub(super) fn named_revision(&self) -> Option<Revision> {
        match &self.attempt.naming {
            Naming::Server { .. } => None,
            Naming::Writer { path } => path.first().cloned(),
        }
    }
}

fn attachments(base: &Leaf, marker: u64) -> BTreeMap<String, Attachment> {
    let mut attachments = if marker.is_multiple_of(3) { BTreeMap::new() } else { base.attachments.clone() };
    if marker.is_multiple_of(11) {
        attachments.insert("inline".to_owned(), Attachment::new(marker));
    }
    attachments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(revision: &str) -> (Revision, Leaf) {
        let attachments = BTreeMap::from([("a".to_owned(), Attachment::new(5))]);
        (revision.parse().unwrap(), Leaf { deleted: false, marker: Some(1), attachments })
    }

    #[test]
    fn what_is_sent() {
        let update = Edit::plan("d", Some(live("1-a")), Change::Body, 4).json();
        assert_eq!((&update["_rev"], &update["marker"]), (&json!("1-a"), &json!(4)));
        assert_eq!(update["_attachments"], json!({ "a": Attachment::new(5).stub() }));
        let dropping = Edit::plan("d", Some(live("1-a")), Change::Body, 3).json();
        assert!(!dropping.contains_key("_attachments"));
        let gone = Edit::plan("d", Some(live("1-a")), Change::Delete, 4).json();
        assert_eq!(Value::Object(gone), json!({ "_id": "d", "_rev": "1-a", "_deleted": true }));
    }

    #[test]
    fn a_tombstone_is_written_over_without_its_revision() {
        let tombstone = Leaf { deleted: true, ..Leaf::default() };
        let edit = Edit::plan("d", Some(("2-b".parse().unwrap(), tombstone)), Change::Body, 4);
        assert!(!edit.json().contains_key("_rev"));
        assert!(matches!(&edit.attempt.naming, Naming::Server { parent: Some(parent) } if parent.generation == 2));
    }

    #[test]
    fn a_branch_tells_its_path() {
        let path = vec!["3-c".parse().unwrap(), "2-b".parse().unwrap()];
        let leaf = Leaf { marker: Some(4), ..Leaf::default() };
        let json = Edit::branch("d", leaf, path).json();
        assert_eq!(json["_revisions"], json!({ "start": 3, "ids": ["c", "b"] }));
    }
}
