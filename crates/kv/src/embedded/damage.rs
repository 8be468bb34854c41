//! What was found to be damaged, told to those who only see what came of it.

use std::{
    cell::Cell,
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

thread_local! {
    /// Whether damage is known to whoever guards this thread's step.
    static FOLLOWED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread follows from damage and becomes the [`Error::Corrupt`] that tells of it. A hook for panics
/// may keep such a one to itself.
pub fn panics_on_damage() -> bool {
    FOLLOWED.get()
}

impl Damage {
    /// The block at `offset` of `file` isn't what was written.
    pub(crate) fn note(&self, file: &Path, offset: u64) {
        tracing::error!(file = %file.display(), offset, "damaged: this is not what was written here");
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| (file.to_owned(), offset));
        FOLLOWED.set(true);
    }

    /// What was found, if anything was.
    pub(crate) fn found(&self) -> Option<Error> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let detail = || "this is not what was written here".to_owned();
        first.as_ref().map(|(file, offset)| Error::Corrupt { file: file.clone(), offset: *offset, detail: detail() })
    }

    /// Takes a step that catches its panics; meanwhile [`panics_on_damage`] tells of this damage.
    pub(crate) fn followed<T>(&self, step: impl FnOnce() -> T) -> T {
        let before = FOLLOWED.replace(self.found().is_some());
        let taken = step();
        FOLLOWED.set(before);
        taken
    }

    /// Takes a step that reads the tree. Where it fails or panics on damage, the damage is the error; a panic for any other
    /// reason goes on.
    pub(crate) fn guard<T>(&self, step: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        match self.followed(|| catch_unwind(AssertUnwindSafe(step))) {
            Ok(Err(error @ (Error::Tree { .. } | Error::Corrupt { .. }))) => Err(self.found().unwrap_or(error)),
            Ok(other) => other,
            Err(panic) => Err(self.found().unwrap_or_else(|| resume_unwind(panic))),
        }
    }
}
