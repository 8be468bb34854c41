//! `tidegate import couchdb`: databases, rights and users of a CouchDB server.

use super::{
    Ending,
    client::{Client, Place, db_name, db_path},
    export::{Extent, Reader},
    import::Writer,
    output::{Form, Output, count},
    pull::{Pull, Pulled},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tidegate_replication::{Outcome, Progress, WriteFailure};
use tidegate_types::DbName;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Names told in a message.
const NAMES_TOLD_MAX: usize = 10;

#[derive(Debug, Args)]
#[command(
    after_help = "Revisions keep their ids. Interrupted or repeated, it goes on where it was: the checkpoint is kept in both \
                    databases, so the account must be allowed to write to the source's _local documents.\n\n\
                        Examples:\n  tidegate import couchdb http://admin:secret@old:5984 --all --users --security\n  \
                        tidegate import --url http://admin:new@127.0.0.1:5984 couchdb http://old:5984 --db notes"
)]
pub(crate) struct Couchdb {
    /// The server to import from, with name and password if it asks for them.
    #[arg(value_name = "URL")]
    source: String,
    /// A database; may be given several times.
    #[arg(long = "db", value_name = "NAME", value_parser = db_name)]
    databases: Vec<DbName>,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
struct Scope {
    /// All databases but the system's.
    #[arg(long, conflicts_with = "databases")]
    all: bool,
    /// The users, with the passwords they have.
    #[arg(long)]
    users: bool,
    /// Who may use each database.
    #[arg(long)]
    security: bool,
}

impl Couchdb {
    pub(crate) async fn run(self, target: Client, out: Output) -> Result<Ending> {
        let source = Client::new(&self.source, Place::Source)?;
        let names = self.names(&source).await?;
        let mut ending = Ending::Well;
        if self.scope.users {
            ending = ending.worse(users(&source, &target, out).await?);
        }
        // One listener for all: an interrupt between two answers, or two databases, counts.
        let mut stop = signal(SignalKind::interrupt())?;
        for name in names {
            let pulled = pull((&source, &target), &name, &mut stop, out).await?;
            ending = ending.worse(pulled);
            if pulled == Ending::Interrupted {
                return Ok(ending);
            }
            if self.scope.security {
                security(&source, &target, &name, out).await?;
            }
        }
        Ok(ending)
    }

    async fn names(&self, source: &Client) -> Result<Vec<DbName>> {
        if !self.scope.all && (!self.databases.is_empty() || self.scope.users) {
            return Ok(self.databases.clone());
        }
        let names: Vec<String> = serde_json::from_value(source.get("/_all_dbs").await?)?;
        let names = names.iter().filter(|name| !name.starts_with('_')).map(|name| {
            let illegal = || format!("{name:?} can't be a database's name here; name the others with --db");
            name.parse().ok().with_context(illegal)
        });
        let names = names.collect::<Result<Vec<DbName>>>()?;
        if self.scope.all {
            return Ok(names);
        }
        let more = if names.len() > NAMES_TOLD_MAX { ", …" } else { "" };
        let told: Vec<&str> = names.iter().take(NAMES_TOLD_MAX).map(DbName::as_str).collect();
        bail!("say which databases to import: --all, or --db NAME; {} has {}{more}", source.shown(), told.join(", "))
    }
}

async fn pull((source, target): (&Client, &Client), name: &DbName, stop: &mut Signal, out: Output) -> Result<Ending> {
    let Some(info) = source.find(&db_path(name)).await? else {
        bail!("{} has no database {name}; `tidegate db list --url URL` shows those it has", source.shown());
    };
    let is_partitioned = info.pointer("/props/partitioned") == Some(&Value::Bool(true));
    let layout = is_partitioned.then(|| ("partitioned".to_owned(), true.into())).into_iter().collect();
    let bar = out.bar(name.as_str(), 0, super::output::Unit::Things);
    let pull = Pull { source: source.clone(), target: target.clone(), from: name.clone(), to: name.clone(), layout };
    let mut told = String::new();
    let pulled = pull.run(stop, |progress| tell(progress, (name, out), &bar, &mut told)).await;
    let Pulled { outcome, progress, refused } = pulled;
    bar.finish_and_clear();
    for WriteFailure { id, rev, reason, .. } in refused {
        let value = json!({ "db": name.as_str(), "id": id.as_str(), "rev": rev.to_string(), "reason": reason });
        out.row(&value, &format!("{name}: left out {id} {rev}: {reason}"))?;
    }
    let mut value = shown(&progress, name);
    let stats = progress.stats;
    let (ending, text) = match outcome {
        Outcome::Completed(_) if stats.doc_write_failures > 0 => {
            (Ending::Incomplete, format!(", left out {}", stats.doc_write_failures))
        }
        Outcome::Completed(_) => (Ending::Well, String::new()),
        Outcome::Stopped => (Ending::Interrupted, "; interrupted: the same command goes on where it was".to_owned()),
        Outcome::Crashed(why) | Outcome::Failed(why) => {
            bail!("{name} could not be imported: {why}\n  The same command goes on where it was")
        }
    };
    if let Some(members) = value.as_object_mut() {
        members.insert("done".to_owned(), (ending != Ending::Interrupted).into());
    }
    out.row(&value, &format!("{name}: {} imported in all{text}", count(stats.docs_written, "revision")))?;
    if ending != Ending::Interrupted {
        revs_limit((source, target), name, out).await?;
    }
    Ok(ending)
}

/// How many revisions of a document are kept is the source's to say.
async fn revs_limit((source, target): (&Client, &Client), name: &DbName, out: Output) -> Result<()> {
    let path = format!("{}/_revs_limit", db_path(name));
    let limit = source.get(&path).await?;
    if target.get(&path).await? != limit {
        target.put(&path, &limit).await.context("the limit of revisions could not be set")?;
        out.remark(&format!("{name}: keeps {limit} revisions of a document"))?;
    }
    Ok(())
}

fn shown(progress: &Progress, name: &DbName) -> Value {
    let stats = progress.stats;
    json!({
        "db": name.as_str(),
        "revisions_checked": stats.missing_checked,
        "revisions_written": stats.docs_written,
        "left_out": stats.doc_write_failures,
        "changes_pending": progress.changes_pending,
    })
}

/// Says how far it is: a line for programs whenever it has moved, a bar for people.
fn tell(progress: &Progress, (name, out): (&DbName, Output), bar: &ProgressBar, told: &mut String) {
    let checked = progress.stats.missing_checked;
    bar.set_length(checked + progress.changes_pending.unwrap_or_default());
    bar.set_position(checked);
    let text = shown(progress, name).to_string();
    if out.form == Form::Json && *told != text && checked > 0 {
        // A reader that is gone ends the command with its next result.
        super::output::line(&text).ok();
        *told = text;
    }
}

async fn security(source: &Client, target: &Client, name: &DbName, out: Output) -> Result<()> {
    let path = format!("{}/_security", db_path(name));
    let security = source.get(&path).await?;
    if security.as_object().is_some_and(|members| !members.is_empty()) {
        target.put(&path, &security).await.context("the rights could not be set")?;
        out.remark(&format!("{name}: set who may use it"))?;
    }
    Ok(())
}

/// Copies users as they are: with their passwords' keys.
async fn users(source: &Client, target: &Client, out: Output) -> Result<Ending> {
    let name = DbName::users();
    let reader = Reader { client: source.clone(), db: db_path(&name), extent: Extent::Attachments };
    let mut writer = Writer::new(target.clone(), &name, out);
    let mut since = Some("0".to_owned());
    while let Some(place) = since {
        let (rows, next) = reader.page(&place).await.context("the users can't be read: it takes an administrator")?;
        // Not the design document, which is the source's own.
        let users: Vec<_> = rows.into_iter().filter(|row| row.id.starts_with("org.couchdb.user:")).collect();
        for some in users.chunks(50) {
            for line in reader.lines(some).await? {
                writer.line(line.as_bytes()).await?;
            }
        }
        since = next;
    }
    writer.flush().await?;
    writer.end(&name)
}
