//! `[replicator]`: how many replications run, and how.

use super::sections::{BadValue, Flag, Sections};
use serde_json::{Map, Value};
use std::time::Duration;
use tidegate_replication::Limits;

/// What the section `replicator` says.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicatorRules {
    /// How many run at a time, and how they take turns.
    pub limits: Limits,
    /// Members that a replication has where it says nothing of them.
    pub defaults: Map<String, Value>,
    /// Certificates of authorities to trust beside the system's, as PEM in this file.
    pub trusted_certificates_file: Option<String>,
    /// The longest that jobs wait before they start when the server does.
    pub startup_jitter: Duration,
}

/// Numbers that a replication may say for itself.
const NUMBERS: [&str; 6] = [
    "checkpoint_interval",
    "connection_timeout",
    "http_connections",
    "retries_per_request",
    "worker_batch_size",
    "worker_processes",
];
const FLAGS: [&str; 2] = ["use_bulk_get", "use_checkpoints"];

impl ReplicatorRules {
    pub(super) fn of(sections: &Sections) -> Result<Self, BadValue> {
        let integer = |key, default| sections.integer("replicator", key, default);
        let count = |key, default: usize| {
            let value = integer(key, u64::try_from(default).unwrap_or(u64::MAX))?;
            Ok(usize::try_from(value).unwrap_or(usize::MAX))
        };
        let usual = Limits::default();
        let limits = Limits {
            max_jobs: count("max_jobs", usual.max_jobs)?,
            max_churn: count("max_churn", usual.max_churn)?,
            max_history: count("max_history", usual.max_history)?,
            interval: Duration::from_millis(integer("interval", 60_000)?.max(100)),
            health_threshold: Duration::from_secs(integer("health_threshold", usual.health_threshold.as_secs())?),
        };
        let trusted_certificates_file = sections.get("replicator", "ssl_trusted_certificates_file").map(str::to_owned);
        let startup_jitter = Duration::from_millis(integer("startup_jitter", 5_000)?);
        Ok(Self { limits, defaults: defaults(sections)?, trusted_certificates_file, startup_jitter })
    }
}

fn defaults(sections: &Sections) -> Result<Map<String, Value>, BadValue> {
    let mut defaults = Map::new();
    for key in NUMBERS {
        if sections.get("replicator", key).is_some() {
            defaults.insert(key.to_owned(), sections.integer("replicator", key, 0)?.into());
        }
    }
    for key in FLAGS {
        if sections.get("replicator", key).is_some() {
            defaults.insert(key.to_owned(), sections.flag("replicator", key, Flag::On)?.is_on().into());
        }
    }
    Ok(defaults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_couchdbs_default() {
        let rules = ReplicatorRules::of(&Sections::default()).unwrap();
        assert_eq!((rules.limits, rules.defaults.len()), (Limits::default(), 0));
    }

    #[test]
    fn what_is_said_counts_for_jobs_that_say_nothing() {
        let mut sections = Sections::default();
        for (key, value) in
            [("max_jobs", "3"), ("interval", "1"), ("retries_per_request", "2"), ("use_bulk_get", "false")]
        {
            sections.set("replicator", key, value);
        }
        let rules = ReplicatorRules::of(&sections).unwrap();
        assert_eq!((rules.limits.max_jobs, rules.limits.interval), (3, Duration::from_millis(100)));
        let defaults = serde_json::json!({ "retries_per_request": 2, "use_bulk_get": false });
        assert_eq!(Value::Object(rules.defaults), defaults);
    }
}
