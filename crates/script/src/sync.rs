//! What a sync function is given, and what it decides.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tidegate_types::{Channel, Principal, PrincipalName};

use crate::LogLine;

/// What a sync function, `function (doc, oldDoc, meta)`, is called with: JSON texts, and for whom.
#[derive(Clone, Debug)]
pub struct SyncInput {
    /// The document to be written, with its `_id`, `_rev`, `_deleted` and stubs of `_attachments`.
    pub document: Bytes,
    /// The document it replaces; without one, the function gets `null`.
    pub old_document: Option<Bytes>,
    /// What is known beside the document; without it, the function gets `{"xattrs": {}}`.
    pub meta: Option<Bytes>,
    /// For whom it runs.
    pub caller: SyncCaller,
}

/// For whom a sync function runs.
#[derive(Clone, Debug, Default)]
pub enum SyncCaller {
    /// For nobody who needs rights (an administrator, an import, a resync): all that it requires is granted.
    #[default]
    Unrestricted,
    /// For a user. `requireAdmin()` never passes.
    User(Arc<SyncUser>),
}

/// What a sync function may require of a user. It is asked for, not handed over, so its size costs a call nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncUser {
    /// The name; empty for a guest, whom no `requireUser` lets pass.
    pub name: String,
    /// Names of roles, without a prefix.
    pub roles: BTreeSet<String>,
    /// Channels the user may read, those of the roles included; `*` stands for all.
    pub channels: BTreeSet<String>,
}

impl SyncUser {
    pub(crate) fn has_role(&self, name: &str) -> bool {
        self.roles.contains(name)
    }

    pub(crate) fn reads(&self, channel: &str) -> bool {
        self.channels.contains("*") || self.channels.contains(channel)
    }
}

/// What a sync function decided. When it rejected the write, nothing else is set but the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncOutcome {
    /// The channels of the document, in order, each once.
    pub channels: Vec<Channel>,
    /// Which channels users and roles may read as long as the document says so; each of them once, in order.
    pub access: Vec<(Principal, Vec<Channel>)>,
    /// Which roles users have as long as the document says so; each user once, in order.
    pub roles: Vec<(PrincipalName, Vec<PrincipalName>)>,
    /// When the document goes, if the function said so; what it said last counts.
    pub expiry: Option<Expiry>,
    /// That the document may not be written.
    pub rejection: Option<Rejection>,
    /// What the function logged, and warnings about what it said that was ignored.
    pub log: Vec<LogLine>,
}

/// When a document goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// So many seconds after it is written. None at all: never.
    After(u32),
    /// At a moment, in seconds since 1970.
    At(u64),
}

/// Why a document may not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The function threw `{forbidden: message}`, or required what the user hasn't.
    Forbidden(String),
    /// It threw `{unauthorized: message}`.
    Unauthorized(String),
}
