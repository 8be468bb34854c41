//! `tidegate user`, `tidegate admin`: who may log in.

use super::{
    client::{AdminPort, Client, Remote, db_name, segment},
    output::{Output, columns},
    password,
    principal::{Given, Users},
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidegate_types::DbName;

#[derive(Debug, Args)]
pub(crate) struct User {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    port: AdminPort,
    /// Users of this database, whose documents are in channels; without it, users of the server.
    #[arg(long, global = true, value_name = "DB", value_parser = db_name)]
    db: Option<DbName>,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// The users, with their roles.
    #[command(after_help = "Examples:\n  tidegate user list\n  tidegate user list --db clinic")]
    List,
    /// Make a user. Without --password, the password is read from the standard input.
    #[command(after_help = "Examples:\n  tidegate user add ada --role staff --role editor\n  \
                            echo \"$PASSWORD\" | tidegate user add ada")]
    Add {
        name: String,
        #[command(flatten)]
        password: password::Given,
        /// A role; may be given several times.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// A channel, for users of a database; may be given several times.
        #[arg(long = "channel", value_name = "CHANNEL")]
        channels: Vec<String>,
    },
    /// Change a user's password. Without --password, it is read from the standard input.
    #[command(after_help = "Examples:\n  tidegate user passwd ada\n  \
                            echo \"$PASSWORD\" | tidegate user passwd ada --db clinic")]
    Passwd {
        name: String,
        #[command(flatten)]
        password: password::Given,
    },
    /// Replace a user's roles.
    #[command(after_help = "Examples:\n  tidegate user roles ada staff editor\n  tidegate user roles ada")]
    Roles {
        name: String,
        /// All the roles the user is to have; none to take all away.
        roles: Vec<String>,
    },
    /// Replace the channels of a database's user.
    #[command(after_help = "Examples:\n  tidegate user channels ada --db clinic ward-1 ward-2")]
    Channels {
        name: String,
        /// All the channels the user is to have; none to take all away.
        channels: Vec<String>,
    },
    /// Delete a user.
    #[command(after_help = "Examples:\n  tidegate user delete ada\n  tidegate user delete ada --db clinic")]
    Delete { name: String },
}

#[derive(Debug, Args)]
pub(crate) struct Admin {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// The administrators.
    #[command(after_help = "Examples:\n  tidegate admin list")]
    List,
    /// Make an administrator, or change one's password. Without --password, it is read from the standard input.
    #[command(after_help = "Examples:\n  tidegate admin add root\n  echo \"$PASSWORD\" | tidegate admin add root")]
    Add {
        name: String,
        #[command(flatten)]
        password: password::Given,
    },
    /// Take the rights of an administrator away.
    #[command(after_help = "Examples:\n  tidegate admin delete root")]
    Delete { name: String },
}

const ADMINS: &str = "/_node/_local/_config/admins";
const USERS_MAX: u64 = 1_000;

impl User {
    pub(crate) async fn run(self, out: Output) -> Result<()> {
        if let Some(db) = self.db {
            let client = self.port.client()?;
            return of_database(&Users { client: &client, db: &db, out }, self.command).await;
        }
        let client = self.remote.client()?;
        match self.command {
            UserCommand::List => list(&client, out).await,
            UserCommand::Channels { .. } => bail!("only users of a database have channels; say which one with --db DB"),
            UserCommand::Add { channels, .. } if !channels.is_empty() => {
                bail!("only users of a database have channels; say which one with --db DB")
            }
            UserCommand::Add { name, password, roles, channels: _ } => {
                let password = password.read()?;
                let user = json!({ "type": "user", "name": name, "roles": roles, "password": password });
                if client.find(&path(&name)?).await?.is_some() {
                    bail!("there is a user {name} already; use `tidegate user passwd` or `tidegate user roles`");
                }
                client.put(&path(&name)?, &user).await?;
                done(&name, "made", out)
            }
            UserCommand::Passwd { name, password } => {
                let password = password.read()?;
                change(&client, &name, |user| drop(user.insert("password".to_owned(), password.into()))).await?;
                done(&name, "changed the password of", out)
            }
            UserCommand::Roles { name, roles } => {
                change(&client, &name, |user| drop(user.insert("roles".to_owned(), roles.into()))).await?;
                done(&name, "set the roles of", out)
            }
            UserCommand::Delete { name } => {
                let user = load(&client, &name).await?;
                let rev = user.get("_rev").and_then(Value::as_str).context("the user has no revision")?;
                client.delete(&format!("{}?rev={}", path(&name)?, segment(rev))).await?;
                done(&name, "deleted", out)
            }
        }
    }
}

async fn of_database(users: &Users<'_>, command: UserCommand) -> Result<()> {
    match command {
        UserCommand::List => users.list().await,
        UserCommand::Add { name, password, roles, channels } => {
            let password = password.read()?;
            users.add(&name, Given { password, channels, roles }).await
        }
        UserCommand::Passwd { name, password } => {
            users.change(&name, &json!({ "password": password.read()? }), "changed the password of").await
        }
        UserCommand::Roles { name, roles } => {
            users.change(&name, &json!({ "admin_roles": roles }), "set the roles of").await
        }
        UserCommand::Channels { name, channels } => {
            users.change(&name, &json!({ "admin_channels": channels }), "set the channels of").await
        }
        UserCommand::Delete { name } => users.delete(&name).await,
    }
}

impl Admin {
    pub(crate) async fn run(self, out: Output) -> Result<()> {
        let client = self.remote.client()?;
        match self.command {
            AdminCommand::List => {
                let admins = client.get(ADMINS).await?;
                let names = admins.as_object().context("the server names no administrators")?.keys();
                names.into_iter().try_for_each(|name| out.row(&json!({ "name": name }), name))
            }
            AdminCommand::Add { name, password } => {
                let password = password.read()?;
                client.put(&admin_path(&name)?, &password.into()).await?;
                done(&name, "made an administrator of", out)
            }
            AdminCommand::Delete { name } => {
                if client.find(&admin_path(&name)?).await?.is_none() {
                    bail!("there is no administrator {name}; `tidegate admin list` shows those there are");
                }
                client.delete(&admin_path(&name)?).await?;
                done(&name, "took the administrator's rights from", out)
            }
        }
    }
}

async fn list(client: &Client, out: Output) -> Result<()> {
    let (mut skip, mut rows) = (0, Vec::new());
    loop {
        // What begins so: the colon's successor is the semicolon.
        let range = "start_key=%22org.couchdb.user%3A%22&end_key=%22org.couchdb.user%3B%22&include_docs=true";
        let page = client.get(&format!("/_users/_all_docs?{range}&limit={USERS_MAX}&skip={skip}")).await?;
        let found = page.get("rows").and_then(Value::as_array).context("the server lists no users")?;
        rows.extend(found.iter().filter_map(|row| row.get("doc")).map(shown));
        skip += USERS_MAX;
        if (found.len() as u64) < USERS_MAX {
            break;
        }
    }
    let (values, cells): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    for (value, text) in values.iter().zip(columns(&cells)) {
        out.row(value, &text)?;
    }
    Ok(())
}

fn shown(user: &Value) -> (Value, Vec<String>) {
    let name = user.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let roles = user.get("roles").cloned().unwrap_or_default();
    let text: Vec<&str> = roles.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let cells = vec![name.clone(), text.join(", ")];
    (json!({ "name": name, "roles": roles }), cells)
}

fn path(name: &str) -> Result<String> {
    check(name)?;
    Ok(format!("/_users/org.couchdb.user%3A{}", segment(name)))
}

fn admin_path(name: &str) -> Result<String> {
    check(name)?;
    Ok(format!("{ADMINS}/{}", segment(name)))
}

fn check(name: &str) -> Result<()> {
    if name.is_empty() || matches!(name, "." | "..") {
        bail!("{name:?} can't be a user's name");
    }
    Ok(())
}

async fn load(client: &Client, name: &str) -> Result<Value> {
    let user = client.find(&path(name)?).await?;
    user.with_context(|| format!("there is no user {name}; `tidegate user list` shows those there are"))
}

async fn change(client: &Client, name: &str, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Result<()> {
    let mut user = load(client, name).await?;
    edit(user.as_object_mut().context("the user is no document")?);
    client.put(&path(name)?, &user).await?;
    Ok(())
}

fn done(name: &str, what: &str, out: Output) -> Result<()> {
    out.row(&json!({ "ok": true, "name": name }), &format!("{what} {name}"))
}
