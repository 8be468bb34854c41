//! Which path means what. Matching is on the raw path, where `%2F` is part of
//! a name and `/` isn't.
//!
//! Source: `spec/gateway.md` 2.

mod methods;

use crate::{error::Error, keyspace::Keyspace, oidc::OidcRoute, openapi::page::PageFile};
use tidegate_http::path::{Plus, Segments};
use tidegate_types::{DocId, DocKind};

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Server(ServerRoute),
    /// A keyspace as the path writes it, and what of it.
    Database(Keyspace, DatabaseRoute),
}

/// A path understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) route: Route,
    /// Whether the path ends with a slash where it should, and doesn't where it shouldn't.
    pub(crate) slash: Slash,
}

/// Whether a path has the slash at its end that its route has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slash {
    Right,
    /// It is missing.
    Missing,
    /// There is one too many.
    Surplus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerRoute {
    Welcome,
    Ping,
    AllDbs,
    Config,
    Status,
    Logging,
    Expvar,
    Metrics,
    Stats,
    /// The documents of this dialect, and the page that shows them.
    Api(PageFile),
    /// Sync Gateway has it; Tidegate hasn't, or not yet.
    Later,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseRoute {
    Database,
    AllDocs,
    BulkDocs,
    BulkGet,
    Changes,
    RevsDiff,
    EnsureFullCommit,
    Session,
    Document(DocId),
    Attachment(DocId, String),
    Local(DocId),
    Design(DocId),
    View(DocId, String),
    Config,
    SyncFunction,
    ImportFilter,
    Online,
    Offline,
    Resync,
    /// Trying a sync function out: on one document, and on all.
    Trial,
    DryRun,
    Explain,
    Compact,
    Flush,
    Repair,
    Purge,
    Raw(DocId),
    RevTree(DocId),
    DumpChannel(String),
    Users,
    User(String),
    /// All sessions of a user.
    UserSessions(String),
    UserSession(String, String),
    Roles,
    Role(String),
    /// A session by its id.
    SessionOf(String),
    /// Which channels a user has had, or a document has been in.
    UserChannels(String),
    DocumentChannels(DocId),
    /// Replications with other servers, and what they are doing.
    Replications,
    Replication(String),
    ReplicationStatuses,
    ReplicationStatus(String),
    Oidc(OidcRoute),
    /// Sync Gateway has it, for users as well; Tidegate hasn't, or not yet.
    PublicLater,
    /// Sync Gateway has it; Tidegate hasn't, or not yet.
    Later,
}

/// What this path names.
///
/// # Errors
/// It names nothing, or can't be read.
pub(crate) fn parse(path: &str) -> Result<Parsed, Error> {
    let segments = Segments::parse(path)?;
    let texts: Vec<&str> = segments.iter().map(|segment| segment.text()).collect();
    let Some((first, rest)) = texts.split_first() else {
        return Ok(Parsed { route: Route::Server(ServerRoute::Welcome), slash: Slash::Right });
    };
    if let Some(route) = server_route(first, rest) {
        let has_slash = route == ServerRoute::Api(PageFile::Page);
        return Ok(Parsed { route: Route::Server(route), slash: slash(segments.trailing_slash(), has_slash) });
    }
    if first.is_empty() || first.starts_with('_') {
        return Err(Error::unknown_url());
    }
    let keyspace = Keyspace { text: (*first).to_owned() };
    let (route, has_slash) = match rest {
        [] => (DatabaseRoute::Database, true),
        [name, rest @ ..] if name.starts_with('_') => special_route(name, rest, &segments)?,
        [id, "_all_channels"] => (DatabaseRoute::DocumentChannels(doc_id(id)?), false),
        [id, ..] => (document_route(id, &segments)?, false),
    };
    let is_attachment = matches!(route, DatabaseRoute::Attachment(..));
    let slash = if is_attachment { Slash::Right } else { slash(segments.trailing_slash(), has_slash) };
    Ok(Parsed { route: Route::Database(keyspace, route), slash })
}

fn slash(is_there: bool, is_wanted: bool) -> Slash {
    match (is_there, is_wanted) {
        (true, false) => Slash::Surplus,
        (false, true) => Slash::Missing,
        (true, true) | (false, false) => Slash::Right,
    }
}

fn server_route(name: &str, rest: &[&str]) -> Option<ServerRoute> {
    Some(match (name, rest) {
        ("_ping", []) => ServerRoute::Ping,
        ("_all_dbs", []) => ServerRoute::AllDbs,
        ("_config", []) => ServerRoute::Config,
        ("_status", []) => ServerRoute::Status,
        ("_logging", []) => ServerRoute::Logging,
        ("_expvar", []) => ServerRoute::Expvar,
        ("metrics" | "_metrics", []) => ServerRoute::Metrics,
        ("_stats", []) => ServerRoute::Stats,
        ("_api", rest) => ServerRoute::Api(PageFile::named(rest)?),
        ("_heap" | "_sgcollect_info" | "_cluster_info" | "_cluster_compat_version" | "_post_upgrade", [])
        | ("_profile" | "_debug" | "_cluster_compat_version" | "_rosmar", _) => ServerRoute::Later,
        _ => return None,
    })
}

/// What begins with an underscore, and whether its path ends with a slash.
fn special_route(name: &str, rest: &[&str], segments: &Segments<'_>) -> Result<(DatabaseRoute, bool), Error> {
    use DatabaseRoute as R;
    if rest.is_empty()
        && let Some(route) = plain_special(name)
    {
        let is_list = matches!(name, "_user" | "_role" | "_replication" | "_replicationStatus");
        return Ok((route, is_list));
    }
    let route = match (name, rest) {
        ("_local", [_]) => R::Local(id_from(segments, "_local/")?),
        ("_design", [_]) => R::Design(id_from(segments, "_design/")?),
        ("_design", [design, "_view", view]) => R::View(doc_id(&format!("_design/{design}"))?, (*view).to_owned()),
        ("_raw", [id]) => R::Raw(doc_id(id)?),
        ("_revtree", [id]) => R::RevTree(doc_id(id)?),
        ("_dumpchannel", [channel]) => R::DumpChannel((*channel).to_owned()),
        ("_config", ["sync"]) => R::SyncFunction,
        ("_config", ["import_filter"]) => R::ImportFilter,
        ("_user", [name]) => R::User((*name).to_owned()),
        ("_user", [name, "_session"]) => R::UserSessions((*name).to_owned()),
        ("_user", [name, "_session", id]) => R::UserSession((*name).to_owned(), (*id).to_owned()),
        ("_role", [name]) => R::Role((*name).to_owned()),
        ("_session", [id]) => R::SessionOf((*id).to_owned()),
        ("_replication", [id]) => R::Replication((*id).to_owned()),
        ("_replicationStatus", [id]) => R::ReplicationStatus((*id).to_owned()),
        ("_user", [name, "_all_channels" | "_access_history"]) => R::UserChannels((*name).to_owned()),
        ("_channel_history", [id]) => R::DocumentChannels(doc_id(id)?),
        ("_user" | "_role", [_, "_access_history", ..])
        | ("_config", ["audit" | "functions", ..])
        | ("_view" | "_dump" | "_channel_history", _) => R::Later,
        ("_function" | "_oidc_testing", _) => R::PublicLater,
        _ => return Err(Error::unknown_url()),
    };
    Ok((route, false))
}

fn plain_special(name: &str) -> Option<DatabaseRoute> {
    use DatabaseRoute as R;
    Some(match name {
        "_all_docs" => R::AllDocs,
        "_bulk_docs" => R::BulkDocs,
        "_bulk_get" => R::BulkGet,
        "_changes" => R::Changes,
        "_revs_diff" => R::RevsDiff,
        "_ensure_full_commit" => R::EnsureFullCommit,
        "_session" => R::Session,
        "_config" => R::Config,
        "_online" => R::Online,
        "_offline" => R::Offline,
        "_resync" => R::Resync,
        "_sync" => R::Trial,
        "_dry_run" => R::DryRun,
        "_explain" => R::Explain,
        "_compact" => R::Compact,
        "_flush" => R::Flush,
        "_repair" => R::Repair,
        "_purge" => R::Purge,
        "_user" => R::Users,
        "_role" => R::Roles,
        "_oidc" => R::Oidc(OidcRoute::Entry),
        "_oidc_challenge" => R::Oidc(OidcRoute::Challenge),
        "_oidc_callback" => R::Oidc(OidcRoute::Callback),
        "_oidc_refresh" => R::Oidc(OidcRoute::Refresh),
        "_blipsync" | "_facebook" | "_google" => R::PublicLater,
        "_replication" => R::Replications,
        "_replicationStatus" => R::ReplicationStatuses,
        "_attachment_migration" | "_metadata_migration" | "_index_init" | "_import_filter" => R::Later,
        _ => return None,
    })
}

fn document_route(id: &str, segments: &Segments<'_>) -> Result<DatabaseRoute, Error> {
    let id = doc_id(id)?;
    match segments.join_from(2, Plus::Literal) {
        None => Ok(DatabaseRoute::Document(id)),
        // Of a document with a slash behind it, the document is meant.
        Some(name) if name.is_empty() => Ok(DatabaseRoute::Document(id)),
        Some(name) => Ok(DatabaseRoute::Attachment(id, name.into_owned())),
    }
}

fn doc_id(text: &str) -> Result<DocId, Error> {
    let id: DocId = text.parse().map_err(|_illegal| Error::bad_request("Invalid doc ID"))?;
    match id.kind() {
        DocKind::Plain | DocKind::Design | DocKind::Local => Ok(id),
    }
}

fn id_from(segments: &Segments<'_>, start: &str) -> Result<DocId, Error> {
    let name = segments.get(2).map(|segment| segment.text().to_owned()).unwrap_or_default();
    doc_id(&format!("{start}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let shown = match parse(path) {
            Err(error) => format!("{} {}", error.status.as_u16(), error.reason),
            Ok(Parsed { route: Route::Server(route), slash }) => format!("{route:?} {slash:?}"),
            Ok(Parsed { route: Route::Database(keyspace, route), slash }) => {
                format!("{} {route:?} {slash:?}", keyspace.text)
            }
        };
        assert_eq!(shown, expected, "{path}");
    }

    #[test]
    fn the_server() {
        check("/", "Welcome Right");
        check("/_ping", "Ping Right");
        check("/_all_dbs/", "AllDbs Surplus");
        check("/_nothing", "404 unknown URL");
        check("/_nothing/", "404 unknown URL");
        check("/_api", "Api(Page) Missing");
        check("/_api/", "Api(Page) Right");
        check("/_api/openapi.json", "Api(Document) Right");
        check("/_api/nothing", "404 unknown URL");
        check("//", "404 unknown URL");
    }

    #[test]
    fn databases() {
        check("/db", "db Database Missing");
        check("/db/", "db Database Right");
        check("/db.s.c/", "db.s.c Database Right");
        check("/db/_all_docs/", "db AllDocs Surplus");
        check("/db/_user", "db Users Missing");
        check("/db/_user/", "db Users Right");
        check("/db/_user/a/_session/x", "db UserSession(\"a\", \"x\") Right");
        check("/db/_nothing", "404 unknown URL");
        check("/db/_config/sync", "db SyncFunction Right");
    }

    #[test]
    fn documents() {
        check("/db/a", "db Document(DocId(\"a\")) Right");
        check("/db/a/", "db Document(DocId(\"a\")) Surplus");
        check("/db/a%2Fb+c", "db Document(DocId(\"a/b+c\")) Right");
        check("/db/a/b/c", "db Attachment(DocId(\"a\"), \"b/c\") Right");
        check("/db/_local/x", "db Local(DocId(\"_local/x\")) Right");
        check("/db/_design/d/_view/v", "db View(DocId(\"_design/d\"), \"v\") Right");
        check("/db/_design%2Fd", "404 unknown URL");
    }
}
