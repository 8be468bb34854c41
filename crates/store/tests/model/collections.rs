//! Collections of a database: documents of their own under one line of sequences.

use crate::fixture::{Folder, attachment, check, collection, compact, doc, edit, name, read, runtime, stage, write};
use std::collections::BTreeSet;
use tidegate_store::{Database, Edit, Error, Feed, Order};
use tidegate_types::{CollectionName, Seq};

fn named(text: &str) -> CollectionName {
    text.parse().unwrap()
}

/// The ids that a collection's changes and a feed of it tell, with their sequences.
async fn told(db: &Database, feed: &mut Feed) -> Vec<String> {
    let changes = db.changes(Seq::ZERO, Seq::MAX, Order::Ascending, 99).await.unwrap();
    let stored: Vec<String> = changes.iter().map(|change| format!("{}@{}", change.id, change.seq)).collect();
    let mut followed = Vec::new();
    loop {
        let changes = feed.next(2).await.unwrap();
        if changes.is_empty() {
            assert_eq!((followed, feed.since()), (stored.clone(), db.update_seq()));
            return stored;
        }
        followed.extend(changes.iter().map(|change| format!("{}@{}", change.id, change.seq)));
    }
}

#[test]
fn feeds_tell_of_their_own_collection_alone() {
    runtime().block_on(async {
        let folder = Folder::new();
        let store = folder.open().await;
        let db = store.create(&name("db"), 0).await.unwrap();
        let other = collection(&db).await;
        let (mut feed, mut feed_of_other) = (db.follow(Seq::ZERO), other.follow(Seq::ZERO));
        write(&db, edit("d", None, "\"in\":1")).await.unwrap();
        write(&other, edit("d", None, "\"in\":2")).await.unwrap();
        write(&other, edit("e", None, "\"in\":2")).await.unwrap();
        write(&db, edit("f", None, "\"in\":1")).await.unwrap();
        assert_eq!(told(&db, &mut feed).await, ["d@1", "f@4"]);
        assert_eq!(told(&other, &mut feed_of_other).await, ["d@2", "e@3"]);
        let counts = async |db: &Database| {
            let info = db.info().await.unwrap();
            (info.doc_count, info.update_seq.get(), db.count_changes(Seq::new(2), 9).await.unwrap())
        };
        assert_eq!((counts(&db).await, counts(&other).await), ((2, 4, 1), (2, 4, 1)));
        assert_eq!(body(&db, "d").await, "\"in\":1");
        assert_eq!(body(&other, "d").await, "\"in\":2");
        check(&db).await;
    });
}

async fn body(db: &Database, id: &str) -> String {
    let reader = db.reader().unwrap();
    let seq = reader.winner(&doc(id)).await.unwrap().unwrap().body.unwrap();
    String::from_utf8(reader.body(seq).await.unwrap().unwrap().members.to_vec()).unwrap()
}

#[test]
fn names_stay() {
    runtime().block_on(async {
        let folder = Folder::new();
        let store = folder.open().await;
        let db = store.create(&name("db"), 0).await.unwrap();
        assert!(db.collection(&named("s.c")).is_none());
        let mut making = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (db, name) = (db.clone(), named(["s.c", "s.d"][number % 2]));
            making.spawn(async move { db.make_collection(&name).await.unwrap().collection_id() });
        }
        let made: BTreeSet<_> = making.join_all().await.into_iter().collect();
        assert_eq!(made.len(), 2, "one name is one collection");
        write(&db.collection(&named("s.d")).unwrap(), edit("d", None, "")).await.unwrap();
        store.close().await.unwrap();
        let store = folder.open().await;
        let db = store.database(&name("db")).await.unwrap();
        let counts = async |name: &str| db.collection(&named(name)).unwrap().info().await.unwrap().doc_count;
        assert_eq!(
            [
                counts("_default._default").await,
                counts("s.c").await,
                counts("s.d").await,
                db.collections().len() as u64
            ],
            [0, 0, 1, 3]
        );
        let ids: BTreeSet<_> = db.collections().iter().map(Database::collection_id).collect();
        assert!(ids.len() == 3 && made.is_subset(&ids));
    });
}

#[test]
fn contents_are_a_collections_own() {
    runtime().block_on(async {
        let folder = Folder::new();
        let store = folder.open().await;
        let db = store.create(&name("db"), 0).await.unwrap();
        let other = collection(&db).await;
        let content = vec![7; 300_000].into();
        let mut digest = None;
        for db in [&db, &other] {
            let attachments = vec![attachment("a", stage(db, &content).await)];
            digest = Some(attachments[0].digest);
            write(db, Edit { attachments, ..edit("d", None, "") }).await.unwrap();
        }
        // What was staged in one isn't there for the other.
        let strayed = vec![attachment("a", stage(&other, &vec![8; 300_000].into()).await)];
        let refused = write(&db, Edit { attachments: strayed, ..edit("e", None, "") }).await;
        assert!(matches!(refused, Err(Error::MissingStub { .. })), "{refused:?}");
        let rev = other.reader().unwrap().winner(&doc("d")).await.unwrap().unwrap().rev;
        other.purge(vec![(doc("d"), vec![rev])]).await.unwrap();
        assert!(other.reader().unwrap().attachment(&digest.unwrap(), None).await.is_err());
        assert_eq!(read(&db, &digest.unwrap()).await, content);
        check(&db).await;
    });
}

#[test]
fn a_compaction_is_of_all_collections() {
    runtime().block_on(async {
        let folder = Folder::new();
        let store = folder.open().await;
        let db = store.create(&name("db"), 0).await.unwrap();
        let other = collection(&db).await;
        for db in [&db, &other] {
            let rev = write(db, edit("d", None, "\"n\":1")).await.unwrap().rev;
            write(db, edit("d", Some(rev), "\"n\":2")).await.unwrap();
        }
        compact(&other).await;
        for db in [&db, &other] {
            let state = db.reader().unwrap().document(&doc("d")).await.unwrap().unwrap();
            assert_eq!(state.tree.nodes().iter().filter(|node| node.body.stored().is_some()).count(), 1);
        }
        check(&db).await;
    });
}
