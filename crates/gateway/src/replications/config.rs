//! The configuration of a replication: what it may say, and what can't be done. Source: `spec/gateway.md` 2.6.

use crate::error::Error;
use serde_json::{Map, Value, json};

/// What stands for a secret.
const REDACTED: &str = "xxxxx";
/// The longest name of a replication, in bytes.
const ID_BYTES_MAX: usize = 160;
const BATCH_SIZE_MAX: u64 = 10_000;
const BY_CHANNEL: &str = "sync_gateway/bychannel";

/// The keys of Sync Gateway's.
const KEYS: &[&str] = &[
    "adhoc",
    "batch_size",
    "collections_enabled",
    "collections_local",
    "collections_remote",
    "conflict_resolution_type",
    "continuous",
    "custom_conflict_resolver",
    "direction",
    "enable_delta_sync",
    "filter",
    "initial_state",
    "max_backoff_time",
    "password",
    "purge_on_removal",
    "query_params",
    "remote",
    "remote_password",
    "remote_username",
    "replication_id",
    "run_as",
    "username",
];

/// Keys that are on or off, of which one that can't be turned on here is told.
const REFUSED_FLAGS: &[(&str, &str)] = &[
    ("adhoc", "a replication that ends stays until it is deleted"),
    ("collections_enabled", "the default collection is replicated"),
    ("enable_delta_sync", "documents travel whole"),
    ("purge_on_removal", "what leaves a channel stays where it was replicated to"),
];

/// One way of a replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Push,
    Pull,
}

/// Whether a replication runs from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    Running,
    Stopped,
}

/// A configuration that can be carried out: its members, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config(Map<String, Value>);

impl Way {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
        }
    }
}

impl Config {
    /// The configuration that these members make, over what there was: what they don't name stays, and so does a secret
    /// that comes back as it was told.
    ///
    /// # Errors
    /// It can't be carried out.
    pub(super) fn parse(new: Map<String, Value>, old: Option<&Self>) -> Result<Self, Error> {
        if let Some(key) = new.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(Error::bad_request(format!("JSON Unknown Field: json: unknown field \"{key}\"")));
        }
        let mut members = old.map(|old| old.0.clone()).unwrap_or_default();
        for (key, value) in new {
            let is_as_told = value == REDACTED && members.contains_key(&key);
            if value.is_null() {
                members.remove(&key);
            } else if !is_as_told {
                members.insert(key, value);
            }
        }
        if let Some((remote, old)) = text(&members, "remote")?.zip(old)
            && Some(&remote) == old.shown().get("remote").and_then(Value::as_str).map(str::to_owned).as_ref()
        {
            members.extend(old.0.get("remote").map(|remote| ("remote".to_owned(), remote.clone())));
        }
        let config = Self(members);
        config.check()?;
        Ok(config)
    }

    /// As it was kept.
    pub(super) fn kept(members: Map<String, Value>) -> Self {
        Self(members)
    }

    pub(super) fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// As it is told: without secrets.
    pub(super) fn shown(&self) -> Map<String, Value> {
        let mut shown = self.0.clone();
        for key in ["password", "remote_password"] {
            if let Some(password) = shown.get_mut(key) {
                *password = REDACTED.into();
            }
        }
        if let Some(remote) = shown.get_mut("remote")
            && let Some(url) = remote.as_str().map(without_password)
        {
            *remote = url.into();
        }
        shown
    }

    fn check(&self) -> Result<(), Error> {
        let id = text(&self.0, "replication_id")?.unwrap_or_default();
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(Error::bad_request(format!("replication_id must have 1 to {ID_BYTES_MAX} characters")));
        }
        if !self.remote()?.starts_with("http://") && !self.remote()?.starts_with("https://") {
            return Err(Error::bad_request("Replication remote must be an http or https URL of a database"));
        }
        self.ways()?;
        self.begins()?;
        self.continuous()?;
        self.batch_size()?;
        self.credentials()?;
        self.check_filter()?;
        self.check_conflicts()?;
        self.check_backoff()?;
        for (key, instead) in REFUSED_FLAGS {
            if flag(&self.0, key)? {
                return Err(Error::bad_request(format!("{key} isn't supported: {instead}")));
            }
        }
        match text(&self.0, "run_as")?.filter(|user| !user.is_empty()) {
            Some(_) => Err(Error::bad_request("run_as isn't supported: a replication works for who configured it")),
            None => Ok(()),
        }
    }

    /// Channels are chosen where revisions are read, by a server that knows of them: on the other side.
    fn check_filter(&self) -> Result<(), Error> {
        match text(&self.0, "filter")?.as_deref() {
            None | Some("") => Ok(()),
            Some(BY_CHANNEL) if self.ways()? != [Way::Pull] => {
                Err(Error::bad_request("filter isn't supported but for direction pull: what is pushed is everything"))
            }
            Some(BY_CHANNEL) => match self.channels()? {
                Some(_) => Ok(()),
                None => Err(Error::bad_request("query_params must name the channels of the filter")),
            },
            Some(_) => Err(Error::bad_request(format!("Unknown replication filter; try {BY_CHANNEL}"))),
        }
    }

    /// Both sides keep both revisions of a conflict, and show the same one. Who wants one of them gone must say so in a
    /// way that all who edit see: by an edit.
    fn check_conflicts(&self) -> Result<(), Error> {
        match text(&self.0, "conflict_resolution_type")?.as_deref() {
            None | Some("" | "default") => {}
            Some(kind @ ("localWins" | "remoteWins" | "custom")) => {
                return Err(Error::bad_request(format!(
                    "conflict_resolution_type {kind} isn't supported: conflicts are kept on both sides"
                )));
            }
            Some(_) => {
                let reason = "conflict_resolution_type must be default, localWins, remoteWins or custom";
                return Err(Error::bad_request(reason));
            }
        }
        match text(&self.0, "custom_conflict_resolver")?.filter(|function| !function.is_empty()) {
            Some(_) => Err(Error::bad_request("custom_conflict_resolver isn't supported")),
            None => Ok(()),
        }
    }

    /// How long to wait between attempts follows from CouchDB's rules; it is kept and told, and changes nothing.
    fn check_backoff(&self) -> Result<(), Error> {
        match self.0.get("max_backoff_time") {
            Some(minutes) if minutes.as_u64().is_none() => {
                Err(Error::bad_json("max_backoff_time must be a number of minutes"))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn id(&self) -> &str {
        self.0.get("replication_id").and_then(Value::as_str).unwrap_or_default()
    }

    fn remote(&self) -> Result<&str, Error> {
        let remote = self.0.get("remote").and_then(Value::as_str).filter(|remote| !remote.is_empty());
        remote.ok_or_else(|| Error::bad_request("Replication remote must be specified"))
    }

    pub(super) fn ways(&self) -> Result<&'static [Way], Error> {
        match text(&self.0, "direction")?.as_deref() {
            Some("push") => Ok(&[Way::Push]),
            Some("pull") => Ok(&[Way::Pull]),
            Some("pushAndPull") => Ok(&[Way::Push, Way::Pull]),
            Some(_) | None => Err(Error::bad_request("Replication direction must be push, pull or pushAndPull")),
        }
    }

    pub(super) fn begins(&self) -> Result<Begins, Error> {
        match text(&self.0, "initial_state")?.as_deref() {
            None | Some("" | "running") => Ok(Begins::Running),
            Some("stopped") => Ok(Begins::Stopped),
            Some(_) => Err(Error::bad_request("Replication initial_state must be running or stopped")),
        }
    }

    fn continuous(&self) -> Result<bool, Error> {
        flag(&self.0, "continuous")
    }

    fn batch_size(&self) -> Result<Option<u64>, Error> {
        let Some(size) = self.0.get("batch_size") else { return Ok(None) };
        let size = size.as_u64().filter(|size| (1..=BATCH_SIZE_MAX).contains(size));
        let wrong = || Error::bad_request(format!("batch_size must be a number from 1 to {BATCH_SIZE_MAX}"));
        size.map(Some).ok_or_else(wrong)
    }

    /// The name and the password for the other side, where they don't stand in its URL.
    fn credentials(&self) -> Result<Option<(String, String)>, Error> {
        let of = |new: &str, old: &str| Ok::<_, Error>(text(&self.0, new)?.or(text(&self.0, old)?));
        let name = of("remote_username", "username")?.filter(|name| !name.is_empty());
        let password = of("remote_password", "password")?.unwrap_or_default();
        Ok(name.map(|name| (name, password)))
    }

    /// The channels of the filter, in Sync Gateway's two forms.
    fn channels(&self) -> Result<Option<String>, Error> {
        let channels = match self.0.get("query_params") {
            Some(Value::Array(channels)) => Some(channels),
            Some(Value::Object(params)) => params.get("channels").and_then(Value::as_array),
            Some(_) | None => None,
        };
        let wrong = || Error::bad_request("query_params must be {\"channels\": [...]}, with names of channels");
        let Some(channels) = channels.filter(|channels| !channels.is_empty()) else { return Ok(None) };
        let names: Option<Vec<&str>> = channels.iter().map(Value::as_str).collect();
        Ok(Some(names.ok_or_else(wrong)?.join(",")))
    }

    /// What CouchDB's replicator is asked for one way of it, between the database `local` and the other side. `mark` tells
    /// this replication from others of the same databases: each has checkpoints of its own.
    pub(super) fn job(&self, local: &str, way: Way, mark: &str) -> Result<Map<String, Value>, Error> {
        // Versions are told apart from the content only by who speaks this dialect.
        let url = format!("{}?show_cv=false", self.remote()?.trim_end_matches('/'));
        let mut remote = json!({ "url": url, "headers": { "X-Tidegate-Replication": mark } });
        if let Some((username, password)) = self.credentials()? {
            let basic = json!({ "basic": { "username": username, "password": password } });
            remote.as_object_mut().into_iter().for_each(|remote| drop(remote.insert("auth".to_owned(), basic.clone())));
        }
        let (source, target) = match way {
            Way::Push => (json!(local), remote),
            Way::Pull => (remote, json!(local)),
        };
        let mut job = Map::new();
        let mut set = |name: &str, value: Value| drop(job.insert(name.to_owned(), value));
        set("source", source);
        set("target", target);
        set("continuous", self.continuous()?.into());
        if let Some(size) = self.batch_size()? {
            set("worker_batch_size", size.into());
        }
        match (way, text(&self.0, "filter")?.as_deref()) {
            // Design documents are each server's own.
            (Way::Push, _) => set("selector", json!({ "_id": { "$regex": "^[^_]" } })),
            (Way::Pull, Some(BY_CHANNEL)) => {
                set("filter", BY_CHANNEL.into());
                set("query_params", json!({ "channels": self.channels()? }));
            }
            (Way::Pull, _) => {}
        }
        Ok(job)
    }
}

fn text(members: &Map<String, Value>, key: &str) -> Result<Option<String>, Error> {
    match members.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::bad_json(format!("{key} must be a string"))),
    }
}

fn flag(members: &Map<String, Value>, key: &str) -> Result<bool, Error> {
    match members.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Error::bad_json(format!("{key} must be true or false"))),
    }
}

/// A URL with its credentials redacted.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{REDACTED}:{REDACTED}@{host}{path}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, old: Option<&Config>) -> Result<Config, Error> {
        Config::parse(serde_json::from_str(text).unwrap(), old)
    }

    /// One that is right, with these members beside.
    fn with(members: &str) -> Result<Config, Error> {
        let start = r#"{"replication_id":"r","remote":"http://al:pw@host:4984/db","direction":"pull""#;
        let beside: Map<String, Value> = serde_json::from_str(&format!("{{{members}}}")).unwrap();
        let mut all: Map<String, Value> = serde_json::from_str(&format!("{start}}}")).unwrap();
        all.extend(beside);
        Config::parse(all, None)
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let check = |members: &str, expected: &str| {
            let refused = with(members).map(drop).unwrap_err();
            assert!(refused.reason.contains(expected), "{members}: {}", refused.reason);
        };
        check(r#""nonsense":1"#, "unknown field \"nonsense\"");
        check(r#""remote":null"#, "remote must be specified");
        check(r#""remote":"db""#, "http or https URL");
        check(r#""direction":"up""#, "push, pull or pushAndPull");
        check(r#""initial_state":"new""#, "running or stopped");
        check(r#""conflict_resolution_type":"localWins""#, "localWins isn't supported");
        check(r#""conflict_resolution_type":"custom","custom_conflict_resolver":"f""#, "custom isn't supported");
        check(r#""conflict_resolution_type":"mine""#, "must be default");
        check(r#""purge_on_removal":true"#, "purge_on_removal isn't supported");
        check(r#""enable_delta_sync":true"#, "enable_delta_sync isn't supported");
        check(r#""adhoc":true"#, "adhoc isn't supported");
        check(r#""collections_enabled":true"#, "collections_enabled isn't supported");
        check(r#""run_as":"al""#, "run_as isn't supported");
        check(r#""continuous":"yes""#, "continuous must be true or false");
        check(r#""batch_size":0"#, "batch_size must be");
        check(r#""filter":"mine""#, "Unknown replication filter");
        check(r#""filter":"sync_gateway/bychannel""#, "query_params must name the channels");
        check(
            r#""filter":"sync_gateway/bychannel","query_params":{"channels":["a"]},"direction":"push""#,
            "filter isn't",
        );
        check(r#""replication_id":"""#, "replication_id must have");
        assert!(with(r#""conflict_resolution_type":"default","purge_on_removal":false,"max_backoff_time":5"#).is_ok());
    }

    #[test]
    fn secrets_are_told_nobody_and_stay_when_they_come_back() {
        let config = with(r#""remote_username":"al","remote_password":"secret""#).unwrap();
        let shown = config.shown();
        assert_eq!(shown["remote"], "http://xxxxx:xxxxx@host:4984/db");
        assert_eq!(shown["remote_password"], "xxxxx");
        assert_eq!(Config::parse(shown, Some(&config)).unwrap(), config);
        let changed = parse(r#"{"continuous":true,"remote_password":"other"}"#, Some(&config)).unwrap();
        assert_eq!((&changed.0["remote_password"], &changed.0["remote"]), (&json!("other"), &config.0["remote"]));
    }

    #[test]
    fn each_way_is_a_job_of_the_replicator() {
        let filtered = r#""filter":"sync_gateway/bychannel","query_params":{"channels":["a","b"]},"batch_size":7"#;
        let remote = json!({
            "url": "http://al:pw@host:4984/db?show_cv=false", "headers": { "X-Tidegate-Replication": "m" },
        });
        let pull = json!({
            "source": remote, "target": "db", "continuous": false, "worker_batch_size": 7,
            "filter": "sync_gateway/bychannel", "query_params": { "channels": "a,b" },
        });
        assert_eq!(Value::Object(with(filtered).unwrap().job("db", Way::Pull, "m").unwrap()), pull);
        let push = with(r#""direction":"push","continuous":true"#).unwrap().job("db", Way::Push, "m").unwrap();
        let expected = json!({
            "source": "db", "target": remote, "continuous": true, "selector": { "_id": { "$regex": "^[^_]" } },
        });
        assert_eq!(Value::Object(push), expected);
    }
}
