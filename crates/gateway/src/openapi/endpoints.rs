//! The table of all paths that are documented, each with the route that it is and what describes it.
//!
//! The `match` that it becomes has no `_`: a route that isn't in the table doesn't compile.

use super::{
    Edition,
    operation::Methods,
    operations::{
        access, attachments, bulk, changes, databases, diagnosis, documents, replications, server, sessions, upkeep,
    },
    page::PageFile,
};
use crate::{
    oidc::OidcRoute as O,
    route::{DatabaseRoute as D, Route, ServerRoute as S},
};

/// Describes what can be done at a path.
pub(super) type Describe = fn(Edition) -> Methods;

macro_rules! endpoints {
    (documented { $($pattern:pat => [$($path:literal),+] $describe:path;)* } left_out { $left_out:pat }) => {
        /// The documented paths, those of one route behind each other.
        pub(super) const PATHS: &[&str] = &[$($($path),+),*];

        /// The paths of a route, of which the first is its name and the others are kept for old clients, and its description.
        /// `None` for what isn't documented.
        pub(super) fn describe(route: &Route) -> Option<(&'static [&'static str], Describe)> {
            match route {
                $($pattern => Some((&[$($path),+], $describe)),)*
                $left_out => None,
            }
        }
    };
}

endpoints! {
    documented {
        Route::Server(S::Welcome) => ["/"] server::welcome;
        Route::Server(S::Ping) => ["/_ping"] server::ping;
        Route::Server(S::AllDbs) => ["/_all_dbs"] server::all_dbs;
        Route::Server(S::Config) => ["/_config"] server::config;
        Route::Server(S::Status) => ["/_status"] server::status;
        Route::Server(S::Logging) => ["/_logging"] server::logging;
        Route::Server(S::Expvar) => ["/_expvar"] server::expvar;
        Route::Server(S::Metrics) => ["/metrics", "/_metrics"] server::metrics;
        Route::Server(S::Stats) => ["/_stats"] server::stats;
        Route::Server(S::Api(PageFile::Page)) => ["/_api/"] server::page;
        Route::Server(S::Api(PageFile::Document)) => ["/_api/openapi.json"] server::document;
        Route::Server(S::Api(PageFile::SwaggerUi)) => ["/_api/swagger-ui-bundle.js"] server::swagger_ui;
        Route::Server(S::Api(PageFile::SwaggerUiStyle)) => ["/_api/swagger-ui.css"] server::swagger_ui_style;
        Route::Server(S::Api(PageFile::Script)) => ["/_api/page.js"] server::page_script;
        Route::Server(S::Api(PageFile::Style)) => ["/_api/page.css"] server::page_style;

        Route::Database(_, D::Database) => ["/{keyspace}/"] databases::database;
        Route::Database(_, D::EnsureFullCommit) => ["/{db}/_ensure_full_commit"] databases::ensure_full_commit;
        Route::Database(_, D::Document(_)) => ["/{keyspace}/{doc}"] documents::document;
        Route::Database(_, D::Attachment(..)) => ["/{keyspace}/{doc}/{attachment}"] attachments::attachment;
        Route::Database(_, D::Local(_)) => ["/{keyspace}/_local/{doc}"] documents::local;
        Route::Database(_, D::Design(_)) => ["/{db}/_design/{design}"] documents::design;
        Route::Database(_, D::View(..)) => ["/{db}/_design/{design}/_view/{view}"] documents::view;
        Route::Database(_, D::AllDocs) => ["/{keyspace}/_all_docs"] bulk::all_docs;
        Route::Database(_, D::BulkDocs) => ["/{keyspace}/_bulk_docs"] bulk::bulk_docs;
        Route::Database(_, D::BulkGet) => ["/{keyspace}/_bulk_get"] bulk::bulk_get;
        Route::Database(_, D::RevsDiff) => ["/{keyspace}/_revs_diff"] bulk::revs_diff;
        Route::Database(_, D::Changes) => ["/{keyspace}/_changes"] changes::changes;

        Route::Database(_, D::Session) => ["/{db}/_session"] sessions::session;
        Route::Database(_, D::SessionOf(_)) => ["/{db}/_session/{session}"] sessions::session_of;
        Route::Database(_, D::UserSessions(_)) => ["/{db}/_user/{user}/_session"] sessions::user_sessions;
        Route::Database(_, D::UserSession(..)) => ["/{db}/_user/{user}/_session/{session}"] sessions::user_session;
        Route::Database(_, D::Oidc(O::Entry)) => ["/{db}/_oidc"] sessions::oidc;
        Route::Database(_, D::Oidc(O::Challenge)) => ["/{db}/_oidc_challenge"] sessions::oidc_challenge;
        Route::Database(_, D::Oidc(O::Callback)) => ["/{db}/_oidc_callback"] sessions::oidc_callback;
        Route::Database(_, D::Oidc(O::Refresh)) => ["/{db}/_oidc_refresh"] sessions::oidc_refresh;
        Route::Database(_, D::UserChannels(_)) => ["/{db}/_user/{user}/_all_channels", "/{db}/_user/{user}/_access_history"]
            diagnosis::user_channels;

        Route::Database(_, D::Users) => ["/{db}/_user/"] access::users;
        Route::Database(_, D::User(_)) => ["/{db}/_user/{user}"] access::user;
        Route::Database(_, D::Roles) => ["/{db}/_role/"] access::roles;
        Route::Database(_, D::Role(_)) => ["/{db}/_role/{role}"] access::role;

        Route::Database(_, D::Config) => ["/{db}/_config"] databases::config;
        Route::Database(_, D::SyncFunction) => ["/{keyspace}/_config/sync"] databases::sync_function;
        Route::Database(_, D::ImportFilter) => ["/{keyspace}/_config/import_filter"] databases::import_filter;
        Route::Database(_, D::Online) => ["/{db}/_online"] upkeep::online;
        Route::Database(_, D::Offline) => ["/{db}/_offline"] upkeep::offline;
        Route::Database(_, D::Resync) => ["/{db}/_resync"] upkeep::resync;
        Route::Database(_, D::Compact) => ["/{db}/_compact"] upkeep::compact;
        Route::Database(_, D::Flush) => ["/{db}/_flush"] upkeep::flush;
        Route::Database(_, D::Repair) => ["/{db}/_repair"] upkeep::repair;
        Route::Database(_, D::Purge) => ["/{keyspace}/_purge"] upkeep::purge;

        Route::Database(_, D::Replications) => ["/{db}/_replication/"] replications::replications;
        Route::Database(_, D::Replication(_)) => ["/{db}/_replication/{replication}"] replications::replication;
        Route::Database(_, D::ReplicationStatuses) => ["/{db}/_replicationStatus/"] replications::statuses;
        Route::Database(_, D::ReplicationStatus(_)) => ["/{db}/_replicationStatus/{replication}"] replications::status;

        Route::Database(_, D::Trial) => ["/{keyspace}/_sync"] diagnosis::trial;
        Route::Database(_, D::DryRun) => ["/{keyspace}/_dry_run"] diagnosis::dry_run;
        Route::Database(_, D::Explain) => ["/{db}/_explain"] diagnosis::explain;
        Route::Database(_, D::DocumentChannels(_)) => ["/{keyspace}/{doc}/_all_channels", "/{db}/_channel_history/{doc}"]
            diagnosis::document_channels;
        Route::Database(_, D::Raw(_)) => ["/{keyspace}/_raw/{doc}"] diagnosis::raw;
        Route::Database(_, D::RevTree(_)) => ["/{keyspace}/_revtree/{doc}"] diagnosis::rev_tree;
        Route::Database(_, D::DumpChannel(_)) => ["/{keyspace}/_dumpchannel/{channel}"] diagnosis::dump_channel;
    }
    // What Sync Gateway has and Tidegate hasn't yet: nobody can do anything with its 501.
    left_out {
        Route::Server(S::Later) | Route::Database(_, D::Later | D::PublicLater)
    }
}

/// What a parameter of a path is.
pub(super) fn path_parameter_meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "db" => "The database's name.",
        "keyspace" => "A database, or a collection of one: `db`, `db.collection` or `db.scope.collection`.",
        "doc" => "The document's id, with `/` as `%2F`.",
        "attachment" => "The attachment's name; there may be slashes in it.",
        "design" => "The design document's name.",
        "view" => "The view's name.",
        "user" => "The user's name; `GUEST` is whoever doesn't log in.",
        "role" => "The role's name.",
        "replication" => "The replication's name.",
        "session" => "The session's id, as it is in its cookie.",
        "channel" => "The channel's name.",
        _ => return None,
    })
}
