//! A row of a feed as JSON, without its closing brace: a document may follow.
//!
//! A row that many listeners get is made once for each thread that sends it.

use super::params::Style;
use crate::sequence::WireSeq;
use std::{cell::RefCell, io::Write as _};
use tidegate_engine::Change;
use tidegate_json::write_string;
use tidegate_types::Rev;

/// Rows kept for other listeners: those of the latest commits.
const SHARED: usize = 128;

thread_local! {
    static LATEST: RefCell<Vec<Option<Row>>> = RefCell::new((0..SHARED).map(|_| None).collect());
}

/// A row that was made. What a database says under one sequence never changes, so it never grows stale.
struct Row {
    seq: WireSeq,
    style: Style,
    text: Vec<u8>,
}

/// Appends a row, made or remembered.
pub(crate) fn write_shared(seq: WireSeq, change: &Change, style: Style, out: &mut Vec<u8>) {
    LATEST.with_borrow_mut(|latest| {
        let place = usize::try_from(change.seq.get() % SHARED as u64).unwrap_or_default();
        let Some(slot) = latest.get_mut(place) else { return write(Some(seq), change, style, out) };
        match slot {
            Some(row) if row.seq == seq && row.style == style => out.extend_from_slice(&row.text),
            Some(_) | None => {
                let mut text = Vec::with_capacity(96 + change.id.as_str().len());
                write(Some(seq), change, style, &mut text);
                out.extend_from_slice(&text);
                *slot = Some(Row { seq, style, text });
            }
        }
    });
}

/// Appends a row; without a sequence it says null there.
pub(crate) fn write(seq: Option<WireSeq>, change: &Change, style: Style, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"seq\":");
    match seq {
        None => out.extend_from_slice(b"null"),
        Some(seq) => write_quoted(seq, out),
    }
    out.extend_from_slice(b",\"id\":");
    write_string(out, change.id.as_str());
    out.extend_from_slice(b",\"changes\":[");
    write_rev(&change.winner, out);
    let others = match style {
        Style::MainOnly => &[],
        Style::AllDocs => change.others.as_slice(),
    };
    for rev in others {
        out.push(b',');
        write_rev(rev, out);
    }
    out.push(b']');
    if change.deleted {
        out.extend_from_slice(b",\"deleted\":true");
    }
}

/// Appends what happened to a database: its event, and its name.
pub(crate) fn write_db_update(seq: WireSeq, (event, database): (&str, &str), out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"db_name\":");
    write_string(out, database);
    out.extend_from_slice(b",\"type\":");
    write_string(out, event);
    out.extend_from_slice(b",\"seq\":");
    write_quoted(seq, out);
}

fn write_rev(rev: &Rev, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"rev\":");
    write_quoted(rev, out);
    out.push(b'}');
}

/// Appends what needs no escapes.
fn write_quoted(text: impl std::fmt::Display, out: &mut Vec<u8>) {
    out.push(b'"');
    if let Err(error) = write!(out, "{text}") {
        tracing::error!(%error, "a vector could not be written to");
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_engine::Position;
    use tidegate_types::Seq;

    fn change(seq: u64, id: &str) -> Change {
        let (id, winner) = (id.parse().unwrap(), "2-b".parse().unwrap());
        let others = vec!["2-a".parse().unwrap()];
        Change { seq: Seq::new(seq), id, deleted: true, winner, others, winner_body: None, reach: None }
    }

    fn shared(database: u8, change: &Change, style: Style) -> String {
        let mut out = Vec::new();
        write_shared(
            WireSeq { position: Position::at(change.seq), database: Some([database; 8]) },
            change,
            style,
            &mut out,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_remembered_row_is_of_its_database_sequence_and_style() {
        let first = shared(0, &change(1, "a"), Style::MainOnly);
        assert_eq!(first, r#"{"seq":"1-0000000000000000","id":"a","changes":[{"rev":"2-b"}],"deleted":true"#);
        assert_eq!(shared(0, &change(1, "a"), Style::MainOnly), first);
        assert!(shared(0, &change(1, "a"), Style::AllDocs).contains(r#"[{"rev":"2-b"},{"rev":"2-a"}]"#));
        assert!(shared(1, &change(1, "b"), Style::MainOnly).contains(r#""id":"b""#));
        assert!(shared(0, &change(1 + SHARED as u64, "c"), Style::MainOnly).contains(r#""id":"c""#));
    }
}
