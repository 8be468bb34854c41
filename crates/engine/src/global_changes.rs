//! The database `_global_changes`: where it exists, a document `EVENT:DATABASE` is edited there whenever something happens
//! to another database, so that its feed tells it, over restarts, too.
//!
//! Events of up to a second are written together, each once for a database; those of the last second are lost when the
//! process is killed. Source: `global_changes_server.erl`, `global_changes_listener.erl`.

use crate::{Database, Engine, Error, caller::Caller, engine::Inner};
use bytes::Bytes;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tidegate_json::{Limits, scan_document};
use tidegate_store::{Edit, Event, History, News};
use tidegate_types::{DbName, DocId};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Between two writes.
const PERIOD: Duration = Duration::from_secs(1);
/// After a write that failed.
const PAUSE: Duration = Duration::from_secs(30);

impl Engine {
    /// The database that tells what happens to the others.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::NoDatabase`], or the storage failed.
    pub async fn global_changes(&self, caller: &Caller) -> Result<Database, Error> {
        self.check_admin(caller)?;
        self.database(caller, &DbName::global_changes()).await
    }
}

/// Writes events until it is told to stop.
pub(crate) async fn run(engine: Weak<Inner>, news: Arc<News>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = news.changed() => {}
            () = stop.cancelled() => return,
        }
        let Some(inner) = engine.upgrade() else { return };
        let written = inner.write_events(&news).await;
        drop(inner);
        let pause = match written {
            Ok(()) => PERIOD,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "what happened to databases could not be told in _global_changes");
                PAUSE
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => break,
        }
    }
    // Those of the last second.
    if let Some(inner) = engine.upgrade()
        && let Err(error) = inner.write_events(&news).await
    {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "the last events could not be told in _global_changes");
    }
}

impl Inner {
    /// Listens where the database is there.
    pub(crate) async fn watch_databases(&self) -> Result<(), Error> {
        match self.store.database(&DbName::global_changes()).await {
            Ok(_) => self.store.news().listen(),
            Err(tidegate_store::Error::NoDatabase(_)) => self.store.news().ignore(),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Writes the events there are. Those that can't be written are told again.
    async fn write_events(&self, news: &News) -> Result<(), Error> {
        let own = DbName::global_changes();
        let events: Vec<_> = news.take().into_iter().filter(|(name, _)| *name != own).collect();
        if events.is_empty() {
            return Ok(());
        }
        let written = self.try_write_events(&events).await;
        if written.is_err() {
            events.iter().for_each(|(name, event)| news.tell(name, *event));
        }
        written
    }

    async fn try_write_events(&self, events: &[(DbName, Event)]) -> Result<(), Error> {
        let database = match self.store.database(&DbName::global_changes()).await {
            Err(tidegate_store::Error::NoDatabase(_)) => return Ok(()),
            database => database?,
        };
        let ids: Vec<DocId> = events.iter().filter_map(|(name, event)| id_of(name, *event)).collect();
        let winners = database.reader()?.winners(&ids).await?;
        let empty = scan_document(b"{}", Limits::default()).map(|document| document.canonical_with(&[]));
        let canonical: Bytes = empty.unwrap_or_default().into();
        let edits = ids.into_iter().zip(winners).map(|(id, winner)| {
            let parent = winner.map(|winner| winner.rev);
            let history = History::Edit { parent, canonical: canonical.clone() };
            Edit { id, history, deleted: false, members: Bytes::new(), attachments: Vec::new(), assignment: None }
        });
        for written in database.edit(edits.collect()).await? {
            written?;
        }
        Ok(())
    }
}

fn id_of(name: &DbName, event: Event) -> Option<DocId> {
    let event = match event {
        Event::Created => "created",
        Event::Updated => "updated",
        Event::Deleted => "deleted",
    };
    format!("{event}:{name}").parse().ok()
}
