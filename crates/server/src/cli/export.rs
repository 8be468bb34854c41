//! `tidegate export`: a database as lines of JSON, one document a line, with all its leaves and their histories.

use super::{
    client::{Client, Remote, TooLarge, db_name, db_path, read, segment},
    output::{Output, line},
    pull::wire::BulkGot,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_types::DbName;

/// Rows of the feed asked for at once.
const PAGE_ROWS: usize = 500;
/// Documents asked for at once, without attachments.
const DOCUMENTS_AT_ONCE: usize = 100;

#[derive(Debug, Args)]
#[command(
    after_help = "Each line is {\"id\":…,\"docs\":[…]}: the leaves of a document, deleted ones included, each with its history in \
                    _revisions. `tidegate import ndjson` reads it.\n\n\
                        Examples:\n  tidegate export notes > notes.ndjson\n  \
                        tidegate export notes --attachments | gzip > notes.ndjson.gz"
)]
pub(crate) struct Export {
    #[command(flatten)]
    remote: Remote,
    #[arg(value_parser = db_name)]
    db: DbName,
    /// With the attachments' content, as base64.
    #[arg(long)]
    attachments: bool,
}

/// How much of a document is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Stubs,
    Attachments,
}

/// A document and its leaves.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Leaves {
    pub(crate) id: String,
    seq: Value,
    changes: Vec<Value>,
}

#[derive(Deserialize)]
struct Page {
    results: Vec<Leaves>,
    last_seq: Value,
}

impl Export {
    pub(crate) async fn run(self, out: Output) -> Result<()> {
        let extent = if self.attachments { Extent::Attachments } else { Extent::Stubs };
        let at_once = if self.attachments { 1 } else { DOCUMENTS_AT_ONCE };
        let reader = Reader { client: self.remote.client()?, db: db_path(&self.db), extent };
        let total = reader.client.get(&reader.db).await?;
        let counts = ["doc_count", "doc_del_count"].map(|name| total.get(name).and_then(Value::as_u64).unwrap_or(0));
        let bar = out.bar("exporting", counts.iter().sum(), super::output::Unit::Things);
        let mut since = Some("0".to_owned());
        while let Some(place) = since {
            let (rows, next) = reader.page(&place).await?;
            for some in rows.chunks(at_once) {
                for text in reader.lines(some).await? {
                    line(&text)?;
                }
                bar.inc(some.len() as u64);
            }
            since = next;
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// Reads whole documents of one database.
pub(crate) struct Reader {
    pub(crate) client: Client,
    /// The database's path.
    pub(crate) db: String,
    pub(crate) extent: Extent,
}

impl Reader {
    /// The next rows of the feed, and where it goes on.
    pub(crate) async fn page(&self, since: &str) -> Result<(Vec<Leaves>, Option<String>)> {
        let path = format!("{}/_changes?style=all_docs&limit={PAGE_ROWS}&since={}", self.db, segment(since));
        let page: Page = serde_json::from_value(self.client.get(&path).await?).context("the feed can't be read")?;
        let text = |seq: &Value| seq.as_str().map_or_else(|| seq.to_string(), str::to_owned);
        let last = page.results.last().map_or(&page.last_seq, |row| &row.seq);
        let next = (page.results.len() == PAGE_ROWS).then(|| text(last));
        Ok((page.results, next))
    }

    /// A line for each document that is still there.
    pub(crate) async fn lines(&self, rows: &[Leaves]) -> Result<Vec<String>> {
        let mut waiting = vec![rows];
        let mut lines = Vec::new();
        while let Some(some) = waiting.pop() {
            match self.fetch(some).await {
                // In halves, the first one first.
                Err(error) if error.is::<TooLarge>() && some.len() > 1 => {
                    let (first, second) = some.split_at(some.len() / 2);
                    waiting.extend([second, first]);
                }
                fetched => lines.extend(fetched?),
            }
        }
        Ok(lines)
    }

    async fn fetch(&self, rows: &[Leaves]) -> Result<Vec<String>> {
        let leaf = |row: &Leaves, change: &Value| Some(json!({ "id": row.id, "rev": change.get("rev")? }));
        let docs: Vec<Value> =
            rows.iter().flat_map(|row| row.changes.iter().filter_map(|change| leaf(row, change))).collect();
        let attachments = self.extent == Extent::Attachments;
        let path = format!("{}/_bulk_get?revs=true&attachments={attachments}", self.db);
        let request = self.client.request(Method::POST, &path).header("accept", "application/json");
        let request = request.header("content-type", "application/json").body(json!({ "docs": docs }).to_string());
        let text = read(self.client.send(request).await?).await?;
        let got: BulkGot<'_> = serde_json::from_slice(&text).context("the answer of _bulk_get can't be read")?;
        if got.results.len() != docs.len() {
            bail!("{} documents were asked for, and {} came", docs.len(), got.results.len());
        }
        let mut results = got.results.iter();
        let lines = rows.iter().filter_map(|row| {
            let leaves = results.by_ref().take(row.changes.len()).flat_map(|result| &result.docs);
            let texts: Vec<&str> = leaves.filter_map(|found| Some(found.ok?.get())).collect();
            let id = Value::from(row.id.as_str());
            (!texts.is_empty()).then(|| format!("{{\"id\":{id},\"docs\":[{}]}}", texts.join(",")))
        });
        Ok(lines.collect())
    }
}
