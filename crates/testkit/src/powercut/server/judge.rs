//! Opening a server's folder after a cut, and holding what it shows against what the lanes were promised.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use tidegate_kv::{EmbeddedOptions, Kv};
use tidegate_store::{Assigned, Database, Granted, Reader, Store};
use tidegate_types::{Channel, DbName, Principal};
use tokio::runtime::Runtime;

use super::super::check::{Depth, Violation};
use super::super::simulator::{Promise, Simulator};
use super::load::data_folder;
use super::plan::{Held, LANES, Placement, Plan, Slot, State};

/// Judges the folders of one load.
#[derive(Debug)]
pub(in super::super) struct Judge {
    seed: u64,
    runtime: Runtime,
}

type Promises = BTreeMap<u32, Promise>;

/// The databases that are there.
type Databases = BTreeMap<String, Database>;

impl Judge {
    pub(in super::super) fn new(seed: u64) -> std::io::Result<Self> {
        Ok(Self { seed, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()? })
    }

    /// Opens the folder in `root`; returns the last write found of each lane.
    pub(in super::super) fn check(
        &mut self,
        root: &Path,
        simulator: &Simulator<'_>,
        depth: Depth,
    ) -> Result<Vec<u64>, Violation> {
        let promises = simulator.promises();
        let open = || self.runtime.block_on(self.open(root, promises));
        let guarded = AssertUnwindSafe(|| {
            let first = open()?;
            if depth == Depth::Once {
                return Ok(first);
            }
            let again = open()?;
            if first == again { Ok(again) } else { Err(Violation::Unstable { first, again }) }
        });
        panic::catch_unwind(guarded).unwrap_or_else(|payload| Err(Violation::panicked(payload.as_ref())))
    }

    async fn open(&self, root: &Path, promises: &Promises) -> Result<Vec<u64>, Violation> {
        let mut options = EmbeddedOptions::new(data_folder(root));
        options.cache_bytes = 4 << 20;
        options.segment_bytes = 1 << 20;
        let kv = Kv::open_embedded(options).await.map_err(failed("open"))?;
        let store = Store::open(kv).await.map_err(failed("open"))?;
        let mut databases = Databases::new();
        for name in store.names().await.map_err(failed("list"))? {
            let database = store.database(&name).await.map_err(failed("open"))?;
            check_records(&name, &database).await?;
            databases.insert(name.to_string(), database);
        }
        let mut found = Vec::new();
        for lane in 0..LANES {
            let promise = promises.get(&lane).copied().unwrap_or_default();
            found.push(judge_lane(Plan { seed: self.seed, lane }, promise, &databases).await?);
        }
        drop(databases);
        store.close().await.map_err(failed("close"))?;
        Ok(found)
    }
}

/// Whether the records of a database agree with each other.
async fn check_records(name: &DbName, database: &Database) -> Result<(), Violation> {
    let inconsistencies = database.check().await.map_err(failed("check"))?;
    match inconsistencies.first() {
        None => Ok(()),
        Some(first) => {
            let error = format!("{name}: {first}, and {} more", inconsistencies.len() - 1);
            Err(Violation::Failed { action: "find sound", error })
        }
    }
}

async fn judge_lane(plan: Plan, promise: Promise, databases: &Databases) -> Result<u64, Violation> {
    let (lane, Promise { acknowledged, begun }) = (plan.lane, promise);
    let mut difference = String::new();
    for found in (acknowledged..=begun).rev() {
        match compare(plan, &plan.state(found), databases).await? {
            None => return Ok(found),
            Some(slot) => difference = format!("{slot:?} isn't as it was after write {found}"),
        }
    }
    for found in (0..acknowledged).rev() {
        if compare(plan, &plan.state(found), databases).await?.is_none() {
            return Err(Violation::Lost { lane, acknowledged, found });
        }
    }
    Err(Violation::Torn { lane, found: acknowledged, difference })
}

/// The first slot that doesn't hold what it must.
async fn compare(plan: Plan, state: &State, databases: &Databases) -> Result<Option<Slot>, Violation> {
    for slot in Slot::all() {
        let held = state.get(&slot).copied();
        let is_right = match databases.get(plan.database(slot)) {
            None => held.is_none(),
            Some(database) => holds(plan, database, slot, held).await.map_err(failed("read"))?,
        };
        if !is_right {
            return Ok(Some(slot));
        }
    }
    Ok(None)
}

async fn holds(plan: Plan, database: &Database, slot: Slot, held: Option<Held>) -> Result<bool, tidegate_store::Error> {
    if slot == Slot::Principal {
        return holds_principal(plan, database, held).await;
    }
    let Ok(id) = plan.id(slot).parse() else { return Ok(false) };
    if slot == Slot::Local {
        let local = database.reader()?.local(&id).await?;
        return Ok(match (local, held) {
            (None, None) => true,
            (Some(local), Some(held)) => local.members == plan.members(slot, held),
            (Some(_), None) | (None, Some(_)) => false,
        });
    }
    let reader = database.reader()?;
    let winner = reader.winner(&id).await?.filter(|winner| !winner.deleted);
    let (body_seq, held) = match (winner.and_then(|winner| winner.body), held) {
        (None, None) => return Ok(true),
        (Some(body), Some(held)) => (body, held),
        (Some(_), None) | (None, Some(_)) => return Ok(false),
    };
    let Some(body) = reader.body(body_seq).await? else { return Ok(false) };
    if let Slot::Placed(_) = slot
        && !is_placed(&reader.assigned(body_seq).await?, &plan.placement(held))
    {
        return Ok(false);
    }
    let members = String::from_utf8_lossy(&body.members);
    Ok(match slot {
        Slot::User => members.contains(&plan.members(slot, held)),
        // Members are kept in another order than they were sent in; the number decides them all.
        Slot::Placed(_) => members.contains(&format!("\"number\":{},", held.number)),
        Slot::Document(_) | Slot::Local | Slot::Principal => members == plan.members(slot, held),
        Slot::Attachment => match body.attachments.as_slice() {
            [attachment] => content(&reader, &attachment.digest).await? == plan.content(held),
            _ => false,
        },
    })
}

/// Whether the database's user has what its latest write granted, and nothing that an earlier one did.
async fn holds_principal(plan: Plan, database: &Database, held: Option<Held>) -> Result<bool, tidegate_store::Error> {
    let Ok(name) = plan.principal().parse() else { return Ok(false) };
    let (principal, reader) = (Principal::User(name), database.reader()?);
    let granted: Vec<String> = held.into_iter().map(Held::granted).collect();
    let record = reader.principal(&principal).await?;
    let is_there = record.map(|record| texts(&record.channels)) == held.map(|_| granted.clone());
    let states = reader.grant_states(&principal).await?;
    let open = states.iter().filter(|state| state.explicit && state.periods.current().is_some());
    let open: Vec<String> = open.map(|state| text_of(&state.what)).collect();
    Ok(is_there && open == granted)
}

fn is_placed(assigned: &Assigned, placement: &Placement) -> bool {
    let grants: Vec<_> = assigned.grants.iter().map(|grant| (grant.to.to_string(), text_of(&grant.what))).collect();
    texts(&assigned.channels) == placement.channels
        && assigned.expires_s == Some(placement.expires_s)
        && grants == [(placement.to.clone(), placement.give.clone())]
}

fn texts(channels: &[Channel]) -> Vec<String> {
    channels.iter().map(Channel::to_string).collect()
}

fn text_of(granted: &Granted) -> String {
    match granted {
        Granted::Channel(channel) => channel.to_string(),
        Granted::Role(role) => format!("role:{role}"),
    }
}

async fn content(reader: &Reader, digest: &tidegate_store::AttachmentDigest) -> Result<Vec<u8>, tidegate_store::Error> {
    let mut reader = reader.attachment(digest, None).await?;
    let mut content = Vec::new();
    while let Some(chunk) = reader.next().await? {
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

fn failed<E: std::error::Error>(action: &'static str) -> impl FnOnce(E) -> Violation {
    move |error| Violation::Failed { action, error: format!("{error}: {error:?}") }
}
