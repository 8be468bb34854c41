//! The façade over everything stored: every operation starts from a [`Caller`], and what a caller may not do cannot be
//! written down.
//!
//! [`Engine::database`] checks the caller and hands out a [`Database`]: holding one *is* the proof that its caller may
//! read and write that database, and there is no other way to get one. Operations on the server ask for the caller
//! itself. Data goes in and out plain: no HTTP, no wire format, nothing serialised.

mod administrator;
mod attachments;
mod auth_design;
mod caller;
mod channel_history;
mod collections;
mod config;
mod conflicts;
mod database;
mod designs;
mod document;
mod engine;
mod error;
mod expiry;
mod explain;
mod feed;
#[cfg(test)]
mod fixture;
mod global_changes;
mod govern;
mod limits;
mod local;
mod logins;
mod new_database;
mod offline;
mod options;
mod partition;
mod principals;
mod replications;
mod replicator;
mod resync;
mod rules;
mod scripts;
mod sight;
mod sync;
mod told;
mod tombstones;
mod trial;
mod users;
mod validators;
mod vantage;
mod write;

pub use administrator::Administrator;
pub use attachments::{AttachmentReader, AttachmentUpload, StagedAttachment};
pub use caller::Caller;
pub use channel_history::{ChannelHistory, spans};
pub use collections::{CollectionPlan, Collections, SyncPlan};
pub use config::{
    BadValue, Compression, CorsRules, DefaultSecurity, Expected, Flag, Live, Persistence, Refusal, ReplicatorRules,
    Sections, UuidAlgorithm, ValidUser,
};
pub use conflicts::Conflicts;
pub use database::{Database, DocumentList, FoundRow, PurgeList, RevsDiff};
pub use document::{Availability, Detail, Document, History, OpenRev, OpenRevs, Which};
pub use engine::{Engine, Identity, Layout, Options, Party};
pub use error::{Absence, Error};
pub use explain::{DocumentPlace, Explanation, GrantingDocuments, Sees, Source, UserPlace, Way};
pub use feed::Feed;
pub use limits::Limits;
pub use logins::{Credentials, Hashings, Login, LoginForm};
pub use new_database::NewDatabase;
pub use offline::Offline;
pub use options::Service;
pub use partition::{Partition, check as check_partition};
pub use principals::{
    CollectionChannels, Fetch, FetchFailure, FetchRequest, Fetched, NewSession, OidcEntry, OidcLogin, OidcReturn,
    PrincipalLogin, PrincipalOutcome, RoleInfo, SessionInfo, UserInfo, WhoAmI, WriteMode,
};
pub use replications::{RunningReplication, TellReplications};
pub use replicator::Replicator;
pub use resync::{JobState, ResyncFrom, ResyncStatus};
pub use sight::{Existence, Shown};
pub use tidegate_access::{Error as AccessError, Handler, Transport, UserCtx, UserName, oidc, principal};
pub use tidegate_channels::{Position, PositionError};
pub use tidegate_kv::{Health, Stats};
pub use tidegate_replication::{Progress as ReplicationProgress, State as ReplicationState};
pub use tidegate_script::{
    Error as ScriptError, Expiry, LogLevel, LogLine, Place, Pool, Program, Rejection, SyncCaller, SyncUser,
};
pub use tidegate_store::{
    Assigned, Attachment, AttachmentDigest, Backup, BackupHead, BackupSummary, Change, CollectionId, Compaction,
    Damage, DatabaseInfo, Decoder, DocRange, DocRow, Encoding, Error as StoreError, FeedEnd, Grant, Granted,
    Inconsistency, Item, LocalDocument, Order, PurgeRecord, Purged, Repair, RestoreError, Usage, Written, restore,
};
pub use told::{ChannelFeed, Interest, News, Told};
pub use trial::{
    DryRun, DryRunProgress, DryRunReport, Flow, Moved, Trial, TrialException, TrialInput, UserShift,
    check_sync_function,
};
pub use vantage::{ChannelNews, Unseen, Vantage};
pub use write::{AttachmentContent, AttachmentWrite, Placement, Write};
