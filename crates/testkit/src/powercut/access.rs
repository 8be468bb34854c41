//! One more lane: a database with channels, whose documents grant channels to users, and whose users are written, too.
//!
//! Each of its writes takes one sequence, so the latest sequence tells how many there were.

use std::collections::BTreeMap;

use tidegate_kv::Kv;
use tidegate_store::{
    Assignment, Database, Documents, Edit, Error, Grant, Granted, History, PrincipalWrite, Reader, Store,
};
use tidegate_types::{Channel, DbName, DocId, Principal, Rev};

use super::history::LANES;
use super::mark::Marks;
use super::random::Random;
use super::workload::Acknowledge;

/// The number of the lane.
pub(super) const LANE: u32 = LANES;

const DATABASE: &str = "access";
const DOCUMENTS: usize = 6;
const USERS: usize = 3;
const CHANNELS: usize = 4;

/// Something that is written again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Document(usize),
    User(usize),
}

/// By which write each slot was written; those that are there.
type State = BTreeMap<Slot, u64>;

/// The writes of the lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
}

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Write(Slot),
    /// A tombstone, or a principal that is taken away.
    Delete(Slot),
    Purge(Slot),
}

impl Plan {
    fn random(self, number: u64, purpose: u64) -> Random {
        Random::of(&[self.seed, u64::from(LANE), number, purpose])
    }

    /// The write of this number, from 1, on what is there before.
    fn step(self, number: u64, before: &State) -> Step {
        let mut random = self.random(number, 0);
        let slot = match random.below(4) {
            0 => Slot::User(random.below(USERS)),
            _ => Slot::Document(random.below(DOCUMENTS)),
        };
        match random.below(8) {
            0 | 1 if before.contains_key(&slot) => Step::Delete(slot),
            2 if before.contains_key(&slot) && matches!(slot, Slot::Document(_)) => Step::Purge(slot),
            _ => Step::Write(slot),
        }
    }

    fn state(self, number: u64) -> State {
        let mut state = State::new();
        for next in 1..=number {
            match self.step(next, &state) {
                Step::Write(slot) => drop(state.insert(slot, next)),
                Step::Delete(slot) | Step::Purge(slot) => drop(state.remove(&slot)),
            }
        }
        state
    }

    /// Sorted, each once.
    fn channels(self, number: u64) -> Vec<Channel> {
        let mut random = self.random(number, 1);
        let mut channels: Vec<Channel> =
            (0..random.below(4)).filter_map(|_| format!("c{}", random.below(CHANNELS)).parse().ok()).collect();
        channels.sort_unstable();
        channels.dedup();
        channels
    }

    /// What the document of this write grants, if anything.
    fn grants(self, number: u64) -> Vec<Grant> {
        let mut random = self.random(number, 2);
        let to = format!("u{}", random.below(USERS)).parse();
        let what = format!("g{}", random.below(CHANNELS)).parse().map(Granted::Channel);
        let granted = random.below(3) > 0;
        to.ok().zip(what.ok()).filter(|_| granted).map(|(to, what)| Grant { to, what }).into_iter().collect()
    }

    fn expires_s(self, number: u64) -> Option<u64> {
        Some(self.random(number, 3).next_u64() % 1_000).filter(|at| at % 2 == 0)
    }
}

/// Opens the database, which is made where it isn't there.
pub(super) async fn open(kv: &Kv) -> Result<(Store, Database), Error> {
    let store = Store::open(kv.clone()).await?;
    let name = name()?;
    let database = match store.database(&name).await {
        Err(Error::NoDatabase(_)) => {
            store.create_with(&name, 0, Documents::InChannels.setting().into_iter().collect()).await?
        }
        found => found?,
    };
    Ok((store, database))
}

fn name() -> Result<DbName, Error> {
    DATABASE.parse().map_err(|_illegal| Error::Stopped)
}

/// How far the lane has got.
pub(super) fn latest(database: &Database) -> u64 {
    database.update_seq().get()
}

/// Writes so many times.
pub(super) async fn write(
    plan: Plan,
    database: &Database,
    marks: &Marks,
    count: u64,
    acknowledge: Acknowledge,
) -> Result<(), Error> {
    let found = latest(database);
    for number in found + 1..=found + count {
        let step = plan.step(number, &plan.state(number - 1));
        marks.begin(LANE, number);
        if acknowledge == Acknowledge::BeforeCommit {
            marks.acknowledge(LANE, number);
        }
        perform(plan, database, number, step).await?;
        marks.acknowledge(LANE, number);
    }
    Ok(())
}

async fn perform(plan: Plan, database: &Database, number: u64, step: Step) -> Result<(), Error> {
    match step {
        Step::Write(Slot::User(user)) => {
            let write = PrincipalWrite { channels: plan.channels(number), ..PrincipalWrite::default() };
            database.put_principal(principal(user)?, write).await?;
        }
        Step::Delete(Slot::User(user)) | Step::Purge(Slot::User(user)) => {
            database.delete_principal(principal(user)?, None).await?;
        }
        Step::Write(Slot::Document(document)) => edit(plan, database, number, (document, false)).await?,
        Step::Delete(Slot::Document(document)) => edit(plan, database, number, (document, true)).await?,
        Step::Purge(Slot::Document(document)) => {
            let id = id(document)?;
            let revs: Vec<Rev> = database.reader()?.winner(&id).await?.into_iter().map(|winner| winner.rev).collect();
            database.purge(vec![(id, revs)]).await?;
        }
    }
    Ok(())
}

async fn edit(plan: Plan, database: &Database, number: u64, (document, deleted): (usize, bool)) -> Result<(), Error> {
    let id = id(document)?;
    let winner = database.reader()?.winner(&id).await?.filter(|winner| !winner.deleted);
    let members = members(number);
    let canonical = format!("{{{members}}}").into();
    let assignment = Assignment {
        channels: plan.channels(number),
        grants: plan.grants(number),
        expires_s: plan.expires_s(number),
        judged_by: database.rules_version(),
    };
    let history = History::Edit { parent: winner.map(|winner| winner.rev), canonical };
    let members = members.into();
    let edit = Edit { id, history, deleted, members, attachments: Vec::new(), assignment: Some(assignment) };
    database.edit(vec![edit]).await?.pop().unwrap_or(Err(Error::Stopped)).map(drop)
}

fn members(number: u64) -> String {
    format!("\"number\":{number}")
}

fn id(document: usize) -> Result<DocId, Error> {
    format!("d{document}").parse().map_err(|_illegal| Error::Stopped)
}

fn principal(user: usize) -> Result<Principal, Error> {
    format!("u{user}").parse().map_err(|_illegal| Error::Stopped)
}

/// How many writes the lane shows; and what is wrong with it, if anything is.
pub(super) async fn look(plan: Plan, kv: &Kv) -> Result<(u64, Option<String>), Error> {
    let store = Store::open(kv.clone()).await?;
    let database = match store.database(&name()?).await {
        Err(Error::NoDatabase(_)) => return Ok((0, None)),
        found => found?,
    };
    let found = latest(&database);
    if let Some(first) = database.check().await?.first() {
        return Ok((found, Some(first.to_string())));
    }
    let (state, reader) = (plan.state(found), database.reader()?);
    for slot in (0..DOCUMENTS).map(Slot::Document).chain((0..USERS).map(Slot::User)) {
        let holds = match slot {
            Slot::Document(document) => holds_document(plan, &reader, document, state.get(&slot)).await?,
            Slot::User(user) => holds_user(plan, &reader, user, &state).await?,
        };
        if !holds {
            return Ok((found, Some(format!("{slot:?} isn't as it was after write {found}"))));
        }
    }
    Ok((found, None))
}

async fn holds_document(plan: Plan, reader: &Reader, document: usize, held: Option<&u64>) -> Result<bool, Error> {
    let winner = reader.winner(&id(document)?).await?.filter(|winner| !winner.deleted);
    let (Some(number), Some(body)) = (held, winner.as_ref().and_then(|winner| winner.body)) else {
        return Ok(held.is_none() && winner.is_none());
    };
    let assigned = reader.assigned(body).await?;
    let text = reader.body(body).await?;
    Ok(text.is_some_and(|text| text.members == members(*number))
        && assigned.channels == plan.channels(*number)
        && assigned.grants == plan.grants(*number)
        && assigned.expires_s == plan.expires_s(*number))
}

/// Whether a user has what it was granted, by an administrator; the check knows of what documents grant.
async fn holds_user(plan: Plan, reader: &Reader, user: usize, state: &State) -> Result<bool, Error> {
    let principal = principal(user)?;
    let held = state.get(&Slot::User(user)).map(|number| plan.channels(*number));
    let is_there = reader.principal(&principal).await?.map(|record| record.channels) == held;
    let (granted, _) = reader.grants(&principal).await?;
    let all = held.unwrap_or_default();
    Ok(is_there && all.iter().all(|channel| granted.get(channel).is_some_and(|periods| periods.current().is_some())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_writes_come() {
        let plan = Plan { seed: 5 };
        let steps = (1..200).map(|number| plan.step(number, &plan.state(number - 1)));
        let (mut writes, mut deletes, mut purges) = (0, 0, 0);
        for step in steps {
            match step {
                Step::Write(_) => writes += 1,
                Step::Delete(_) => deletes += 1,
                Step::Purge(_) => purges += 1,
            }
        }
        assert!(writes > 50 && deletes > 10 && purges > 3, "{writes} {deletes} {purges}");
        assert!((1..50).any(|number| !plan.grants(number).is_empty() && plan.expires_s(number).is_some()));
    }
}
