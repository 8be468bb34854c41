//! `tidegate role`: roles of a database whose documents are in channels.

use super::{
    client::{AdminPort, Client, db_name, db_path, segment},
    output::{Output, columns},
};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidegate_types::DbName;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate role set nurse --db clinic --channel ward-1 --channel ward-2\n  \
                        tidegate role list --db clinic --json")]
pub(crate) struct Role {
    #[command(flatten)]
    port: AdminPort,
    /// The database.
    #[arg(long, global = true, value_name = "DB", value_parser = db_name)]
    db: Option<DbName>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The roles, with their channels.
    List,
    /// What a role has.
    Show { name: String },
    /// Make a role, or replace its channels.
    Set {
        name: String,
        /// A channel; may be given several times.
        #[arg(long = "channel", value_name = "CHANNEL")]
        channels: Vec<String>,
    },
    /// Delete a role. Its users lose the channels that they have by it.
    Delete { name: String },
}

impl Role {
    pub(crate) async fn run(self, out: Output) -> Result<()> {
        let client = self.port.client()?;
        let db = self.db.context("say which database's roles with --db DB")?;
        let path = |name: &str| format!("{}/_role/{}", db_path(&db), segment(name));
        match self.command {
            Command::List => {
                let names = client.get(&format!("{}/_role/", db_path(&db))).await?;
                list(&client, names, path, out).await
            }
            Command::Show { name } => out.document(&client.get(&path(&name)).await?),
            Command::Set { name, channels } => {
                client.put_only(&path(&name), &json!({ "admin_channels": channels })).await?;
                done(out, &name, "set the channels of")
            }
            Command::Delete { name } => {
                client.delete_only(&path(&name)).await?;
                done(out, &name, "deleted")
            }
        }
    }
}

/// Those of these names that are there, each with its channels.
pub(super) async fn list(client: &Client, names: Value, path: impl Fn(&str) -> String, out: Output) -> Result<()> {
    let names: Vec<String> = serde_json::from_value(names).context("the server lists no names")?;
    let mut rows = Vec::new();
    for name in names {
        // It may be deleted meanwhile.
        let Some(found) = client.find(&path(&name)).await? else { continue };
        let texts = |member: &str| -> Vec<String> {
            let texts = found.get(member).and_then(Value::as_array).into_iter().flatten();
            texts.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (channels, roles) = (texts("all_channels"), texts("roles"));
        let value = json!({ "name": name, "channels": channels, "roles": roles });
        rows.push((value, vec![name, channels.join(", "), roles.join(", ")]));
    }
    let (values, cells): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    for (value, text) in values.iter().zip(columns(&cells)) {
        out.row(value, &text)?;
    }
    Ok(())
}

pub(super) fn done(out: Output, name: &str, what: &str) -> Result<()> {
    out.row(&json!({ "ok": true, "name": name }), &format!("{what} {name}"))
}
