//! A resync under way.

use super::{
    Naming, place_of,
    progress::{Job, JobState, Progress},
};
use crate::{Engine, Error, engine::Inner, rules::Rules, sync};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tidegate_script::{Expiry, Program};
use tidegate_store::{Assignment, Database, DocumentState, Reader, Reassigned, Reassignment};
use tidegate_types::{DocId, Seq};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Documents looked at in one go; other writes get their turn between two.
const DOCUMENTS_AT_ONCE: usize = 100;
/// How often a document is looked at that changes again and again: whoever changes it has it judged, too.
const LOOKS_MAX: usize = 10;
/// While the server has too much to do.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of an error that are kept.
const ERROR_BYTES_MAX: usize = 1_024;

/// Whether there is more to do.
#[derive(PartialEq, Eq)]
enum Page {
    More,
    Last,
}

/// What was found in a page.
#[derive(Default)]
struct Tally {
    processed: u64,
    errored: u64,
    last_error: Option<String>,
}

/// A document, and what is decided anew on it; why the function refused it, if it did.
struct Anew {
    reassignment: Reassignment,
    refused: Option<String>,
}

/// Runs a resync to its end, or until it is stopped. When the server stops, it is left as it is and goes on later.
pub(super) async fn run(engine: Weak<Inner>, db: Database, job: Arc<Job>, stop: CancellationToken) {
    let state = loop {
        if stop.is_cancelled() {
            return;
        }
        if job.is_stopping() {
            break JobState::Stopped;
        }
        let Some(inner) = engine.upgrade() else { return };
        let page = Engine { inner }.resync_page(&db, &job).await;
        match page {
            Ok(Page::More) => tokio::task::yield_now().await,
            Ok(Page::Last) => break JobState::Completed,
            Err(Error::Overloaded) => tokio::select! {
                () = sleep(PAUSE) => {}
                () = stop.cancelled() => return,
            },
            Err(_) if stop.is_cancelled() => return,
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::error!(database = %db.name(), error = cause, "a resync failed");
                job.progress().last_error = error.to_string();
                break JobState::Error;
            }
        }
    };
    let Some(inner) = engine.upgrade() else { return };
    // Until it isn't under way any more, it runs: whoever sees that it has ended can start another one.
    let kept = async {
        job.keep_end(&db, state).await?;
        inner.name_resync(&place_of(&db), Naming::Remove).await
    };
    if let Err(error) = kept.await {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(database = %db.name(), error, "the end of a resync isn't kept");
    }
    inner.resyncs.leave(db.collection_id());
}

impl Engine {
    async fn resync_page(&self, db: &Database, job: &Job) -> Result<Page, Error> {
        // Before documents are read: those that change afterwards are judged by these rules, or by newer ones.
        let rules = self.inner.rules(db).await?;
        let Some(program) = rules.sync.as_ref() else { return Ok(Page::Last) };
        begin(db, job, program).await?;
        let reader = db.reader()?;
        let after = job.progress().after.clone();
        let mut documents = reader.documents_after(after.as_ref(), DOCUMENTS_AT_ONCE).await?;
        let Some(last) = documents.last().map(|(id, _)| id.clone()) else { return Ok(Page::Last) };
        let mut tally = Tally { processed: documents.len() as u64, ..Tally::default() };
        let page = if documents.len() < DOCUMENTS_AT_ONCE { Page::Last } else { Page::More };
        let mut reader = reader;
        for _ in 0..LOOKS_MAX {
            let (mut anew, mut refused) = (Vec::with_capacity(documents.len()), Vec::new());
            for (id, state) in documents {
                let decided = self.anew(&rules, program, &reader, (id, &state)).await?;
                refused.push(decided.refused);
                anew.push(decided.reassignment);
            }
            let ids: Vec<DocId> = anew.iter().map(|anew| anew.id.clone()).collect();
            let outcomes = db.reassign(anew).await?;
            let Some(outrun) = tally.take(job, (outcomes, refused), &ids)? else { return Ok(Page::More) };
            if outrun.is_empty() {
                break;
            }
            reader = db.reader()?;
            let states = reader.documents(&outrun).await?;
            documents = outrun.into_iter().zip(states).filter_map(|(id, state)| Some((id, state?))).collect();
        }
        tally.settle(job, last);
        job.keep(db).await?;
        Ok(page)
    }

    /// What the function says of a document's leaves.
    async fn anew(
        &self,
        rules: &Rules,
        program: &Program,
        reader: &Reader,
        (id, state): (DocId, &DocumentState),
    ) -> Result<Anew, Error> {
        let (mut revisions, mut refused) = (Vec::new(), None);
        for leaf in state.tree.leaves() {
            let Some(body) = leaf.body.stored() else { continue };
            let (granted, expires_s) = match self.ask(program, reader, (&id, &state.tree, leaf)).await? {
                Ok(outcome) if leaf.deleted => (sync::granted(outcome), None),
                Ok(outcome) => {
                    let expires_s = self.expires_anew(outcome.expiry, (reader, body)).await?;
                    (sync::granted(outcome), expires_s)
                }
                Err(reason) => {
                    refused = Some(reason);
                    (Assignment::default(), reader.assigned(body).await?.expires_s)
                }
            };
            revisions.push((body, Assignment { expires_s, judged_by: rules.version(), ..granted }));
        }
        Ok(Anew { reassignment: Reassignment { id, read_at: state.seq, revisions }, refused })
    }

    /// A time that counts from a write isn't counted anew: documents that have one keep it. So do those that the function
    /// says nothing of.
    async fn expires_anew(&self, expiry: Option<Expiry>, (reader, body): (&Reader, Seq)) -> Result<Option<u64>, Error> {
        let old = reader.assigned(body).await?.expires_s;
        let new = sync::expires_s(expiry, self.inner.now_s());
        Ok(match (expiry, old) {
            (Some(Expiry::After(1..)), Some(old)) => Some(old),
            (_, old) => new.unwrap_or(old),
        })
    }
}

/// From the beginning, if it is another function than the one that was asked so far.
async fn begin(db: &Database, job: &Job, program: &Program) -> Result<(), Error> {
    if job.progress().function == program.key() {
        return Ok(());
    }
    let info = db.info().await?;
    let mut progress = job.progress();
    let before = progress.clone();
    *progress = Progress {
        id: before.id,
        function: program.key().to_owned(),
        targeted: info.doc_count + info.doc_del_count,
        ..Progress::new(before.start_s)
    };
    Ok(())
}

impl Tally {
    /// Counts what became of documents; and which ones have to be looked at again. `None` if the rules changed, so that all
    /// have to.
    fn take(
        &mut self,
        job: &Job,
        (outcomes, refused): (Vec<Result<Reassigned, tidegate_store::Error>>, Vec<Option<String>>),
        ids: &[DocId],
    ) -> Result<Option<Vec<DocId>>, Error> {
        let (mut outrun, mut is_outdated) = (Vec::new(), false);
        for ((outcome, refused), id) in outcomes.into_iter().zip(refused).zip(ids) {
            match outcome {
                Ok(Reassigned::Outrun) => {
                    outrun.push(id.clone());
                    continue;
                }
                Ok(Reassigned::Changed) => job.progress().changed += 1,
                Ok(Reassigned::Unchanged) => {}
                Err(tidegate_store::Error::Outdated) => is_outdated = true,
                Err(error) => return Err(error.into()),
            }
            if let Some(reason) = refused {
                self.errored += 1;
                tracing::warn!(document = %id, reason, "the sync function refuses a document, which is in no channel now");
                self.last_error = Some(format!("{id}: {reason}"));
            }
        }
        Ok((!is_outdated).then_some(outrun))
    }

    fn settle(self, job: &Job, last: DocId) {
        let mut progress = job.progress();
        progress.after = Some(last);
        progress.processed += self.processed;
        progress.errored += self.errored;
        if let Some(mut error) = self.last_error {
            error.truncate(error.floor_char_boundary(ERROR_BYTES_MAX));
            progress.last_error = error;
        }
    }
}
