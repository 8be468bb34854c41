//! `tidegate changes`: what changed in a database, and what changes.

use super::{
    client::{Client, Remote, db_name, db_path, segment, status_of},
    output::{Form, Output, line},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;
use tidegate_types::DbName;
use tokio::time::sleep;

/// Rows asked for at once.
const PAGE_ROWS: u64 = 1_000;
/// A line of a feed isn't longer.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Before a feed that was cut is followed again.
const RECONNECT_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tidegate changes notes\n  tidegate changes notes --follow --since now --include-docs\n  \
                        tidegate changes notes --json --limit 10 | jq .id"
)]
pub(crate) struct Changes {
    #[command(flatten)]
    remote: Remote,
    #[arg(value_parser = db_name)]
    db: DbName,
    /// Go on with what changes, until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Only what came after this sequence; `now` for what is yet to come.
    #[arg(long, value_name = "SEQ", default_value = "0")]
    since: String,
    /// The documents, too.
    #[arg(long)]
    include_docs: bool,
    /// At most so many.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// Where a feed is.
struct Place {
    since: String,
    left: u64,
    /// Whether the server has answered.
    is_followed: bool,
}

impl Changes {
    pub(crate) async fn run(self, out: Output) -> Result<()> {
        let client = self.remote.client()?;
        let mut place = Place { since: self.since.clone(), left: self.limit.unwrap_or(u64::MAX), is_followed: false };
        if !self.follow {
            return self.pages(&client, &mut place, out).await;
        }
        while place.left > 0 {
            match self.stream(&client, &mut place, out).await {
                Ok(()) => {}
                Err(error) if error.is::<Cut>() => sleep(RECONNECT_WAIT).await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn path(&self, place: &Place, feed: &str) -> String {
        let (db, since, docs) = (db_path(&self.db), segment(&place.since), self.include_docs);
        format!("{db}/_changes?since={since}&include_docs={docs}&{feed}")
    }

    async fn pages(&self, client: &Client, place: &mut Place, out: Output) -> Result<()> {
        while place.left > 0 {
            let wanted = place.left.min(PAGE_ROWS);
            let page = client.get(&self.path(place, &format!("limit={wanted}"))).await?;
            let rows = page.get("results").and_then(Value::as_array).context("the feed has no rows")?;
            for row in rows {
                place.show(row, out)?;
            }
            if (rows.len() as u64) < wanted {
                break;
            }
            place.since = page.get("last_seq").map(seq).unwrap_or_default();
        }
        Ok(())
    }

    /// Follows the feed until it ends.
    async fn stream(&self, client: &Client, place: &mut Place, out: Output) -> Result<()> {
        let path = self.path(place, "feed=continuous&heartbeat=20000");
        let mut response = match client.send(client.request(Method::GET, &path)).await {
            // The server is being started again.
            Err(error) if place.is_followed && status_of(&error).is_none() => return Err(Cut.into()),
            response => response?,
        };
        place.is_followed = true;
        let mut text = Vec::new();
        loop {
            // If the server drains, or the connection is cut, it goes on from the last row.
            let Ok(Some(chunk)) = response.chunk().await else { return Err(Cut.into()) };
            text.extend_from_slice(&chunk);
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let row: Vec<u8> = text.drain(..=end).collect();
                if let Ok(row) = serde_json::from_slice::<Value>(&row)
                    && row.get("id").is_some()
                {
                    place.show(&row, out)?;
                }
                if place.left == 0 {
                    return Ok(());
                }
            }
            if text.len() > LINE_BYTES_MAX {
                bail!("a row of the feed is longer than {LINE_BYTES_MAX} bytes");
            }
        }
    }
}

/// The feed ended before its reader.
#[derive(Debug, thiserror::Error)]
#[error("the feed was cut")]
struct Cut;

impl Place {
    fn show(&mut self, row: &Value, out: Output) -> Result<()> {
        self.left = self.left.saturating_sub(1);
        self.since = row.get("seq").map(seq).unwrap_or_default();
        if out.form == Form::Json {
            return line(&row.to_string());
        }
        let text = |path: &str| row.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let deleted = if row.get("deleted") == Some(&Value::Bool(true)) { " deleted" } else { "" };
        let doc = row.get("doc").map(|doc| format!(" {doc}")).unwrap_or_default();
        line(&format!("{} {} {}{deleted}{doc}", self.since, text("/id"), text("/changes/0/rev")))
    }
}

/// A sequence as `since` takes it.
fn seq(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
