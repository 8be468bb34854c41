//! Which methods a route knows on which port, and whether it is about one collection.

use super::{DatabaseRoute, Route, ServerRoute};
use crate::service::Port;

const GET: &[&str] = &["GET", "HEAD"];
const POST: &[&str] = &["POST"];
const GET_POST: &[&str] = &["GET", "HEAD", "POST"];
const GET_PUT: &[&str] = &["GET", "HEAD", "PUT"];
const GET_PUT_POST: &[&str] = &["GET", "HEAD", "PUT", "POST"];
const GET_PUT_DELETE: &[&str] = &["GET", "HEAD", "PUT", "DELETE"];
const DELETE: &[&str] = &["DELETE"];
const ALL: &[&str] = &["GET", "HEAD", "PUT", "POST", "DELETE"];
/// The port doesn't have it.
const NONE: &[&str] = &[];

impl Route {
    /// The methods it knows on this port; none if the port doesn't have it.
    pub(crate) fn methods(&self, port: Port) -> &'static [&'static str] {
        match (self, port) {
            (Self::Server(route), Port::Admin) => route.methods_of_admin(),
            (Self::Server(ServerRoute::Welcome | ServerRoute::Ping | ServerRoute::Api(_)), Port::Public) => GET,
            (Self::Server(_), Port::Public) => NONE,
            (Self::Database(_, route), Port::Admin) => route.methods_of_admin(),
            (Self::Database(_, route), Port::Public) => route.methods_of_public(),
        }
    }
}

impl ServerRoute {
    fn methods_of_admin(self) -> &'static [&'static str] {
        match self {
            Self::Welcome
            | Self::Ping
            | Self::AllDbs
            | Self::Status
            | Self::Expvar
            | Self::Metrics
            | Self::Stats
            | Self::Api(_) => GET,
            Self::Config => GET_PUT,
            Self::Logging => GET_PUT_POST,
            Self::Later => ALL,
        }
    }
}

impl DatabaseRoute {
    fn methods_of_admin(&self) -> &'static [&'static str] {
        match self {
            Self::Database => ALL,
            Self::AllDocs
            | Self::Changes
            | Self::Resync
            | Self::Compact
            | Self::Users
            | Self::Roles
            | Self::Replications => GET_POST,
            Self::BulkDocs
            | Self::BulkGet
            | Self::RevsDiff
            | Self::EnsureFullCommit
            | Self::Online
            | Self::Offline
            | Self::Flush
            | Self::Repair
            | Self::Trial
            | Self::DryRun
            | Self::Purge => POST,
            Self::Session => GET_POST,
            Self::Document(_)
            | Self::Attachment(..)
            | Self::Local(_)
            | Self::Design(_)
            | Self::SyncFunction
            | Self::ImportFilter
            | Self::User(_)
            | Self::Role(_)
            | Self::Replication(_) => GET_PUT_DELETE,
            Self::ReplicationStatus(_) => GET_PUT,
            Self::UserChannels(_)
            | Self::DocumentChannels(_)
            | Self::ReplicationStatuses
            | Self::Explain
            | Self::View(..)
            | Self::Raw(_)
            | Self::RevTree(_)
            | Self::DumpChannel(_)
            | Self::Oidc(_) => GET,
            Self::Config => GET_PUT_POST,
            Self::UserSessions(_) | Self::UserSession(..) => DELETE,
            Self::SessionOf(_) => &["GET", "HEAD", "DELETE"],
            Self::Later | Self::PublicLater => ALL,
        }
    }

    /// Whether it is about one collection, which a keyspace names; others are about a database.
    pub(crate) fn takes_keyspace(&self, method: &str) -> bool {
        match self {
            Self::Database => method == "POST",
            Self::AllDocs
            | Self::BulkDocs
            | Self::BulkGet
            | Self::Changes
            | Self::RevsDiff
            | Self::Document(_)
            | Self::Attachment(..)
            | Self::Local(_)
            | Self::SyncFunction
            | Self::ImportFilter
            | Self::Trial
            | Self::DryRun
            | Self::Explain
            | Self::DocumentChannels(_)
            | Self::Purge
            | Self::Raw(_)
            | Self::RevTree(_)
            | Self::DumpChannel(_) => true,
            Self::EnsureFullCommit
            | Self::Session
            | Self::Design(_)
            | Self::View(..)
            | Self::Config
            | Self::Online
            | Self::Offline
            | Self::Resync
            | Self::Compact
            | Self::Flush
            | Self::Repair
            | Self::Users
            | Self::User(_)
            | Self::UserSessions(_)
            | Self::UserSession(..)
            | Self::Roles
            | Self::Role(_)
            | Self::SessionOf(_)
            | Self::Oidc(_)
            | Self::Replications
            | Self::Replication(_)
            | Self::ReplicationStatuses
            | Self::ReplicationStatus(_)
            | Self::UserChannels(_)
            | Self::PublicLater
            | Self::Later => false,
        }
    }

    /// Whether it is answered only while the database is in use.
    pub(crate) fn needs_service(&self, method: &str) -> bool {
        match self {
            Self::Database => method == "POST",
            Self::AllDocs
            | Self::BulkDocs
            | Self::BulkGet
            | Self::Changes
            | Self::RevsDiff
            | Self::EnsureFullCommit
            | Self::Document(_)
            | Self::Attachment(..)
            | Self::Local(_)
            | Self::Design(_)
            | Self::View(..)
            | Self::Purge
            | Self::Raw(_)
            | Self::RevTree(_)
            | Self::DumpChannel(_)
            | Self::Flush
            | Self::Session
            | Self::Users
            | Self::User(_)
            | Self::UserSessions(_)
            | Self::UserSession(..)
            | Self::Roles
            | Self::Role(_)
            | Self::SessionOf(_)
            | Self::Oidc(_) => true,
            Self::Config
            | Self::SyncFunction
            | Self::ImportFilter
            | Self::Online
            | Self::Offline
            | Self::Resync
            | Self::Trial
            | Self::DryRun
            | Self::Explain
            | Self::Compact
            | Self::Repair
            | Self::UserChannels(_)
            | Self::DocumentChannels(_)
            | Self::Replications
            | Self::Replication(_)
            | Self::ReplicationStatuses
            | Self::ReplicationStatus(_)
            | Self::Later
            | Self::PublicLater => false,
        }
    }

    fn methods_of_public(&self) -> &'static [&'static str] {
        match self {
            Self::Database => &["GET", "HEAD", "PUT", "POST"],
            Self::Session => &["GET", "HEAD", "POST", "DELETE"],
            Self::AllDocs
            | Self::BulkDocs
            | Self::BulkGet
            | Self::Changes
            | Self::RevsDiff
            | Self::EnsureFullCommit
            | Self::Document(_)
            | Self::Attachment(..)
            | Self::Local(_)
            | Self::Design(_)
            | Self::View(..)
            | Self::Oidc(_)
            | Self::PublicLater => self.methods_of_admin(),
            Self::Config
            | Self::SyncFunction
            | Self::ImportFilter
            | Self::Online
            | Self::Offline
            | Self::Resync
            | Self::Trial
            | Self::DryRun
            | Self::Explain
            | Self::Compact
            | Self::Flush
            | Self::Repair
            | Self::Purge
            | Self::Raw(_)
            | Self::RevTree(_)
            | Self::DumpChannel(_)
            | Self::Users
            | Self::User(_)
            | Self::UserSessions(_)
            | Self::UserSession(..)
            | Self::Roles
            | Self::Role(_)
            | Self::SessionOf(_)
            | Self::UserChannels(_)
            | Self::DocumentChannels(_)
            | Self::Replications
            | Self::Replication(_)
            | Self::ReplicationStatuses
            | Self::ReplicationStatus(_)
            | Self::Later => NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::parse;

    #[test]
    fn the_public_port_has_no_admin_routes() {
        let public = |path| parse(path).unwrap().route.methods(Port::Public);
        for path in ["/_all_dbs", "/db/_config", "/db/_user/", "/db/_raw/a", "/db/_purge", "/_expvar"] {
            assert_eq!(public(path), NONE, "{path}");
        }
        assert_eq!(public("/db/a"), GET_PUT_DELETE);
        assert_eq!(parse("/db/_purge").unwrap().route.methods(Port::Admin), POST);
    }
}
