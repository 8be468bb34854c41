//! `POST _bulk_docs`: many revisions in one request. Source: `chttpd_db:db_req`, `spec/couch.md` 2 and 3.2.
//!
//! The text is read once, and a document's members stay where they are in it until the store copies them.

use super::{
    special::rules,
    write::{check_revs, write_saved},
};
use crate::{
    context::{Answer, Context, json},
    error::{Error, not_a_document},
    local::{self, LocalWrite},
};
use bytes::Bytes;
use http::StatusCode;
use hyper::body::Incoming;
use tidegate_documents::{
    Edits, Outcomes, ParsedDocument, commit_all, contents, discard, from_scanned, local_id, stage, to_its_end,
};
use tidegate_engine::{Database, Write};
use tidegate_json::{Document as Scanned, Limits, Members, write_string};
use tidegate_types::{DocId, Rev};

/// A request taken apart.
struct Batch {
    edits: Edits,
    atomicity: Atomicity,
    entries: Vec<Entry>,
}

/// Whether the documents were asked to be written together or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Atomicity {
    Each,
    AllOrNothing,
}

enum Entry {
    Document(DocId, ParsedDocument),
    Local(DocId, LocalWrite),
}

/// A row of the answer in the making.
struct Row {
    id: DocId,
    /// The revision that was sent, where failures name it.
    rev: Option<Rev>,
    outcome: Outcome,
}

enum Outcome {
    /// The next of the engine's.
    Pending,
    /// The number of a local document's revision.
    Local(String),
    Refused(Error),
}

pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let batch = parse(cx, &cx.read_json(body).await?)?;
    if batch.atomicity == Atomicity::AllOrNothing && batch.edits == Edits::Made {
        return Ok(json(StatusCode::EXPECTATION_FAILED, refuse_all(&batch.entries)));
    }
    // One id that can't be here refuses all. Source: `chttpd_db:db_req`, `couch_doc:validate_docid`.
    for entry in &batch.entries {
        if let Entry::Document(id, _) = entry {
            db.check_doc_id(id)?;
        }
    }
    let has_attachments = batch.entries.iter().any(Entry::has_attachments);
    let rows = if has_attachments {
        let db = db.clone();
        to_its_end(&cx.tasks, async move { run(&db, batch).await }).await?
    } else {
        run(db, batch).await?
    };
    Ok(json(StatusCode::CREATED, rows))
}

fn parse(cx: &Context, text: &Bytes) -> Result<Batch, Error> {
    let (mut edits, mut atomicity) = (Edits::Made, Atomicity::Each);
    let mut entries = None;
    let mut members = Members::new(text, Limits::default())?;
    while let Some(name) = members.next_name()? {
        match &*name {
            "docs" => entries = Some(parse_docs(cx, text, &mut members)?),
            "new_edits" => {
                edits = match members.value()? {
                    b"true" => Edits::Made,
                    b"false" => Edits::Replicated,
                    _ => return Err(Error::bad_request("`new_edits` parameter must be a boolean.")),
                }
            }
            "all_or_nothing" => {
                let is_asked_for = members.value()? == b"true";
                atomicity = if is_asked_for { Atomicity::AllOrNothing } else { Atomicity::Each };
            }
            _ => {}
        }
    }
    let entries = entries.ok_or(Error::bad_request("POST body must include `docs` parameter."))?;
    for entry in &entries {
        if let Entry::Document(_, document) = entry {
            check_revs(document, edits)?;
        }
    }
    Ok(Batch { edits, atomicity, entries })
}

fn parse_docs(cx: &Context, text: &Bytes, members: &mut Members<'_>) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let scanned = members.documents(|raw, scanned| {
        entries.push(parse_entry(cx, text, (raw, scanned)).map_err(Stop::Refused)?);
        Ok(())
    });
    match scanned {
        Ok(()) => Ok(entries),
        Err(Stop::Refused(error)) => Err(error),
        Err(Stop::Json(tidegate_json::Error::NotAnArray { .. })) => {
            Err(Error::bad_request("`docs` parameter must be an array."))
        }
        Err(Stop::Json(error)) => Err(not_a_document(error)),
    }
}

/// Why the list of documents isn't read to its end.
enum Stop {
    Json(tidegate_json::Error),
    Refused(Error),
}

impl From<tidegate_json::Error> for Stop {
    fn from(error: tidegate_json::Error) -> Self {
        Self::Json(error)
    }
}

fn parse_entry(cx: &Context, text: &Bytes, (raw, scanned): (&[u8], Scanned<'_>)) -> Result<Entry, Error> {
    if let Some(id) = local_id(&scanned) {
        let write = local::parse(&id, raw, None)?;
        return Ok(Entry::Local(id, write));
    }
    let mut document = from_scanned(text, scanned, rules)?;
    let id = match document.id.take() {
        Some(id) => id,
        None => cx.new_uuid().parse()?,
    };
    if document.members.len() > cx.live.limits.document_bytes_max {
        return Err(tidegate_engine::Error::DocumentTooLarge { id: id.to_string() }.into());
    }
    Ok(Entry::Document(id, document))
}

impl Entry {
    fn has_attachments(&self) -> bool {
        match self {
            Self::Document(_, document) => !document.attachments.is_empty(),
            Self::Local(..) => false,
        }
    }
}

/// Writes all; the answer's text.
async fn run(db: &Database, batch: Batch) -> Result<Vec<u8>, Error> {
    let Batch { edits, entries, .. } = batch;
    let mut writes = Vec::with_capacity(entries.len());
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        match prepare(db, entry, edits, &mut writes).await {
            Ok(row) => rows.push(row),
            Err(error) => {
                discard_all(db, &writes).await;
                return Err(error);
            }
        }
    }
    let outcomes = commit_all(db, writes).await?;
    Ok(render(rows, outcomes, edits))
}

async fn prepare(db: &Database, entry: Entry, edits: Edits, writes: &mut Vec<Write>) -> Result<Row, Error> {
    match entry {
        Entry::Document(id, document) => {
            let rev = document.revs.first().filter(|_| edits == Edits::Replicated).cloned();
            writes.push(stage(db, id.clone(), document, edits).await?);
            Ok(Row { id, rev, outcome: Outcome::Pending })
        }
        Entry::Local(id, write) => {
            let outcome = write.apply(db).await.map_or_else(Outcome::Refused, |(_, rev)| Outcome::Local(rev));
            Ok(Row { id, rev: None, outcome })
        }
    }
}

async fn discard_all(db: &Database, writes: &[Write]) {
    discard(db, writes.iter().flat_map(|write| contents(&write.attachments)).collect()).await;
}

/// Nothing is written together or not at all. Source: `fabric_doc_update:validate_atomic_update`.
fn refuse_all(entries: &[Entry]) -> Vec<u8> {
    let reason = "all_or_nothing is not supported";
    let error = Error::new(StatusCode::EXPECTATION_FAILED, "not_implemented", reason);
    let mut out = vec![b'['];
    for entry in entries {
        if out.len() > 1 {
            out.push(b',');
        }
        match entry {
            Entry::Document(id, document) => write_failed(&mut out, (id, document.revs.first()), &error),
            Entry::Local(id, _) => write_failed(&mut out, (id, None), &error),
        }
    }
    out.extend_from_slice(b"]\n");
    out
}

/// All rows; of replicated revisions only the failures.
fn render(rows: Vec<Row>, outcomes: Outcomes, edits: Edits) -> Vec<u8> {
    let mut outcomes = outcomes.into_iter();
    let mut out = Vec::with_capacity(rows.len() * 128 + 3);
    out.push(b'[');
    for Row { id, rev, outcome } in rows {
        let saved = match outcome {
            Outcome::Pending => match outcomes.next() {
                Some(Ok(written)) => Ok(written.rev.to_string()),
                Some(Err(error)) => Err(error.into()),
                None => Err(Error::conflict()),
            },
            Outcome::Local(rev) => Ok(rev),
            Outcome::Refused(error) => Err(error),
        };
        if saved.is_ok() && edits == Edits::Replicated {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        match saved {
            Ok(rev) => write_saved(&mut out, &id, &rev),
            Err(error) => write_failed(&mut out, (&id, rev.as_ref()), &error),
        }
    }
    out.extend_from_slice(b"]\n");
    out
}

fn write_failed(out: &mut Vec<u8>, (id, rev): (&DocId, Option<&Rev>), Error(error): &Error) {
    out.extend_from_slice(b"{\"id\":");
    write_string(out, id.as_str());
    if let Some(rev) = rev {
        out.extend_from_slice(b",\"rev\":");
        super::render::put_rev(out, rev);
    }
    out.extend_from_slice(b",\"error\":");
    write_string(out, &error.error);
    out.extend_from_slice(b",\"reason\":");
    write_string(out, &error.reason);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_engine::Written;

    fn rows() -> Vec<Row> {
        let row = |id: &str, rev: Option<&str>, outcome| Row {
            id: id.parse().unwrap(),
            rev: rev.map(|rev| rev.parse().unwrap()),
            outcome,
        };
        vec![
            row("a", None, Outcome::Pending),
            row("_local/b", None, Outcome::Local("0-3".to_owned())),
            row("c", Some("2-x"), Outcome::Pending),
            row("d", None, Outcome::Pending),
        ]
    }

    fn outcomes() -> Outcomes {
        let written = |rev: &str| Ok(Written { rev: rev.parse().unwrap(), seq: None });
        vec![written("1-a"), Err(tidegate_engine::Error::Conflict), written("1-d")]
    }

    #[test]
    fn rows_are_in_the_order_of_the_request() {
        let text = String::from_utf8(render(rows(), outcomes(), Edits::Made)).unwrap();
        let expected = concat!(
            r#"[{"ok":true,"id":"a","rev":"1-a"},{"ok":true,"id":"_local/b","rev":"0-3"},"#,
            r#"{"id":"c","rev":"2-x","error":"conflict","reason":"Document update conflict."},"#,
            r#"{"ok":true,"id":"d","rev":"1-d"}]"#,
            "\n",
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn replicated_revisions_answer_failures_only() {
        let text = String::from_utf8(render(rows(), outcomes(), Edits::Replicated)).unwrap();
        assert_eq!(
            text,
            "[{\"id\":\"c\",\"rev\":\"2-x\",\"error\":\"conflict\",\"reason\":\"Document update conflict.\"}]\n"
        );
        assert_eq!(render(Vec::new(), Vec::new(), Edits::Replicated), b"[]\n");
    }
}
