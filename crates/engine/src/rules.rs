//! What governs a database: who may use it, how its documents may be named, and what they must be like.

use crate::{
    Collections, Conflicts, Error, Layout, Service, collections,
    config::{DefaultSecurity, Live},
    conflicts, options, partition, principals,
    sight::Existence,
    sync, tombstones,
    validators::{self, Validator},
};
use bytes::Bytes;
use std::sync::Arc;
use tidegate_access::{Security, UserCtx, principal::LoginRules};
use tidegate_script::Program;
use tidegate_store::{Database, Edit};
use tidegate_types::{DbName, DocKind};

const SECURITY: &str = "security";
const LAYOUT: &str = "layout";
const PARTITIONED: &[u8] = b"partitioned";
const EXISTENCE: &str = "existence";
const HIDDEN: &[u8] = b"hidden";

/// All settings that govern a database, but for whether its documents are in channels.
pub(crate) const SETTINGS: [&str; 10] = [
    SECURITY,
    LAYOUT,
    EXISTENCE,
    collections::COLLECTIONS,
    conflicts::CONFLICTS,
    options::OPTIONS,
    options::SERVICE,
    principals::LOGINS,
    sync::SYNC,
    tombstones::LIFETIME,
];

/// What governs a collection of a database, as it was at one version of it.
pub(crate) struct Rules {
    version: u64,
    live: Arc<Live>,
    pub(crate) security: Security,
    /// Those that are in use.
    pub(crate) collections: Collections,
    pub(crate) layout: Layout,
    pub(crate) purpose: Purpose,
    /// How users of the database log in.
    pub(crate) logins: LoginRules,
    /// What decides on the channels of documents, where they are in channels.
    pub(crate) sync: Option<Program>,
    /// Whether users may learn of documents that they may not see.
    pub(crate) existence: Existence,
    /// Whether documents may have conflicts.
    pub(crate) conflicts: Conflicts,
    /// Whether it is in use.
    pub(crate) service: Service,
    /// After how long tombstones are forgotten, in seconds, if they are.
    pub(crate) tombstone_lifetime_s: Option<u64>,
    /// What judges edits.
    pub(crate) validators: Vec<Validator>,
}

/// What a database is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Anything.
    Plain,
    /// Its documents are users.
    Users,
    /// Its documents are replications.
    Replicator,
}

/// The settings that a new database begins with.
pub(crate) fn settings_of(name: &DbName, layout: Layout) -> Result<Vec<(&'static str, Bytes)>, Error> {
    match layout {
        Layout::Whole => Ok(Vec::new()),
        Layout::Partitioned if Purpose::of(name) != Purpose::Plain => {
            Err(tidegate_access::Error::BadRequest("Cannot partition a system database".into()).into())
        }
        Layout::Partitioned => Ok(vec![(LAYOUT, Bytes::from_static(PARTITIONED))]),
    }
}

impl Purpose {
    fn of(name: &DbName) -> Self {
        if *name == DbName::users() {
            return Self::Users;
        }
        if name.is_replicator() { Self::Replicator } else { Self::Plain }
    }
}

impl Rules {
    pub(crate) async fn load(store: &Database, version: u64, live: Arc<Live>) -> Result<Self, Error> {
        let security = match store.setting(SECURITY).await? {
            Some(text) => Security::parse(&text)?,
            None => match live.default_security {
                DefaultSecurity::AdminOnly => Security::admin_only(),
                DefaultSecurity::Everyone => Security::everyone(),
            },
        };
        let is_default = store.collection_name().is_default();
        let layout = match store.setting(LAYOUT).await? {
            Some(text) if text == PARTITIONED && is_default => Layout::Partitioned,
            Some(_) | None => Layout::Whole,
        };
        let purpose = if *store.name() == live.auth.users_db { Purpose::Users } else { Purpose::of(store.name()) };
        let logins = match store.setting(principals::LOGINS).await? {
            Some(object) => LoginRules::parse(&object)?,
            None => LoginRules::default(),
        };
        let (conflicts, service) = (Conflicts::load(store).await?, Service::load(store).await?);
        let collections = Collections::load(store).await?;
        let validators = validators::load(store).await?;
        let sync = if store.has_channels() { Some(sync::load(store).await?) } else { None };
        let existence = match store.setting(EXISTENCE).await? {
            Some(text) if text == HIDDEN => Existence::Hidden,
            Some(_) | None => Existence::Told,
        };
        let tombstone_lifetime_s = tombstones::load(store).await?;
        let rules = Self {
            version,
            live,
            security,
            collections,
            layout,
            purpose,
            logins,
            sync,
            existence,
            conflicts,
            service,
            tombstone_lifetime_s,
            validators,
        };
        Ok(rules)
    }

    /// Whether nothing has changed since these were read.
    pub(crate) fn is_current(&self, version: u64, live: &Arc<Live>) -> bool {
        self.version == version && Arc::ptr_eq(&self.live, live)
    }

    /// Of the database, when these were read.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Sets whether users may learn of documents that they may not see.
    pub(crate) async fn set_existence(store: &Database, existence: Existence) -> Result<(), Error> {
        let value = match existence {
            Existence::Hidden => HIDDEN,
            Existence::Told => b"",
        };
        Ok(store.put_setting(EXISTENCE, value).await?)
    }

    /// Sets who may use the database.
    pub(crate) async fn set_security(store: &Database, security: &Security) -> Result<(), Error> {
        Ok(store.put_setting(SECURITY, security.as_str().as_bytes()).await?)
    }

    /// Whether a caller with these rights may write a document of this id.
    pub(crate) fn check_edit(&self, rights: &UserCtx, edit: &Edit) -> Result<(), Error> {
        if self.layout == Layout::Partitioned {
            partition::check_doc_id(&edit.id)?;
        }
        match edit.id.kind() {
            DocKind::Design => Ok(self.security.check_admin(rights)?),
            DocKind::Plain | DocKind::Local => Ok(()),
        }
    }
}
