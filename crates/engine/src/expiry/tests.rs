//! Documents go when their time has come, and those who follow are told.

use crate::{
    Error, Placement, Write,
    fixture::{Client, Site, doc, edit, run, until},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The seconds since 1970 at which tests begin.
const MORNING: u64 = 1_000_000_000;

/// A clock of a test's own, and what it counts.
macro_rules! clock {
    () => {{
        static PASSED_S: AtomicU64 = AtomicU64::new(0);
        fn now() -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(MORNING + PASSED_S.load(Ordering::Relaxed))
        }
        (now as fn() -> SystemTime, &PASSED_S)
    }};
}

async fn gone(site: &Site, id: &str) {
    until("an expiry", async || site.parent(id).await.is_none()).await;
}

async fn write_expiring(site: &Site, id: &str, members: &str, expires_s: u64) {
    let write = edit(id, site.parent(id).await, members);
    site.db.write_one(Write { expires_s: Some(expires_s), ..write }).await.unwrap();
}

#[test]
fn documents_go_when_their_time_has_come() {
    run(async {
        let (now, passed_s) = clock!();
        let site = Site::with_clock(now).await;
        site.put_user("ada", r#"{"password":"secret","admin_channels":["a"]}"#).await;
        write_expiring(&site, "soon", r#""channels":["a"]"#, MORNING + 60).await;
        write_expiring(&site, "later", r#""channels":["a"]"#, MORNING + 120).await;
        write_expiring(&site, "kept", r#""channels":["a"]"#, MORNING + 60).await;
        let (ada, mut client) = (site.seen_by("ada").await, Client::new());
        client.catch_up(&ada).await;
        assert_eq!(ada.expires_s(&doc("soon")).await.unwrap(), Some(MORNING + 60));
        // A write says it anew.
        site.write("kept", r#""channels":["a"],"n":2"#).await.unwrap();
        assert_eq!(ada.expires_s(&doc("kept")).await.unwrap(), None);
        passed_s.store(60, Ordering::Relaxed);
        gone(&site, "soon").await;
        assert_eq!(client.catch_up(&ada).await, ["kept", "left soon"]);
        assert!(site.parent("later").await.is_some() && site.parent("kept").await.is_some());
        passed_s.store(120, Ordering::Relaxed);
        gone(&site, "later").await;
        // It went once, and doesn't go again.
        let seq = site.db.info().await.unwrap().update_seq;
        passed_s.store(100_000, Ordering::Relaxed);
        write_expiring(&site, "past", "", MORNING).await;
        gone(&site, "past").await;
        assert_eq!(site.db.info().await.unwrap().update_seq, seq.next().next());
        assert!(site.db.store.reader().unwrap().expired(u64::MAX, 9).await.unwrap().is_empty());
    });
}

#[test]
fn the_function_says_when_and_its_word_counts_for_more() {
    run(async {
        let (now, passed_s) = clock!();
        let site = Site::with_clock(now).await;
        site.set_function("function (doc) { channel('a'); if (doc.days !== undefined) expiry(doc.days * 86400); }")
            .await;
        write_expiring(&site, "1", r#""days":2"#, MORNING + 5).await;
        write_expiring(&site, "2", r#""days":0"#, MORNING + 5).await;
        write_expiring(&site, "3", r#""n":1"#, MORNING + 5).await;
        let expires = async |id: &str| site.db.expires_s(&doc(id)).await.unwrap().map(|at| at - MORNING);
        assert_eq!((expires("1").await, expires("2").await, expires("3").await), (Some(2 * 86_400), None, Some(5)));
        passed_s.store(86_400, Ordering::Relaxed);
        gone(&site, "3").await;
        // A resync doesn't count the days anew, and gives some to those who have none.
        site.set_function("function (doc) { channel('a'); expiry(43200); }").await;
        site.db.start_resync(crate::ResyncFrom::Beginning).await.unwrap();
        assert_eq!(site.resynced().await.docs_changed, 0);
        assert_eq!((expires("1").await, expires("2").await), (Some(2 * 86_400), Some(86_400 + 43_200)));
        passed_s.store(2 * 86_400, Ordering::Relaxed);
        gone(&site, "1").await;
        gone(&site, "2").await;
    });
}

#[test]
fn they_go_in_databases_that_nobody_has_used_since_the_start() {
    run(async {
        let (now, passed_s) = clock!();
        let site = Site::with_clock(now).await;
        write_expiring(&site, "d", "", MORNING + 60).await;
        let Site { engine, db, clock, folder } = site;
        drop(db);
        engine.close().await.unwrap();
        drop(engine);
        passed_s.store(61, Ordering::Relaxed);
        let engine = crate::fixture::open(&folder, clock).await;
        let opened = || engine.inner.store.opened().into_iter().find(|db| db.name().as_str() == "db");
        until("an expiry", async || match opened() {
            Some(db) => db.reader().unwrap().winner(&doc("d")).await.unwrap().unwrap().deleted,
            None => false,
        })
        .await;
        engine.close().await.unwrap();
    });
}

#[test]
fn what_a_function_refuses_goes_all_the_same() {
    run(async {
        let (now, passed_s) = clock!();
        let site = Site::with_clock(now).await;
        site.set_function("function (doc) { if (doc._deleted) throw({forbidden: 'never'}); channel('a'); }").await;
        write_expiring(&site, "d", "", MORNING + 1).await;
        assert!(matches!(site.delete("d").await, Err(Error::Access(_))));
        passed_s.store(1, Ordering::Relaxed);
        gone(&site, "d").await;
        assert_eq!(site.channels("d").await, "");
    });
}

#[test]
fn all_leaves_go() {
    run(async {
        let (now, passed_s) = clock!();
        let site = Site::with_clock(now).await;
        write_expiring(&site, "d", r#""n":1"#, MORNING + 9).await;
        let other = Placement::Replicated(vec!["1-0".parse().unwrap()]);
        site.db.write_one(Write { placement: other, ..edit("d", None, "") }).await.unwrap();
        passed_s.store(9, Ordering::Relaxed);
        gone(&site, "d").await;
        let state = site.db.store.reader().unwrap().document(&doc("d")).await.unwrap().unwrap();
        assert!(state.tree.leaves().iter().all(|leaf| leaf.deleted) && state.tree.leaves().len() == 2);
    });
}

#[test]
fn many_go_in_parts() {
    run(async {
        let (now, passed_s) = clock!();
        let site = Site::with_clock(now).await;
        let write = |number: u64| Write { expires_s: Some(MORNING + number), ..edit(&format!("d{number}"), None, "") };
        site.db.write((0..250).map(|number| write(number + 10)).collect()).await.unwrap();
        passed_s.store(238, Ordering::Relaxed);
        until("expiries", async || site.db.info().await.unwrap().doc_count == 21).await;
        assert_eq!(site.db.info().await.unwrap().doc_del_count, 229);
    });
}

#[test]
fn times_are_read_as_sync_gateway_reads_them() {
    run(async {
        let (now, _) = clock!();
        let site = Site::with_clock(now).await;
        let check = |text: &str, expected: Option<Option<u64>>| {
            assert_eq!(site.engine.expiry(text).ok(), expected, "{text}");
        };
        check("0", Some(None));
        check("60", Some(Some(MORNING + 60)));
        check("2592000", Some(Some(MORNING + 2_592_000)));
        check("2592001", Some(Some(2_592_001)));
        check("2030-01-01T00:00:00Z", Some(Some(1_893_456_000)));
        check("2030-01-01T00:00:00.000+00:00", Some(Some(1_893_456_000)));
        check("soon", None);
        check("-1", None);
    });
}
