//! The server under the recorder, with all lanes writing to it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::super::Error;
use super::super::random::Random;
use super::super::recording::{Recording, Run, STOPPED, read_all};
use super::super::simulator::Promise;
use super::super::workload::Acknowledge;
use super::lane::{Ended, Lane, Progress, RemoteMarks};
use super::plan::{DATABASES, LANES, Plan};
use crate::http::Client;

/// For a server to be ready, or to stop.
const DEADLINE: Duration = Duration::from_secs(60);

/// What is recorded.
#[derive(Debug)]
pub(in super::super) struct Load<'a> {
    /// The server.
    pub(in super::super) binary: &'a Path,
    pub(in super::super) seed: u64,
    /// Writes of each lane, of each process.
    pub(in super::super) writes: u64,
    /// How truthful the lanes are.
    pub(in super::super) acknowledge: Acknowledge,
}

/// Records two processes, one after the other, on the folder `root`, of whose lanes this was promised. Now and then the
/// first is killed.
pub(in super::super) fn record(
    load: &Load<'_>,
    root: &Path,
    promises: &BTreeMap<u32, Promise>,
    random: &mut Random,
) -> Result<Recording, Error> {
    let mut progress: Vec<Progress> = (0..LANES)
        .map(|lane| promises.get(&lane).copied().unwrap_or_default())
        .map(|Promise { acknowledged, begun }| Progress { acknowledged, begun })
        .collect();
    let mut recording = Recording::of(root)?;
    let stop_after = random.one_in(2).then(|| 1 + random.next_u64() % 1_500);
    for stop_after in [stop_after, None] {
        let run = Run { stop_after, ..Run::default() };
        let mut command = Command::new(load.binary);
        command
            .args(["dev", "--couch", "127.0.0.1:0", "--metrics", "off", "--gateway", "off", "--admin", "off", "--data"])
            .arg(data_folder(root));
        recording.resume_by(command, &run, |command, beside| load.drive(command, beside, &run, &mut progress))?;
    }
    Ok(recording)
}

/// The server's folder in a recorded folder.
pub(super) fn data_folder(root: &Path) -> PathBuf {
    root.join("data")
}

impl Load<'_> {
    /// Runs the prepared command to its end.
    fn drive(&self, mut command: Command, beside: &Path, run: &Run, progress: &mut [Progress]) -> Result<(), Error> {
        let marks = beside.join("marks");
        let mut stderr = tempfile::tempfile().map_err(Error::io("make a file in", beside))?;
        let writer = stderr.try_clone().map_err(Error::io("make a file in", beside))?;
        command.env("POWERCUT_MARKS", &marks).stdout(Stdio::piped()).stderr(writer);
        let mut server = Killed(command.spawn().map_err(Error::io("run", self.binary))?);
        let wrote = match ready(&mut server.0) {
            Some(address) => self.write_in_all_lanes(address, &marks, progress),
            None => Err(Ended::Gone(std::io::ErrorKind::NotConnected.into())),
        };
        let status = server.stop().map_err(Error::io("stop", self.binary))?;
        let was_killed = run.stop_after.is_some() && status == Some(STOPPED);
        match wrote {
            Ok(()) if status == Some(0) || was_killed => Ok(()),
            Err(Ended::Gone(_)) if was_killed => Ok(()),
            wrote => {
                let stderr = format!("{wrote:?}\n{}", read_all(&mut stderr));
                Err(Error::Workload { status: format!("{status:?}"), stderr })
            }
        }
    }

    fn write_in_all_lanes(&self, address: SocketAddr, marks: &Path, progress: &mut [Progress]) -> Result<(), Ended> {
        for database in DATABASES {
            let answer = Client::new(address).put(&format!("/{database}"), "")?;
            if !matches!(answer.status, 201 | 412) {
                return Err(Ended::Wrong { lane: 0, what: format!("{database}: {}", answer.status) });
            }
        }
        let plans = (0..LANES).map(|lane| Plan { seed: self.seed, lane });
        let mut lanes = Vec::new();
        for (plan, progress) in plans.zip(&mut *progress) {
            lanes.push(Lane::open(plan, address, marks, progress)?);
        }
        RemoteMarks::connect(marks)?.make("opened")?;
        let ended = thread::scope(|scope| {
            let work = |(mut lane, progress): (Lane, _)| {
                scope.spawn(move || lane.write(progress, self.writes, self.acknowledge))
            };
            let threads: Vec<_> = lanes.into_iter().zip(progress).map(work).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        let mut ended = ended.into_iter().map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        // What is wrong comes before what is gone.
        let (wrong, gone): (Vec<_>, Vec<_>) =
            ended.by_ref().filter_map(Result::err).partition(|ended| matches!(ended, Ended::Wrong { .. }));
        wrong.into_iter().chain(gone).next().map_or(Ok(()), Err)
    }
}

/// A process that doesn't outlive this.
struct Killed(Child);

impl Killed {
    /// Asks it to stop, and waits until it has; its exit code.
    fn stop(&mut self) -> std::io::Result<Option<i32>> {
        let begin = Instant::now();
        if self.0.try_wait()?.is_none() {
            // It may end by itself meanwhile.
            kill_process(Pid::from_child(&self.0), Signal::TERM).ok();
        }
        while begin.elapsed() < DEADLINE {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status.code());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Err(std::io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Where the server listens, once it does; none if it ends before.
fn ready(server: &mut Child) -> Option<SocketAddr> {
    let mut address = None;
    for line in BufReader::new(server.stdout.take()?).lines().map_while(Result::ok) {
        if line == "ready" {
            return address;
        }
        address = line.split_once("http://").and_then(|(_, address)| address.parse().ok()).or(address);
    }
    None
}
