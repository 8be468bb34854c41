//! `POST _bulk_docs`: many revisions in one request. Source: `spec/gateway.md` 2.3.
//!
//! The text is read once, and a document's members stay where they are in it until the store copies them.

use super::{
    render::Version,
    special::rules,
    write::{check_history, check_plain, conflict_of, expiry},
};
use crate::{
    context::{Answer, Context, json},
    error::Error,
    local,
};
use bytes::Bytes;
use http::StatusCode;
use hyper::body::Incoming;
use tidegate_documents::{Edits, Outcomes, ParsedDocument, commit_all, from_scanned, local_id, stage, to_its_end};
use tidegate_engine::{Database, Write};
use tidegate_json::{Document as Scanned, Limits, Members, scan_document, write_string};
use tidegate_types::{DocId, Rev};

/// A request taken apart.
struct Batch {
    edits: Edits,
    entries: Vec<Entry>,
}

enum Entry {
    Document(DocId, Box<ParsedDocument>),
    /// Written last, and told last.
    Local(DocId, Bytes),
    /// By the id that was sent.
    Refused(String, Error),
}

/// A row of the answer in the making.
struct Row {
    id: String,
    /// The revision that it edits.
    parent: Option<Rev>,
    outcome: Outcome,
}

enum Outcome {
    /// The next of the engine's.
    Pending,
    /// A local document's revision.
    Local(String),
    Refused(Error),
}

pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let batch = parse(&cx.read_json(body).await?)?;
    let has_attachments = batch.entries.iter().any(Entry::has_attachments);
    let version = Version::of(cx);
    let rows = if has_attachments {
        let (task_cx, db) = (cx.clone(), db.clone());
        to_its_end(&cx.tasks, async move { run(&task_cx, &db, batch, version).await }).await?
    } else {
        run(cx, db, batch, version).await?
    };
    Ok(json(StatusCode::CREATED, rows))
}

fn parse(text: &Bytes) -> Result<Batch, Error> {
    let edits = edits_of(text)?;
    let mut entries = None;
    let mut members = Members::new(text, Limits::default())?;
    while let Some(name) = members.next_name()? {
        if name == "docs" {
            let mut found = Vec::new();
            members.documents(|raw, scanned| {
                found.push(parse_entry(text, (raw, scanned), edits));
                Ok::<_, Error>(())
            })?;
            entries = Some(found);
        }
    }
    Ok(Batch { edits, entries: entries.ok_or(Error::bad_request("missing 'docs' property"))? })
}

/// What `new_edits` says, wherever it stands; some clients send it as a string.
fn edits_of(text: &Bytes) -> Result<Edits, Error> {
    let mut edits = Edits::Made;
    let mut members = Members::new(text, Limits::default())?;
    while let Some(name) = members.next_name()? {
        if name == "new_edits" {
            edits = match members.value()? {
                b"false" | b"\"false\"" => Edits::Replicated,
                b"true" | b"\"true\"" | b"null" => Edits::Made,
                _ => return Err(Error::bad_json("new_edits must be a boolean")),
            };
        }
    }
    Ok(edits)
}

fn parse_entry(text: &Bytes, (raw, scanned): (&[u8], Scanned<'_>), edits: Edits) -> Entry {
    if let Some(id) = local_id(&scanned) {
        return Entry::Local(id, Bytes::copy_from_slice(raw));
    }
    let named = scanned.special("_id").and_then(tidegate_json::read_string).unwrap_or_default().into_owned();
    match parse_document(text, scanned, edits) {
        Ok((id, document)) => Entry::Document(id, Box::new(document)),
        Err(error) => Entry::Refused(named, error),
    }
}

fn parse_document(text: &Bytes, scanned: Scanned<'_>, edits: Edits) -> Result<(DocId, ParsedDocument), Error> {
    let mut document = from_scanned(text, scanned, rules(edits))?;
    if edits == Edits::Replicated {
        check_history(&document)?;
    }
    match document.id.take() {
        Some(id) => Ok((check_plain(id)?, document)),
        None => Ok((format!("{:032x}", rand::random::<u128>()).parse()?, document)),
    }
}

impl Entry {
    fn has_attachments(&self) -> bool {
        match self {
            Self::Document(_, document) => !document.attachments.is_empty(),
            Self::Local(..) | Self::Refused(..) => false,
        }
    }
}

/// Writes all; the answer's text.
async fn run(cx: &Context, db: &Database, batch: Batch, version: Version) -> Result<Vec<u8>, Error> {
    let Batch { edits, entries } = batch;
    let mut writes = Vec::with_capacity(entries.len());
    let (mut rows, mut locals) = (Vec::with_capacity(entries.len()), Vec::new());
    for entry in entries {
        match entry {
            Entry::Document(id, document) => rows.push(prepare(cx, db, (id, *document, edits), &mut writes).await),
            Entry::Refused(id, error) => rows.push(Row { id, parent: None, outcome: Outcome::Refused(error) }),
            Entry::Local(id, raw) => locals.push((id, raw)),
        }
    }
    let outcomes = commit_all(db, writes).await?;
    for (id, raw) in locals {
        let written = put_local(db, &id, &raw).await;
        rows.push(Row {
            id: id.to_string(),
            parent: None,
            outcome: written.map_or_else(Outcome::Refused, Outcome::Local),
        });
    }
    Ok(render(db, rows, outcomes, version))
}

async fn put_local(db: &Database, id: &DocId, raw: &[u8]) -> Result<String, Error> {
    local::write(db, id, &scan_document(raw, Limits::default())?).await
}

async fn prepare(
    cx: &Context,
    db: &Database,
    (id, document, edits): (DocId, ParsedDocument, Edits),
    writes: &mut Vec<Write>,
) -> Row {
    let (named, parent) = (id.to_string(), document.revs.first().cloned());
    let staged = match expiry(cx, &document) {
        Ok(expires_s) => stage(db, id, document, edits).await.map(|write| Write { expires_s, ..write }),
        Err(error) => return Row { id: named, parent, outcome: Outcome::Refused(error) },
    };
    match staged {
        Ok(write) => {
            writes.push(write);
            Row { id: named, parent, outcome: Outcome::Pending }
        }
        Err(error) => Row { id: named, parent, outcome: Outcome::Refused(error.into()) },
    }
}

fn render(db: &Database, rows: Vec<Row>, outcomes: Outcomes, version: Version) -> Vec<u8> {
    let mut outcomes = outcomes.into_iter();
    let mut out = Vec::with_capacity(rows.len() * 96 + 2);
    out.push(b'[');
    for Row { id, parent, outcome } in rows {
        if out.len() > 1 {
            out.push(b',');
        }
        let saved = match outcome {
            Outcome::Pending => match outcomes.next() {
                Some(Ok(written)) => Ok((written.rev.to_string(), version.text(db, &written.rev))),
                Some(Err(error)) => Err(conflict_of(error, parent.as_ref())),
                None => Err(Error::conflict("Document revision conflict")),
            },
            Outcome::Local(rev) => Ok((rev, None)),
            Outcome::Refused(error) => Err(error),
        };
        match saved {
            Ok((rev, version)) => write_saved(&mut out, &id, (&rev, version.as_deref())),
            Err(error) => write_failed(&mut out, &id, &error),
        }
    }
    out.push(b']');
    out
}

fn write_saved(out: &mut Vec<u8>, id: &str, (rev, version): (&str, Option<&str>)) {
    out.push(b'{');
    if let Some(version) = version {
        out.extend_from_slice(format!("\"cv\":\"{version}\",").as_bytes());
    }
    out.extend_from_slice(b"\"id\":");
    write_string(out, id);
    out.extend_from_slice(format!(",\"rev\":\"{rev}\"}}").as_bytes());
}

/// Appends a row that says what is wrong.
pub(super) fn write_failed(out: &mut Vec<u8>, id: &str, error: &Error) {
    out.extend_from_slice(b"{\"error\":");
    write_string(out, error.row_word());
    out.extend_from_slice(b",\"id\":");
    write_string(out, id);
    out.extend_from_slice(b",\"reason\":");
    write_string(out, &error.reason);
    out.extend_from_slice(format!(",\"status\":{}}}", error.status.as_u16()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Batch, Error> {
        parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn what_is_refused_at_all() {
        let refusal = |text: &str| parsed(text).err().unwrap().reason;
        assert_eq!(refusal("{}"), "missing 'docs' property");
        assert!(refusal("null").starts_with("Bad JSON: "));
        assert!(refusal(r#"{"docs":[null]}"#).starts_with("Bad JSON: "));
        assert!(refusal(r#"{"docs":{}}"#).starts_with("Bad JSON: "));
        assert!(refusal(r#"{"docs":[],"new_edits":1}"#).starts_with("Bad JSON: "));
    }

    #[test]
    fn one_bad_entry_leaves_the_others_alone() {
        let batch = parsed(r#"{"docs":[{"_id":"_x"},{"_id":"a"},{"_id":"_local/q"},{"_id":"b","_sync":1}]}"#).unwrap();
        let shown: Vec<String> = batch
            .entries
            .iter()
            .map(|entry| match entry {
                Entry::Document(id, _) => format!("document {id}"),
                Entry::Local(id, _) => format!("local {id}"),
                Entry::Refused(id, error) => format!("{id}: {} {}", error.row_word(), error.reason),
            })
            .collect();
        let expected = [
            "_x: bad_request Invalid doc ID",
            "document a",
            "local _local/q",
            "b: bad_request document-top level property '_sync' is a reserved internal property",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn replicated_revisions_say_which_they_are() {
        let edits = |text: &str| parsed(text).unwrap().edits;
        assert_eq!(edits(r#"{"docs":[],"new_edits":"false"}"#), Edits::Replicated);
        assert_eq!(edits(r#"{"docs":[]}"#), Edits::Made);
        let batch = parsed(r#"{"docs":[{"_id":"a"},{"_id":"b","_rev":"1-123"}],"new_edits":false}"#).unwrap();
        assert!(matches!(batch.entries.as_slice(), [Entry::Refused(..), Entry::Document(..)]));
    }
}
