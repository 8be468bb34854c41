//! `tidegate import`: documents from elsewhere.

use super::{
    Ending,
    client::{Client, Remote, db_name, db_path, status_of},
    couchdb::Couchdb,
    output::{Output, Unit, count},
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
};
use tidegate_types::DbName;

/// Documents, and their bytes, that are written at once.
const DOCUMENTS_AT_ONCE: usize = 500;
const BYTES_AT_ONCE: usize = 4 << 20;
/// The longest line: a document with its attachments.
const LINE_BYTES_MAX: u64 = 1 << 30;
/// Refusals that are told one by one.
const REFUSALS_TOLD_MAX: u64 = 20;

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Pull databases from a CouchDB server: documents, conflicts, deletions, attachments; users and rights if asked.
    Couchdb(Couchdb),
    /// Read lines of JSON, as `tidegate export` writes them, or one plain document a line.
    Ndjson(Ndjson),
}

#[derive(Debug, Args)]
#[command(
    after_help = "A line is {\"id\":…,\"docs\":[…]}, whose revisions keep their ids, or a plain document, which gets a new one.\n\
                        To read a file twice does no harm: revisions that are there are left alone.\n\n\
                        Examples:\n  tidegate import ndjson notes notes.ndjson\n  \
                        zcat notes.ndjson.gz | tidegate import ndjson notes"
)]
struct Ndjson {
    /// The database; made if it isn't there.
    #[arg(value_parser = db_name)]
    db: DbName,
    /// The file, or `-`.
    #[arg(default_value = "-")]
    file: String,
}

impl Import {
    pub(crate) async fn run(self, out: Output) -> Result<Ending> {
        let client = self.remote.client()?;
        match self.command {
            Command::Couchdb(couchdb) => couchdb.run(client, out).await,
            Command::Ndjson(ndjson) => ndjson.run(client, out).await,
        }
    }
}

impl Ndjson {
    async fn run(self, client: Client, out: Output) -> Result<Ending> {
        let (file, size): (Box<dyn Read>, u64) = if self.file == "-" {
            (Box::new(std::io::stdin()), 0)
        } else {
            let opened = File::open(&self.file).with_context(|| format!("could not read {}", self.file))?;
            let size = opened.metadata()?.len();
            (Box::new(opened), size)
        };
        let bar = if size > 0 { out.bar("importing", size, Unit::Bytes) } else { out.spinner("importing") };
        create(&client, &self.db).await?;
        let mut writer = Writer::new(client, &self.db, out);
        let mut lines = BufReader::new(file);
        let (mut text, mut number) = (Vec::new(), 0_u64);
        loop {
            text.clear();
            let length = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text)? as u64;
            if length == 0 {
                break;
            }
            number += 1;
            if length == LINE_BYTES_MAX {
                bail!("line {number} is longer than {LINE_BYTES_MAX} bytes");
            }
            if !text.trim_ascii().is_empty() {
                let what = || format!("line {number} is no document; what stood before it is imported");
                writer.line(&text).await.with_context(what)?;
            }
            bar.inc(if size > 0 { length } else { 1 });
        }
        writer.flush().await?;
        bar.finish_and_clear();
        writer.end(&self.db)
    }
}

/// Makes a database, unless it is there.
pub(crate) async fn create(client: &Client, db: &DbName) -> Result<()> {
    match client.put(&db_path(db), &json!({})).await {
        Err(error) if status_of(&error) != Some(412) => Err(error),
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    docs: Option<Vec<&'a RawValue>>,
}

/// Writes documents of one database, many at once.
pub(crate) struct Writer {
    client: Client,
    path: String,
    out: Output,
    /// With their histories.
    replicated: Vec<String>,
    fresh: Vec<String>,
    bytes: usize,
    written: u64,
    refused: u64,
}

impl Writer {
    pub(crate) fn new(client: Client, db: &DbName, out: Output) -> Self {
        let path = format!("{}/_bulk_docs", db_path(db));
        Self { client, path, out, replicated: Vec::new(), fresh: Vec::new(), bytes: 0, written: 0, refused: 0 }
    }

    /// Takes a line in.
    pub(crate) async fn line(&mut self, text: &[u8]) -> Result<()> {
        let line: Line<'_> = serde_json::from_slice(text)?;
        match line.docs {
            Some(docs) => self.replicated.extend(docs.into_iter().map(|doc| doc.get().to_owned())),
            None => self.fresh.push(std::str::from_utf8(text)?.trim().to_owned()),
        }
        self.bytes += text.len();
        let is_full = self.replicated.len() + self.fresh.len() >= DOCUMENTS_AT_ONCE || self.bytes >= BYTES_AT_ONCE;
        if is_full { self.flush().await } else { Ok(()) }
    }

    pub(crate) async fn flush(&mut self) -> Result<()> {
        let (replicated, fresh) = (std::mem::take(&mut self.replicated), std::mem::take(&mut self.fresh));
        self.bytes = 0;
        for (docs, new_edits) in [(replicated, "false"), (fresh, "true")] {
            if !docs.is_empty() {
                let count = docs.len() as u64;
                let body = format!("{{\"new_edits\":{new_edits},\"docs\":[{}]}}", docs.join(","));
                self.post(count, body).await?;
            }
        }
        Ok(())
    }

    async fn post(&mut self, count: u64, body: String) -> Result<()> {
        let request = self.client.request(Method::POST, &self.path).header("content-type", "application/json");
        let answer = super::client::read(self.client.send(request.body(body)).await?).await?;
        let rows: Vec<Value> = serde_json::from_slice(&answer).context("the answer of _bulk_docs can't be read")?;
        let refusals: Vec<&Value> = rows.iter().filter(|row| row.get("error").is_some()).collect();
        for refusal in &refusals {
            self.refused += 1;
            if self.refused <= REFUSALS_TOLD_MAX {
                self.tell(refusal)?;
            }
        }
        self.written += count.saturating_sub(refusals.len() as u64);
        Ok(())
    }

    fn tell(&self, refusal: &Value) -> Result<()> {
        let text = |name: &str| refusal.get(name).and_then(Value::as_str).unwrap_or_default();
        let advice = match text("error") {
            "missing_stub" => "; export it again with --attachments",
            _ => "",
        };
        self.out.row(refusal, &format!("left out {}: {}{advice}", text("id"), text("reason")))
    }

    /// The last word.
    pub(crate) fn end(&self, db: &DbName) -> Result<Ending> {
        let Self { written, refused, .. } = *self;
        let value = json!({ "db": db.as_str(), "written": written, "left_out": refused });
        let left_out = if refused > 0 { format!(", left out {refused}") } else { String::new() };
        self.out.row(&value, &format!("{db}: imported {}{left_out}", count(written, "revision")))?;
        Ok(if refused > 0 { Ending::Incomplete } else { Ending::Well })
    }
}
