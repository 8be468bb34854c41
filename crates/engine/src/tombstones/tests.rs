//! Tombstones go when they are old enough, and nothing else does.

use crate::{
    Error, Write,
    fixture::{Client, Site, edit, run},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const DAY_S: u64 = 86_400;

static PASSED_S: AtomicU64 = AtomicU64::new(0);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000 + PASSED_S.load(Ordering::Relaxed))
}

/// A day passes, and the server looks after the database.
async fn day(site: &Site) {
    PASSED_S.fetch_add(DAY_S, Ordering::Relaxed);
    site.engine.tend_tombstones(&site.db.store).await.unwrap();
}

async fn deleted(site: &Site) -> u64 {
    site.db.info().await.unwrap().doc_del_count
}

#[test]
fn old_tombstones_are_forgotten_and_others_are_not() {
    run(async {
        let site = Site::with_clock(now).await;
        site.put_user("ada", r#"{"password":"secret","admin_channels":["a"]}"#).await;
        for id in ["live", "old", "young"] {
            site.write(id, r#""channels":["a"]"#).await.unwrap();
        }
        let (ada, mut client) = (site.seen_by("ada").await, Client::new());
        client.catch_up(&ada).await;
        site.delete("old").await.unwrap();
        day(&site).await;
        site.delete("young").await.unwrap();
        for _ in 0..2 {
            day(&site).await;
            assert_eq!(site.db.compact_tombstones().await.unwrap(), 0);
        }
        // Nothing goes of its own accord where no lifetime is set.
        day(&site).await;
        assert_eq!((deleted(&site).await, site.db.tombstone_lifetime()), (2, None));
        assert_eq!(site.db.compact_tombstones().await.unwrap(), 1);
        assert_eq!(deleted(&site).await, 1);
        assert_eq!(client.catch_up(&ada).await, ["left young"]);
        site.db.set_tombstone_lifetime(Some(Duration::from_secs(2 * DAY_S))).await.unwrap();
        day(&site).await;
        assert_eq!((deleted(&site).await, site.db.info().await.unwrap().doc_count), (0, 1));
        // Nobody is told, and who begins anew gets what is there.
        assert_eq!(client.catch_up(&ada).await, Vec::<String>::new());
        assert_eq!(Client::new().catch_up(&ada).await, ["myself", "live"]);
        assert!(site.db.store.check().await.unwrap().is_empty());
        let site = site.restarted().await;
        assert_eq!(site.db.tombstone_lifetime(), Some(Duration::from_secs(2 * DAY_S)));
        let ada = site.seen_by("ada").await;
        assert!(matches!(ada.compact_tombstones().await, Err(Error::Access(_))));
        assert!(matches!(ada.set_tombstone_lifetime(None).await, Err(Error::Access(_))));
    });
}

/// A purge of a live document reaches clients.
#[test]
fn who_follows_is_told_that_a_document_is_purged() {
    run(async {
        let site = Site::new().await;
        site.put_user("ada", r#"{"password":"secret","admin_channels":["a"]}"#).await;
        site.put_user("bob", r#"{"password":"secret","admin_channels":["*"]}"#).await;
        let rev = site.write("d", r#""channels":["a"]"#).await.unwrap().rev;
        let (ada, bob) = (site.seen_by("ada").await, site.seen_by("bob").await);
        let (mut adas, mut bobs) = (Client::new(), Client::new());
        adas.catch_up(&ada).await;
        bobs.catch_up(&bob).await;
        // A feed that is open, and has what is in memory.
        let interest = crate::Interest { losses: true, ..crate::Interest::default() };
        let mut open = ada.follow_channels(adas.position, interest).unwrap();
        assert!(open.next(9).await.unwrap().is_empty());
        site.db.purge(vec![(crate::fixture::doc("d"), vec![rev])]).await.unwrap();
        open.changed().await.unwrap();
        let told = open.next(9).await.unwrap();
        assert!(
            matches!(&told[..], [told] if matches!(&told.news, crate::News::Left(change, _) if change.id.as_str() == "d"))
        );
        assert_eq!((adas.catch_up(&ada).await, adas.holds.len()), (vec!["left d".to_owned()], 0));
        assert_eq!((bobs.catch_up(&bob).await, bobs.holds.len()), (vec!["left d".to_owned()], 0));
        // It comes back.
        site.write("d", r#""channels":["a"],"n":2"#).await.unwrap();
        assert_eq!(
            (adas.catch_up(&ada).await, bobs.catch_up(&bob).await),
            (vec!["d".to_owned()], vec!["d".to_owned()])
        );
    });
}

#[test]
fn old_tombstones_of_every_collection_are_forgotten() {
    run(async {
        let site = Site::with_clock(now).await.in_collection("function () {}").await;
        let other = site.db.collection(&"s.d".parse().unwrap()).await.unwrap();
        for db in [&site.db, &other] {
            let rev = db.write_one(edit("d", None, "")).await.unwrap().rev;
            db.write_one(Write { deleted: true, ..edit("d", Some(rev), "") }).await.unwrap();
        }
        for _ in 0..5 {
            day(&site).await;
        }
        assert_eq!(site.db.compact_tombstones().await.unwrap(), 2);
    });
}
