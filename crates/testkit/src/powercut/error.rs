//! Why a recording or a rebuild failed. A wrong result of the engine under test isn't among these.

use std::io;
use std::path::{Path, PathBuf};

/// Why something couldn't be recorded or rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation of the simulator itself failed.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The C compiler refused the preload library.
    #[error("cc failed to build the preload library: {output}")]
    Compiler {
        /// What the compiler printed.
        output: String,
    },
    /// The workload ended with an error, or not in time.
    #[error("the workload failed ({status}): {stderr}")]
    Workload {
        /// How it ended.
        status: String,
        /// What it printed to standard error.
        stderr: String,
    },
    /// The workload ran without the preload library (a static binary, or one with extra rights).
    #[error("the workload ran, but nothing was recorded: the preload library was not loaded")]
    NotRecorded,
    /// The log doesn't make sense.
    #[error("record {record} of the log: {reason}")]
    Log {
        /// Number of the record, from 0.
        record: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The workload changed files in ways that cannot be replayed.
    #[error("the workload made calls that cannot be replayed: {}", calls.join(", "))]
    Unsupported {
        /// The calls.
        calls: Vec<String>,
    },
    /// The log, replayed in full, doesn't give the folder: a change escaped the preload library.
    #[error("the log is incomplete: {path} {reason}")]
    Incomplete {
        /// The file or folder, relative to the root.
        path: PathBuf,
        /// How replay and folder differ.
        reason: String,
    },
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
