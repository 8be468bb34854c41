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
use super::plan::{CHANNELS, DATABASES, LANES, Plan};
use crate::http::{Client, Response};

/// What is decided on documents of the database with channels.
const SYNC: &str = "function(doc) { if (doc._deleted) return; channel(doc.channels); expiry(doc.expires); \
                    if (doc.give.indexOf('role:') === 0) role(doc.to, doc.give); else access(doc.to, doc.give); }";

/// Where a server listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listeners {
    pub(super) couch: SocketAddr,
    pub(super) admin: SocketAddr,
}

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
            .args([
                "dev",
                "--couch",
                "127.0.0.1:0",
                "--admin",
                "127.0.0.1:0",
                "--gateway",
                "off",
                "--metrics",
                "off",
                "--data",
            ])
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
            Some(listeners) => self.write_in_all_lanes(listeners, &marks, progress),
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

    fn write_in_all_lanes(&self, listeners: Listeners, marks: &Path, progress: &mut [Progress]) -> Result<(), Ended> {
        prepare(listeners)?;
        let plans = (0..LANES).map(|lane| Plan { seed: self.seed, lane });
        let mut lanes = Vec::new();
        for (plan, progress) in plans.zip(&mut *progress) {
            lanes.push(Lane::open(plan, listeners, marks, progress)?);
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

/// Has all databases there, and a role.
fn prepare(Listeners { couch, admin }: Listeners) -> Result<(), Ended> {
    let check = |what: &str, answer: Response, expected: &[u16]| match expected.contains(&answer.status) {
        true => Ok(answer.status),
        false => Err(Ended::Wrong { lane: 0, what: format!("{what}: {} {}", answer.status, answer.text()) }),
    };
    for database in DATABASES {
        let answer = Client::new(couch).put(&format!("/{database}"), "")?;
        check(database, answer, &[201, 412])?;
    }
    let admin = Client::new(admin);
    let config = format!("{{\"sync\":\"{SYNC}\"}}");
    let created = admin.put(&format!("/{CHANNELS}/"), &config)?;
    if check(CHANNELS, created, &[201, 412])? == 412 {
        // Made by a process that was cut off before it had told, it may have no function yet.
        let configured = admin.post(&format!("/{CHANNELS}/_config"), &config)?;
        check("configuration", configured, &[201])?;
    }
    let role = admin.put(&format!("/{CHANNELS}/_role/staff"), "{\"admin_channels\":[\"staff\"]}")?;
    check("role", role, &[200, 201]).map(drop)
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
fn ready(server: &mut Child) -> Option<Listeners> {
    let (mut couch, mut admin) = (None, None);
    for line in BufReader::new(server.stdout.take()?).lines().map_while(Result::ok) {
        if line == "ready" {
            return Some(Listeners { couch: couch?, admin: admin? });
        }
        let Some((name, address)) = line.split_once("http://") else { continue };
        let address = address.trim_end_matches('/').parse().ok();
        match name.trim() {
            "couch" => couch = address,
            "admin" => admin = address,
            _ => {}
        }
    }
    None
}
