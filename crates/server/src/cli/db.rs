//! `tidegate db`: databases of a running server.

use super::{
    client::{AdminPort, Client, Remote, db_name, db_path},
    output::{Output, bytes, columns, count},
};
use crate::sync_files;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::{io::Read, time::Duration};
use tidegate_types::DbName;
use tokio::time::sleep;

/// How often a compaction is asked after.
const COMPACTION_POLL: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Db {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The databases, with their sizes.
    #[command(after_help = "Examples:\n  tidegate db list\n  tidegate db list --json | jq -r .db")]
    List,
    /// Make a database.
    Create(Create),
    /// Delete a database with all it holds.
    #[command(after_help = "Examples:\n  tidegate db delete notes --yes")]
    Delete(Delete),
    /// What a database says of itself.
    #[command(after_help = "Examples:\n  tidegate db info notes\n  tidegate db info notes --json | jq .doc_count")]
    Info {
        #[arg(value_parser = db_name)]
        db: DbName,
    },
    /// Who may use a database.
    Security(Security),
    /// Free the space of superseded revisions.
    #[command(after_help = "Examples:\n  tidegate db compact notes\n  tidegate db compact notes --wait")]
    Compact(Compact),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate db create notes\n  tidegate db create readings --partitioned\n  \
                        tidegate db create clinic --access channels --sync sync.js")]
struct Create {
    #[command(flatten)]
    port: AdminPort,
    #[arg(value_parser = db_name)]
    db: DbName,
    /// What access to its documents goes by.
    #[arg(long, value_enum, default_value_t = Access::Database)]
    access: Access,
    /// The file with the function that decides on the documents' channels.
    #[arg(long, value_name = "FILE")]
    sync: Option<String>,
    /// Ids of its documents begin with the name of a partition, and a colon.
    #[arg(long)]
    partitioned: bool,
}

/// What access to documents goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Access {
    /// By the database: who may use it sees all of them.
    Database,
    /// By the channels they are in, which users of the database have.
    Channels,
}

#[derive(Debug, Args)]
struct Delete {
    #[arg(value_parser = db_name)]
    db: DbName,
    /// Do it. There is no way back.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
struct Compact {
    #[arg(value_parser = db_name)]
    db: DbName,
    /// Return when it is done.
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate db security get notes\n  \
                        echo '{\"members\":{\"roles\":[\"staff\"]}}' | tidegate db security set notes")]
struct Security {
    #[command(subcommand)]
    command: SecurityCommand,
}

#[derive(Debug, Subcommand)]
enum SecurityCommand {
    /// Show it.
    #[command(after_help = "Examples:\n  tidegate db security get notes")]
    Get {
        #[arg(value_parser = db_name)]
        db: DbName,
    },
    /// Replace it by the JSON object in FILE, or on the standard input.
    #[command(after_help = "Examples:\n  tidegate db security set notes security.json\n  \
                            echo '{\"members\":{\"roles\":[\"staff\"]}}' | tidegate db security set notes")]
    Set {
        #[arg(value_parser = db_name)]
        db: DbName,
        /// The file, or `-`.
        #[arg(default_value = "-")]
        file: String,
    },
}

impl Db {
    pub(crate) async fn run(self, out: Output) -> Result<()> {
        let client = self.remote.client()?;
        match self.command {
            Command::List => list(&client, out).await,
            Command::Create(create) => create.run(&client, out).await,
            Command::Delete(delete) => delete.run(&client, out).await,
            Command::Info { db } => {
                let info = client.get(&db_path(&db)).await?;
                out.document(&info)
            }
            Command::Security(Security { command }) => security(&client, command, out).await,
            Command::Compact(compact) => compact.run(&client, out).await,
        }
    }
}

async fn list(client: &Client, out: Output) -> Result<()> {
    let names: Vec<String> = serde_json::from_value(client.get("/_all_dbs").await?)?;
    let mut rows = Vec::new();
    for name in names.into_iter().filter_map(|name| name.parse::<DbName>().ok()) {
        // It may be deleted meanwhile.
        let Some(info) = client.find(&db_path(&name)).await? else { continue };
        let number = |path: &str| info.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        let (documents, active) = (number("/doc_count"), number("/sizes/active"));
        let value = json!({ "db": name.as_str(), "doc_count": documents, "bytes": active });
        rows.push((value, vec![name.to_string(), count(documents, "document"), bytes(active)]));
    }
    let (values, cells): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    for (value, text) in values.iter().zip(columns(&cells)) {
        out.row(value, &text)?;
    }
    Ok(())
}

impl Create {
    async fn run(self, client: &Client, out: Output) -> Result<()> {
        let Self { port, db, access, sync, partitioned } = self;
        if partitioned && access == Access::Channels {
            bail!("a database whose documents are in channels can't be partitioned; leave out one of the two");
        }
        let source = sync.as_deref().map(|file| checked(file, access)).transpose()?;
        match access {
            Access::Database => {
                let parameter = if partitioned { "?partitioned=true" } else { "" };
                client.put(&format!("{}{parameter}", db_path(&db)), &json!({})).await?;
            }
            Access::Channels => {
                let config = source.map_or_else(|| json!({}), |source| json!({ "sync": source }));
                port.client()?.put_only(&format!("{}/", db_path(&db)), &config).await?;
            }
        }
        out.row(&json!({ "ok": true, "db": db.as_str() }), &format!("made {db}"))
    }
}

/// The function in a file, for a database that has one.
fn checked(file: &str, access: Access) -> Result<String> {
    if access == Access::Database {
        bail!("only databases in channels have a sync function; add --access channels");
    }
    let source = super::sync::read_source(file)?;
    sync_files::check(file, &source)?;
    Ok(source)
}

impl Delete {
    async fn run(self, client: &Client, out: Output) -> Result<()> {
        let Self { db, yes } = self;
        if !yes {
            let info = client.get(&db_path(&db)).await?;
            let documents = info.get("doc_count").and_then(Value::as_u64).unwrap_or_default();
            let documents = count(documents, "document");
            bail!("{db} holds {documents}, and would be gone for good; to delete it, add --yes");
        }
        client.delete(&db_path(&db)).await?;
        out.row(&json!({ "ok": true, "db": db.as_str() }), &format!("deleted {db}"))
    }
}

impl Compact {
    async fn run(self, client: &Client, out: Output) -> Result<()> {
        let Self { db, wait } = self;
        client.post(&format!("{}/_compact", db_path(&db)), &json!({})).await?;
        let spinner = out.spinner("compacting");
        while wait && client.get(&db_path(&db)).await?.get("compact_running") == Some(&Value::Bool(true)) {
            sleep(COMPACTION_POLL).await;
        }
        spinner.finish_and_clear();
        let text = if wait { format!("compacted {db}") } else { format!("compacting {db}") };
        out.row(&json!({ "ok": true, "db": db.as_str() }), &text)
    }
}

async fn security(client: &Client, command: SecurityCommand, out: Output) -> Result<()> {
    match command {
        SecurityCommand::Get { db } => {
            let security = client.get(&format!("{}/_security", db_path(&db))).await?;
            out.document(&security)
        }
        SecurityCommand::Set { db, file } => {
            let security = read_json(&file)?;
            client.put(&format!("{}/_security", db_path(&db)), &security).await?;
            out.row(&json!({ "ok": true, "db": db.as_str() }), &format!("set the security of {db}"))
        }
    }
}

/// The JSON in a file, or on the standard input.
pub(crate) fn read_json(file: &str) -> Result<Value> {
    let mut text = String::new();
    if file == "-" {
        std::io::stdin().read_to_string(&mut text).context("could not read the standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("could not read {file}"))?;
    }
    let from = if file == "-" { "the standard input" } else { file };
    serde_json::from_str(&text).with_context(|| format!("{from} holds no JSON"))
}
