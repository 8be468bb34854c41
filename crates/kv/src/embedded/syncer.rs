//! The thread that writes and syncs records while the committer applies them.

use std::{
    io,
    ops::Range,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use super::log_file::LogFile;

/// Writes one record at a time.
///
/// A short record is written by [`Syncer::wait`] itself: waking the thread costs more than applying a single document.
#[derive(Debug)]
pub(crate) struct Syncer {
    short: Option<Job>,
    jobs: Option<mpsc::SyncSender<Job>>,
    done: mpsc::Receiver<Done>,
    thread: Option<JoinHandle<()>>,
}

const SHORT_BYTES: usize = 4 << 10;

/// A record and where it goes.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) file: Arc<LogFile>,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    /// Filled with zeros before.
    pub(crate) fill: Range<u64>,
}

/// How the job ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// The record's memory, for the next one.
    pub(crate) bytes: Vec<u8>,
    pub(crate) result: Result<(), Failure>,
}

/// A record that is not known to be on the disk.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be written whole.
    Write(io::Error),
    /// It could not be synced. What the disk holds now is unknown, and asking again would not tell.
    Sync(io::Error),
}

impl Syncer {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (jobs, waiting) = mpsc::sync_channel::<Job>(1);
        let (finished, done) = mpsc::sync_channel(1);
        let work = move || {
            for job in waiting {
                if finished.send(job.run()).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("kv-sync".to_owned()).spawn(work)?;
        Ok(Self { short: None, jobs: Some(jobs), done, thread: Some(thread) })
    }

    /// Begins to write a record. Each call is followed by one of [`Self::wait`].
    pub(crate) fn begin(&mut self, job: Job) -> Result<(), Failure> {
        if job.bytes.len() <= SHORT_BYTES {
            self.short = Some(job);
            return Ok(());
        }
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(Failure::Sync(stopped())) }
    }

    /// Waits until the record is on the disk.
    pub(crate) fn wait(&mut self) -> Done {
        if let Some(job) = self.short.take() {
            return job.run();
        }
        self.done.recv().unwrap_or_else(|_| Done { bytes: Vec::new(), result: Err(Failure::Sync(stopped())) })
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that syncs the log panicked");
        }
    }
}

impl Job {
    fn run(self) -> Done {
        let Self { file, offset, bytes, fill } = self;
        file.fill(fill);
        let result =
            file.write(&bytes, offset).map_err(Failure::Write).and_then(|()| file.sync().map_err(Failure::Sync));
        Done { bytes, result }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the thread that syncs the log has stopped")
}
