//! `tidegate sync`: the function that decides on documents' channels, before it goes live and after.

use super::{
    client::{AdminPort, Client, db_name, db_path, read},
    output::{Output, Unit, columns, count, line},
};
use crate::sync_files::check;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use std::{io::Read, time::Duration};
use tidegate_types::DbName;
use tokio::time::sleep;

/// How often a resync is asked after.
const RESYNC_POLL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate sync check sync.js\n  tidegate sync dry-run sync.js --db clinic\n  \
                        tidegate sync set sync.js --db clinic --resync --wait\n  tidegate sync get --db clinic > sync.js")]
pub(crate) struct Sync {
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
    /// Whether FILE holds a function, without asking a server.
    Check {
        /// The file, or `-`.
        file: String,
    },
    /// Show the function.
    Get,
    /// Let the function in FILE decide on documents that are written from now on.
    Set {
        /// The file, or `-`.
        file: String,
        /// Have it decide on the documents that are there, too.
        #[arg(long)]
        resync: bool,
        /// Return when that is done.
        #[arg(long, requires = "resync")]
        wait: bool,
    },
    /// What the function in FILE would change, of documents and for users. Nothing is written.
    DryRun {
        /// The file, or `-`.
        file: String,
        /// Documents to be named.
        #[arg(long, value_name = "N", default_value_t = 20)]
        examples: u64,
    },
    /// Have the function decide on all documents again.
    Resync {
        /// Return when it is done.
        #[arg(long)]
        wait: bool,
        /// Stop the one that is under way.
        #[arg(long, conflicts_with_all = ["wait", "status"])]
        stop: bool,
        /// How the latest one stands.
        #[arg(long)]
        status: bool,
    },
}

impl Sync {
    pub(crate) async fn run(self, out: Output) -> Result<()> {
        if let Command::Check { file } = &self.command {
            check(file, &read_source(file)?)?;
            return out.row(&json!({ "ok": true, "file": file }), &format!("{file} holds a sync function"));
        }
        let client = self.port.client()?;
        let path = db_path(&self.db.context("say which database's function with --db DB")?);
        match self.command {
            Command::Check { .. } => Ok(()),
            Command::Get => {
                let response = client.send(client.request(Method::GET, &format!("{path}/_config/sync"))).await?;
                let source = String::from_utf8(read(response).await?).context("the function isn't valid UTF-8")?;
                out.row(&json!({ "sync": source }), source.trim_end())
            }
            Command::Set { file, resync, wait } => {
                let source = read_source(&file)?;
                check(&file, &source)?;
                let request = client.request(Method::PUT, &format!("{path}/_config/sync"));
                client.send(request.header("content-type", "application/javascript").body(source)).await?;
                out.row(&json!({ "ok": true }), "set the sync function")?;
                if resync {
                    client.post(&format!("{path}/_resync?reset=true"), &json!({})).await?;
                    return follow(&client, &path, wait, out).await;
                }
                out.remark("documents that are there stay in their channels until `tidegate sync resync`")
            }
            Command::DryRun { file, examples } => dry_run(&client, &path, (&file, examples), out).await,
            Command::Resync { wait, stop, status } => {
                if stop {
                    client.post(&format!("{path}/_resync?action=stop"), &json!({})).await?;
                } else if !status {
                    client.post(&format!("{path}/_resync?reset=true"), &json!({})).await?;
                }
                follow(&client, &path, wait, out).await
            }
        }
    }
}

/// Says how a resync stands; when it has ended, if that is waited for.
async fn follow(client: &Client, path: &str, wait: bool, out: Output) -> Result<()> {
    let bar = out.bar("resync", 0, Unit::Things);
    loop {
        let status = client.get(&format!("{path}/_resync")).await?;
        let number = |name: &str| status.get(name).and_then(Value::as_u64).unwrap_or_default();
        bar.set_length(number("docs_targeted"));
        bar.set_position(number("docs_processed"));
        let state = status.get("status").and_then(Value::as_str).unwrap_or_default();
        if wait && matches!(state, "running" | "stopping") {
            sleep(RESYNC_POLL).await;
            continue;
        }
        bar.finish_and_clear();
        let (processed, targeted) = (number("docs_processed"), number("docs_targeted"));
        let changed = count(number("docs_changed"), "document");
        let mut text = format!("resync {state}: {processed} of {targeted} looked at, {changed} changed");
        if number("docs_errored") > 0 {
            let last = status.get("last_error").and_then(Value::as_str).unwrap_or_default();
            text.push_str(&format!(", {} refused (such as {last})", number("docs_errored")));
        }
        return out.row(&status, &text);
    }
}

async fn dry_run(client: &Client, path: &str, (file, examples): (&str, u64), out: Output) -> Result<()> {
    let source = read_source(file)?;
    check(file, &source)?;
    let body = json!({ "sync_function": source, "examples": examples });
    let request = client.request(Method::POST, &format!("{path}/_dry_run"));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let mut response = client.send(request).await?;
    let bar = out.bar("dry run", 0, Unit::Things);
    let mut rest = Vec::new();
    let mut report = Value::Null;
    while let Some(chunk) = response.chunk().await.context("the dry run failed; the server's log says why")? {
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let text: Vec<u8> = rest.drain(..=end).collect();
            report = serde_json::from_slice(&text).context("the server answers something else than JSON")?;
            bar.set_length(report.get("total").and_then(Value::as_u64).unwrap_or_default());
            bar.set_position(report.get("done").and_then(Value::as_u64).unwrap_or_default());
        }
    }
    bar.finish_and_clear();
    if report.get("docs_processed").is_none() {
        bail!("the dry run ended early; the server's log says why");
    }
    match out.form {
        super::Form::Json => out.document(&report),
        super::Form::Text => told(&report).iter().try_for_each(|text| line(text)),
    }
}

fn told(report: &Value) -> Vec<String> {
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    let texts = |value: &Value, name: &str| -> String {
        let texts = value.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        texts.collect::<Vec<_>>().join(", ")
    };
    let (processed, changed) = (count(number(report, "docs_processed"), "document"), number(report, "docs_changed"));
    let mut lines = vec![format!("of {processed}, {changed} would change; {} refused", number(report, "docs_refused"))];
    let channels = report.get("channels").and_then(Value::as_object).into_iter().flatten();
    let rows: Vec<Vec<String>> = channels
        .map(|(name, flow)| {
            vec![format!("  {name}"), format!("+{}", number(flow, "entering")), format!("-{}", number(flow, "leaving"))]
        })
        .collect();
    if !rows.is_empty() {
        lines.push("channels:".to_owned());
        lines.extend(columns(&rows));
    }
    let users: Vec<&Value> = report.get("users").and_then(Value::as_array).into_iter().flatten().collect();
    if !users.is_empty() {
        lines.push("users, and the documents they gain and lose:".to_owned());
        let cells = |user: &&Value| {
            let name = user.get("name").and_then(Value::as_str).unwrap_or_default();
            let docs = [format!("+{}", number(user, "docs_gained")), format!("-{}", number(user, "docs_lost"))];
            let (gained, lost) = (texts(user, "channels_gained"), texts(user, "channels_lost"));
            let gained = if gained.is_empty() { String::new() } else { format!("gains {gained}") };
            let lost = if lost.is_empty() { String::new() } else { format!("loses {lost}") };
            let [plus, minus] = docs;
            vec![format!("  {name}"), plus, minus, gained, lost]
        };
        lines.extend(columns(&users.iter().map(cells).collect::<Vec<_>>()));
    }
    let examples: Vec<&Value> = report.get("examples").and_then(Value::as_array).into_iter().flatten().collect();
    if !examples.is_empty() {
        lines.push("documents:".to_owned());
        lines.extend(examples.iter().map(|moved| {
            let id = moved.get("id").and_then(Value::as_str).unwrap_or_default();
            match moved.get("refused").and_then(Value::as_str) {
                Some(reason) => format!("  {id}: refused: {reason}"),
                None => format!("  {id}: [{}] to [{}]", texts(moved, "from"), texts(moved, "to")),
            }
        }));
    }
    lines
}

/// The text of a file, or of the standard input.
pub(super) fn read_source(file: &str) -> Result<String> {
    let mut text = String::new();
    if file == "-" {
        std::io::stdin().read_to_string(&mut text).context("could not read the standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("could not read {file}"))?;
    }
    Ok(text)
}
