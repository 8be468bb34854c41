//! The store's folder: made whole or not at all, locked while it is open, marked with a version.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use super::{log::Mark, segment, segment::sync_dir, upgrade};
use crate::{Error, error::IoContext};

const FORMAT: &str = "FORMAT";
const FORMAT_DRAFT: &str = "FORMAT.new";
const FORMAT_NAME: &str = "tidegate-kv";
const FORMAT_VERSION: u32 = 2;
const LOCK: &str = "lock";
const TREE: &str = "tree.redb";
const LOG: &str = "log";

/// A folder that is a store, and ours until dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: Lock,
    format: u32,
}

/// Keeps a folder ours until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started elsewhere may have a copy for a moment.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "could not unlock the store's folder");
        }
    }
}

impl Folder {
    /// Opens the store at `path`, made by [`Self::create`] if there is none.
    pub(crate) fn open(path: &Path, fill: impl FnOnce(&Path, Mark) -> Result<(), Error>) -> Result<Self, Error> {
        if is_absent(path)? {
            return Self::create(path, fill);
        }
        let format = path.join(FORMAT);
        let format = match fs::read_to_string(&format) {
            Ok(text) => check_format(path, &text)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::NotAStore { path: path.to_owned() });
            }
            Err(error) => return Err(error).at("read", &format),
        };
        let lock = lock(path)?;
        // Whoever made the store may have been killed between naming it, or the folder around it, and syncing that.
        let parent = parent(path)?;
        sync_dir(&parent)?;
        sync_above(&parent);
        Ok(Self { path: path.to_owned(), lock, format })
    }

    /// Makes a store at `path`, with a tree that `fill` makes durable, given its path and its mark.
    ///
    /// Everything is made and synced in a folder beside it, which is then renamed: a crash leaves the whole store, or none
    /// and a folder that the next try makes again.
    pub(crate) fn create(path: &Path, fill: impl FnOnce(&Path, Mark) -> Result<(), Error>) -> Result<Self, Error> {
        let parent = parent(path)?;
        create_dir_durable(&parent)?;
        sync_above(&parent);
        let draft = draft_path(&parent, path)?;
        match fs::create_dir(&draft) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error).at("make", &draft),
            Ok(()) | Err(_) => {}
        }
        // The lock goes along when the folder is renamed, so nobody gets in between.
        let lock = lock(&draft)?;
        clear(&draft)?;
        let folder = Self { path: draft, lock, format: FORMAT_VERSION };
        folder.write_files(fill)?;
        fs::rename(&folder.path, path).at("rename to its place", &folder.path)?;
        sync_dir(&parent)?;
        Ok(Self { path: path.to_owned(), ..folder })
    }

    fn write_files(&self, fill: impl FnOnce(&Path, Mark) -> Result<(), Error>) -> Result<(), Error> {
        let log = self.log();
        fs::create_dir(&log).at("make", &log)?;
        let first = segment::Header::new(1, 1);
        drop(segment::create(&log, first, None)?);
        fill(&self.tree(), Mark { position: 0, segment: first.number, offset: segment::HEADER_BYTES })?;
        let tree = self.tree();
        File::open(&tree).and_then(|file| file.sync_all()).at("sync", &tree)?;
        self.write_format(FORMAT)?;
        sync_dir(&self.path)
    }

    fn write_format(&self, name: &str) -> Result<(), Error> {
        let format = self.path.join(name);
        let mut file = File::create(&format).at("make", &format)?;
        file.write_all(format!("{FORMAT_NAME} {FORMAT_VERSION}\n").as_bytes()).at("write", &format)?;
        file.sync_all().at("sync", &format)
    }

    /// Makes a folder of an older format one of ours. A crash leaves either; the next start does it again.
    pub(crate) fn upgrade(&self) -> Result<(), Error> {
        if self.format < FORMAT_VERSION {
            upgrade::from_1(&self.path)?;
            self.write_format(FORMAT_DRAFT)?;
            let draft = self.path.join(FORMAT_DRAFT);
            fs::rename(&draft, self.path.join(FORMAT)).at("rename", &draft)?;
            sync_dir(&self.path)?;
        }
        Ok(())
    }

    /// The folder of the log.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// The tree's file.
    pub(crate) fn tree(&self) -> PathBuf {
        self.path.join(TREE)
    }

    /// What keeps the folder ours.
    pub(crate) fn into_lock(self) -> Lock {
        self.lock
    }
}

/// Whether there is nothing at `path`, or an empty folder.
pub(crate) fn is_absent(path: &Path) -> Result<bool, Error> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).at("list", path),
    }
}

/// The version that a store says it has, if it is one we read.
fn check_format(path: &Path, text: &str) -> Result<u32, Error> {
    let version = text.trim_end().strip_prefix(FORMAT_NAME).and_then(|rest| rest.trim_start().parse::<u32>().ok());
    match version {
        None => Err(Error::NotAStore { path: path.to_owned() }),
        Some(found) if found > FORMAT_VERSION => {
            Err(Error::NewerFormat { path: path.to_owned(), found, supported: FORMAT_VERSION })
        }
        Some(found) => Ok(found),
    }
}

fn lock(folder: &Path) -> Result<Lock, Error> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).at("open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { file }),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(error).at("lock", &path),
    }
}

/// Removes all but the lock from a folder that was left half made.
fn clear(draft: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(draft).at("list", draft)? {
        let path = entry.at("list", draft)?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).at("remove", &path)?;
        } else if path != draft.join(LOCK) {
            fs::remove_file(&path).at("remove", &path)?;
        }
    }
    Ok(())
}

fn draft_path(parent: &Path, path: &Path) -> Result<PathBuf, Error> {
    let Some(name) = path.file_name() else {
        return Err(ErrorKind::InvalidInput.into()).at("find the name of", path);
    };
    let mut draft = std::ffi::OsString::from(".");
    draft.push(name);
    draft.push(".draft");
    Ok(parent.join(draft))
}

fn parent(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).at("find", path)?;
    Ok(absolute.parent().map_or(absolute.clone(), Path::to_owned))
}

/// Makes a folder and those above it, each one's name durable.
fn create_dir_durable(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path)?;
    create_dir_durable(&parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error).at("make", path),
        Ok(()) | Err(_) => {}
    }
    sync_dir(&parent)
}

/// Makes the names of the folders on the way durable, which somebody may have made a moment ago. Folders that can't be
/// opened are not ours, and were there before.
fn sync_above(path: &Path) {
    for above in path.ancestors().skip(1) {
        sync_dir(above).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &Path) -> Result<Folder, Error> {
        Folder::open(path, |tree, _| File::create(tree).map(drop).at("make", tree))
    }

    #[test]
    fn a_half_made_folder_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/store");
        let draft = dir.path().join("a/b/.store.draft");
        Folder::open(&path, |tree, _| Err(ErrorKind::Other.into()).at("make", tree)).unwrap_err();
        assert!(draft.join(LOG).is_dir() && !path.exists());
        fs::write(draft.join("junk"), "x").unwrap();
        drop(create(&path).unwrap());
        assert!(!draft.exists() && !path.join("junk").exists());
        assert_eq!(fs::read_to_string(path.join(FORMAT)).unwrap(), "tidegate-kv 2\n");
        drop(create(&path).unwrap());
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let held = create(&path).unwrap();
        assert!(matches!(create(&path), Err(Error::Locked { .. })));
        drop(held);
        fs::write(path.join(FORMAT), "tidegate-kv 3\n").unwrap();
        let newer = create(&path).unwrap_err();
        assert!(matches!(newer, Error::NewerFormat { found: 3, supported: 2, .. }));
        fs::write(path.join(FORMAT), "something else").unwrap();
        assert!(matches!(create(&path), Err(Error::NotAStore { .. })));
        fs::remove_file(path.join(FORMAT)).unwrap();
        assert!(matches!(create(&path), Err(Error::NotAStore { .. })));
    }

    #[test]
    fn a_copy_of_the_lock_in_another_process_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let folder = create(&dir.path().join("store")).unwrap();
        let copy = folder.lock.file.try_clone().unwrap();
        drop(folder);
        drop(create(&dir.path().join("store")).unwrap());
        drop(copy);
    }

    #[test]
    fn an_empty_folder_becomes_a_store() {
        let dir = tempfile::tempdir().unwrap();
        drop(create(dir.path()).unwrap());
        assert!(dir.path().join(FORMAT).is_file());
    }
}
