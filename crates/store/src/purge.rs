//! Forgetting revisions for good.

use crate::{
    Database, Error,
    assignment::Former,
    commit::{Draft, Proposal, Stop},
    edit::{load, put_document, release_bodies},
    keys::Keys,
};
use tidegate_types::{DocId, Rev};

/// What a purge took away of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Of which document.
    pub id: DocId,
    /// The leaves that are gone.
    pub revs: Vec<Rev>,
}

impl Database {
    /// Takes leaves away, with the ancestors only they kept, as if they had never been; what isn't a leaf stays.
    ///
    /// # Errors
    /// The database is gone, or the storage failed.
    pub async fn purge(&self, requests: Vec<(DocId, Vec<Rev>)>) -> Result<Vec<Purged>, Error> {
        let keys = self.0.keys;
        let proposals = requests.into_iter().map(|(id, revs)| Proposal {
            reads: vec![keys.document(id.as_str())],
            bytes: 0,
            apply: Box::new(move |draft| apply(keys, &id, &revs, draft)),
        });
        self.0.propose(proposals.collect()).await?.into_iter().collect()
    }
}

fn apply(keys: Keys, id: &DocId, revs: &[Rev], draft: &mut Draft<'_>) -> Result<Purged, Stop> {
    let Some(mut record) = load(keys, id, draft)? else { return Ok(Purged { id: id.clone(), revs: Vec::new() }) };
    let former = Former::of(keys, (id, &record), draft)?;
    let purge = record.tree.purge(revs);
    if !purge.revs.is_empty() {
        release_bodies(keys, &purge.bodies, draft)?;
        draft.meta.purge_seq += 1;
        put_document(keys, id, record, former.as_ref(), draft)?;
    }
    Ok(Purged { id: id.clone(), revs: purge.revs })
}
