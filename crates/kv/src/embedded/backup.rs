//! Copying a store into a new one while it is in use, and making a store of rows from elsewhere.

use std::{ops::ControlFlow, path::Path, sync::Arc, thread};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Op, View, folder, folder::Folder, log::Mark, shared::Shared, tree::Tree};
use crate::{Direction, EmbeddedOptions, Error, KeyRange, error::IoContext};

/// How far a backup has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupProgress {
    /// Rows copied.
    pub rows: u64,
    /// Rows there are.
    pub rows_total: u64,
    /// Keys and values copied, in bytes.
    pub bytes: u64,
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupSummary {
    /// Rows copied.
    pub rows: u64,
    /// Keys and values copied, in bytes.
    pub bytes: u64,
    /// The position of the commit whose state it holds. Positions in the copy start anew.
    pub position: u64,
}

/// Rows are written in steps of so many bytes.
const STEP_BYTES: usize = 8 << 20;
const CACHE_BYTES: usize = 64 << 20;

/// Makes a store at `dest` of rows in ascending order of their keys, as `next` gives them until it gives none.
pub(crate) fn build<E: From<Error>>(
    dest: &Path,
    mut next: impl FnMut() -> Result<Option<Vec<(Bytes, Bytes)>>, E>,
) -> Result<(), E> {
    if !folder::is_absent(dest)? {
        return Err(Error::Exists { path: dest.to_owned() }.into());
    }
    let mut failure = None;
    let created = Folder::create(dest, |path, mark| {
        let shared = Arc::new(Shared::new(&EmbeddedOptions::new(path)));
        let tree = Tree::open(path, CACHE_BYTES, &shared)?;
        loop {
            match next() {
                Ok(Some(rows)) => put(&tree, rows)?,
                Ok(None) => break,
                Err(error) => {
                    failure = Some(error);
                    return Err(Error::Closed);
                }
            }
        }
        tree.checkpoint(mark)?;
        tree.close()
    });
    match failure {
        Some(error) => Err(error),
        None => {
            drop(created?);
            Ok(())
        }
    }
}

fn put(tree: &Tree, rows: Vec<(Bytes, Bytes)>) -> Result<(), Error> {
    let ops: Vec<Op> = rows.into_iter().map(|(key, value)| Op::Put(key, value)).collect();
    let mut change = tree.change()?;
    change.apply(&ops)?;
    change.commit()
}

/// Copies `view` to `dest` on a thread of its own.
pub(crate) async fn run(
    view: Arc<View>,
    dest: &Path,
    mut progress: impl FnMut(BackupProgress) + Send,
) -> Result<BackupSummary, Error> {
    let (report, mut reports) = mpsc::channel(1);
    let (done, result) = oneshot::channel();
    let path = dest.to_owned();
    let work = move || drop(done.send(copy(&view, &path, &report)));
    drop(thread::Builder::new().name("kv-backup".to_owned()).spawn(work).at("start a thread for", dest)?);
    while let Some(step) = reports.recv().await {
        progress(step);
    }
    let stopped =
        || Error::Corrupt { file: dest.to_owned(), offset: 0, detail: "the copy was not finished".to_owned() };
    result.await.unwrap_or_else(|_| Err(stopped()))
}

fn copy(view: &View, dest: &Path, report: &mpsc::Sender<BackupProgress>) -> Result<BackupSummary, Error> {
    if !folder::is_absent(dest)? {
        return Err(Error::Exists { path: dest.to_owned() });
    }
    let mut progress = BackupProgress { rows: 0, rows_total: view.rows()?, bytes: 0 };
    let folder = Folder::create(dest, |path, mark| fill(view, path, mark, &mut progress, report))?;
    drop(folder);
    Ok(BackupSummary { rows: progress.rows, bytes: progress.bytes, position: view.position() })
}

fn fill(
    view: &View,
    path: &Path,
    mark: Mark,
    progress: &mut BackupProgress,
    report: &mpsc::Sender<BackupProgress>,
) -> Result<(), Error> {
    let shared = Arc::new(Shared::new(&EmbeddedOptions::new(path)));
    let tree = Tree::open(path, CACHE_BYTES, &shared)?;
    let mut range = KeyRange::all();
    loop {
        let (ops, bytes) = step(view, &range)?;
        let Some(Op::Put(last, _)) = ops.last() else { break };
        range = range.after(last.to_vec());
        let mut change = tree.change()?;
        change.apply(&ops)?;
        change.commit()?;
        progress.rows += ops.len() as u64;
        progress.bytes += bytes as u64;
        if report.blocking_send(*progress).is_err() {
            return Err(Error::Closed);
        }
    }
    tree.checkpoint(mark)?;
    tree.close()
}

/// The next rows of `range`, and their size.
fn step(view: &View, range: &KeyRange) -> Result<(Vec<Op>, usize), Error> {
    let (mut ops, mut bytes) = (Vec::new(), 0);
    view.scan(range, Direction::Forward, usize::MAX, |key, value| {
        bytes += key.len() + value.len();
        ops.push(Op::Put(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        if bytes < STEP_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok((ops, bytes))
}
