//! The changes of documents that are named.

use super::{
    params::{Deleted, Params, Style},
    row::{self, Form, Told},
};
use crate::error::Error;
use tidegate_engine::{Database, DocRow, OpenRev, OpenRevs, Position};
use tidegate_types::DocId;

/// The whole answer.
pub(super) async fn list(db: &Database, params: &Params, ids: &[DocId]) -> Result<Vec<u8>, Error> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids.dedup();
    let (info, found) = db.rows(&ids).await?;
    let mut changed: Vec<DocRow> = found.into_iter().flatten().collect();
    changed.retain(|row| row.winner.seq > params.since.done());
    if params.deleted == Deleted::LeftOut {
        changed.retain(|row| !row.winner.deleted);
    }
    changed.sort_by_key(|row| row.winner.seq);
    let is_cut = changed.len() > params.limit;
    changed.truncate(params.limit);
    let last = changed.last().map(|row| row.winner.seq).filter(|_| is_cut).unwrap_or(info.update_seq);
    let mut out = b"{\"results\":[\r\n".to_vec();
    let mut is_first = true;
    for changed in changed {
        let mut row = if is_first { Vec::new() } else { vec![b','] };
        match write(db, params, changed, &mut row).await {
            Ok(()) => {
                is_first = false;
                out.extend_from_slice(&row);
                out.push(b'\n');
            }
            // Its reader has lost it since.
            Err(tidegate_engine::Error::NotFound(_) | tidegate_engine::Error::Access(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    out.extend_from_slice(format!("],\n\"last_seq\":\"{last}\"}}\n").as_bytes());
    Ok(out)
}

async fn write(
    db: &Database,
    params: &Params,
    changed: DocRow,
    out: &mut Vec<u8>,
) -> Result<(), tidegate_engine::Error> {
    let DocRow { id, winner } = changed;
    let others = match params.style {
        Style::Winner => Vec::new(),
        Style::AllDocs => {
            let leaves = db.open_revs(&id, &OpenRevs::All).await?.into_iter();
            let revs = leaves.map(|leaf| match leaf {
                OpenRev::Found(document) => document.rev,
                OpenRev::Missing(rev) => rev,
            });
            revs.filter(|rev| *rev != winner.rev).collect()
        }
    };
    let document = match &params.docs {
        Some(options) => {
            let row = DocRow { id: id.clone(), winner: winner.clone() };
            Some((db.row_document(&row).await?, options))
        }
        None => None,
    };
    let document = document.as_ref().map(|(document, options)| (document, *options));
    let told = Told {
        position: Position::at(winner.seq),
        id: &id,
        deleted: winner.deleted,
        winner: &winner.rev,
        others: &others,
        removed: &[],
        is_revoked: false,
    };
    row::write(db, &told, Form { style: params.style, names: params.names }, document, out);
    Ok(())
}
