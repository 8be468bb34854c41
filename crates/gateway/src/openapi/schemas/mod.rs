//! The shapes of what is sent and answered.
//!
//! Nothing is read into these types, nor written from them: documents travel as text. That they say what the handlers do
//! is what `e2e/openapi.test.mjs` checks. A member that may be missing is `#[serde(default)]`, one that may be null a
//! required `Option`.

mod access;
mod bulk;
mod database;
mod diagnosis;
mod document;
mod feed;
mod replication;
mod server;

pub(super) use access::{
    Login, NameOrUser, OidcTokens, RequestedSession, Role, RoleSettings, Session, SessionMade, SessionOrOneTime,
    UserOrChannels, UserSettings,
};
pub(super) use bulk::{AllDocs, BulkDocs, BulkDocsRow, BulkGet, BulkGot, Keys, MissingRevs};
pub(super) use database::{Compaction, DatabaseConfig, DatabaseInfo, Delay, FullCommit, Purged, Resync, ResyncScopes};
pub(super) use diagnosis::{DryRun, DryRunLine, Explanation, Raw, Trial, TrialInput, UserChannels};
pub(super) use document::{Attachment, Design, Document, LocalDocument, LocalWritten, ReadDocument, Written};
pub(super) use feed::{Changes, FeedOptions};
pub(super) use replication::{Replication, ReplicationStatus};
pub(super) use server::{Expvar, NameOrState, Stats, Status, Welcome};
use utoipa::ToSchema;

/// A refusal. The word follows from the status, the reason is for people.
#[derive(ToSchema)]
#[schema(example = json!({"error":"not_found","reason":"missing"}))]
pub(super) struct Refused {
    error: String,
    reason: String,
}
