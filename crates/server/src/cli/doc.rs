//! `tidegate doc`: documents of a running server.

use super::{
    client::{Client, Remote, db_name, db_path, doc_id, doc_path, segment},
    db::read_json,
    output::{Form, Output, line},
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidegate_types::{DbName, DocId};

/// Rows asked for at once.
const PAGE_ROWS: u64 = 1_000;

#[derive(Debug, Args)]
pub(crate) struct Doc {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a document.
    #[command(
        after_help = "Examples:\n  tidegate doc get notes 4f2a\n  tidegate doc get notes 4f2a --conflicts --revs\n  \
                            tidegate doc get notes 4f2a --attachment photo.jpg > photo.jpg"
    )]
    Get(Get),
    /// Write a document, read from FILE or from the standard input.
    #[command(after_help = "Examples:\n  echo '{\"text\":\"hello\"}' | tidegate doc put notes 4f2a\n  \
                            tidegate doc put notes 4f2a note.json --replace")]
    Put(Put),
    /// Delete a document: its latest revision, or the one that is named.
    #[command(
        after_help = "Examples:\n  tidegate doc delete notes 4f2a\n  tidegate doc delete notes 4f2a --rev 2-7051cbe5"
    )]
    Delete {
        #[arg(value_parser = db_name)]
        db: DbName,
        #[arg(value_parser = doc_id)]
        id: DocId,
        /// The revision to delete: to resolve a conflict, the one to give up.
        #[arg(long)]
        rev: Option<String>,
    },
    /// The documents of a database, in the order of their ids.
    #[command(
        after_help = "Examples:\n  tidegate doc list notes --prefix 2026-\n  tidegate doc list notes --conflicts\n  \
                            tidegate doc list notes --include-docs --json | jq .doc"
    )]
    List(List),
}

#[derive(Debug, Args)]
struct Get {
    #[arg(value_parser = db_name)]
    db: DbName,
    #[arg(value_parser = doc_id)]
    id: DocId,
    /// Another revision than the winner.
    #[arg(long)]
    rev: Option<String>,
    /// What more to tell of it.
    #[command(flatten)]
    detail: Detail,
    /// Write the content of this attachment to the standard output instead.
    #[arg(long, value_name = "NAME")]
    attachment: Option<String>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
struct Detail {
    /// Name the revisions in conflict with the winner.
    #[arg(long)]
    conflicts: bool,
    /// Tell the revision's history.
    #[arg(long)]
    revs: bool,
    /// Put the attachments' content in, as base64.
    #[arg(long)]
    attachments: bool,
}

#[derive(Debug, Args)]
struct Put {
    #[arg(value_parser = db_name)]
    db: DbName,
    #[arg(value_parser = doc_id)]
    id: DocId,
    /// The file, or `-`.
    #[arg(default_value = "-")]
    file: String,
    /// The revision that it follows, if the document doesn't say so in `_rev`.
    #[arg(long, conflicts_with = "replace")]
    rev: Option<String>,
    /// Follow the latest revision, whatever it is.
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
struct List {
    #[arg(value_parser = db_name)]
    db: DbName,
    /// Only ids that begin so.
    #[arg(long, default_value = "")]
    prefix: String,
    /// At most so many.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The documents, too.
    #[arg(long)]
    include_docs: bool,
    /// Only documents in conflict, with the revisions.
    #[arg(long)]
    conflicts: bool,
}

impl Doc {
    pub(crate) async fn run(self, out: Output) -> Result<()> {
        let client = self.remote.client()?;
        match self.command {
            Command::Get(get) => get.run(&client, out).await,
            Command::Put(put) => put.run(&client, out).await,
            Command::Delete { db, id, rev } => delete(&client, (&db, &id), rev, out).await,
            Command::List(list) => list.run(&client, out).await,
        }
    }
}

impl Get {
    async fn run(self, client: &Client, out: Output) -> Result<()> {
        let path = doc_path(&self.db, &self.id)?;
        let rev = self.rev.map(|rev| format!("rev={}", segment(&rev))).unwrap_or_default();
        if let Some(name) = &self.attachment {
            return copy(client, &format!("{path}/{}?{rev}", segment(name))).await;
        }
        let Detail { conflicts, revs, attachments } = self.detail;
        let path = format!("{path}?conflicts={conflicts}&revs={revs}&attachments={attachments}&{rev}");
        out.document(&client.get(path.trim_end_matches('&')).await?)
    }
}

/// Streams an answer to the standard output.
async fn copy(client: &Client, path: &str) -> Result<()> {
    use std::io::Write;
    let mut response = client.send(client.request(reqwest::Method::GET, path)).await?;
    let mut out = std::io::stdout().lock();
    while let Some(chunk) = response.chunk().await.context("the attachment was cut short")? {
        out.write_all(&chunk)?;
    }
    Ok(out.flush()?)
}

impl Put {
    async fn run(self, client: &Client, out: Output) -> Result<()> {
        let mut document = read_json(&self.file)?;
        let Some(members) = document.as_object_mut() else { bail!("a document is a JSON object: {{…}}") };
        let rev = if self.replace { current(client, &self.db, &self.id).await? } else { self.rev };
        if let Some(rev) = rev {
            members.insert("_rev".to_owned(), rev.into());
        } else if self.replace {
            members.remove("_rev");
        }
        let path = doc_path(&self.db, &self.id)?;
        written(&client.put(&path, &document).await?, "wrote", out)
    }
}

async fn delete(client: &Client, (db, id): (&DbName, &DocId), rev: Option<String>, out: Output) -> Result<()> {
    let path = doc_path(db, id)?;
    let rev = match rev {
        Some(rev) => rev,
        None => {
            let found = client.get(&path).await?;
            found.get("_rev").and_then(Value::as_str).context("the document has no revision")?.to_owned()
        }
    };
    written(&client.delete(&format!("{path}?rev={}", segment(&rev))).await?, "deleted", out)
}

fn written(answer: &Value, what: &str, out: Output) -> Result<()> {
    let member = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    out.row(answer, &format!("{what} {} {}", member("id"), member("rev")))
}

/// The latest revision of a document, if there is one.
async fn current(client: &Client, db: &DbName, id: &DocId) -> Result<Option<String>> {
    let found = client.find(&doc_path(db, id)?).await?;
    Ok(found.and_then(|doc| Some(doc.get("_rev")?.as_str()?.to_owned())))
}

impl List {
    async fn run(self, client: &Client, out: Output) -> Result<()> {
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut start = (self.prefix.clone(), 0);
        while left > 0 {
            let wanted = if self.conflicts { PAGE_ROWS } else { left.min(PAGE_ROWS) };
            let rows = self.page(client, &start, wanted).await?;
            for row in rows.iter().filter(|row| !self.conflicts || conflicts(row).is_some()).take(usize_of(left)) {
                left = left.saturating_sub(1);
                show(row, out)?;
            }
            match rows.last().and_then(|row| row.get("id")?.as_str()) {
                Some(last) if rows.len() as u64 == wanted => start = (last.to_owned(), 1),
                Some(_) | None => break,
            }
        }
        Ok(())
    }

    async fn page(&self, client: &Client, (start, skip): &(String, u64), limit: u64) -> Result<Vec<Value>> {
        let mut query = json!({ "limit": limit, "skip": skip });
        if !start.is_empty() {
            insert(&mut query, "start_key", start.as_str().into());
        }
        if !self.prefix.is_empty() {
            insert(&mut query, "end_key", format!("{}\u{ffff}", self.prefix).into());
        }
        if self.include_docs || self.conflicts {
            insert(&mut query, "include_docs", true.into());
            insert(&mut query, "conflicts", self.conflicts.into());
        }
        let mut query_text = Vec::new();
        for (name, value) in query.as_object().into_iter().flatten() {
            query_text.push(format!("{name}={}", segment(&value.to_string())));
        }
        let mut answer = client.get(&format!("{}/_all_docs?{}", db_path(&self.db), query_text.join("&"))).await?;
        let rows = answer.get_mut("rows").map(Value::take).unwrap_or_default();
        Ok(serde_json::from_value(rows)?)
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn conflicts(row: &Value) -> Option<&Vec<Value>> {
    row.pointer("/doc/_conflicts")?.as_array()
}

fn show(row: &Value, out: Output) -> Result<()> {
    if out.form == Form::Json {
        return line(&row.to_string());
    }
    let text = |path: &str| row.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (id, rev) = (text("/id"), text("/value/rev"));
    let conflicts: Vec<&str> = conflicts(row).into_iter().flatten().filter_map(Value::as_str).collect();
    match row.get("doc") {
        _ if !conflicts.is_empty() => line(&format!("{id} {rev} in conflict with {}", conflicts.join(" "))),
        Some(doc) => line(&doc.to_string()),
        None => line(&format!("{id} {rev}")),
    }
}
