//! A server with one database whose documents are in channels.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::{net::IpAddr, time::SystemTime};
use tempfile::TempDir;
use tidegate_engine::{
    Caller, CollectionPlan, Credentials, Database, Detail, Engine, Error, Identity, Options, Party, Placement,
    Sections, SyncPlan, Transport, Which, Write, WriteMode, Written, principal::Body,
};
use tidegate_kv::{EmbeddedOptions, Kv};
use tidegate_types::{DbName, DocId, PrincipalName, Rev};

/// What a document says of itself is what happens to it.
const SYNC: &str = "function (doc, oldDoc) {
    if (doc.only) requireUser(doc.only);
    if (oldDoc && oldDoc.closed) requireAccess(oldDoc.channels);
    channel(doc.channels);
    access(doc.users, doc.grant);
    access('role:nurse', doc.role_grant);
    role(doc.nurses, 'role:nurse');
}";

/// The name of the other collection.
const OTHER: &str = "_default.other";

pub(crate) struct Site {
    _folder: TempDir,
    pub(crate) engine: Engine,
    /// The default collection, as the administrator sees it.
    pub(crate) admin: Database,
    /// Another one.
    pub(crate) other: Database,
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000)
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn doc(id: &str) -> DocId {
    id.parse().unwrap()
}

pub(crate) fn name(name: &str) -> PrincipalName {
    name.parse().unwrap()
}

impl Site {
    /// With these users, who have no channels yet and no passwords.
    pub(crate) async fn new(users: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kv = Kv::open_embedded(EmbeddedOptions::new(folder.path())).await.unwrap();
        let identity = Identity { version: "0", uuid: "0".repeat(32) };
        let (config, party) = (Sections::default(), Party::Open);
        let engine =
            Engine::open(kv, Options { config, party, databases_max: 10, identity, clock: now }).await.unwrap();
        let (caller, db) = (engine.authenticate(&credentials(&|_| None)).await.unwrap().caller, db());
        engine.create_database_in_channels(&caller, &db).await.unwrap();
        let admin = engine.database(&caller, &db).await.unwrap();
        let plan = |name: &str| CollectionPlan { name: name.parse().unwrap(), sync: SyncPlan::Source(SYNC.to_owned()) };
        admin.use_collections(&[plan("_default._default"), plan(OTHER)]).await.unwrap();
        let admin = engine.database(&caller, &db).await.unwrap();
        let other = admin.collection(&OTHER.parse().unwrap()).await.unwrap();
        admin.set_login_rules(b"{\"allow_empty_password\":true}").await.unwrap();
        let site = Self { _folder: folder, engine, admin, other };
        for user in users {
            site.put_user(user, "{\"password\":\"\"}").await;
        }
        site
    }

    pub(crate) async fn put_user(&self, user: &str, body: &str) {
        let body = Body::parse(body.as_bytes()).unwrap();
        self.admin.put_user(&name(user), &body, WriteMode::Replace).await.unwrap();
    }

    pub(crate) async fn put_role(&self, role: &str, body: &str) {
        let body = Body::parse(body.as_bytes()).unwrap();
        self.admin.put_role(&name(role), &body, WriteMode::Replace).await.unwrap();
    }

    /// The user, as recognised by its (empty) password.
    pub(crate) async fn caller(&self, user: &str) -> Caller {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:")));
        let header = |header: &str| (header == "authorization").then_some(basic.as_str());
        self.engine.authenticate_principal(&db(), &credentials(&header)).await.unwrap().caller
    }

    /// The database as a user sees it.
    pub(crate) async fn seen_by(&self, user: &str) -> Database {
        self.engine.database(&self.caller(user).await, &db()).await.unwrap()
    }

    /// A collection as a user sees it.
    pub(crate) async fn collection_seen_by(&self, user: &str, like: &Database) -> Database {
        self.seen_by(user).await.collection(like.collection_name()).await.unwrap()
    }

    /// Writes over the winner, as the administrator.
    pub(crate) async fn write(&self, id: &str, body: &str) -> Result<Written, Error> {
        write(&self.admin, id, body).await
    }
}

/// Deletes the winner that this database's holder sees.
pub(crate) async fn delete(db: &Database, id: &str) -> Result<Written, Error> {
    let Some(parent) = winner(db, id).await else { return Err(Error::Conflict) };
    let placement = Placement::Edit { parent: Some(parent), canonical: "{\"_deleted\":true}".into() };
    db.write_one(Write { placement, deleted: true, ..edit(id, "{}") }).await
}

pub(crate) fn db() -> DbName {
    "db".parse().unwrap()
}

fn credentials<'r>(header: &'r (dyn Fn(&str) -> Option<&'r str> + Sync)) -> Credentials<'r> {
    let peer = IpAddr::from([127, 0, 0, 1]);
    Credentials { header, peer, client: peer, transport: Transport::Plain }
}

pub(crate) async fn winner(admin: &Database, id: &str) -> Option<Rev> {
    admin.get(&doc(id), &Which::Winner, Detail::Plain).await.ok().map(|document| document.rev)
}

fn edit(id: &str, body: &str) -> Write {
    let members = body.trim().trim_start_matches('{').trim_end_matches('}').to_owned();
    let placement = Placement::Edit { parent: None, canonical: body.to_owned().into() };
    Write { id: doc(id), placement, deleted: false, members: members.into(), attachments: Vec::new(), expires_s: None }
}

/// Writes over the winner that this database's holder sees.
pub(crate) async fn write(db: &Database, id: &str, body: &str) -> Result<Written, Error> {
    let placement = Placement::Edit { parent: winner(db, id).await, canonical: body.to_owned().into() };
    db.write_one(Write { placement, ..edit(id, body) }).await
}

/// Writes a revision that another replica made.
pub(crate) async fn replicate(db: &Database, id: &str, path: &[&str], body: &str) -> Result<Written, Error> {
    let placement = Placement::Replicated(path.iter().map(|rev| rev.parse().unwrap()).collect());
    db.write_one(Write { placement, ..edit(id, body) }).await
}
