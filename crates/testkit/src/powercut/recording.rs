//! Running a workload under the preload library, and what it did.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Error;
use super::image::Image;
use super::log::{self, Event};
use super::shim;
use super::simulator::{Promise, Simulator};

/// Exit status with which the preload library ends a process that it was to stop.
pub(super) const STOPPED: i32 = 77;

/// Where folders are best recorded and rebuilt: in memory where there is such a place, for there are many.
#[must_use]
pub fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() }
}

/// How a workload is run.
#[derive(Clone, Debug)]
pub struct Run {
    /// About how long a sync takes; others get on with their work meanwhile.
    pub sync: Duration,
    /// Kill the process after so many events: what it wrote stays, synced or not, as the machine lives on.
    pub stop_after: Option<u64>,
    /// The workload has failed when it takes longer.
    pub deadline: Duration,
}

impl Default for Run {
    fn default() -> Self {
        Self { sync: Duration::from_micros(150), stop_after: None, deadline: Duration::from_secs(120) }
    }
}

/// Everything that happened to a folder while a workload ran, from a state that was durable.
#[derive(Debug)]
pub struct Recording {
    pub(super) base: Base,
    pub(super) events: Vec<Event>,
    /// What the lanes had been promised before.
    pub(super) promises: BTreeMap<u32, Promise>,
    root: PathBuf,
}

impl Recording {
    /// Runs `command`, which works on files below the existing folder `root`, and records what it does.
    ///
    /// The recording is proven complete: replayed in full, it gives the folder byte for byte.
    ///
    /// # Errors
    /// [`Error::Workload`] when it fails, [`Error::Unsupported`] or [`Error::Incomplete`] when it changes files in ways
    /// that aren't followed, and what stands in the way of running it at all.
    pub fn run(command: Command, root: &Path) -> Result<Self, Error> {
        Self::run_with(command, root, &Run::default())
    }

    /// [`Recording::run`] with other settings.
    ///
    /// # Errors
    /// As [`Recording::run`].
    pub fn run_with(command: Command, root: &Path, run: &Run) -> Result<Self, Error> {
        let mut recording = Self::of(root)?;
        recording.resume(command, run)?;
        Ok(recording)
    }

    /// A recording in which nothing has happened yet.
    pub(super) fn of(root: &Path) -> Result<Self, Error> {
        let root = root.canonicalize().map_err(Error::io("find", root))?;
        Ok(Self { base: Base::scan(&root)?, events: Vec::new(), promises: BTreeMap::new(), root })
    }

    /// Runs another process on the same folder while the machine lives on: it finds what the one before wrote, synced
    /// or not.
    ///
    /// # Errors
    /// As [`Recording::run`].
    pub fn resume(&mut self, command: Command, run: &Run) -> Result<(), Error> {
        self.resume_by(command, run, |command, _beside| execute(command, run))
    }

    /// [`Recording::resume`], the process being run by `drive`, which has a folder beside the recorded one.
    pub(super) fn resume_by(
        &mut self,
        command: Command,
        run: &Run,
        drive: impl FnOnce(Command, &Path) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let beside = self.root.parent().unwrap_or(Path::new("/"));
        let scratch = tempfile::tempdir_in(beside).map_err(Error::io("make a folder in", beside))?;
        let log = scratch.path().join("log");
        drive(prepare(command, &self.root, &log, run)?, scratch.path())?;
        if !log.exists() {
            return Err(Error::NotRecorded);
        }
        let bytes = fs::read(&log).map_err(Error::io("read", &log))?;
        self.events.extend(log::read(bytes.into(), &self.root)?);
        self.verify()
    }

    /// The folder recorded in was left by a cut when these promises had been made: they still hold.
    #[must_use]
    pub fn after(self, promises: BTreeMap<u32, Promise>) -> Self {
        Self { promises, ..self }
    }

    fn verify(&self) -> Result<(), Error> {
        let mut simulator = Simulator::new(self);
        simulator.advance_to(self.events.len())?;
        if !simulator.unsupported().is_empty() {
            let mut calls = simulator.unsupported().to_vec();
            calls.sort();
            calls.dedup();
            return Err(Error::Unsupported { calls });
        }
        simulator.compare(&self.root)
    }

    /// How many events it has: positions go from 0 to this.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing happened at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

fn prepare(mut command: Command, root: &Path, log: &Path, run: &Run) -> Result<Command, Error> {
    command.env("LD_PRELOAD", shim::library(shim::RECORDER)?);
    command.env("POWERCUT_ROOT", root).env("POWERCUT_LOG", log);
    command.env("POWERCUT_SYNC_US", run.sync.as_micros().to_string());
    command.env_remove("POWERCUT_STOP_AFTER");
    if let Some(events) = run.stop_after {
        command.env("POWERCUT_STOP_AFTER", events.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

fn execute(mut command: Command, run: &Run) -> Result<(), Error> {
    let program = PathBuf::from(command.get_program());
    let mut stderr = tempfile::tempfile().map_err(Error::io("make a file for", &program))?;
    let writer = stderr.try_clone().map_err(Error::io("make a file for", &program))?;
    let mut child = command.stderr(writer).spawn().map_err(Error::io("run", &program))?;
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::io("wait for", &program))? {
            break Some(status);
        }
        if begin.elapsed() > run.deadline {
            child.kill().map_err(Error::io("kill", &program))?;
            child.wait().map_err(Error::io("wait for", &program))?;
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    if status.is_some_and(|status| status.success() || (run.stop_after.is_some() && status.code() == Some(STOPPED))) {
        return Ok(());
    }
    Err(Error::Workload { status: describe(status), stderr: read_all(&mut stderr) })
}

fn describe(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "killed at its deadline".to_owned(), |status| status.to_string())
}

pub(super) fn read_all(file: &mut File) -> String {
    let mut bytes = Vec::new();
    match file.rewind().and_then(|()| file.read_to_end(&mut bytes)) {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("its output cannot be read: {error}"),
    }
}

/// What a folder held.
#[derive(Debug, Default)]
pub(super) struct Base {
    /// The folder itself, and everything below, folders before what they hold.
    pub(super) entries: Vec<BaseEntry>,
}

/// A file or folder.
#[derive(Debug)]
pub(super) struct BaseEntry {
    pub(super) path: PathBuf,
    pub(super) inode: u64,
    /// `None` for a folder.
    pub(super) content: Option<Image>,
}

impl Base {
    pub(super) fn scan(root: &Path) -> Result<Self, Error> {
        let mut entries = Vec::new();
        let mut waiting = vec![PathBuf::new()];
        while let Some(path) = waiting.pop() {
            let full = root.join(&path);
            let metadata = fs::symlink_metadata(&full).map_err(Error::io("look at", &full))?;
            let content = if metadata.is_dir() {
                for entry in fs::read_dir(&full).map_err(Error::io("list", &full))? {
                    waiting.push(path.join(entry.map_err(Error::io("list", &full))?.file_name()));
                }
                None
            } else {
                Some(Image::from_bytes(&fs::read(&full).map_err(Error::io("read", &full))?))
            };
            entries.push(BaseEntry { path, inode: metadata.ino(), content });
        }
        Ok(Self { entries })
    }
}
