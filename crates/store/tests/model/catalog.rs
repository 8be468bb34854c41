//! Databases that come and go.

use crate::fixture::{Folder, check, edit, name, numbers, runtime, stage, until, write};
use tidegate_kv::Kv;
use tidegate_store::{Database, Error, FeedEnd, Store};
use tidegate_types::Seq;

/// Waits until nothing is left of deleted databases.
async fn until_cleared(kv: &Kv, databases: usize) {
    until("clearing", async || numbers(kv).await.len() == databases).await;
}

/// Writes documents, some with large attachments, until the database is gone.
async fn write_until_gone(db: Database) -> u64 {
    for number in 0.. {
        let upload = async {
            let mut upload = db.upload();
            upload.write(vec![0; 600_000].into()).await?;
            upload.abort().await
        };
        let uploaded = if number % 8 == 0 { upload.await } else { Ok(()) };
        let written = db.edit(vec![edit(&format!("d{number}"), None, "")]).await;
        match (uploaded, written) {
            (Ok(()), Ok(_)) => {}
            (Err(error), _) | (_, Err(error)) => {
                assert!(is_gone(&error), "{error:?}");
                return number;
            }
        }
    }
    unreachable!()
}

fn is_gone(error: &Error) -> bool {
    match error {
        Error::Failed(cause) => is_gone(cause),
        Error::NoDatabase(_) => true,
        Error::DatabaseExists(_)
        | Error::Conflict
        | Error::Outdated
        | Error::MissingStub { .. }
        | Error::Overloaded
        | Error::Stopped
        | Error::Corrupt(_)
        | Error::Storage(_) => false,
    }
}

async fn follow_to_the_end(db: Database) -> u64 {
    let (mut feed, mut last) = (db.follow(Seq::ZERO), 0);
    loop {
        match feed.changed().await {
            Ok(()) => {
                for change in feed.next(100).await.unwrap_or_default() {
                    assert_eq!(change.seq.get(), last + 1);
                    last += 1;
                }
            }
            Err(FeedEnd::Deleted) => return last,
        }
    }
}

#[test]
fn a_database_is_deleted_under_its_writers_and_feeds() {
    runtime().block_on(async {
        let folder = Folder::new();
        let store = folder.open().await;
        let mut uuids = Vec::new();
        for _ in 0..5 {
            let db = store.create(&name("db"), 0).await.unwrap();
            assert_eq!(db.info().await.unwrap().update_seq, Seq::ZERO);
            uuids.push(db.uuid());
            let mut tasks = tokio::task::JoinSet::new();
            (0..3).for_each(|_| drop(tasks.spawn(write_until_gone(db.clone()))));
            (0..2).for_each(|_| drop(tasks.spawn(follow_to_the_end(db.clone()))));
            until("writing", async || db.update_seq() > Seq::new(20)).await;
            store.delete(&name("db")).await.unwrap();
            assert!(matches!(db.reader().err(), Some(Error::NoDatabase(_))));
            assert!(matches!(store.database(&name("db")).await.err(), Some(Error::NoDatabase(_))));
            assert!(matches!(store.delete(&name("db")).await, Err(Error::NoDatabase(_))));
            assert_eq!((store.count(), store.names().await.unwrap().len()), (0, 0));
            tasks.join_all().await;
        }
        until_cleared(store.storage(), 0).await;
        uuids.sort_unstable();
        uuids.dedup();
        assert_eq!(uuids.len(), 5);
        store.close().await.unwrap();
    });
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let folder = Folder::new();
    let store = folder.open().await;
    let (name_a, name_b) = (name("a"), name("b"));
    let made = tokio::join!(store.create(&name_a, 0), store.create(&name_a, 0), store.create(&name_b, 0));
    assert!(made.0.is_ok() && made.2.is_ok());
    assert!(matches!(made.1.err(), Some(Error::DatabaseExists(_))));
    assert_eq!(store.count(), 2);
    store.close().await.unwrap();
    let store = folder.open().await;
    assert_eq!((store.count(), store.names().await.unwrap()), (2, vec![name_a, name_b]));
}

#[tokio::test]
async fn deleting_twice_while_the_name_is_taken_again_leaves_nothing_behind() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = name("db");
    write(&store.create(&db, 0).await.unwrap(), edit("d", None, "")).await.unwrap();
    let outcomes = tokio::join!(store.delete(&db), store.create(&db, 0), store.delete(&db));
    assert!(outcomes.0.is_ok() && outcomes.1.is_ok() && outcomes.2.is_ok());
    until_cleared(store.storage(), 0).await;
    assert_eq!((store.count(), store.names().await.unwrap().len()), (0, 0));
    // The handle of the second is as dead as the database.
    assert!(outcomes.1.unwrap().reader().is_err());
}

#[tokio::test]
async fn a_clearing_that_was_cut_short_is_finished() {
    let mut folder = Folder::new();
    let store = folder.open().await;
    let (kept, gone) = (name("kept"), name("gone"));
    let db = store.create(&kept, 0).await.unwrap();
    write(&db, edit("d", None, "")).await.unwrap();
    let doomed = store.create(&gone, 0).await.unwrap();
    doomed.edit((0..1_500).map(|n| edit(&format!("d{n}"), None, "")).collect()).await.unwrap();
    let staged = stage(&doomed, &vec![1; 600_000].into()).await;
    store.delete(&gone).await.unwrap();
    folder.crash();
    let kv = folder.open_kv().await;
    assert_eq!(numbers(&kv).await.len(), 2, "a database, and what is left of another");
    let reopened = Store::open(kv).await.unwrap();
    until_cleared(reopened.storage(), 1).await;
    check(&reopened.database(&kept).await.unwrap()).await;
    reopened.close().await.unwrap();
    drop(staged);
}

#[test]
fn a_deletion_that_nobody_waits_for_is_whole_or_not_at_all() {
    runtime().block_on(async {
        let folder = Folder::new();
        let store = folder.open().await;
        for polls in 0..40 {
            let db = name(&format!("db{}", polls % 5));
            give_up(polls, store.create(&db, 0)).await;
            if let Ok(handle) = store.database(&db).await {
                // A deletion that was given up may be under way.
                let written = handle.edit(vec![edit("d", None, "")]).await;
                assert!(written.is_ok() || written.is_err_and(|error| is_gone(&error)));
                give_up(40 - polls, store.delete(&db)).await;
            }
        }
        // Changes wait for each other: this one for all that were given up.
        store.create(&name("last"), 0).await.unwrap();
        // What is listed is there and takes writes; what isn't listed is cleared.
        until("deletions", async || {
            let names = store.names().await.unwrap();
            store.count() == names.len() && numbers(store.storage()).await.len() == names.len()
        })
        .await;
        for db in store.names().await.unwrap() {
            write(&store.database(&db).await.unwrap(), edit("e", None, "")).await.unwrap();
        }
        store.close().await.unwrap();
    });
}

/// Polls a future so often, then drops it.
async fn give_up<F: Future>(polls: usize, future: F) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_database_is_there_when_it_is_published_with_all_that_was_written_before() {
    let folder = Folder::new();
    let store = folder.open().await;
    let new = store.prepare(&name("db"), 0, vec![("kind", "a".into())]).await.unwrap();
    new.database().put_setting("kind", b"b").await.unwrap();
    write(new.database(), edit("d", None, "")).await.unwrap();
    assert!(matches!(store.database(&name("db")).await.err(), Some(Error::NoDatabase(_))));
    assert_eq!((store.count(), store.names().await.unwrap().len()), (0, 0));
    store.publish(new).await.unwrap();
    assert_eq!((store.count(), store.names().await.unwrap()), (1, vec![name("db")]));
    store.close().await.unwrap();
    let store = folder.open().await;
    let db = store.database(&name("db")).await.unwrap();
    assert_eq!((db.setting("kind").await.unwrap().unwrap(), db.update_seq()), ("b".into(), Seq::new(1)));
    until_cleared(store.storage(), 1).await;
    check(&db).await;
}

#[tokio::test]
async fn a_crash_before_a_database_is_published_leaves_nothing() {
    let mut folder = Folder::new();
    let store = folder.open().await;
    let new = store.prepare(&name("db"), 0, Vec::new()).await.unwrap();
    write(new.database(), edit("d", None, "")).await.unwrap();
    folder.crash();
    let store = folder.open().await;
    assert!(matches!(store.database(&name("db")).await.err(), Some(Error::NoDatabase(_))));
    until_cleared(store.storage(), 0).await;
    store.create(&name("db"), 0).await.unwrap();
    drop(new);
}

#[tokio::test]
async fn a_database_that_is_never_published_is_cleared() {
    let folder = Folder::new();
    let store = folder.open().await;
    let new = store.prepare(&name("db"), 0, Vec::new()).await.unwrap();
    let late = store.prepare(&name("db"), 0, Vec::new()).await.unwrap();
    let handle = late.database().clone();
    store.publish(new).await.unwrap();
    assert!(matches!(store.publish(late).await.err(), Some(Error::DatabaseExists(_))));
    assert!(matches!(store.check_free(&name("db")).await.err(), Some(Error::DatabaseExists(_))));
    assert!(handle.reader().is_err());
    drop(store.prepare(&name("other"), 0, Vec::new()).await.unwrap());
    until_cleared(store.storage(), 1).await;
    assert_eq!((store.count(), store.names().await.unwrap()), (1, vec![name("db")]));
}

#[tokio::test]
async fn a_database_takes_the_place_of_another_in_one_step() {
    let folder = Folder::new();
    let store = folder.open().await;
    let old = store.create(&name("db"), 0).await.unwrap();
    write(&old, edit("d", None, "")).await.unwrap();
    let new = store.prepare(&name("db"), 0, vec![("kind", "a".into())]).await.unwrap();
    assert_eq!(store.database(&name("db")).await.unwrap().uuid(), old.uuid());
    store.replace(new).await.unwrap();
    assert!(old.reader().is_err());
    assert_eq!(store.count(), 1);
    let db = store.database(&name("db")).await.unwrap();
    assert_eq!((db.setting("kind").await.unwrap().unwrap(), db.update_seq()), ("a".into(), Seq::ZERO));
    until_cleared(store.storage(), 1).await;
    let new = store.prepare(&name("none"), 0, Vec::new()).await.unwrap();
    assert!(matches!(store.replace(new).await, Err(Error::NoDatabase(_))));
}
