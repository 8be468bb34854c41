//! One database pulled from another server into this one, by the replication protocol.
//!
//! `tidegate_replication::Session` decides what is asked next and how far a checkpoint may go; here its requests are made.
//! Both databases keep the checkpoint, so a pull that was interrupted goes on where it was, and one that is repeated
//! brings what is new. Memory is bounded: attachments go through, chunk by chunk.

mod perform;
mod transfer;
pub(crate) mod wire;

use super::client::Client;
use crate::clock;
use perform::Sides;
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tidegate_replication::{
    Action, Filter, Options, Outcome, Progress, RequestId, Response, Session, Stats, Style, Timestamp, Tuning, Wait,
    WriteFailure,
};
use tidegate_types::DbName;
use tokio::{
    signal::unix::Signal,
    task::{AbortHandle, JoinSet},
    time::{Instant, interval, sleep_until},
};

/// How often somebody is told how far it is.
const TELL_INTERVAL: Duration = Duration::from_millis(250);
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
/// For how long nothing happens while nothing is to be waited for.
const IDLE: Duration = Duration::from_secs(3600);

/// What is pulled from where to where.
pub(crate) struct Pull {
    pub(crate) source: Client,
    pub(crate) target: Client,
    /// The source's name.
    pub(crate) from: DbName,
    /// The target's name.
    pub(crate) to: DbName,
    /// How the target is made if it isn't there: parameters of its `PUT`.
    pub(crate) layout: Map<String, Value>,
}

/// How a pull ended.
pub(crate) struct Pulled {
    pub(crate) outcome: Outcome,
    pub(crate) progress: Progress,
    /// Revisions that the target didn't take: the first of them.
    pub(crate) refused: Vec<WriteFailure>,
}

/// A revision's text.
type Text = Arc<str>;
type Answers = JoinSet<(RequestId, Result<Response<Text>, tidegate_replication::Failure>)>;

impl Pull {
    /// Pulls until everything is there, telling how far it is. At `stop`, it writes a checkpoint and ends.
    pub(crate) async fn run(self, stop: &mut Signal, mut tell: impl FnMut(&Progress)) -> Pulled {
        let clock = Clock::start();
        let options = self.options();
        let sides = Arc::new(Sides::new(self));
        let mut session = Session::new(options, clock.now());
        let (mut answers, mut running) = (Answers::new(), HashMap::new());
        let mut ticks = interval(TELL_INTERVAL);
        loop {
            if let Some(outcome) = ask(&mut session, &sides, &mut answers, &mut running) {
                return Pulled { outcome, progress: session.progress(), refused: sides.refused() };
            }
            let wake = session.wake_at().map_or(IDLE, |at| at.since(clock.now()));
            tokio::select! {
                Some(answer) = answers.join_next() => {
                    // What was given up is of no interest.
                    let Ok((id, answer)) = answer else { continue };
                    running.remove(&id);
                    session.handle_response(id, answer, clock.now());
                }
                () = sleep_until(Instant::now() + wake) => session.handle_timeout(clock.now()),
                _ = ticks.tick() => tell(&session.progress()),
                _ = stop.recv() => session.handle_stop(clock.now()),
            }
        }
    }

    fn options(&self) -> Options {
        let tuning = Tuning { checkpoint_interval: Some(CHECKPOINT_INTERVAL), ..Tuning::default() };
        Options {
            session_id: format!("{:032x}", rand::random::<u128>()),
            jitter_seed: rand::random(),
            source: format!("{}/{}", self.source.shown(), self.from),
            target: format!("{}/{}", self.target.shown(), self.to),
            wait: Wait::Never,
            create_target: Some(self.layout.clone()),
            filter: Filter::All,
            style: Style::AllDocs,
            since_seq: None,
            tuning,
            stats: Stats::default(),
            batch_revs_max: 2_000,
            fetch_revs_max: 100,
            bytes_max: 32 << 20,
            write_bytes_max: 4 << 20,
        }
    }
}

/// Begins what the session wants done; how it ended, if it did.
fn ask(
    session: &mut Session<Text>,
    sides: &Arc<Sides>,
    answers: &mut Answers,
    running: &mut HashMap<RequestId, AbortHandle>,
) -> Option<Outcome> {
    while let Some(action) = session.poll() {
        match action {
            Action::Send(id, request) => {
                let sides = Arc::clone(sides);
                running.insert(id, answers.spawn(async move { (id, sides.perform(request).await) }));
            }
            Action::Abandon(id) => running.remove(&id).iter().for_each(AbortHandle::abort),
            Action::End(outcome) => return Some(outcome),
        }
    }
    None
}

/// The wall's time at the start, and what a clock that never goes back has counted since.
struct Clock {
    wall: Duration,
    start: Instant,
}

impl Clock {
    fn start() -> Self {
        let wall = clock::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { wall, start: Instant::now() }
    }

    fn now(&self) -> Timestamp {
        Timestamp::default().after(self.wall + self.start.elapsed())
    }
}
