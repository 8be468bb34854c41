//! Filters that look at documents: selectors and functions of design documents.
//!
//! Changes are judged in batches: a hop to the thread that runs a function costs more than the function does.
//! Source: `couch_changes:filter`.

use super::params::Style;
use crate::{
    document::render::{self, Options},
    error::Error,
};
use bytes::Bytes;
use std::fmt;
use tidegate_engine::{Change, Database, Detail, Document, OpenRev, OpenRevs, Pool, Program};
use tidegate_json::{Limits, Members, write_string};
use tidegate_selector::Selector;
use tidegate_types::Rev;

/// What decides on documents' content.
pub(crate) enum Content {
    /// Those pass that match.
    Selector(Selector),
    /// Those pass for which the function says so, being told of the request.
    Function { program: Program, scripts: Pool, request: Bytes },
    /// Those pass for which the map function emits something.
    View { program: Program, scripts: Pool },
}

/// Changes judged at once, and the bytes of their documents after which a batch is large enough.
pub(super) const JUDGED_AT_ONCE: usize = 100;
const BATCH_BYTES_MAX: usize = 1 << 20;

impl Content {
    /// What is left of each change: its revisions that pass; nothing if none does.
    pub(crate) async fn judge(
        &self,
        db: &Database,
        changes: &[&Change],
        style: Style,
    ) -> Result<Vec<Option<Change>>, Error> {
        let mut left = Vec::with_capacity(changes.len());
        let mut batch = Vec::new();
        let mut bytes = 0;
        for (index, change) in changes.iter().enumerate() {
            let revisions = revisions(db, change, style).await?;
            bytes += revisions.iter().map(|document| document.members.len()).sum::<usize>();
            batch.push((*change, revisions));
            if bytes >= BATCH_BYTES_MAX || index + 1 == changes.len() {
                left.extend(self.judge_batch(std::mem::take(&mut batch)).await?);
                bytes = 0;
            }
        }
        Ok(left)
    }

    async fn judge_batch(&self, batch: Vec<(&Change, Vec<Document>)>) -> Result<Vec<Option<Change>>, Error> {
        let documents = batch.iter().flat_map(|(_, revisions)| revisions);
        let verdicts = match self {
            Self::Selector(selector) => {
                documents.map(|document| matches(selector, document)).collect::<Result<_, _>>()?
            }
            Self::Function { program, scripts, request } => {
                scripts.filter(program, documents.map(text).collect(), request.clone()).await?
            }
            Self::View { program, scripts } => scripts.filter_by_view(program, documents.map(text).collect()).await?,
        };
        let mut verdicts: std::vec::IntoIter<bool> = verdicts.into_iter();
        let left = batch.iter().map(|(change, revisions)| {
            let passed =
                revisions.iter().filter(|_| verdicts.next().unwrap_or(false)).map(|document| document.rev.clone());
            with_revisions(change, passed.collect())
        });
        Ok(left.collect())
    }
}

/// The revisions that a change is judged by. One that has changed again comes later, and isn't judged now.
async fn revisions(db: &Database, change: &Change, style: Style) -> Result<Vec<Document>, Error> {
    let winner = db.changed_document(change, Detail::Plain).await?;
    let mut revisions: Vec<Document> = winner.into_iter().collect();
    if style == Style::AllDocs && !change.others.is_empty() {
        for found in db.open_revs(&change.id, &OpenRevs::These(change.others.clone())).await? {
            match found {
                OpenRev::Found(document) => revisions.push(*document),
                OpenRev::Missing(_) => {}
            }
        }
    }
    Ok(revisions)
}

fn with_revisions(change: &Change, passed: Vec<Rev>) -> Option<Change> {
    let mut passed = passed.into_iter();
    let winner = passed.next()?;
    Some(Change { winner, others: passed.collect(), ..change.clone() })
}

fn text(document: &Document) -> Bytes {
    let mut out = Vec::with_capacity(document.members.len() + 128);
    render::text(document, &Options::default(), &mut out);
    out.into()
}

fn matches(selector: &Selector, document: &Document) -> Result<bool, Error> {
    let (mut id, mut rev) = (Vec::new(), Vec::new());
    write_string(&mut id, document.id.as_str());
    write_string(&mut rev, &document.rev.to_string());
    let mut special: Vec<(&str, &[u8])> = vec![("_id", &id), ("_rev", &rev)];
    if document.deleted {
        special.push(("_deleted", b"true"));
    }
    let whole = (!document.attachments.is_empty() && selector.reads("_attachments")).then(|| text(document));
    if let Some(whole) = &whole {
        special.extend(member(whole, "_attachments")?.map(|value| ("_attachments", value)));
    }
    Ok(selector.matches(&tidegate_selector::Document { special: &special, members: &document.members }))
}

fn member<'t>(text: &'t [u8], wanted: &str) -> Result<Option<&'t [u8]>, Error> {
    for member in Members::new(text, Limits::default())? {
        let (name, value) = member?;
        if name == wanted {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selector(selector) => f.debug_tuple("Selector").field(selector).finish(),
            Self::Function { program, .. } => f.debug_tuple("Function").field(&program.key()).finish(),
            Self::View { program, .. } => f.debug_tuple("View").field(&program.key()).finish(),
        }
    }
}
