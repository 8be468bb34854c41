//! A row of a feed as JSON.

use super::{
    params::{Names, Style},
    position,
};
use crate::document::{
    render::{self, Options},
    version::version_of,
};
use std::io::Write as _;
use tidegate_engine::{Change, Database, Document, Position};
use tidegate_json::write_string;
use tidegate_types::{Channel, DocId, Rev};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    pub(super) style: Style,
    pub(super) names: Names,
}

/// What a row tells.
pub(super) struct Told<'a> {
    pub(super) position: Position,
    pub(super) id: &'a DocId,
    pub(super) deleted: bool,
    pub(super) winner: &'a Rev,
    /// The other leaves.
    pub(super) others: &'a [Rev],
    /// The channels the document has left, where it can't be seen in others.
    pub(super) removed: &'a [Channel],
    /// Whether the reader has lost it.
    pub(super) is_revoked: bool,
}

impl<'a> Told<'a> {
    /// A change that is seen.
    pub(super) fn of(position: Position, change: &'a Change) -> Self {
        let Change { id, deleted, winner, others, .. } = change;
        Self { position, id, deleted: *deleted, winner, others, removed: &[], is_revoked: false }
    }
}

/// Appends a row, with its document if there is one.
pub(super) fn write(
    db: &Database,
    row: &Told<'_>,
    form: Form,
    document: Option<(&Document, &Options)>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"seq\":");
    position::write(row.position, out);
    out.extend_from_slice(b",\"id\":");
    write_string(out, row.id.as_str());
    if row.deleted {
        out.extend_from_slice(b",\"deleted\":true");
    }
    let mut separator = b",\"removed\":[".as_slice();
    for channel in row.removed {
        out.extend_from_slice(std::mem::replace(&mut separator, b","));
        write_string(out, channel.as_str());
    }
    if !row.removed.is_empty() {
        out.push(b']');
    }
    if let Some((document, options)) = document {
        out.extend_from_slice(b",\"doc\":");
        render::text(db, document, options, out);
    }
    out.extend_from_slice(b",\"changes\":[");
    write_name(db, row.winner, form.names, out);
    let others = match form.style {
        Style::Winner => &[],
        Style::AllDocs => row.others,
    };
    for rev in others {
        out.push(b',');
        write_name(db, rev, form.names, out);
    }
    out.extend_from_slice(if row.is_revoked { b"],\"revoked\":true}" } else { b"]}" });
}

/// Appends the row of a user that changed itself: its feed goes on with what it has come to see.
pub(super) fn write_user(position: Position, name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"seq\":");
    position::write(position, out);
    out.extend_from_slice(b",\"id\":");
    write_string(out, &format!("_user/{name}"));
    out.extend_from_slice(b",\"changes\":[]}");
}

fn write_name(db: &Database, rev: &Rev, names: Names, out: &mut Vec<u8>) {
    // A `Vec` takes everything.
    drop(match names {
        Names::Revs => write!(out, "{{\"rev\":\"{rev}\"}}"),
        Names::Versions => write!(out, "{{\"cv\":\"{}\"}}", version_of(db, rev)),
    });
}
