//! `tidegate explain`: why a user sees a document, or doesn't.

use super::{
    client::{AdminPort, db_name, db_path, doc_id, segment},
    output::{Output, count, line},
};
use anyhow::Result;
use clap::Args;
use serde_json::Value;
use tidegate_types::{DbName, DocId};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidegate explain --db clinic --user ada --doc visit-7\n  \
                        tidegate explain --db clinic --user ada --doc visit-7 --json")]
pub(crate) struct Explain {
    #[command(flatten)]
    port: AdminPort,
    /// The database.
    #[arg(long, value_name = "DB", value_parser = db_name)]
    db: DbName,
    /// The user; GUEST is whoever doesn't log in.
    #[arg(long, value_name = "USER")]
    user: String,
    /// The document's id.
    #[arg(long, value_name = "ID", value_parser = doc_id)]
    doc: DocId,
}

impl Explain {
    pub(crate) async fn run(self, out: Output) -> Result<()> {
        let Self { port, db, user, doc } = self;
        let query = format!("user={}&doc={}", segment(&user), segment(doc.as_str()));
        let found = port.client()?.get(&format!("{}/_explain?{query}", db_path(&db))).await?;
        match out.form {
            super::Form::Json => out.document(&found),
            super::Form::Text => told(&found, &user, doc.as_str()).iter().try_for_each(|text| line(text)),
        }
    }
}

fn told(found: &Value, user: &str, doc: &str) -> Vec<String> {
    let verdict = found.get("verdict").and_then(Value::as_str).unwrap_or_default();
    let mut lines = vec![match verdict {
        "sees" => format!("{user} sees {doc}:"),
        "stub" => format!("{user} doesn't see {doc}, but learns that it is there: it has left a channel of {user}'s"),
        "no_user" => format!("there is no user {user}"),
        "disabled" => format!("{user} is disabled, and sees nothing"),
        "no_document" => format!("there is no document {doc}"),
        "in_no_channel" => format!("{user} doesn't see {doc}: it is in no channel"),
        _ => format!("{user} doesn't see {doc}: it is in other channels than {user} has"),
    }];
    for way in found.get("ways").and_then(Value::as_array).into_iter().flatten() {
        let from: Vec<String> = list(way, "from").map(source).collect();
        lines.push(format!(
            "  by channel {}, since sequence {}: {}",
            text(way, "channel"),
            way["since"],
            from.join("; ")
        ));
    }
    if let Some(document) = found.get("document").filter(|document| !document.is_null()) {
        lines.push(format!(
            "document: revision {}, sequence {}{}",
            text(document, "rev"),
            document["seq"],
            if document["deleted"] == true { ", deleted" } else { "" }
        ));
        lines.push(format!("  in channels: {}", named(list(document, "channels").filter_map(Value::as_str))));
    }
    if let Some(has) = found.get("has").filter(|has| !has.is_null()) {
        let keys = |member: &str| {
            named(has.get(member).and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str()))
        };
        lines.push(format!("{user} has channels: {}", keys("channels")));
        lines.push(format!("  roles: {}", keys("roles")));
    }
    if let Some(now) = found.get("sync_function_now").filter(|now| !now.is_null()) {
        lines.push(match now.get("exception").and_then(Value::as_str) {
            Some(exception) => format!("the sync function of now refuses the document: {exception}"),
            None => format!(
                "the sync function of now puts it into: {}",
                named(list(now, "channels").filter_map(Value::as_str))
            ),
        });
        let logged = list(&now["logging"], "info").chain(list(&now["logging"], "errors"));
        lines.extend(logged.filter_map(Value::as_str).map(|logged| format!("  it logs: {logged}")));
    }
    lines
}

/// From whom, in words.
fn source(from: &Value) -> String {
    match text(from, "kind") {
        "everybody" => "it is everybody's".to_owned(),
        "administrator" => "from an administrator".to_owned(),
        "voucher" => format!("from {}", text(from, "issuer")),
        "role" => {
            let held: Vec<String> = list(from, "held_from").map(source).collect();
            let channel: Vec<String> = list(from, "channel_from").map(source).collect();
            format!("by role {} (held {}; has the channel {})", text(from, "role"), held.join(", "), channel.join(", "))
        }
        _ => {
            let documents = count(from.get("count").and_then(Value::as_u64).unwrap_or_default(), "document");
            format!("from {documents}: {}", named(list(from, "some").filter_map(Value::as_str)))
        }
    }
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> {
    value.get(member).and_then(Value::as_array).into_iter().flatten()
}

fn named<'v>(names: impl Iterator<Item = &'v str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
