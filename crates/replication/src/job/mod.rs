//! What is asked of the replicator: the body of `_replicate`, or a document of `_replicator`, as a [`Job`].

mod endpoint;
mod id;
mod parse;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};

pub use endpoint::{Basic, Endpoint, Remote, shown};
pub use id::{JobId, checkpoint_id};
pub use parse::parse_job;

use crate::SourceSeq;

/// One replication, as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The `_id` of the document it was asked for in; none for `_replicate`.
    pub doc_id: Option<String>,
    /// Where revisions are read.
    pub source: Endpoint,
    /// Where they are written.
    pub target: Endpoint,
    /// Whether it goes on when everything is copied.
    pub wait: crate::Wait,
    /// The members to make the target with, if it is to be made (`create_target`, `create_target_params`).
    pub create_target: Option<Map<String, Value>>,
    /// Which documents are meant.
    pub filter: Filter,
    /// Which of a document's revisions are meant.
    pub style: Style,
    /// Where to begin if there is no checkpoint.
    pub since_seq: Option<SourceSeq>,
    /// Sizes and times.
    pub tuning: Tuning,
    /// Whom the job works for, as the document says; whether to believe it is the shell's affair.
    pub user_ctx: Option<UserContext>,
    /// Who wrote the document.
    pub owner: Option<String>,
}

/// Which documents a replication takes. The source selects them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// These, sorted, each once.
    DocIds(Arc<[String]>),
    /// Those that a Mango selector matches.
    Selector(Arc<Map<String, Value>>),
    /// Those that a built-in filter lets pass, such as `_design` or `_view`, or Sync Gateway's `sync_gateway/bychannel`.
    BuiltIn {
        /// Its name, with the underscore if it has one.
        name: String,
        /// Its parameters.
        query: Arc<Map<String, Value>>,
    },
    /// Those that a function of the source lets pass.
    Function {
        /// The design document, without `_design/`.
        design: String,
        /// The function in it.
        name: String,
        /// Its parameters.
        query: Arc<Map<String, Value>>,
    },
}

/// Which leaves of a document a feed tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Every leaf.
    #[default]
    AllDocs,
    /// The winner alone (`winning_revs_only`).
    MainOnly,
}

/// Sizes and times of a job. [`Default`] has CouchDB's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Rows of the feed taken together, at least 1.
    pub worker_batch_size: usize,
    /// Batches under way at a time, at least 1.
    pub worker_processes: usize,
    /// Requests under way at a time, at least 2.
    pub http_connections: usize,
    /// How long to wait for an answer.
    pub connection_timeout: Duration,
    /// How often a request is sent again.
    pub retries_per_request: u32,
    /// Between checkpoints; `None` for a job without any.
    pub checkpoint_interval: Option<Duration>,
    /// Whether `_bulk_get` is tried.
    pub fetch: Fetch,
}

/// How revisions are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fetch {
    /// Many at a time; one by one where that fails or there are attachments.
    #[default]
    Bulk,
    /// One document at a time (`use_bulk_get: false`).
    Single,
}

/// Whom a job works for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserContext {
    /// The user's name.
    pub name: Option<String>,
    /// The user's roles.
    pub roles: Vec<String>,
}

/// What a request to `_replicate` wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// To start a replication, or to join it if it runs.
    Start(Box<Job>),
    /// With `cancel`: to end the replication with this id.
    Cancel(JobId),
    /// With `cancel` and no id: to end the replication that the same members would start.
    CancelSame(Box<Job>),
}

/// The request or document can't be made a job of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// A member has the wrong type: 400 `bad_request` for `_replicate`.
    #[error("{0}")]
    BadRequest(String),
    /// Source, target or filter mean nothing: `bad_rep_doc`.
    #[error("{0}")]
    BadDocument(String),
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            worker_batch_size: 500,
            worker_processes: 4,
            http_connections: 20,
            connection_timeout: Duration::from_secs(30),
            retries_per_request: 5,
            checkpoint_interval: Some(Duration::from_secs(30)),
            fetch: Fetch::Bulk,
        }
    }
}

impl Filter {
    /// Whether every document passes.
    pub fn takes_all(&self) -> bool {
        match self {
            Self::All => true,
            Self::DocIds(_) | Self::Selector(_) | Self::BuiltIn { .. } | Self::Function { .. } => false,
        }
    }
}
