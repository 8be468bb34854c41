//! Follows all databases of replications, and tells the supervisor what their documents ask for.

use super::{
    Shell,
    job::Key,
    peer::chain,
    state::{self, Ending, body_of},
    supervisor::Message,
};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tidegate_engine::{Change, Database, Detail, Error};
use tidegate_replication::Asked;
use tidegate_types::{DbName, DocKind, Seq};
use tokio::{sync::mpsc, time::sleep};

/// Changes read at once.
const PAGE: usize = 500;
/// After a failure, before the next try.
const PAUSE: Duration = Duration::from_secs(5);

/// Runs until the server drains.
pub(super) async fn run(shell: Shell) {
    let (gone, mut ends) = mpsc::channel::<DbName>(64);
    let mut followed = BTreeSet::new();
    let draining = shell.couch.draining().clone();
    loop {
        match shell.replicator.databases().await {
            Ok(names) => {
                for name in names {
                    if followed.insert(name.clone()) {
                        let (shell, gone) = (shell.clone(), gone.clone());
                        drop(shell.couch.tasks().clone().spawn(async move { follow(shell, name, gone).await }));
                    }
                }
            }
            Err(error) => tracing::error!(error = chain(&error), "databases could not be listed"),
        }
        tokio::select! {
            () = shell.door.databases_changed.notified() => {}
            Some(name) = ends.recv() => drop(followed.remove(&name)),
            () = draining.cancelled() => return,
        }
    }
}

/// Follows one database to its end.
async fn follow(shell: Shell, name: DbName, gone: mpsc::Sender<DbName>) {
    let draining = shell.couch.draining().clone();
    loop {
        let followed = tokio::select! {
            followed = try_follow(&shell, &name) => followed,
            () = draining.cancelled() => return,
        };
        match followed {
            Ok(()) | Err(Error::NoDatabase(_)) => break,
            Err(error) => {
                tracing::error!(%name, error = chain(&error), "a database of replications could not be followed");
                sleep(PAUSE).await;
            }
        }
    }
    shell.door.report(Message::DatabaseGone { db: name.clone() }).await;
    drop(gone.send(name).await);
}

async fn try_follow(shell: &Shell, name: &DbName) -> Result<(), Error> {
    let db = shell.couch.engine().database(&shell.replicator.caller(), name).await?;
    let mut feed = db.follow(Seq::ZERO)?;
    loop {
        let changes = feed.next(PAGE).await?;
        for change in &changes {
            handle(shell, &db, change).await?;
        }
        if changes.is_empty() && feed.changed().await.is_err() {
            return Ok(());
        }
    }
}

async fn handle(shell: &Shell, db: &Database, change: &Arc<Change>) -> Result<(), Error> {
    if change.id.kind() != DocKind::Plain {
        return Ok(());
    }
    let key = Key::Document(db.name().clone(), change.id.to_string());
    let document = if change.deleted { None } else { db.changed_document(change, Detail::Plain).await? };
    let members = document.and_then(|document| {
        let text = [b"{", document.members.as_ref(), b"}"].concat();
        serde_json::from_slice::<Map<String, Value>>(&text).ok()
    });
    let message = match members {
        Some(mut members) if !is_over(&members) => {
            members.insert("_id".to_owned(), change.id.as_str().into());
            match shell.couch.parse_replication(&members) {
                Ok(Asked::Start(job)) => Message::Document { key, job, body: body_of(&members) },
                Ok(Asked::Cancel(_) | Asked::CancelSame(_)) => Message::Gone { key },
                Err(error) => {
                    let ending = Ending::Failed(error.to_string());
                    state::write(shell, db.name(), change.id.as_str(), Some(&body_of(&members)), &ending).await;
                    Message::Gone { key }
                }
            }
        }
        Some(_) | None => Message::Gone { key },
    };
    shell.door.report(message).await;
    Ok(())
}

/// Whether the document says that its replication came to an end, or that somebody has stopped it.
fn is_over(members: &Map<String, Value>) -> bool {
    if members.get("stopped") == Some(&Value::Bool(true)) {
        return true;
    }
    let state = members.get("_replication_state").and_then(Value::as_str);
    matches!(state, Some("completed" | "failed"))
}
