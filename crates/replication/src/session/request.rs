//! What a session asks of its shell, and what it is answered.

use std::sync::Arc;

use serde_json::{Map, Value};
use tidegate_types::{DocId, Rev};

use crate::{Checkpoint, FailureKind, Filter, SourceSeq, Style};

/// One of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where revisions are read.
    Source,
    /// Where they are written.
    Target,
}

/// Names a request among those of its session. A request that is sent again is another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// What the shell is to ask of a database. The types in [`Response`] say what belongs to which.
#[derive(Clone, Debug, PartialEq)]
pub enum Request<D> {
    /// Make the target, with these members (`PUT /target`). A target that is there (412) counts as made.
    CreateTarget(Map<String, Value>),
    /// What a database says of itself (`GET /db/`).
    Info(Side),
    /// The checkpoint (`GET /db/_local/{id}`); 404 is no failure.
    LoadCheckpoint(Side),
    /// More of the source's feed.
    Changes(ChangesRequest),
    /// How many changes the source has behind a place, whatever the filter (`GET /source/_changes?since=…&limit=0`). Only
    /// people care: a failure is none.
    Pending(SourceSeq),
    /// Which of these the target lacks (`POST /target/_revs_diff`).
    RevsDiff(Vec<Leaves>),
    /// These revisions from the source, without attachments
    /// (`POST /source/_bulk_get?latest=true&revs=true&attachments=false`).
    BulkGet(Vec<Wanted>),
    /// Revisions of one document, from the source (`GET /source/doc?revs=true&open_revs=[…]&latest=true&atts_since=[…]`)
    /// and, where they have attachments, on to the target as they come (`PUT /target/doc?new_edits=false`). A failure
    /// speaks of the whole database; a document that may not be read or written is [`Transferred::Refused`].
    Transfer(Transfer),
    /// Write to the target (`POST /target/_bulk_docs`, `new_edits: false`).
    BulkDocs(Vec<Doc<D>>),
    /// Make everything so far durable (`POST /db/_ensure_full_commit`).
    EnsureFullCommit(Side),
    /// Write the checkpoint (`PUT /db/_local/{id}`).
    StoreCheckpoint {
        /// Where.
        side: Side,
        /// The document's revision, as it was read or written last.
        rev: Option<String>,
        /// Its content.
        checkpoint: Arc<Checkpoint>,
    },
}

/// More of the feed. The shell may keep a response open between two of these: the next one's `since` is where this one's
/// page ended, unless something failed.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangesRequest {
    /// The place to go on from.
    pub since: SourceSeq,
    /// At most this many rows; any smaller number will do.
    pub rows_max: usize,
    /// Whether to wait for a first row.
    pub wait: Wait,
    /// Which documents.
    pub filter: Filter,
    /// Which of their leaves.
    pub style: Style,
}

/// Whether a feed waits when it is at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// A one-shot replication ends there.
    #[default]
    Never,
    /// A continuous one waits for more.
    Forever,
}

/// A document's leaves, as the feed tells them.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaves {
    /// The document.
    pub id: DocId,
    /// Its leaves.
    pub revs: Vec<Rev>,
}

/// A revision to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The document.
    pub id: DocId,
    /// The revision.
    pub rev: Rev,
    /// Revisions of the target that may be its ancestors: for `atts_since`.
    pub ancestors: Arc<[Rev]>,
}

/// Revisions of one document to read and write one by one.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// The document.
    pub id: DocId,
    /// The revisions.
    pub revs: Vec<Rev>,
    /// Revisions of the target that may be their ancestors: attachments that these have needn't be sent.
    pub ancestors: Arc<[Rev]>,
    /// Whether it is asked for once more because the source did not have what its feed had told.
    pub(super) is_second: bool,
}

/// A revision on its way. The session never looks into `content`; it is cloned for a write, so make that cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct Doc<D> {
    /// The document.
    pub id: DocId,
    /// The revision.
    pub rev: Rev,
    /// What it takes in memory and on the wire.
    pub bytes: usize,
    /// Whatever the shell needs for writing it.
    pub content: D,
}

/// The useful answer to a [`Request`].
#[derive(Clone, Debug, PartialEq)]
pub enum Response<D> {
    /// To [`Request::CreateTarget`].
    Created,
    /// To [`Request::Info`].
    Info(Info),
    /// To [`Request::LoadCheckpoint`]; `None` if there is no such document.
    Checkpoint(Option<StoredCheckpoint>),
    /// To [`Request::Changes`].
    Changes(Page),
    /// To [`Request::Pending`]; `None` if the source doesn't tell.
    Pending(Option<u64>),
    /// To [`Request::RevsDiff`].
    Missing(Vec<Missing>),
    /// To [`Request::BulkGet`]: what was found and has no attachments. The rest is asked for one by one.
    Fetched(Vec<Got<D>>),
    /// To [`Request::Transfer`]: what became of each revision. One that is left out is missing at the source.
    Transferred(Vec<Moved<D>>),
    /// To [`Request::BulkDocs`]: what the target did not take.
    Written(Vec<WriteFailure>),
    /// To [`Request::EnsureFullCommit`]: the database's `instance_start_time`.
    Committed(String),
    /// To [`Request::StoreCheckpoint`]: the document's new revision.
    Stored(String),
}

/// What a database says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// Changes when the database is not what it was; CouchDB 3 always says `0`.
    pub instance_start_time: String,
    /// How far it is.
    pub update_seq: SourceSeq,
}

/// A checkpoint document.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCheckpoint {
    /// Its revision.
    pub rev: String,
    /// Its content.
    pub checkpoint: Checkpoint,
}

/// A piece of the feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Rows, in the feed's order.
    pub rows: Vec<Row>,
    /// The place after the last row, as far as it is known to have nothing before it.
    pub last_seq: Option<SourceSeq>,
    /// Changes behind it.
    pub pending: Option<u64>,
    /// Whether a feed that doesn't wait came to its end: that of a response, or for a shell that reads page by page the
    /// place where the source was when the session began, as a busy source has no end.
    pub is_last: bool,
    /// Rows left out because their ids or revisions are none: counted as failures.
    pub unreadable: u64,
}

/// A row of the feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its place.
    pub seq: SourceSeq,
    /// The document.
    pub id: DocId,
    /// Its leaves.
    pub revs: Vec<Rev>,
    /// Whether it is deleted.
    pub deleted: bool,
}

/// What the target lacks of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// The document.
    pub id: DocId,
    /// What it lacks.
    pub revs: Vec<Rev>,
    /// What it has that may be ancestors of those.
    pub ancestors: Vec<Rev>,
}

/// What a wanted revision turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Got<D> {
    /// The document.
    pub id: DocId,
    /// The revision that was asked for.
    pub rev: Rev,
    /// That revision, or the leaves that have come after it.
    pub docs: Vec<Doc<D>>,
}

/// What became of a revision that was to be transferred. Several may answer one: the leaves that came after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved<D> {
    /// The revision that was asked for.
    pub rev: Rev,
    /// What became of it.
    pub outcome: Transferred<D>,
}

/// What became of a revision.
#[derive(Clone, Debug, PartialEq)]
pub enum Transferred<D> {
    /// The target took it.
    Written,
    /// The target did not take it.
    Refused(WriteFailure),
    /// It has no attachments and waits to be written.
    Loaded(Doc<D>),
}

/// Why the target did not take a revision.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteFailure {
    /// The document.
    pub id: DocId,
    /// The revision.
    pub rev: Rev,
    /// [`FailureKind::Transient`] to try again; anything else is counted and left.
    pub kind: FailureKind,
    /// What the target said.
    pub reason: String,
}

/// What a request competes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Few, and not to be kept waiting.
    Control,
    /// Takes a connection.
    Work,
    /// Takes a connection, and memory when it is answered.
    Fetch,
}

impl<D> Request<D> {
    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::CreateTarget(_)
            | Self::Info(_)
            | Self::LoadCheckpoint(_)
            | Self::Changes(_)
            | Self::Pending(_)
            | Self::EnsureFullCommit(_)
            | Self::StoreCheckpoint { .. } => Lane::Control,
            Self::RevsDiff(_) | Self::BulkDocs(_) => Lane::Work,
            Self::BulkGet(_) | Self::Transfer(_) => Lane::Fetch,
        }
    }

    /// Whether `response` is one to this.
    pub(super) fn is_answered_by(&self, response: &Response<D>) -> bool {
        match self {
            Self::CreateTarget(_) => matches!(response, Response::Created),
            Self::Info(_) => matches!(response, Response::Info(_)),
            Self::LoadCheckpoint(_) => matches!(response, Response::Checkpoint(_)),
            Self::Changes(_) => matches!(response, Response::Changes(_)),
            Self::Pending(_) => matches!(response, Response::Pending(_)),
            Self::RevsDiff(_) => matches!(response, Response::Missing(_)),
            Self::BulkGet(_) => matches!(response, Response::Fetched(_)),
            Self::Transfer(_) => matches!(response, Response::Transferred(_)),
            Self::BulkDocs(_) => matches!(response, Response::Written(_)),
            Self::EnsureFullCommit(_) => matches!(response, Response::Committed(_)),
            Self::StoreCheckpoint { .. } => matches!(response, Response::Stored(_)),
        }
    }

    /// The request in CouchDB's words, for messages.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::CreateTarget(_) => "create_target",
            Self::Info(_) => "get_db_info",
            Self::LoadCheckpoint(_) => "get_checkpoint",
            Self::Changes(_) | Self::Pending(_) => "changes_req_failed",
            Self::RevsDiff(_) => "revs_diff_failed",
            Self::BulkGet(_) => "bulk_get_failed",
            Self::Transfer(_) => "doc_write_failed",
            Self::BulkDocs(_) => "bulk_docs_failed",
            Self::EnsureFullCommit(_) | Self::StoreCheckpoint { .. } => "checkpoint_commit_failure",
        }
    }

    /// Whose database it is about.
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Info(side) | Self::LoadCheckpoint(side) | Self::EnsureFullCommit(side) => *side,
            Self::StoreCheckpoint { side, .. } => *side,
            Self::Changes(_) | Self::Pending(_) | Self::BulkGet(_) | Self::Transfer(_) => Side::Source,
            Self::CreateTarget(_) | Self::RevsDiff(_) | Self::BulkDocs(_) => Side::Target,
        }
    }
}
