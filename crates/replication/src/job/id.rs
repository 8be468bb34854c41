//! Replication ids: the same job has the same, wherever its document lies and whoever asks.

use std::{fmt, str::FromStr};

use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};

use super::{Endpoint, Filter, Job, Style};
use crate::Wait;

/// The id of a job: 32 hexadecimal digits, and what makes it differ from the job with the same checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    base: String,
    suffix: String,
}

impl JobId {
    /// The name of the checkpoints: shared by a continuous job and the one-shot job with the same members.
    pub fn base(&self) -> &str {
        &self.base
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.base, self.suffix)
    }
}

impl FromStr for JobId {
    type Err = std::convert::Infallible;

    /// Takes any text. A blank is a plus that somebody decoded. Source: `couch_replicator_ids:convert`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.replace(' ', "+");
        let (base, suffix) = text.split_at(text.find('+').unwrap_or(text.len()));
        Ok(Self { base: base.to_owned(), suffix: suffix.to_owned() })
    }
}

/// The id of the local documents that hold the checkpoints of `id`.
pub fn checkpoint_id(id: &JobId) -> String {
    format!("_local/{}", id.base)
}

impl Job {
    /// The job's id on the server with the id `server`; `filter_code` is the text of the function that
    /// [`Filter::Function`] names, which the shell has read from the source: other code, other replication.
    ///
    /// Passwords have no part in it, nor do sizes and times: to change them is to go on. Source:
    /// `couch_replicator_ids`, version 4; the digest differs from CouchDB's, which hashes Erlang terms.
    pub fn id(&self, server: &str, filter_code: Option<&str>) -> JobId {
        let mut parts = vec![json!(server), self.source.identity(), self.target.identity()];
        parts.extend(self.filter.identity(filter_code));
        if self.style == Style::MainOnly {
            parts.push(json!("winning_revs_only"));
        }
        parts.extend(self.since_seq.as_ref().map(crate::SourceSeq::to_json));
        let digest = Md5::digest(Value::Array(parts).to_string());
        let continuous = if self.wait == Wait::Forever { "+continuous" } else { "" };
        let create_target = if self.create_target.is_some() { "+create_target" } else { "" };
        let base = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        JobId { base, suffix: format!("{continuous}{create_target}") }
    }
}

impl Endpoint {
    fn identity(&self) -> Value {
        match self {
            Self::Local(name) => json!(["local", name.as_str()]),
            Self::Remote(remote) => {
                let (host, port, path) = remote.place();
                let user = remote.basic.as_ref().map(|basic| &basic.username);
                json!(["remote", user, host, port, path, remote.headers])
            }
        }
    }
}

impl Filter {
    fn identity(&self, code: Option<&str>) -> Vec<Value> {
        match self {
            Self::All => Vec::new(),
            Self::DocIds(ids) => vec![json!(["doc_ids", ids.as_ref()])],
            Self::Selector(selector) => vec![json!(["selector", sorted_members(selector)])],
            Self::BuiltIn { name, query } => vec![json!([name, sorted_members(query)])],
            Self::Function { design, name, query } => {
                let function = code.map_or_else(|| format!("{design}/{name}"), |code| code.trim().to_owned());
                vec![json!([function, sorted_members(query)])]
            }
        }
    }
}

/// Members in one order, whichever they were written in.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => sorted_members(members),
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn sorted_members(members: &Map<String, Value>) -> Value {
    let mut pairs: Vec<_> = members.iter().collect();
    pairs.sort_by_key(|(name, _)| name.as_str());
    Value::Object(pairs.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
}
