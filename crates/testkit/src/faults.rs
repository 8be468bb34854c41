//! Faults of the system under a running process: syncs that fail or hang, a clock that jumps back.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::powercut::{Error, shim};

const SOURCE: &str = include_str!("../shim/faults.c");

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `fsync` and `fdatasync` fail with `EIO`.
    SyncFails,
    /// They don't return.
    SyncHangs,
    /// The clock is behind by so many seconds.
    ClockBack(u32),
}

/// Switches faults on and off, for the processes that have its [`Faults::environment`].
#[derive(Debug)]
pub struct Faults {
    library: PathBuf,
    folder: TempDir,
}

impl Faults {
    /// No fault yet.
    ///
    /// # Errors
    /// The preload library can't be compiled, or there is nowhere to write.
    pub fn new() -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
        Ok(Self { library: shim::library(SOURCE)?, folder })
    }

    /// What a process needs to be reached.
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let folder = self.folder.path().as_os_str().to_owned();
        vec![("LD_PRELOAD".into(), self.library.clone().into()), ("FAULTS".into(), folder)]
    }

    /// From now on it goes wrong.
    ///
    /// # Errors
    /// The file that says so can't be written.
    pub fn set(&self, fault: Fault) -> io::Result<()> {
        let measure = match fault {
            Fault::SyncFails | Fault::SyncHangs => 0,
            Fault::ClockBack(seconds) => seconds,
        };
        // Renamed into place: half a number must not be read.
        let whole = self.folder.path().join("next");
        fs::write(&whole, measure.to_string())?;
        fs::rename(whole, self.path(fault))
    }

    /// It goes wrong no more.
    ///
    /// # Errors
    /// It wasn't set.
    pub fn clear(&self, fault: Fault) -> io::Result<()> {
        fs::remove_file(self.path(fault))
    }

    fn path(&self, fault: Fault) -> PathBuf {
        self.folder.path().join(match fault {
            Fault::SyncFails => "sync-fails",
            Fault::SyncHangs => "sync-hangs",
            Fault::ClockBack(_) => "clock-back",
        })
    }
}
