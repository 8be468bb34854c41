//! `tidegate doctor`: whether what is stored agrees with itself.

use super::{
    Ending,
    backup::open,
    output::{Output, count},
};
use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use std::{panic, path::PathBuf};
use tidegate_engine::{Inconsistency, Offline, Repair};
use tidegate_types::DbName;

#[derive(Debug, Args)]
#[command(
    after_help = "It reads every database whole, while no server runs. --repair makes anew what follows from the documents (the \
                    sequence index, counters, references of attachments) and clears what belongs to nothing; it changes no \
                    revision. What it can't repair is lost: restore a backup, or replicate it back from another server.\n\
                        Exit code 3 says that something is wrong, or still is after a repair.\n\n\
                        Examples:\n  tidegate doctor --data /var/lib/tidegate\n  tidegate doctor --data /var/lib/tidegate --repair"
)]
pub(crate) struct Doctor {
    /// The data folder of a server that doesn't run.
    #[arg(long, value_name = "DIR", env = "TIDEGATE_DATA")]
    data: PathBuf,
    /// Only this database; may be given several times.
    #[arg(long = "db", value_name = "NAME", value_parser = super::client::db_name)]
    databases: Vec<DbName>,
    /// Repair what can be.
    #[arg(long)]
    repair: bool,
}

/// What became of one database.
struct Examined {
    found: Vec<String>,
    repair: Option<Repair>,
    /// What is wrong at the end.
    left: Vec<String>,
}

impl Doctor {
    pub(crate) async fn run(self, out: Output) -> Result<Ending> {
        keep_damage_quiet();
        let offline = open(&self.data, "stop the server first").await?;
        let names = if self.databases.is_empty() { offline.names().await? } else { self.databases.clone() };
        let bar = out.bar("examining", names.len() as u64, super::output::Unit::Things);
        let mut sick = 0;
        for name in &names {
            bar.set_message(format!("examining {name}"));
            let examined = self.examine(&offline, name).await;
            sick += u64::from(!examined.left.is_empty());
            bar.suspend(|| examined.tell(name, out))?;
            bar.inc(1);
        }
        bar.finish_and_clear();
        offline.close().await.context("the data could not be closed")?;
        let databases = count(names.len() as u64, "database");
        if sick == 0 {
            out.remark(&format!("{databases} examined: all is well"))?;
            return Ok(Ending::Well);
        }
        let next = if self.repair {
            "what is left can't be repaired: restore a backup, or replicate it back from another server"
        } else {
            "make a copy of the data folder, then try --repair"
        };
        out.remark(&format!("{databases} examined, {sick} with something wrong; {next}"))?;
        Ok(Ending::Incomplete)
    }

    async fn examine(&self, offline: &Offline, name: &DbName) -> Examined {
        match self.try_examine(offline, name).await {
            Ok(examined) => examined,
            // One that can't even be opened is a finding: the others are still examined.
            Err(error) => {
                let found = vec![format!("it can't be read: {:#}", anyhow::Error::new(error))];
                Examined { left: found.clone(), found, repair: None }
            }
        }
    }

    async fn try_examine(&self, offline: &Offline, name: &DbName) -> Result<Examined, tidegate_engine::Error> {
        let texts = |found: Vec<Inconsistency>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = texts(offline.check(name).await?);
        if found.is_empty() || !self.repair {
            return Ok(Examined { left: found.clone(), found, repair: None });
        }
        let repair = offline.repair(name).await?;
        Ok(Examined { found, repair: Some(repair), left: texts(offline.check(name).await?) })
    }
}

/// Damage is told as a finding: the panic of the tree's library that it came by tells people nothing more.
fn keep_damage_quiet() {
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !tidegate_kv::panics_on_damage() {
            told(panic);
        }
    }));
}

impl Examined {
    fn tell(&self, name: &DbName, out: Output) -> Result<()> {
        let repaired = self.repair.as_ref().map(shown);
        let value = json!({ "db": name.as_str(), "found": self.found, "repaired": repaired, "left": self.left });
        let mut lines = vec![format!("{name}: {}", if self.found.is_empty() { "well" } else { "something is wrong" })];
        let (title, listed) = if self.repair.is_some() { ("left", &self.left) } else { ("found", &self.found) };
        if self.repair.is_some() {
            lines.extend(
                self.found.iter().filter(|text| !self.left.contains(text)).map(|text| format!("  repaired: {text}")),
            );
        }
        lines.extend(listed.iter().map(|text| format!("  {title}: {text}")));
        if self.repair.is_some_and(|repair| repair.kept_strays) {
            lines.push("  something is lost or unreadable, so nothing that might belong to it was cleared".to_owned());
        }
        out.row(&value, &lines.join("\n"))
    }
}

fn shown(repair: &Repair) -> Value {
    let Repair {
        heads,
        change_rows,
        stray_changes,
        stray_bodies,
        attachments,
        stray_contents,
        ticket_rows,
        stray_assignments,
        channel_rows,
        stray_channel_rows,
        departures,
        expiries,
        grants,
        counters,
        kept_strays,
    } = *repair;
    json!({
        "heads": heads, "change_rows": change_rows, "stray_changes": stray_changes, "stray_bodies": stray_bodies,
        "attachments": attachments, "stray_contents": stray_contents, "ticket_rows": ticket_rows,
        "stray_assignments": stray_assignments, "channel_rows": channel_rows, "stray_channel_rows": stray_channel_rows,
        "departures": departures, "expiries": expiries, "grants": grants,
        "counters": counters, "kept_strays": kept_strays,
    })
}
