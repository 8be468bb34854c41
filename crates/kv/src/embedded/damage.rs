//! What was found to be damaged, told to those who only see what came of it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::Error;

/// The first damage found in the tree's files since they were opened.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    first: Mutex<Option<(PathBuf, u64)>>,
}

impl Damage {
    /// The block at `offset` of `file` isn't what was written.
    pub(crate) fn note(&self, file: &Path, offset: u64) {
        tracing::error!(file = %file.display(), offset, "damaged: this is not what was written here");
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| (file.to_owned(), offset));
    }

    /// What was found, if anything was.
    pub(crate) fn found(&self) -> Option<Error> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let detail = || "this is not what was written here".to_owned();
        first.as_ref().map(|(file, offset)| Error::Corrupt { file: file.clone(), offset: *offset, detail: detail() })
    }

    /// Takes a step that reads the tree. Where it fails or panics on damage, the damage is the error; a panic for any other
    /// reason goes on.
    pub(crate) fn guard<T>(&self, step: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        match catch_unwind(AssertUnwindSafe(step)) {
            Ok(Err(error @ (Error::Tree { .. } | Error::Corrupt { .. }))) => Err(self.found().unwrap_or(error)),
            Ok(other) => other,
            Err(panic) => Err(self.found().unwrap_or_else(|| resume_unwind(panic))),
        }
    }
}
