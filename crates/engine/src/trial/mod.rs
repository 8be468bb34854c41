//! Trying a sync function out: on one document, or on all that are there, before it goes live. Nothing is written.
//!
//! Source: Sync Gateway's diagnostic `_sync`; `spec/gateway.md` 2.7.

mod access;
mod dry_run;
#[cfg(test)]
mod tests;

pub use dry_run::{DryRun, DryRunProgress, DryRunReport, Flow, Moved, UserShift};

use crate::{
    Absence, Database, Engine, Error,
    validators::{text_of_old, text_of_parent},
};
use bytes::Bytes;
use tidegate_script::{Error as ScriptError, Expiry, LogLine, Place, Program, Rejection, SyncCaller, SyncInput};
use tidegate_store::Reader;
use tidegate_types::{Channel, DocId, Principal, PrincipalName};

/// What a sync function is tried on.
#[derive(Clone, Debug, Default)]
pub struct TrialInput {
    /// The function; `None` is the database's own.
    pub source: Option<String>,
    /// The document as a JSON object; `None` is the one that is stored under `id`.
    pub document: Option<Bytes>,
    /// The document that it replaces. `None` is the one that is stored under `id`, if there is one, or its parent where
    /// that is the document itself.
    pub old_document: Option<Bytes>,
    /// A document that is there.
    pub id: Option<DocId>,
    /// What is known beside the document.
    pub meta: Option<Bytes>,
    /// For whom the function runs.
    pub caller: SyncCaller,
}

/// What a sync function decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// The channels of the document.
    pub channels: Vec<Channel>,
    /// Which channels users and roles are given.
    pub access: Vec<(Principal, Vec<Channel>)>,
    /// Which roles users are given.
    pub roles: Vec<(PrincipalName, Vec<PrincipalName>)>,
    /// When the document goes, if the function says so.
    pub expiry: Option<Expiry>,
    /// Why the document may not be written, if it may not.
    pub exception: Option<TrialException>,
    /// What the function logged.
    pub log: Vec<LogLine>,
}

/// Why a document may not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialException {
    /// The function refuses it.
    Refused(Rejection),
    /// The function failed: what with, and where in its source, if that is known.
    Failed(String, Option<Place>),
}

impl Database {
    /// What a sync function decides on a document.
    ///
    /// # Errors
    /// [`Error::Access`]; [`Error::NotFound`] for an id without a document, where one is needed; [`Error::Script`] where no
    /// function can be run; or the storage failed.
    pub async fn try_sync(&self, input: TrialInput) -> Result<Trial, Error> {
        self.check_admin()?;
        let program = self.trial_program(input.source.as_deref()).await?;
        let reader = self.store.reader()?;
        let TrialInput { document, old_document, id, meta, caller, .. } = input;
        let stored = match &id {
            Some(id) => stored(&reader, id).await?,
            None => None,
        };
        let (document, known_old) = match (document, stored) {
            (Some(document), stored) => (document, stored.map(|(document, _)| document)),
            (None, Some((document, parent))) => (document, parent),
            (None, None) => return Err(Error::NotFound(Absence::Missing)),
        };
        let old_document = old_document.or(known_old);
        self.engine.try_program(&program, SyncInput { document, old_document, meta, caller }).await
    }

    /// The function of this source; the database's own, or else the default, if there is none.
    async fn trial_program(&self, source: Option<&str>) -> Result<Program, Error> {
        match source {
            Some(source) => Ok(Program::sync(format!("trial/{:032x}", rand::random::<u128>()), source)),
            None => crate::sync::load(&self.store).await,
        }
    }
}

impl Engine {
    /// What a program decides, its failures included.
    pub(crate) async fn try_program(&self, program: &Program, input: SyncInput) -> Result<Trial, Error> {
        let failed = |error: &ScriptError, place: Option<Place>| Trial {
            exception: Some(TrialException::Failed(error.to_string(), place)),
            ..Trial::default()
        };
        match self.scripts()?.sync(program, input).await {
            Ok(outcome) => Ok(Trial {
                channels: outcome.channels,
                access: outcome.access,
                roles: outcome.roles,
                expiry: outcome.expiry,
                exception: outcome.rejection.map(TrialException::Refused),
                log: outcome.log,
            }),
            Err(error @ (ScriptError::Compile { place, .. } | ScriptError::Thrown { place, .. })) => {
                Ok(failed(&error, place))
            }
            Err(error @ (ScriptError::Timeout | ScriptError::Memory | ScriptError::Stack | ScriptError::Input)) => {
                Ok(failed(&error, None))
            }
            Err(ScriptError::Overloaded) => Err(Error::Overloaded),
            Err(error @ (ScriptError::Stopped | ScriptError::Internal(_))) => Err(error.into()),
        }
    }
}

/// Whether a text is a sync function: compiled on this thread, and thrown away.
///
/// # Errors
/// What is wrong with it.
pub fn check_sync_function(source: &str) -> Result<(), ScriptError> {
    Program::sync("check", source).check(tidegate_script::Limits::default())
}

/// A document's winner as a function gets it, and the revision that it replaced.
pub(crate) async fn stored(reader: &Reader, id: &DocId) -> Result<Option<(Bytes, Option<Bytes>)>, Error> {
    let Some(state) = reader.document(id).await? else { return Ok(None) };
    let Some(winner) = state.tree.winner() else { return Ok(None) };
    let Some(document) = text_of_old(reader, id, (&state.tree, &winner.rev)).await? else { return Ok(None) };
    Ok(Some((document, text_of_parent(reader, id, (&state.tree, &winner.rev)).await?)))
}
