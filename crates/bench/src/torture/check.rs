//! The comparison after a restart: ledgers against indexes, and documents read back against what was written.

use std::collections::BTreeMap;

use rand::{RngExt, rngs::StdRng};
use serde_json::Value;

use super::{
    content::{Attachment, body, escape},
    database::{PATH, Row, View},
    ledger::{Entry, Fate, Leaf, Revision},
    writer::Writer,
};
use crate::{
    Error,
    client::{Connection, Request},
};

/// Whose content is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// What was written since the last time, and some of the rest.
    Touched,
    /// Everything.
    Everything,
}

/// Writes under way when the server went, by what became of them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Fates {
    pub(super) landed: u64,
    pub(super) absent: u64,
}

impl Fates {
    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Settled => {}
            Fate::Landed => self.landed += 1,
            Fate::Absent => self.absent += 1,
        }
    }
}

/// Settles what was under way by the changes feed; reports what can't be.
pub(super) fn resolve(writer: &mut Writer, rows: &BTreeMap<&str, &Row>, violations: &mut Vec<String>) -> Fates {
    let mut fates = Fates::default();
    for (id, entry) in &mut writer.documents {
        let leaves = rows.get(id.as_str()).map_or_else(|| Ok(std::collections::BTreeSet::new()), |row| row.leaves());
        match leaves.and_then(|leaves| entry.resolve(&leaves)) {
            Ok(fate) => fates.count(fate),
            Err(text) => violations.push(format!("{id}: {text}")),
        }
        violations.extend(rows.get(id.as_str()).and_then(|row| disagreement(id, entry, row)));
    }
    // What was never written has no entry to keep.
    writer.documents.retain(|_id, entry| !entry.settled.leaves.is_empty());
    fates
}

/// Where the feed's row differs from the ledger in winner or deletion.
fn disagreement(id: &str, entry: &Entry, row: &Row) -> Option<String> {
    let (winner, leaf) = entry.settled.winner()?;
    let named = row.revisions.first()? == &winner.to_string();
    (!named || leaf.deleted != row.deleted).then(|| format!("{id}: the winner is {winner}, the feed has {row:?}"))
}

/// Reads documents back.
pub(super) struct Reader<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) depth: Depth,
    pub(super) random: &'a mut StdRng,
    pub(super) violations: &'a mut Vec<String>,
}

impl Reader<'_> {
    /// Reads a writer's documents and local documents back.
    ///
    /// # Errors
    /// When the server doesn't answer.
    pub(super) async fn read(&mut self, writer: &mut Writer) -> Result<Fates, Error> {
        for (id, entry) in &mut writer.documents {
            if entry.touched || self.depth == Depth::Everything || self.random.random_ratio(1, 50) {
                self.read_document(id, entry).await?;
                entry.touched = false;
            }
        }
        let mut fates = Fates::default();
        for (name, local) in &mut writer.locals {
            if local.touched || self.depth == Depth::Everything {
                match local.resolve(self.read_local(name).await?) {
                    Ok(fate) => fates.count(fate),
                    Err(text) => self.violations.push(format!("_local/{name}: {text}")),
                }
                local.touched = false;
            }
        }
        Ok(fates)
    }

    async fn read_document(&mut self, id: &str, entry: &Entry) -> Result<(), Error> {
        let path = format!("{PATH}/{}", escape(id));
        let plain = self.connection.request(Request::new("GET", &path)).await?;
        let found: Value = serde_json::from_slice(&plain.body).unwrap_or_default();
        let revision = found.get("_rev").and_then(Value::as_str);
        match entry.settled.winner() {
            Some((winner, leaf)) if !leaf.deleted && revision == Some(&winner.to_string()) => {}
            Some((_winner, leaf)) if leaf.deleted && plain.status == 404 => {}
            winner => self.violations.push(format!("{id}: {winner:?} is wanted, GET gives {}", plain.excerpt())),
        }
        for (revision, leaf) in &entry.settled.leaves {
            self.read_leaf(id, revision, leaf).await?;
        }
        Ok(())
    }

    async fn read_leaf(&mut self, id: &str, revision: &Revision, leaf: &Leaf) -> Result<(), Error> {
        let path = format!("{PATH}/{}?rev={revision}", escape(id));
        let response = self.connection.request(Request::new("GET", &path)).await?;
        let found: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        if let Some(difference) = difference(&found, leaf) {
            self.violations.push(format!("{id} {revision}: {difference}: {} {}", response.status, response.excerpt()));
        }
        for (name, attachment) in &leaf.attachments {
            let path = format!("{PATH}/{}/{}?rev={revision}", escape(id), escape(name));
            let response = self.connection.request(Request::new("GET", &path)).await?;
            if response.status != 200 || response.body != attachment.bytes() {
                self.violations.push(format!("{id} {revision}: attachment {name:?} is not what was written"));
            }
        }
        Ok(())
    }

    async fn read_local(&mut self, name: &str) -> Result<Option<(u64, String)>, Error> {
        let path = format!("{PATH}/_local/{name}");
        let response = self.connection.request(Request::new("GET", &path)).await?;
        let found: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let marker = found.get("marker").and_then(Value::as_u64);
        let revision = found.get("_rev").and_then(Value::as_str).unwrap_or_default();
        Ok(marker.filter(|_marker| response.is_success()).map(|marker| (marker, revision.to_owned())))
    }
}

/// The first difference between a document read and the leaf written.
fn difference(found: &Value, leaf: &Leaf) -> Option<&'static str> {
    let Some(members) = found.as_object() else { return Some("no document") };
    if (members.get("_deleted") == Some(&Value::Bool(true))) != leaf.deleted {
        return Some("deleted or not");
    }
    let own = |name: &str| !name.starts_with('_');
    let read: Vec<(&String, &Value)> = members.iter().filter(|(name, _value)| own(name)).collect();
    let written = leaf.marker.map(body).unwrap_or_default();
    if read != written.iter().collect::<Vec<_>>() {
        return Some("another body");
    }
    let attachments = members.get("_attachments").and_then(Value::as_object);
    if attachments.map_or(0, serde_json::Map::len) != leaf.attachments.len() {
        return Some("other attachments");
    }
    let same = |(name, attachment): (&String, &Attachment)| {
        let stub = attachments.and_then(|attachments| attachments.get(name));
        let digest = stub.and_then(|stub| stub.get("digest")).and_then(Value::as_str);
        let length = stub.and_then(|stub| stub.get("length")).and_then(Value::as_u64);
        digest == Some(&attachment.digest()) && length == Some(attachment.length as u64)
    };
    (!leaf.attachments.iter().all(same)).then_some("another attachment")
}

/// What the feed has that no ledger knows.
pub(super) fn strangers(view: &View, writers: &[Writer], contested: &BTreeMap<String, Revision>) -> Vec<String> {
    let known = |id: &str| contested.contains_key(id) || writers.iter().any(|writer| writer.documents.contains_key(id));
    let unknown = view.changes.iter().filter(|(id, _row)| !known(id));
    unknown.map(|(id, row)| format!("{id} is there, and nobody wrote it: {row:?}")).collect()
}
