//! What a database's tasks do, they do in every collection.

use super::*;
use crate::{
    Engine, Interest, Position, ResyncFrom, Write,
    fixture::{Client, Site, doc, edit, run, until},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const SYNC: &str = "function (doc) { channel(doc.channels); access(doc.to, doc.grants); role(doc.to, doc.role); }";
const MORNING: u64 = 1_000_000_000;

#[test]
fn a_keyspace_means_a_collection() {
    let names = |texts: &[&str]| Collections::Named(texts.iter().map(|text| text.parse().unwrap()).collect());
    let check = |collections: &Collections, scope, name, expected: Option<&str>| {
        let found = collections.named(scope, name).ok().filter(|name| collections.has(name));
        assert_eq!(found.as_ref().map(CollectionName::as_str), expected, "{scope:?} {name:?}");
    };
    let default = Some("_default._default");
    for collections in [Collections::Default, names(&["_default._default", "_default.c"])] {
        check(&collections, None, None, default);
        check(&collections, None, Some("_default"), default);
        check(&collections, Some("_default"), Some("_default"), default);
        check(&collections, Some("s"), Some("_default"), None);
        check(&collections, Some("s"), Some("c"), None);
    }
    check(&Collections::Default, None, Some("c"), None);
    let scoped = names(&["s.c", "s.d"]);
    check(&scoped, None, None, None);
    check(&scoped, Some("_default"), Some("_default"), None);
    check(&scoped, None, Some("c"), Some("s.c"));
    check(&scoped, Some("s"), Some("d"), Some("s.d"));
    check(&scoped, Some("s"), Some("e"), None);
    check(&scoped, Some("_default"), Some("c"), None);
    check(&scoped, Some("s"), Some("d.e"), None);
}

async fn other(site: &Site) -> Database {
    site.db.collection(&"s.d".parse().unwrap()).await.unwrap()
}

/// Documents go though their collection isn't in use, and though nobody has asked for the database since the start.
#[test]
fn documents_expire_in_every_collection() {
    static PASSED_S: AtomicU64 = AtomicU64::new(0);
    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(MORNING + PASSED_S.load(Ordering::Relaxed))
    }
    run(async {
        let site = Site::with_clock(now).await.in_collection(SYNC).await;
        let write = Write { expires_s: Some(MORNING + 60), ..edit("d", None, "") };
        site.db.write_one(write.clone()).await.unwrap();
        other(&site).await.write_one(write).await.unwrap();
        let site = site.restarted().await;
        let only = CollectionPlan { name: site.db.collection_name().clone(), sync: SyncPlan::AsItIs };
        let unused = other(&site).await.store;
        site.db.use_collections(&[only]).await.unwrap();
        PASSED_S.store(60, Ordering::Relaxed);
        for store in [&site.db.store, &unused] {
            let is_gone = async || store.reader().unwrap().winner(&doc("d")).await.unwrap().unwrap().deleted;
            until("an expiry", is_gone).await;
        }
    });
}

#[test]
fn a_resync_of_a_collection_goes_on_after_a_restart() {
    run(async {
        let site = Site::new().await.in_collection(SYNC).await;
        for number in 0..250 {
            site.write(&format!("d{number:03}"), r#""channels":["a"]"#).await.unwrap();
        }
        other(&site).await.write_one(edit("d", None, r#""channels":["a"]"#)).await.unwrap();
        site.set_function("function (doc) { channel('new'); }").await;
        site.db.start_resync(ResyncFrom::Beginning).await.unwrap();
        let site = site.restarted().await;
        assert_eq!(site.resynced().await.docs_processed, 250);
        assert_eq!((site.channels("d000").await.as_str(), site.channels("d249").await.as_str()), ("new", "new"));
        // It was of one collection.
        assert!(other(&site).await.resync_status().await.unwrap().is_none());
        assert!(site.db.store.check().await.unwrap().is_empty());
    });
}

/// A role that a document of another collection grants stays what it is, whatever is decided here.
#[test]
fn a_trial_leaves_what_other_collections_grant() {
    run(async {
        let site = Site::new().await.in_collection(SYNC).await;
        let access = r#"{"collection_access":{"s":{"c":{"admin_channels":["x"]}}}}"#;
        for role in ["here", "there"] {
            site.put_role(role, access).await;
        }
        site.put_user("ada", r#"{"password":"secret"}"#).await;
        let grant = |role: &str| edit("g", None, &format!(r#""to":"ada","role":"role:{role}""#));
        site.db.write_one(grant("here")).await.unwrap();
        let shifts = async || {
            let mut dry_run = site.db.dry_run(Some("function () {}"), 0).await.unwrap();
            while dry_run.step().await.unwrap().is_some() {}
            dry_run.report().users.iter().map(|user| user.channels_lost.len()).collect::<Vec<_>>()
        };
        assert_eq!(shifts().await, [1], "the role of this collection's document goes, and its channel");
        other(&site).await.write_one(grant("there")).await.unwrap();
        assert_eq!(shifts().await, Vec::<usize>::new(), "the other's document still grants one that has it");
    });
}

#[test]
fn a_collection_that_is_not_in_use_any_more_is_closed() {
    run(async {
        let site = Site::new().await.in_collection(SYNC).await;
        let access = r#"{"password":"secret","collection_access":{"s":{"d":{"admin_channels":["*"]}}}}"#;
        site.put_user("ada", access).await;
        let (ada, there) = (site.seen_by("ada").await, other(&site).await);
        let seen = ada.collection(there.collection_name()).await.unwrap();
        there.write_one(edit("d", None, "")).await.unwrap();
        assert_eq!(Client::new().catch_up(&seen).await, ["myself", "d"]);
        let mut feed = seen.follow_channels(Position::START, Interest::default()).unwrap();
        let only = CollectionPlan { name: site.db.collection_name().clone(), sync: SyncPlan::AsItIs };
        let db = site.db.use_collections(&[only]).await.unwrap();
        for closed in [
            feed.next(1).await.map(drop),
            there.write_one(edit("e", None, "")).await.map(drop),
            seen.write_one(edit("e", None, "")).await.map(drop),
            db.collection(there.collection_name()).await.map(drop),
        ] {
            assert!(matches!(closed, Err(Error::NoCollection(_))), "{closed:?}");
        }
        // CouchDB's dialect has the default collection all the same.
        let default = site.engine.database(&Engine::own_caller(), site.db.name()).await.unwrap();
        default.write_one(edit("d", None, "")).await.unwrap();
    });
}
