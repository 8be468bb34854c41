//! The preload libraries: compiled on demand, kept beside the test binaries under names that hold their content's hash.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Error;

/// Records what a process does to its files.
pub(crate) const RECORDER: &str = concat!(
    include_str!("../../shim/powercut/log.c"),
    include_str!("../../shim/powercut/content.c"),
    include_str!("../../shim/powercut/names.c"),
);

/// Distributions that turn on `_FORTIFY_SOURCE` make `open` an inline function, which cannot be replaced.
const FLAGS: &[&str] = &["-U_FORTIFY_SOURCE", "-shared", "-fPIC", "-O2"];
const LIBRARIES: &[&str] = &["-ldl", "-lpthread"];

/// A compiled preload library, compiling it when this content wasn't yet.
///
/// Tests running in parallel may both compile; each renames a whole file into place.
///
/// # Errors
/// [`Error::Compiler`] without a working `cc`, [`Error::Io`] when the folder of the test binary isn't writable.
pub(crate) fn library(source: &str) -> Result<PathBuf, Error> {
    let program = std::env::current_exe().map_err(Error::io("find", Path::new("the test binary")))?;
    let folder = program.parent().unwrap_or(Path::new("."));
    let library = folder.join(format!("preload-{:016x}.so", content_hash(source)));
    if !library.exists() {
        compile(source, folder, &library)?;
    }
    Ok(library)
}

fn content_hash(source: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (source, FLAGS, LIBRARIES).hash(&mut hasher);
    hasher.finish()
}

fn compile(text: &str, folder: &Path, library: &Path) -> Result<(), Error> {
    let scratch = tempfile::tempdir_in(folder).map_err(Error::io("make a folder in", folder))?;
    let (source, built) = (scratch.path().join("preload.c"), scratch.path().join("preload.so"));
    std::fs::write(&source, text).map_err(Error::io("write", &source))?;
    let mut cc = Command::new("cc");
    cc.args(FLAGS).arg("-o").arg(&built).arg(&source).args(LIBRARIES);
    let output = cc.output().map_err(Error::io("run", Path::new("cc")))?;
    if !output.status.success() {
        return Err(Error::Compiler { output: String::from_utf8_lossy(&output.stderr).into_owned() });
    }
    std::fs::rename(&built, library).map_err(Error::io("rename into place", library))
}
