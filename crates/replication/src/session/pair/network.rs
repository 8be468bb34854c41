//! Two databases, one session between them after another, and a network that loses, delays and repeats, all in virtual
//! time and from one seed.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    Action, Checkpoint, Endpoint, Failure, FailureKind, Fetch, Filter, Job, Options, Outcome, Report, Request,
    RequestId, Response, Session, Side, Style, Timestamp, Tuning, Wait,
};
use tidegate_types::{DocId, Rev};

use super::model::{Content, Database, is_refused, transfer};

/// Faults and edits end here.
const QUIET: Timestamp = Timestamp::from_millis(600_000);
/// What was sent before has arrived by now.
const CALM: Timestamp = Timestamp::from_millis(700_000);
const TIMEOUT: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

enum Event {
    Arrive(u64, RequestId, Box<Request<Content>>, Fate),
    Answer(u64, RequestId, Result<Response<Content>, Failure>),
    Edit(Side),
    LosePower(Side),
    KillSession,
    StopSession,
    StartSession,
}

/// What becomes of an answer.
#[derive(Clone, Copy)]
enum Fate {
    Delivered,
    Twice,
    Lost,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) sessions: u64,
    pub(super) requests: u64,
    pub(super) checkpoints: u64,
    pub(super) power_cuts: u64,
    pub(super) restarts_wanted: u64,
}

pub(super) struct Pair {
    seed: u64,
    chance: Chance,
    now: Timestamp,
    pub(super) source: Database,
    pub(super) target: Database,
    events: BTreeMap<(Timestamp, u64), Event>,
    event_number: u64,
    session: Option<Session<Content>>,
    generation: u64,
    began: Timestamp,
    /// Requests of the session that wait for an answer, and whether they take a connection.
    open: BTreeMap<RequestId, bool>,
    options: Options,
    fault_percent: u64,
    has_bulk_get: bool,
    docs_max: usize,
    refuses: bool,
    pub(super) counts: Counts,
}

impl Pair {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let options = options(&mut chance);
        let mut pair = Self {
            seed,
            now: Timestamp::default(),
            source: Database::default(),
            target: Database::default(),
            events: BTreeMap::new(),
            event_number: 0,
            session: None,
            generation: 0,
            began: Timestamp::default(),
            open: BTreeMap::new(),
            options,
            fault_percent: [0, 5, 20, 40][usize::try_from(chance.below(4)).unwrap()],
            has_bulk_get: chance.percent(80),
            docs_max: if chance.percent(50) { 3 } else { 1000 },
            refuses: chance.percent(30),
            chance,
            counts: Counts::default(),
        };
        pair.plan();
        pair
    }

    /// Edits, power cuts, and sessions that die or are stopped, all before it gets quiet.
    fn plan(&mut self) {
        let cuts = if self.chance.percent(50) { self.chance.below(6) } else { 0 };
        let no_start = cuts == 0 && self.chance.percent(50);
        (self.source.tells_no_start, self.target.tells_no_start) = (no_start, no_start);
        for _ in 0..30 {
            self.edit(Side::Source);
        }
        self.source.commit();
        for _ in 0..30 + self.chance.below(40) {
            let side = if self.chance.percent(75) { Side::Source } else { Side::Target };
            self.plan_one(Event::Edit(side));
        }
        for _ in 0..cuts {
            let side = if self.chance.percent(50) { Side::Source } else { Side::Target };
            self.plan_one(Event::LosePower(side));
        }
        for _ in 0..self.chance.below(6) {
            self.plan_one(Event::KillSession);
        }
        for _ in 0..self.chance.below(3) {
            self.plan_one(Event::StopSession);
        }
        self.at(Duration::ZERO, Event::StartSession);
    }

    fn plan_one(&mut self, event: Event) {
        let millis = self.chance.below(QUIET.millis());
        self.at(Duration::from_millis(millis), event);
    }

    fn at(&mut self, wait: Duration, event: Event) {
        self.event_number += 1;
        self.events.insert((self.now.after(wait), self.event_number), event);
    }

    fn is_quiet(&self) -> bool {
        self.now >= QUIET
    }

    fn faulty(&mut self) -> bool {
        !self.is_quiet() && self.chance.percent(self.fault_percent)
    }

    /// Runs until everything is copied.
    pub(super) fn run(&mut self) {
        for _ in 0..200_000 {
            self.act();
            if self.is_done() {
                return;
            }
            let event = self.events.first_key_value().map(|((when, _), _)| *when);
            let wake = self.session.as_ref().and_then(Session::wake_at);
            let next = event.into_iter().chain(wake).min();
            self.now = self.now.max(next.unwrap_or_else(|| panic!("seed {}: nothing ever happens", self.seed)));
            if wake.is_some_and(|wake| wake <= self.now)
                && let Some(session) = &mut self.session
            {
                session.handle_timeout(self.now);
            }
            while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let event = entry.remove();
                self.happen(event);
                self.act();
            }
        }
        panic!("seed {}: no end, {:?}", self.seed, self.session);
    }

    /// Whether a continuous session has nothing more to do; one-shot ones say so themselves.
    fn is_done(&mut self) -> bool {
        if self.generation == u64::MAX {
            return true;
        }
        let Some(session) = &mut self.session else { return false };
        let through = session.progress().through.to_json().as_u64();
        let is_through = through == Some(self.source.now.seq) && self.options.wait == Wait::Forever;
        // A power cut may have taken what the session wrote; it finds out with its next checkpoint.
        let checkpointed = session.progress().checkpointed.to_json().as_u64();
        is_through && self.is_quiet() && checkpointed == through && self.events.values().all(Event::is_answer)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(generation, id, request, fate) => self.arrive(generation, id, &request, fate),
            Event::Answer(generation, id, answer) => self.answer(generation, id, answer),
            Event::Edit(side) => self.edit(side),
            Event::LosePower(side) => {
                self.counts.power_cuts += 1;
                self.database(side).lose_power();
            }
            Event::KillSession => {
                self.session = None;
                self.generation += 1;
                self.restart();
            }
            Event::StopSession => {
                if let Some(session) = &mut self.session {
                    session.handle_stop(self.now);
                }
            }
            Event::StartSession => self.start_session(),
        }
    }

    fn database(&mut self, side: Side) -> &mut Database {
        match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        }
    }

    fn restart(&mut self) {
        let wait = Duration::from_millis(self.chance.below(60_000));
        self.at(wait, Event::StartSession);
    }

    fn start_session(&mut self) {
        if self.session.is_some() {
            return;
        }
        self.generation += 1;
        self.counts.sessions += 1;
        self.open.clear();
        self.began = self.now;
        let session_id = format!("session-{}", self.generation);
        let options = Options { session_id, jitter_seed: self.chance.next(), ..self.options.clone() };
        self.session = Some(Session::new(options, self.now));
    }

    /// Does what the session wants done.
    fn act(&mut self) {
        while let Some(action) = self.session.as_mut().and_then(Session::poll) {
            match action {
                Action::Send(id, request) => self.send(id, request),
                Action::Abandon(id) => {
                    assert!(self.open.remove(&id).is_some(), "seed {}: {id:?} was not open", self.seed);
                }
                Action::End(outcome) => self.end(outcome),
            }
        }
    }

    fn end(&mut self, outcome: Outcome) {
        assert!(self.open.is_empty(), "seed {}: open requests at the end", self.seed);
        self.session = None;
        match outcome {
            Outcome::Completed(report) if self.began >= QUIET => {
                assert!(!matches!(report, Report::WithoutCheckpoints));
                self.generation = u64::MAX;
            }
            Outcome::Completed(_) | Outcome::Stopped => self.restart(),
            Outcome::Crashed(reason) => {
                assert!(self.began < CALM, "seed {}: {reason}", self.seed);
                self.counts.restarts_wanted += 1;
                self.restart();
            }
            Outcome::Failed(reason) => panic!("seed {}: {reason}", self.seed),
        }
    }

    fn send(&mut self, id: RequestId, request: Request<Content>) {
        self.counts.requests += 1;
        self.check(&request);
        let takes_connection =
            matches!(request, Request::RevsDiff(_) | Request::BulkGet(_) | Request::BulkDocs(_) | Request::Transfer(_));
        self.open.insert(id, takes_connection);
        let busy = self.open.values().filter(|takes| **takes).count();
        assert!(busy <= self.options.tuning.http_connections, "seed {}: {busy} connections", self.seed);
        let way = Duration::from_millis(1 + self.chance.below(400));
        let generation = self.generation;
        if !self.faulty() {
            let fate = if self.faulty() { Fate::Twice } else { Fate::Delivered };
            return self.at(way, Event::Arrive(generation, id, Box::new(request), fate));
        }
        let failure = Failure::new(FailureKind::Transient, "timeout");
        match self.chance.below(4) {
            // Never arrives.
            0 => self.at(TIMEOUT, Event::Answer(generation, id, Err(failure))),
            // Arrives, and the answer is lost.
            1 => {
                self.at(way, Event::Arrive(generation, id, Box::new(request), Fate::Lost));
                self.at(TIMEOUT, Event::Answer(generation, id, Err(failure)));
            }
            // Arrives when nobody reckons with it any more.
            2 => {
                let late = TIMEOUT + Duration::from_millis(self.chance.below(60_000));
                self.at(late, Event::Arrive(generation, id, Box::new(request), Fate::Delivered));
                self.at(TIMEOUT, Event::Answer(generation, id, Err(failure)));
            }
            // 503.
            _ => self.at(way, Event::Answer(generation, id, Err(Failure::from_status(503, "busy")))),
        }
    }

    /// A checkpoint passes nothing that the target would not have after a power cut.
    fn check(&mut self, request: &Request<Content>) {
        let Request::StoreCheckpoint { checkpoint, .. } = request else { return };
        self.counts.checkpoints += 1;
        let recorded = checkpoint.source_last_seq.to_json().as_u64().unwrap();
        self.check_passed(checkpoint, recorded);
        assert!(checkpoint.history.len() <= Checkpoint::HISTORY_MAX);
    }

    fn check_passed(&self, checkpoint: &Checkpoint, recorded: u64) {
        let passed = self.source.durable.docs.iter().filter(|(_, (_, seq))| *seq <= recorded);
        for (id, (tree, seq)) in passed {
            for leaf in tree.leaves().into_iter().filter(|leaf| !(self.refuses && is_refused(&leaf.rev))) {
                let is_there = self.target.durable.has(id, &leaf.rev);
                assert!(is_there, "seed {}: {checkpoint:?} passes {} {} at {seq}", self.seed, id.as_str(), leaf.rev);
            }
        }
    }

    fn arrive(&mut self, generation: u64, id: RequestId, request: &Request<Content>, fate: Fate) {
        let answer = self.perform(request);
        let is_waiting = matches!(request, Request::Changes(changes) if changes.wait == Wait::Forever)
            && matches!(&answer, Ok(Response::Changes(page)) if page.rows.is_empty());
        let way = if is_waiting { HEARTBEAT } else { Duration::from_millis(1 + self.chance.below(400)) };
        match fate {
            Fate::Lost => {}
            Fate::Delivered => self.at(way, Event::Answer(generation, id, answer)),
            Fate::Twice => {
                self.at(way, Event::Answer(generation, id, answer.clone()));
                let later = way + Duration::from_millis(self.chance.below(5_000));
                self.at(later, Event::Answer(generation, id, answer));
            }
        }
    }

    fn answer(&mut self, generation: u64, id: RequestId, answer: Result<Response<Content>, Failure>) {
        if generation != self.generation {
            return;
        }
        self.open.remove(&id);
        if let Some(session) = &mut self.session {
            session.handle_response(id, answer, self.now);
        }
    }

    fn perform(&mut self, request: &Request<Content>) -> Result<Response<Content>, Failure> {
        let busy: Vec<bool> = (0..7).map(|_| self.faulty()).collect();
        let refuses_all = self.refuses;
        let refuses = |rev: &Rev| {
            let turn = rev.digest().as_bytes().first().map_or(0, |byte| usize::from(*byte)) % busy.len();
            let transient = busy[turn].then_some(FailureKind::Transient);
            (refuses_all && is_refused(rev)).then_some(FailureKind::Forbidden).or(transient)
        };
        Ok(match request {
            Request::CreateTarget(_) => Response::Created,
            Request::Info(side) => Response::Info(self.database(*side).info()),
            Request::LoadCheckpoint(side) => Response::Checkpoint(self.database(*side).load_checkpoint()),
            Request::Changes(changes) => {
                let rows_max = usize::try_from(1 + self.chance.below(20)).unwrap().min(changes.rows_max);
                Response::Changes(self.source.changes(changes, rows_max))
            }
            Request::Pending(since) => Response::Pending(Some(self.source.pending(since))),
            Request::RevsDiff(leaves) => Response::Missing(self.target.revs_diff(leaves)),
            Request::BulkGet(_) if !self.has_bulk_get => return Err(Failure::from_status(405, "Only GET allowed")),
            Request::BulkGet(wanted) => {
                let mut got = self.source.bulk_get(wanted);
                got.retain(|_| !self.chance.percent(10));
                Response::Fetched(got)
            }
            Request::Transfer(one) => transfer(&self.source, &mut self.target, one, refuses),
            Request::BulkDocs(docs) if docs.len() > self.docs_max => return Err(Failure::from_status(413, "large")),
            Request::BulkDocs(docs) => Response::Written(self.target.write(docs, refuses)),
            Request::EnsureFullCommit(side) => Response::Committed(self.database(*side).commit()),
            Request::StoreCheckpoint { side, rev, checkpoint } => {
                Response::Stored(self.database(*side).store_checkpoint(rev.as_deref(), checkpoint)?)
            }
        })
    }

    /// Extends a leaf, makes a conflict, deletes, or begins a document.
    fn edit(&mut self, side: Side) {
        let number = self.chance.below(14);
        let name = if number == 13 { "_design/d".to_owned() } else { format!("doc{number}") };
        let id: DocId = name.parse().unwrap();
        let random = u128::from(self.chance.next()) << 64 | u128::from(self.chance.next());
        let (pick, makes_conflict, deleted) = (self.chance.next(), self.chance.percent(15), self.chance.percent(15));
        let database = self.database(side);
        let mut path = Vec::new();
        if let Some((tree, _)) = database.now.docs.get(&id) {
            let leaves = tree.leaves();
            let leaf = leaves[usize::try_from(pick).unwrap_or(0) % leaves.len()];
            path = tree.path(&leaf.rev).into_iter().map(|node| node.rev.clone()).collect();
            if makes_conflict {
                path.remove(0);
            }
        }
        let generation = path.first().map_or(0, Rev::generation) + 1;
        path.insert(0, format!("{generation}-{random:032x}").parse().unwrap());
        database.edit(&id, &(path, deleted));
    }

    /// The target has all that the source has; and once the source has what the target has, both agree.
    pub(super) fn check_copied(&mut self) {
        let seed = self.seed;
        for (id, (tree, _)) in &self.source.now.docs {
            for leaf in tree.leaves().into_iter().filter(|leaf| !(self.refuses && is_refused(&leaf.rev))) {
                assert!(self.target.now.has(id, &leaf.rev), "seed {seed}: {} {} is missing", id.as_str(), leaf.rev);
            }
        }
        if self.refuses {
            return;
        }
        for (id, (theirs, _)) in &self.target.now.docs {
            let mut ours = self.source.now.docs.get(id).map(|(tree, _)| tree.clone()).unwrap_or_default();
            for leaf in theirs.leaves() {
                let path: Vec<_> = theirs.path(&leaf.rev).into_iter().map(|node| node.rev.clone()).collect();
                ours.merge(&path, leaf.deleted, tidegate_types::Seq::ZERO);
            }
            let rev = |tree: &tidegate_revtree::Tree| tree.winner().map(|node| node.rev.clone());
            assert_eq!(rev(&ours), rev(theirs), "seed {seed}: {} has two winners", id.as_str());
        }
    }
}

impl Event {
    /// Whether it changes no database for good.
    fn is_answer(&self) -> bool {
        match self {
            Self::Answer(..) | Self::Arrive(..) => true,
            Self::Edit(_) | Self::LosePower(_) | Self::KillSession | Self::StopSession | Self::StartSession => false,
        }
    }
}

fn options(chance: &mut Chance) -> Options {
    let size = |chance: &mut Chance, most: u64| usize::try_from(1 + chance.below(most)).unwrap();
    let tuning = Tuning {
        worker_batch_size: size(chance, 8),
        worker_processes: size(chance, 4),
        http_connections: size(chance, 5) + 1,
        retries_per_request: 3,
        checkpoint_interval: Some(Duration::from_secs(1 + chance.below(30))),
        fetch: if chance.percent(85) { Fetch::Bulk } else { Fetch::Single },
        ..Tuning::default()
    };
    let job = Job {
        doc_id: None,
        source: Endpoint::Local("source".parse().unwrap()),
        target: Endpoint::Local("target".parse().unwrap()),
        wait: if chance.percent(50) { Wait::Forever } else { Wait::Never },
        create_target: chance.percent(20).then(Default::default),
        filter: Filter::All,
        style: Style::AllDocs,
        since_seq: None,
        tuning,
        user_ctx: None,
        owner: None,
    };
    Options {
        batch_revs_max: size(chance, 20),
        fetch_revs_max: size(chance, 6),
        bytes_max: size(chance, 3000),
        write_bytes_max: size(chance, 1500),
        ..Options::for_job(&job, "", 0)
    }
}
