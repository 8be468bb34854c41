//! What replications are doing, as whoever runs them tells it.

use crate::{Caller, Engine, Error};
use std::{future::Future, pin::Pin, sync::Arc};
use tidegate_replication::{Progress, Summary};
use tidegate_types::DbName;

/// The replication that a document asks for.
#[derive(Clone, Debug)]
pub struct RunningReplication {
    /// The database of the document.
    pub database: DbName,
    /// The document's id.
    pub document: String,
    /// Where it stands.
    pub summary: Summary,
    /// How far it has got, if it ever ran.
    pub progress: Option<Progress>,
}

/// Tells all replications that documents ask for and that aren't over.
pub type TellReplications = Arc<dyn Fn() -> Telling + Send + Sync>;

/// An answer on its way.
type Telling = Pin<Box<dyn Future<Output = Vec<RunningReplication>> + Send>>;

impl Engine {
    /// Who tells what replications are doing. Once; without it, there are none.
    pub fn set_replications(&self, tell: TellReplications) {
        // Whoever came first stays: there is one replicator.
        self.inner.replications.set(tell).ok();
    }

    /// All replications that documents ask for and that aren't over.
    ///
    /// # Errors
    /// [`Error::Access`] for all but administrators.
    pub async fn replications(&self, caller: &Caller) -> Result<Vec<RunningReplication>, Error> {
        self.check_admin(caller)?;
        match self.inner.replications.get() {
            Some(tell) => Ok(tell().await),
            None => Ok(Vec::new()),
        }
    }
}
