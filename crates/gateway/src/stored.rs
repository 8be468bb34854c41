//! JSON documents that the server keeps for itself, as values: design documents, replications.

use crate::error::Error;
use serde_json::{Map, Value};
use tidegate_engine::{Document, Placement, Write};
use tidegate_json::{Limits, scan_document};
use tidegate_types::{DocId, Rev};

/// What a document says.
pub(crate) fn members(document: &Document) -> Result<Map<String, Value>, Error> {
    Ok(serde_json::from_slice(&[b"{".as_slice(), &document.members, b"}"].concat())?)
}

/// The edit of the revision `parent` that leaves these members; a tombstone where there are none.
pub(crate) fn edit(id: &DocId, members: Option<&Map<String, Value>>, parent: Option<Rev>) -> Result<Write, Error> {
    let text = Value::Object(members.cloned().unwrap_or_default()).to_string();
    let scanned = scan_document(text.as_bytes(), Limits::default())?;
    let deleted = members.is_none();
    let canonical = if deleted { scanned.canonical_with(&[("_deleted", b"true")]) } else { scanned.canonical.clone() };
    Ok(Write {
        id: id.clone(),
        placement: Placement::Edit { parent, canonical: canonical.into() },
        deleted,
        members: scanned.members.to_vec().into(),
        attachments: Vec::new(),
        expires_s: None,
    })
}
