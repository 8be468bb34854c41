//! Replications as they are kept: a document of `_replicator` for each way, which CouchDB's replicator carries out.
//!
//! So they survive restarts, take their turns with all others, and are seen in `_scheduler/docs` as well. What this
//! dialect says of them is in the member `gateway` of each.

use super::config::{Config, Way};
use crate::{context::Context, error::Error, stored};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt::Write as _, ops::Bound};
use tidegate_engine::{Database, Detail, DocRange, Document, Order, Which, Write};
use tidegate_types::{DbName, DocId, Rev};

/// Documents read at once.
const PAGE: usize = 100;

/// A replication.
pub(super) struct Record {
    pub(super) config: Config,
    pub(super) is_stopped: bool,
    /// Grows when it is to begin anew.
    pub(super) epoch: u64,
    /// What there is of each way.
    pub(super) ways: BTreeMap<&'static str, Kept>,
}

/// The document of one way.
pub(super) struct Kept {
    pub(super) id: DocId,
    rev: Rev,
    /// What the replicator wrote into it, and what was counted when it was stopped.
    pub(super) state: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) counts: Value,
}

/// The replications of one database.
pub(super) struct Records {
    replicator: Database,
    name: DbName,
    /// Tells the database from others of the name.
    uuid: String,
}

impl Record {
    pub(super) fn new(config: Config, is_stopped: bool) -> Self {
        Self { config, is_stopped, epoch: 0, ways: BTreeMap::new() }
    }

    /// Has it begin where nothing was replicated yet.
    pub(super) fn begin_anew(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
        for kept in self.ways.values_mut() {
            kept.counts = Value::Null;
        }
    }
}

impl Records {
    /// `None` where somebody has deleted `_replicator`: nothing is configured then.
    pub(super) async fn find(cx: &Context, db: &Database) -> Result<Option<Self>, Error> {
        let Some(replicator) = replicator(cx).await? else { return Ok(None) };
        let uuid = db.uuid().iter().fold(String::new(), |mut text, byte| {
            let _written = write!(text, "{byte:02x}");
            text
        });
        Ok(Some(Self { replicator, name: db.name().clone(), uuid }))
    }

    pub(super) async fn of(cx: &Context, db: &Database) -> Result<Self, Error> {
        let missing = || Error::new(StatusCode::SERVICE_UNAVAILABLE, "the database _replicator is missing");
        Self::find(cx, db).await?.ok_or_else(missing)
    }

    fn id(&self, replication: &str, way: Way) -> Result<DocId, Error> {
        let id = format!("gateway:{}:{replication}:{}", self.name, way.as_str());
        id.parse().map_err(|_illegal| Error::bad_request("replication_id can't be a part of a document's id"))
    }

    /// Takes away all that is configured for databases of this name, whichever they were.
    pub(super) async fn clear(cx: &Context, name: &DbName) -> Result<(), Error> {
        let Some(replicator) = replicator(cx).await? else { return Ok(()) };
        let mut rows = replicator.list(range_of(name)).await?;
        loop {
            let page = rows.next(PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let tombstones = page.iter().map(|row| stored::edit(&row.id, None, Some(row.winner.rev.clone())));
            write(&replicator, tombstones.collect::<Result<_, _>>()?).await?;
        }
    }

    /// All of them, in the order of their names.
    pub(super) async fn list(&self) -> Result<Vec<Record>, Error> {
        let mut rows = self.replicator.list(range_of(&self.name)).await?;
        let mut found: BTreeMap<String, Record> = BTreeMap::new();
        loop {
            let page = rows.next(PAGE).await?;
            for row in &page {
                self.take(&mut found, rows.document(row).await?)?;
            }
            if page.is_empty() {
                return Ok(found.into_values().collect());
            }
        }
    }

    pub(super) async fn get(&self, replication: &str) -> Result<Option<Record>, Error> {
        let mut found = BTreeMap::new();
        for way in [Way::Push, Way::Pull] {
            match self.replicator.get(&self.id(replication, way)?, &Which::Winner, Detail::Plain).await {
                Ok(document) => self.take(&mut found, document)?,
                Err(tidegate_engine::Error::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found.into_values().next())
    }

    /// Adds what a document says to the replications found so far, unless it is of another database of the same name.
    fn take(&self, found: &mut BTreeMap<String, Record>, document: Document) -> Result<(), Error> {
        let mut members = stored::members(&document)?;
        let Some(Value::Object(mut own)) = members.remove("gateway") else { return Ok(()) };
        let Some(Value::Object(config)) = own.remove("config") else { return Ok(()) };
        if own.get("uuid").and_then(Value::as_str) != Some(self.uuid.as_str()) {
            return Ok(());
        }
        let way = if document.id.as_str().ends_with(":push") { Way::Push } else { Way::Pull };
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        let kept = Kept {
            state: text("_replication_state"),
            reason: text("_replication_state_reason"),
            counts: members.get("_replication_stats").or(own.get("counts")).cloned().unwrap_or_default(),
            id: document.id,
            rev: document.rev,
        };
        let config = Config::kept(config);
        let record = found.entry(config.id().to_owned()).or_insert_with(|| Record {
            is_stopped: members.get("stopped") == Some(&Value::Bool(true)),
            epoch: own.get("epoch").and_then(Value::as_u64).unwrap_or_default(),
            config,
            ways: BTreeMap::new(),
        });
        record.ways.insert(way.as_str(), kept);
        Ok(())
    }

    /// Writes a replication over what there was of it.
    pub(super) async fn put(&self, record: &Record) -> Result<(), Error> {
        let ways = record.config.ways()?;
        let mut writes = Vec::new();
        for way in [Way::Push, Way::Pull] {
            let (id, kept) = (self.id(record.config.id(), way)?, record.ways.get(way.as_str()));
            let rev = kept.map(|kept| kept.rev.clone());
            if ways.contains(&way) {
                let members = self.members(record, way)?;
                let parent = match rev {
                    Some(rev) => Some(rev),
                    // One of another database of this name may lie there.
                    None => self.left_over(&id).await?,
                };
                writes.push(stored::edit(&id, Some(&members), parent)?);
            } else if rev.is_some() {
                writes.push(stored::edit(&id, None, rev)?);
            }
        }
        write(&self.replicator, writes).await
    }

    async fn left_over(&self, id: &DocId) -> Result<Option<Rev>, Error> {
        match self.replicator.get(id, &Which::Winner, Detail::Plain).await {
            Ok(document) => Ok(Some(document.rev)),
            Err(tidegate_engine::Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn members(&self, record: &Record, way: Way) -> Result<Map<String, Value>, Error> {
        let mark = format!("{}/{}/{}", self.uuid, record.config.id(), record.epoch);
        let mut members = record.config.job(self.name.as_str(), way, &mark)?;
        if record.is_stopped {
            members.insert("stopped".to_owned(), true.into());
        }
        let own = json!({
            "uuid": self.uuid,
            "epoch": record.epoch,
            "config": record.config.members(),
            "counts": record.ways.get(way.as_str()).map(|kept| &kept.counts),
        });
        members.insert("gateway".to_owned(), own);
        Ok(members)
    }

    pub(super) async fn remove(&self, record: &Record) -> Result<(), Error> {
        let tombstones = record.ways.values().map(|kept| stored::edit(&kept.id, None, Some(kept.rev.clone())));
        write(&self.replicator, tombstones.collect::<Result<_, _>>()?).await
    }
}

async fn replicator(cx: &Context) -> Result<Option<Database>, Error> {
    match cx.engine.database(&cx.caller, &DbName::replicator()).await {
        Ok(replicator) => Ok(Some(replicator)),
        Err(tidegate_engine::Error::NoDatabase(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The documents of a database's replications.
fn range_of(name: &DbName) -> DocRange {
    let (start, end) = (format!("gateway:{name}:"), format!("gateway:{name};"));
    DocRange { start: Bound::Included(start), end: Bound::Excluded(end), order: Order::Ascending }
}

async fn write(replicator: &Database, writes: Vec<Write>) -> Result<(), Error> {
    for outcome in replicator.write(writes).await? {
        outcome?;
    }
    Ok(())
}
