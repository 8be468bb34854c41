//! The rounds: start, check, load, kill.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::sleep};

use super::{
    Options, Report, Victim,
    check::{Depth, Reader, resolve, strangers},
    contest::Contest,
    database::{PATH, Row, View},
    ledger::Revision,
    listener::{Listener, Temper},
    writer::Writer,
};
use crate::{
    Error,
    client::{Connection, Request},
    process::{Launch, Server},
};

/// More would only repeat the first.
const VIOLATIONS_MAX: usize = 20;

pub(super) struct Campaign {
    options: Options,
    random: StdRng,
    folder: Folder,
    writers: Vec<Writer>,
    listeners: Vec<Listener>,
    /// The contest of the round before, not yet checked.
    contest: Option<Contest>,
    /// Contested documents of the rounds before, settled.
    contested: BTreeMap<String, Revision>,
    report: Report,
}

enum Folder {
    Given(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn path(&self) -> &std::path::Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    fn keep(self) -> PathBuf {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.keep(),
        }
    }
}

impl Campaign {
    pub(super) fn new(options: Options) -> Result<Self, Error> {
        let mut random = StdRng::seed_from_u64(options.seed);
        let folder = match &options.folder {
            Some(path) => Folder::Given(path.clone()),
            None => Folder::Temporary(tempfile::tempdir().map_err(Error::io("making a temporary folder"))?),
        };
        let documents_max = options.documents_max;
        let writers = (0..options.writers).map(|number| Writer::new(number, random.random(), documents_max)).collect();
        let temper = |number: u64| if number.is_multiple_of(2) { Temper::Steady } else { Temper::Fickle };
        let listeners = (0..options.listeners).map(|number| Listener::new(temper(number), random.random())).collect();
        let report = Report { seed: options.seed, ..Report::default() };
        let (contest, contested) = (None, BTreeMap::new());
        Ok(Self { options, random, folder, writers, listeners, contest, contested, report })
    }

    pub(super) async fn run(mut self, mut on_round: impl FnMut(&Report)) -> Result<Report, Error> {
        for round in 0..self.options.rounds {
            let server = self.start().await?;
            let victim = Victim::new(server.couch());
            if round == 0 {
                let mut connection = Connection::open(victim.address).await?;
                connection.json(Request::new("PUT", PATH)).await?;
            } else {
                self.check(&victim, Depth::Touched).await?;
            }
            if self.report.violations.is_empty() {
                self.load(&victim, server, round).await?;
                self.report.rounds += 1;
            }
            on_round(&self.report);
            if !self.report.violations.is_empty() {
                break;
            }
        }
        if self.report.violations.is_empty() {
            let server = self.start().await?;
            self.check(&Victim::new(server.couch()), Depth::Everything).await?;
            server.terminate().await?;
        }
        self.report.violations.truncate(VIOLATIONS_MAX);
        if !self.report.violations.is_empty() {
            self.report.evidence = Some(self.folder.keep());
        }
        Ok(self.report)
    }

    /// Starts the server; in one round of six it is killed while it starts, and started again.
    async fn start(&mut self) -> Result<Server, Error> {
        let launch = Launch::new(&self.options.binary, self.folder.path());
        if self.random.random_ratio(1, 6) {
            let starting = launch.spawn()?;
            sleep(Duration::from_millis(self.random.random_range(0..40))).await;
            starting.kill().await?;
            self.report.kills_while_starting += 1;
        }
        let server = launch.start().await?;
        self.report.start_max = self.report.start_max.max(server.ready_after());
        Ok(server)
    }

    async fn load(&mut self, victim: &Victim, server: Server, round: u32) -> Result<(), Error> {
        let contest = Contest::new(round);
        let (mut writing, mut fighting, mut listening) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        for writer in self.writers.drain(..) {
            writing.spawn(writer.work(victim.clone()));
        }
        for name in 0..self.options.contenders {
            fighting.spawn(contest.clone().fight(victim.clone(), name));
        }
        for listener in self.listeners.drain(..) {
            listening.spawn(listener.listen(victim.clone()));
        }
        self.contest = Some(contest);
        sleep(Duration::from_millis(self.random.random_range(self.options.load_millis.clone()))).await;
        let killed_at = Instant::now();
        victim.set_going();
        self.end(server).await?;
        self.writers = joined(writing).await?;
        self.listeners = joined(listening).await?;
        // The order of coming back is chance; the seed must not depend on it.
        self.writers.sort_by_key(Writer::number);
        let fought = joined(fighting).await?;
        self.collect(killed_at, fought);
        Ok(())
    }

    /// Mostly by SIGKILL; in one round of ten by SIGTERM.
    async fn end(&mut self, server: Server) -> Result<(), Error> {
        if self.random.random_ratio(1, 10) {
            self.report.terminations += 1;
            return server.terminate().await;
        }
        server.kill().await
    }

    fn collect(&mut self, killed_at: Instant, fought: Vec<(Instant, Option<String>)>) {
        let violations = &mut self.report.violations;
        let mut early = false;
        for writer in &mut self.writers {
            violations.append(&mut writer.violations);
            early |= writer.lost_at.take().is_some_and(|lost_at| lost_at < killed_at);
            self.report.acknowledged += std::mem::take(&mut writer.acknowledged);
        }
        for (lost_at, wrong) in fought {
            violations.extend(wrong);
            early |= lost_at < killed_at;
        }
        for listener in &mut self.listeners {
            violations.append(&mut listener.violations);
            self.report.listener_connections += std::mem::take(&mut listener.cuts);
        }
        if early && violations.is_empty() {
            violations.push("the server closed a connection while nobody ended it".to_owned());
        }
    }

    async fn check(&mut self, victim: &Victim, depth: Depth) -> Result<(), Error> {
        let mut connection = Connection::open(victim.address).await?;
        let view = View::load(&mut connection).await?;
        self.report.violations.extend(view.contradictions());
        self.check_contest(&mut connection).await?;

        let rows: BTreeMap<&str, &Row> = view.changes.iter().map(|(id, row)| (id.as_str(), row)).collect();
        for writer in &mut self.writers {
            let fates = resolve(writer, &rows, &mut self.report.violations);
            self.report.landed += fates.landed;
            self.report.absent += fates.absent;
            let violations = &mut self.report.violations;
            let mut reader = Reader { connection: &mut connection, depth, random: &mut self.random, violations };
            let fates = reader.read(writer).await?;
            self.report.landed += fates.landed;
            self.report.absent += fates.absent;
        }
        self.report.violations.extend(strangers(&view, &self.writers, &self.contested));
        self.report.violations.extend(self.gaps(&view));
        for listener in &mut self.listeners {
            listener.catch_up(victim, &view).await?;
            self.report.violations.append(&mut listener.violations);
        }
        self.report.documents = view.changes.len() as u64;
        self.report.update_seq = view.update_seq;
        Ok(())
    }

    async fn check_contest(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let Some(contest) = self.contest.take() else { return Ok(()) };
        let ended = contest.check(connection, self.options.contenders).await?;
        self.report.acknowledged += ended.acknowledged;
        self.report.violations.extend(ended.violations);
        if let Some(revision) = ended.revision {
            self.contested.insert(contest.id().to_owned(), revision);
        }
        Ok(())
    }

    /// Every write that landed took one sequence number, and nothing else did.
    fn gaps(&self, view: &View) -> Option<String> {
        let edits = self.writers.iter().flat_map(|writer| writer.documents.values()).map(|entry| entry.settled.edits);
        let contested = self.contested.values().map(|revision| revision.generation);
        let landed: u64 = edits.chain(contested).sum();
        (landed != view.update_seq).then(|| format!("{landed} writes landed, update_seq is {}", view.update_seq))
    }
}

async fn joined<T: 'static>(mut tasks: JoinSet<T>) -> Result<Vec<T>, Error> {
    let mut results = Vec::new();
    while let Some(result) = tasks.join_next().await {
        results.push(result?);
    }
    Ok(results)
}
