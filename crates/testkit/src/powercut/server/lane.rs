//! One writer: looks at what its slots hold, then writes, marking what it begins and what it is told is durable.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::super::workload::Acknowledge;
use super::load::Listeners;
use super::plan::{CHANNELS, Held, Plan, Slot, State, Step};
use crate::http::{Connection, Response};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Why a lane ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The server is gone.
    #[error("the connection failed")]
    Gone(#[from] io::Error),
    /// The server answered something else than it must.
    #[error("lane {lane}: {what}")]
    Wrong { lane: u32, what: String },
}

/// How far a lane is, beyond the life of one server process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) acknowledged: u64,
    pub(super) begun: u64,
}

/// A writer at work.
#[derive(Debug)]
pub(super) struct Lane {
    plan: Plan,
    connection: Connection,
    /// For the database with channels.
    admin: Connection,
    marks: RemoteMarks,
    state: State,
    revisions: BTreeMap<Slot, String>,
}

/// Marks for the recorder of another process, in the order of its file changes: each is answered once it is made.
#[derive(Debug)]
pub(super) struct RemoteMarks(BufReader<UnixStream>);

impl RemoteMarks {
    pub(super) fn connect(socket: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(socket)?)))
    }

    pub(super) fn make(&mut self, mark: &str) -> io::Result<()> {
        self.0.get_mut().write_all(format!("{mark}\n").as_bytes())?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        if answer == ".\n" { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Lane {
    /// Connects, and finds out how far the lane has got.
    pub(super) fn open(
        plan: Plan,
        Listeners { couch, admin }: Listeners,
        marks: &Path,
        progress: &mut Progress,
    ) -> Result<Self, Ended> {
        let (connection, admin) = (Connection::open(couch)?, Connection::open(admin)?);
        let (marks, state, revisions) = (RemoteMarks::connect(marks)?, State::new(), BTreeMap::new());
        let mut lane = Self { plan, connection, admin, marks, state, revisions };
        let found = lane.look(*progress)?;
        *progress = Progress { acknowledged: found, begun: found };
        lane.marks.make(&format!("seen/{}/{found}", lane.plan.lane))?;
        Ok(lane)
    }

    /// Writes so many times.
    pub(super) fn write(&mut self, progress: &mut Progress, count: u64, honesty: Acknowledge) -> Result<(), Ended> {
        let lane = self.plan.lane;
        for number in progress.acknowledged + 1..=progress.acknowledged + count {
            let step = self.plan.step(number, &self.state);
            progress.begun = number;
            self.marks.make(&format!("begin/{lane}/{number}"))?;
            if honesty == Acknowledge::BeforeCommit {
                self.marks.make(&format!("ack/{lane}/{number}"))?;
            }
            self.perform(step)?;
            progress.acknowledged = number;
            self.marks.make(&format!("ack/{lane}/{number}"))?;
            step.apply(&mut self.state);
            if number % 7 == u64::from(lane) {
                // A lull, in which a checkpoint falls due and groups are small.
                std::thread::sleep(Duration::from_millis(15));
            }
        }
        Ok(())
    }

    fn perform(&mut self, Step { slot, held }: Step) -> Result<(), Ended> {
        let answer = match held {
            Some(held) => self.put(slot, held)?,
            None => self.send("DELETE", slot, "", b"")?,
        };
        if !matches!(answer.status, 200 | 201) {
            return Err(self.wrong(format!("{slot:?}: {} {}", answer.status, answer.text())));
        }
        match (held, text_of(&answer.text(), "rev")) {
            (Some(_), Some(rev)) => drop(self.revisions.insert(slot, rev)),
            (Some(_) | None, _) => drop(self.revisions.remove(&slot)),
        }
        Ok(())
    }

    fn put(&mut self, slot: Slot, held: Held) -> io::Result<Response> {
        let members = self.plan.members(slot, held);
        match slot {
            Slot::Attachment => {
                let content = self.plan.content(held);
                self.send("PUT", slot, "/file", &content)
            }
            Slot::User => {
                let body = format!("{{\"name\":\"lane{}\",{members},\"type\":\"user\"}}", self.plan.lane);
                self.send("PUT", slot, "", body.as_bytes())
            }
            Slot::Principal => {
                let body = format!("{{{members},\"password\":\"secret\"}}");
                let answer = self.send("PUT", slot, "", body.as_bytes())?;
                if !matches!(answer.status, 200 | 201) {
                    return Ok(answer);
                }
                let (path, body) =
                    (format!("/{CHANNELS}/_session"), format!("{{\"name\":\"{}\"}}", self.plan.principal()));
                self.admin.request("POST", &path, &JSON, body.as_bytes())
            }
            Slot::Document(_) | Slot::Placed(_) | Slot::Local => {
                self.send("PUT", slot, "", format!("{{{members}}}").as_bytes())
            }
        }
    }

    fn send(&mut self, method: &str, slot: Slot, below: &str, body: &[u8]) -> io::Result<Response> {
        let rev = self.revisions.get(&slot).map(|rev| format!("?rev={rev}")).unwrap_or_default();
        let path = format!("/{}/{}{below}{rev}", self.plan.database(slot), self.plan.id(slot));
        let octets = [("content-type", "application/octet-stream")];
        let content_type = if slot == Slot::Attachment { &octets } else { &JSON };
        self.listener_of(slot).request(method, &path, content_type, body)
    }

    fn listener_of(&mut self, slot: Slot) -> &mut Connection {
        if self.plan.database(slot) == CHANNELS { &mut self.admin } else { &mut self.connection }
    }

    /// Reads all slots. What was acknowledged must be there, and nothing that wasn't begun.
    fn look(&mut self, progress: Progress) -> Result<u64, Ended> {
        let mut held = BTreeMap::new();
        for slot in Slot::all() {
            let path = format!("/{}/{}", self.plan.database(slot), self.plan.id(slot));
            let answer = self.listener_of(slot).request("GET", &path, &[], b"")?;
            match answer.status {
                200 if slot == Slot::Attachment => {
                    let content = self.connection.request("GET", &format!("{path}/file"), &[], b"")?;
                    held.insert(slot, (answer.text(), content.body));
                }
                200 => drop(held.insert(slot, (answer.text(), Vec::new()))),
                404 => {}
                status => return Err(self.wrong(format!("{slot:?}: {status} {}", answer.text()))),
            }
        }
        let candidates = (progress.acknowledged..=progress.begun).rev();
        for (number, state) in candidates.map(|number| (number, self.plan.state(number))) {
            let is_this = held.len() == state.len()
                && state
                    .iter()
                    .all(|(slot, value)| held.get(slot).is_some_and(|shown| self.shows(*slot, *value, shown)));
            if is_this {
                self.revisions =
                    held.iter().filter_map(|(slot, (text, _))| Some((*slot, text_of(text, "_rev")?))).collect();
                self.state = state;
                return Ok(number);
            }
        }
        Err(self.wrong(format!("it shows neither of {progress:?}")))
    }

    fn shows(&self, slot: Slot, held: Held, (text, content): &(String, Vec<u8>)) -> bool {
        match slot {
            Slot::Attachment => *content == self.plan.content(held),
            // Members come in another order than they were sent in; the number decides them all.
            Slot::Placed(_) => text.contains(&format!("\"number\":{},", held.number)),
            Slot::Document(_) | Slot::Local | Slot::User | Slot::Principal => {
                text.contains(&self.plan.members(slot, held))
            }
        }
    }

    fn wrong(&self, what: String) -> Ended {
        Ended::Wrong { lane: self.plan.lane, what }
    }
}

/// The text of a JSON member that needs no unescaping.
fn text_of(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}
