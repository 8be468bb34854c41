//! A row of a feed as JSON.

use super::{
    params::{Names, Style},
    source::Row,
};
use crate::document::{
    render::{self, Options},
    version::version_of,
};
use tidegate_engine::{Database, Document};
use tidegate_json::write_string;
use tidegate_types::Rev;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) style: Style,
    pub(super) names: Names,
}

/// Appends a row, with its document if there is one.
pub(super) fn write(db: &Database, row: &Row, form: Form, document: Option<(&Document, &Options)>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"seq\":");
    row.position.write(out);
    out.extend_from_slice(b",\"id\":");
    write_string(out, row.change.id.as_str());
    if row.change.deleted {
        out.extend_from_slice(b",\"deleted\":true");
    }
    let mut separator = b",\"removed\":[".as_slice();
    for channel in &row.removed {
        out.extend_from_slice(std::mem::replace(&mut separator, b","));
        write_string(out, channel);
    }
    if !row.removed.is_empty() {
        out.push(b']');
    }
    if let Some((document, options)) = document {
        out.extend_from_slice(b",\"doc\":");
        render::text(db, document, options, out);
    }
    out.extend_from_slice(b",\"changes\":[");
    write_name(db, &row.change.winner, form.names, out);
    let others = match form.style {
        Style::Winner => &[],
        Style::AllDocs => row.change.others.as_slice(),
    };
    for rev in others {
        out.push(b',');
        write_name(db, rev, form.names, out);
    }
    out.extend_from_slice(if row.is_revoked { b"],\"revoked\":true}" } else { b"]}" });
}

fn write_name(db: &Database, rev: &Rev, names: Names, out: &mut Vec<u8>) {
    let text = match names {
        Names::Revs => format!("{{\"rev\":\"{rev}\"}}"),
        Names::Versions => format!("{{\"cv\":\"{}\"}}", version_of(db, rev)),
    };
    out.extend_from_slice(text.as_bytes());
}
