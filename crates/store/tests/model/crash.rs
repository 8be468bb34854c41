//! A crash at any moment, with two collections: what was acknowledged is there, and everything agrees.

use crate::fixture::{Folder, attachment, census, check, collection, doc, edit, name, runtime, stage, write};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use tidegate_store::{Database, Edit};
use tidegate_types::{DocId, Rev, Seq};

/// What was acknowledged: revisions, and documents that were purged.
#[derive(Default)]
struct Acknowledged {
    written: Vec<(DocId, Rev, Seq)>,
    purged: Vec<DocId>,
}

/// Edits, attaches, stems and purges until it is told to stop.
async fn churn(db: Database, writer: usize, acknowledged: Arc<Mutex<Acknowledged>>, stop: Arc<AtomicBool>) {
    for number in 0u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("{writer}-{number}");
        let size = if number % 10 == 9 { 300_000 } else { 100 };
        let staged = stage(&db, &vec![number.to_le_bytes()[0] % 7; size].into()).await;
        let attachments = vec![attachment("a", staged)];
        let first = write(&db, Edit { attachments, ..edit(&id, None, "") }).await.unwrap();
        let kept =
            if number % 3 == 0 { write(&db, edit(&id, Some(first.rev), "\"v\":2")).await.unwrap() } else { first };
        if number % 4 == 0 {
            db.purge(vec![(doc(&id), vec![kept.rev])]).await.unwrap();
            acknowledged.lock().unwrap().purged.push(doc(&id));
        } else {
            acknowledged.lock().unwrap().written.push((doc(&id), kept.rev, kept.seq.unwrap()));
        }
        if number % 8 == 0 {
            db.compact(0).unwrap();
        }
    }
}

/// In which of the two collections its writer writes.
fn side_of(id: &DocId) -> usize {
    id.as_str().split('-').next().unwrap().parse::<usize>().unwrap() % 2
}

async fn check_copy(folder: &Folder, written: &[(DocId, Rev, Seq)], purged: &[DocId]) {
    let store = folder.open().await;
    let db = store.database(&name("db")).await.unwrap();
    check(&db).await;
    assert_eq!(census(store.storage()).await.get(&'u'), None, "uploads that were cut short are cleared");
    let sides = [db.reader().unwrap(), db.collection(&"s.c".parse().unwrap()).unwrap().reader().unwrap()];
    let reader = |id: &DocId| &sides[side_of(id)];
    for (id, rev, seq) in written {
        let winner = reader(id).winner(id).await.unwrap().unwrap();
        assert_eq!((&winner.rev, winner.seq), (rev, *seq), "{id}");
    }
    for id in purged {
        assert_eq!(reader(id).winner(id).await.unwrap(), None, "{id}");
    }
    // Sequences go on where they were.
    let last = db.update_seq();
    let next = write(&db, edit("after", None, "")).await.unwrap().seq.unwrap();
    assert_eq!(next, last.next());
    store.close().await.unwrap();
}

#[test]
fn a_copy_at_any_moment_holds_what_was_acknowledged_and_agrees() {
    runtime().block_on(async {
        for round in 0..4 {
            let mut folder = Folder::new();
            let store = folder.open().await;
            let db = store.create(&name("db"), 0).await.unwrap();
            db.set_revs_limit(2).await.unwrap();
            let named = collection(&db).await;
            let (acknowledged, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
            let mut writers = tokio::task::JoinSet::new();
            for writer in 0..4 {
                writers.spawn(churn(
                    [&db, &named][writer % 2].clone(),
                    writer,
                    Arc::clone(&acknowledged),
                    Arc::clone(&stop),
                ));
            }
            while db.update_seq() < Seq::new(30 + 25 * round) {
                tokio::task::yield_now().await;
            }
            let (written, purged) = {
                let acknowledged = acknowledged.lock().unwrap();
                (acknowledged.written.clone(), acknowledged.purged.clone())
            };
            folder.crash();
            stop.store(true, Ordering::Relaxed);
            writers.join_all().await;
            check(&db).await;
            store.close().await.unwrap();
            check_copy(&folder, &written, &purged).await;
        }
    });
}
