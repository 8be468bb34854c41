//! For tests: an engine over a store of its own, with a database in channels, and a client that follows it.

use crate::{
    Caller, CollectionPlan, Database, Engine, Error, Identity, Interest, JobState, News, Options, Party, Placement,
    Position, Sections, SyncPlan, Write, WriteMode, Written,
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;
use tidegate_access::{UserCtx, principal::Body};
use tidegate_json::scan_document;
use tidegate_kv::{EmbeddedOptions, Kv};
use tidegate_types::{DbName, DocId, PrincipalName, Rev};

/// The longest that something in the background may take.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Site {
    pub(crate) engine: Engine,
    /// As an administrator has it.
    pub(crate) db: Database,
    pub(crate) clock: fn() -> SystemTime,
    pub(crate) folder: TempDir,
}

/// Who follows what it may see, as a device does.
pub(crate) struct Client {
    pub(crate) position: Position,
    pub(crate) holds: BTreeMap<DocId, Rev>,
}

pub(crate) fn name(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

pub(crate) fn doc(text: &str) -> DocId {
    text.parse().unwrap()
}

fn db_name() -> DbName {
    "db".parse().unwrap()
}

fn morning() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

/// Waits, without sleeping, until something in the background is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what} takes too long");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn open(folder: &TempDir, clock: fn() -> SystemTime) -> Engine {
    let kv = Kv::open_embedded(EmbeddedOptions::new(folder.path())).await.unwrap();
    let identity = Identity { version: "0", uuid: "0".repeat(32) };
    let mut config = Sections::default();
    // Hashing is slow on purpose, which is no matter of these tests.
    config.set("chttpd_auth", "iterations", "1");
    let options = Options { config, party: Party::Closed, databases_max: 10, identity, clock };
    Engine::open(kv, options).await.unwrap()
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with_clock(morning).await
    }

    pub(crate) async fn with_clock(clock: fn() -> SystemTime) -> Self {
        let folder = TempDir::new().unwrap();
        let engine = open(&folder, clock).await;
        engine.create_database_in_channels(&Engine::own_caller(), &db_name()).await.unwrap();
        let db = engine.database(&Engine::own_caller(), &db_name()).await.unwrap();
        Self { engine, db, clock, folder }
    }

    /// The same site after a stop and a start.
    pub(crate) async fn restarted(self) -> Self {
        let Self { engine, db, clock, folder } = self;
        let name = db.collection_name().clone();
        drop(db);
        engine.close().await.unwrap();
        drop(engine);
        let engine = open(&folder, clock).await;
        let db = engine.database(&Engine::own_caller(), &db_name()).await.unwrap();
        let db = db.collection(&name).await.unwrap();
        Self { engine, db, clock, folder }
    }

    /// The same site, with the collections `s.c` and `s.d`, and what follows in the first of them.
    pub(crate) async fn in_collection(self, sync: &str) -> Self {
        let plan = |name: &str| CollectionPlan { name: name.parse().unwrap(), sync: SyncPlan::Source(sync.to_owned()) };
        let plans = [plan("s.c"), plan("s.d")];
        let db = self.db.use_collections(&plans).await.unwrap().collection(&plans[0].name).await.unwrap();
        Self { db, ..self }
    }

    pub(crate) async fn put_user(&self, user: &str, body: &str) {
        self.db.put_user(&name(user), &Body::parse(body.as_bytes()).unwrap(), WriteMode::Replace).await.unwrap();
    }

    pub(crate) async fn put_role(&self, role: &str, body: &str) {
        self.db.put_role(&name(role), &Body::parse(body.as_bytes()).unwrap(), WriteMode::Replace).await.unwrap();
    }

    pub(crate) async fn set_function(&self, source: &str) {
        self.db.set_sync_function(Some(source)).await.unwrap();
    }

    /// The database as one of its users has it.
    pub(crate) async fn seen_by(&self, user: &str) -> Database {
        let caller = Caller::user(UserCtx::nobody().clone(), self.db.uuid(), name(user));
        let db = self.engine.database(&caller, &db_name()).await.unwrap();
        db.collection(self.db.collection_name()).await.unwrap()
    }

    /// Writes an edit on the winner, by an administrator.
    pub(crate) async fn write(&self, id: &str, members: &str) -> Result<Written, Error> {
        self.write_as(&self.db, edit(id, self.parent(id).await, members)).await
    }

    pub(crate) async fn write_as(&self, db: &Database, write: Write) -> Result<Written, Error> {
        db.write_one(write).await
    }

    pub(crate) async fn delete(&self, id: &str) -> Result<Written, Error> {
        let write = edit(id, self.parent(id).await, "");
        self.db.write_one(Write { deleted: true, ..write }).await
    }

    /// The winner, if it is live.
    pub(crate) async fn parent(&self, id: &str) -> Option<Rev> {
        let winner = self.db.store.reader().unwrap().winner(&doc(id)).await.unwrap();
        winner.filter(|winner| !winner.deleted).map(|winner| winner.rev)
    }

    /// The channels of a document, as a text.
    pub(crate) async fn channels(&self, id: &str) -> String {
        let reader = self.db.store.reader().unwrap();
        let body = reader.winner(&doc(id)).await.unwrap().unwrap().body.unwrap();
        let channels = reader.assigned(body).await.unwrap().channels;
        channels.iter().map(|channel| channel.as_str()).collect::<Vec<_>>().join(" ")
    }

    pub(crate) async fn resynced(&self) -> crate::ResyncStatus {
        until("a resync", async || {
            let state = self.db.resync_status().await.unwrap().unwrap().state;
            state != JobState::Running && state != JobState::Stopping
        })
        .await;
        self.db.resync_status().await.unwrap().unwrap()
    }
}

/// An edit of these members.
pub(crate) fn edit(id: &str, parent: Option<Rev>, members: &str) -> Write {
    let text = format!("{{{members}}}");
    let canonical = scan_document(text.as_bytes(), tidegate_json::Limits::default()).unwrap().canonical_with(&[]);
    let (id, members) = (doc(id), Bytes::from(members.to_owned()));
    let placement = Placement::Edit { parent, canonical: canonical.into() };
    Write { id, placement, deleted: false, members, attachments: Vec::new(), expires_s: None }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self { position: Position::START, holds: BTreeMap::new() }
    }

    /// Reads at most so many rows of the feed; whether there were as many.
    pub(crate) async fn follow(&mut self, db: &Database, limit: usize) -> Vec<String> {
        let interest = Interest { channels: None, losses: true, myself: true };
        let mut feed = db.follow_channels(self.position, interest).unwrap();
        let mut rows = Vec::new();
        loop {
            let told = feed.next((limit - rows.len()).min(7)).await.unwrap();
            if told.is_empty() {
                self.position = feed.position();
                return rows;
            }
            for told in told {
                self.position = told.position;
                rows.push(self.obey(told.news));
            }
        }
    }

    /// Follows to the end.
    pub(crate) async fn catch_up(&mut self, db: &Database) -> Vec<String> {
        self.follow(db, usize::MAX).await
    }

    fn obey(&mut self, news: News) -> String {
        match news {
            News::Changed(change) => {
                self.holds.insert(change.id.clone(), change.winner.clone());
                if change.deleted { format!("deleted {}", change.id) } else { change.id.to_string() }
            }
            News::Left(change, _) => {
                self.holds.remove(&change.id);
                format!("left {}", change.id)
            }
            News::Lost(change) => {
                self.holds.remove(&change.id);
                format!("lost {}", change.id)
            }
            News::Myself => "myself".to_owned(),
        }
    }
}
