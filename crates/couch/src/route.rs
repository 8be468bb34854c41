//! Which path means what. Matching is on the raw path, where `%2F` is part of a name and `/` isn't; empty parts mean nothing.
//!
//! Source: `chttpd_httpd_handlers`, `spec/couch.md` 2.

use crate::error::Error;
use tidegate_http::path::{Plus, Segment, Segments};
use tidegate_types::{DocId, DocIdError, DocKind};

/// The name of this node, the only one there is.
pub(crate) const NODE: &str = "node1@127.0.0.1";

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Server(ServerRoute),
    /// A database by the name in the path, legal or not, and what of it.
    Database(String, DatabaseRoute),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerRoute {
    Welcome,
    Up,
    Uuids,
    AllDbs,
    DbsInfo,
    Session,
    Membership,
    ClusterSetup,
    ActiveTasks,
    DbUpdates,
    /// `_node/NAME/…`, with the name, if it is ours, taken away.
    Node(NodeRoute),
    Replicate,
    /// `_scheduler/…`: what follows.
    Scheduler(Vec<String>),
    /// CouchDB has it; Tidegate hasn't yet.
    Later,
    /// Nobody has it.
    Unknown,
}

/// What of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeRoute {
    Name,
    Config,
    ConfigReload,
    ConfigSection(String),
    ConfigKey(String, String),
    /// The path of the figure, from the whole to the part.
    Stats(Vec<String>),
    System,
    Prometheus,
    Versions,
    Smoosh,
    Restart,
    /// Everything the server holds, as one file. Tidegate's own.
    Backup,
    /// Another node's.
    NoSuchNode(String),
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseRoute {
    Database,
    Endpoint(Endpoint),
    Document(DocId),
    Local(DocId),
    Attachment(DocId, String),
    /// A partition by the name in the path, legal or not, and what of it.
    Partition(String, PartitionRoute),
}

/// What of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartitionRoute {
    /// No partition is named.
    Nameless,
    Partition,
    AllDocs,
    AllDocsQueries,
    /// CouchDB has it; Tidegate hasn't yet.
    Later,
    /// Nobody has it.
    Unknown,
}

/// What begins with an underscore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    List(Listed),
    ListQueries(Listed),
    BulkDocs,
    BulkGet,
    Changes,
    RevsDiff,
    MissingRevs,
    RevsLimit,
    Purge,
    PurgedInfos,
    PurgedInfosLimit,
    Security,
    Compact,
    ViewCleanup,
    EnsureFullCommit,
    Shards,
    SyncShards,
    /// CouchDB had it once.
    TempView,
    /// CouchDB has it; Tidegate hasn't yet.
    Later,
}

/// Which documents a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    All,
    Design,
    Local,
}

/// What this path names. `plus` is what a plus in an id stands for.
pub(crate) fn parse(path: &str, plus: Plus) -> Result<Route, Error> {
    let segments = Segments::parse(path)?.collapsed();
    let Some((first, rest)) = segments.split_first() else { return Ok(Route::Server(ServerRoute::Welcome)) };
    if let Some(route) = server_route(first.text(), rest) {
        return Ok(Route::Server(route));
    }
    let route = match rest {
        [] => DatabaseRoute::Database,
        [name, rest @ ..] if name.text() == "_partition" => partition_route(rest, plus),
        [name, rest @ ..] => match endpoint(name.text(), rest) {
            Some(endpoint) => DatabaseRoute::Endpoint(endpoint),
            None => document_route(&segments, plus)?,
        },
    };
    Ok(Route::Database(first.text().to_owned(), route))
}

fn server_route(name: &str, rest: &[Segment<'_>]) -> Option<ServerRoute> {
    let route = match name {
        "_up" => ServerRoute::Up,
        "_uuids" => ServerRoute::Uuids,
        "_all_dbs" => ServerRoute::AllDbs,
        "_dbs_info" => ServerRoute::DbsInfo,
        "_session" => ServerRoute::Session,
        "_membership" => ServerRoute::Membership,
        "_cluster_setup" => ServerRoute::ClusterSetup,
        "_active_tasks" => ServerRoute::ActiveTasks,
        "_db_updates" => ServerRoute::DbUpdates,
        "_node" => return Some(ServerRoute::Node(node_route(rest))),
        "_replicate" => ServerRoute::Replicate,
        "_scheduler" => {
            let parts = rest.iter().map(|segment| segment.decoded(Plus::Literal).into_owned());
            return Some(ServerRoute::Scheduler(parts.collect()));
        }
        "_nouveau_analyze" | "_reshard" | "_search_analyze" | "_utils" => return Some(ServerRoute::Later),
        _ => return None,
    };
    Some(if rest.is_empty() { route } else { ServerRoute::Unknown })
}

fn node_route(rest: &[Segment<'_>]) -> NodeRoute {
    let texts: Vec<String> = rest.iter().map(|segment| segment.decoded(Plus::Literal).into_owned()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    match texts.as_slice() {
        [] => NodeRoute::Unknown,
        [name, ..] if *name != "_local" && *name != NODE => NodeRoute::NoSuchNode((*name).to_owned()),
        [_] => NodeRoute::Name,
        [_, "_config"] => NodeRoute::Config,
        [_, "_config", "_reload"] => NodeRoute::ConfigReload,
        [_, "_config", section] => NodeRoute::ConfigSection((*section).to_owned()),
        // CouchDB's `httpd/WWW-Authenticate` and the like have no slash in their names; our own may.
        [_, "_config", section, key @ ..] => NodeRoute::ConfigKey((*section).to_owned(), key.join("/")),
        [_, "_stats", path @ ..] => NodeRoute::Stats(path.iter().map(|part| (*part).to_owned()).collect()),
        [_, "_system"] => NodeRoute::System,
        [_, "_prometheus"] => NodeRoute::Prometheus,
        [_, "_versions"] => NodeRoute::Versions,
        [_, "_smoosh", "status"] => NodeRoute::Smoosh,
        [_, "_restart"] => NodeRoute::Restart,
        [_, "_backup"] => NodeRoute::Backup,
        [_, ..] => NodeRoute::Unknown,
    }
}

fn endpoint(name: &str, rest: &[Segment<'_>]) -> Option<Endpoint> {
    let listed = match name {
        "_all_docs" => Some(Listed::All),
        "_design_docs" => Some(Listed::Design),
        "_local_docs" => Some(Listed::Local),
        _ => None,
    };
    match (listed, rest) {
        (Some(listed), []) => return Some(Endpoint::List(listed)),
        (Some(listed), [queries]) if queries.text() == "queries" => return Some(Endpoint::ListQueries(listed)),
        (Some(_) | None, _) => {}
    }
    let named = endpoint_named(name)?;
    // Such as `_compact/DESIGN`.
    Some(if rest.is_empty() { named } else { Endpoint::Later })
}

fn endpoint_named(name: &str) -> Option<Endpoint> {
    Some(match name {
        "_bulk_docs" => Endpoint::BulkDocs,
        "_bulk_get" => Endpoint::BulkGet,
        "_changes" => Endpoint::Changes,
        "_revs_diff" => Endpoint::RevsDiff,
        "_missing_revs" => Endpoint::MissingRevs,
        "_revs_limit" => Endpoint::RevsLimit,
        "_purge" => Endpoint::Purge,
        "_compact" => Endpoint::Compact,
        "_ensure_full_commit" => Endpoint::EnsureFullCommit,
        "_purged_infos" => Endpoint::PurgedInfos,
        "_purged_infos_limit" => Endpoint::PurgedInfosLimit,
        "_security" => Endpoint::Security,
        "_shards" => Endpoint::Shards,
        "_sync_shards" => Endpoint::SyncShards,
        "_view_cleanup" => Endpoint::ViewCleanup,
        "_temp_view" => Endpoint::TempView,
        "_auto_purge" | "_explain" | "_find" | "_index" | "_time_seq" => Endpoint::Later,
        _ => return None,
    })
}

/// Source: `chttpd_db:handle_partition_req`.
fn partition_route(rest: &[Segment<'_>], plus: Plus) -> DatabaseRoute {
    let Some((name, rest)) = rest.split_first() else {
        return DatabaseRoute::Partition(String::new(), PartitionRoute::Nameless);
    };
    let texts: Vec<&str> = rest.iter().map(Segment::text).collect();
    let route = match texts.as_slice() {
        [] => PartitionRoute::Partition,
        ["_all_docs"] => PartitionRoute::AllDocs,
        ["_all_docs", "queries"] => PartitionRoute::AllDocsQueries,
        ["_find" | "_explain", ..] => PartitionRoute::Later,
        ["_design", _, function, ..] if function.starts_with('_') => PartitionRoute::Later,
        _ => PartitionRoute::Unknown,
    };
    DatabaseRoute::Partition(name.decoded(plus).into_owned(), route)
}

/// A document, or something of one. `_design/d` and `_design%2Fd` are the same document.
fn document_route(segments: &Segments<'_>, plus: Plus) -> Result<DatabaseRoute, Error> {
    let name = segments.get(1).map(|segment| segment.decoded(plus)).unwrap_or_default();
    let (id, next) = match (&*name, segments.get(2)) {
        ("_design" | "_local", Some(second)) => (format!("{name}/{}", second.decoded(plus)), 3),
        ("_design" | "_local", None) => (format!("{name}/"), 3),
        _ => (name.into_owned(), 2), // `_design%2Fd` is one segment
    };
    let id: DocId = id.parse().map_err(illegal_id)?;
    let after = segments.get(next).map(|segment| segment.text().to_owned());
    match (id.kind(), after) {
        (DocKind::Local, None) => Ok(DatabaseRoute::Local(id)),
        (DocKind::Local, Some(_)) => Err(Error::bad_request("_local documents do not accept attachments.")),
        (DocKind::Design, Some(function)) if function.starts_with('_') => Ok(DatabaseRoute::Endpoint(Endpoint::Later)),
        (DocKind::Design | DocKind::Plain, None) => Ok(DatabaseRoute::Document(id)),
        (DocKind::Design | DocKind::Plain, Some(_)) => {
            let name = segments.join_from(next, Plus::Literal).unwrap_or_default();
            Ok(DatabaseRoute::Attachment(id, name.into_owned()))
        }
    }
}

/// A path that names no local document is refused in other words than an `_id` that doesn't.
fn illegal_id(error: DocIdError) -> Error {
    match error {
        DocIdError::LocalWithoutName => Error::bad_request("Invalid _local document id."),
        DocIdError::Empty | DocIdError::DesignWithoutName | DocIdError::Reserved | DocIdError::TooLong => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DocId {
        text.parse().unwrap()
    }

    fn parse(path: &str) -> Result<Route, Error> {
        super::parse(path, Plus::Space)
    }

    fn check(path: &str, expected: DatabaseRoute) {
        assert_eq!(parse(path).unwrap(), Route::Database("db".to_owned(), expected), "{path}");
    }

    #[test]
    fn server() {
        assert_eq!(parse("/").unwrap(), Route::Server(ServerRoute::Welcome));
        assert_eq!(parse("/_all_dbs").unwrap(), Route::Server(ServerRoute::AllDbs));
        assert_eq!(parse("/_utils/index.html").unwrap(), Route::Server(ServerRoute::Later));
        assert_eq!(parse("/_up/there").unwrap(), Route::Server(ServerRoute::Unknown));
        assert_eq!(parse("/a%2Fb+c").unwrap(), Route::Database("a/b+c".to_owned(), DatabaseRoute::Database));
    }

    #[test]
    fn the_node() {
        let check = |path: &str, expected: NodeRoute| {
            assert_eq!(parse(path).unwrap(), Route::Server(ServerRoute::Node(expected)), "{path}");
        };
        check("/_node/_local", NodeRoute::Name);
        check("/_node/node1@127.0.0.1/_config", NodeRoute::Config);
        check("/_node/_local/_config/cors/origins", NodeRoute::ConfigKey("cors".to_owned(), "origins".to_owned()));
        check("/_node/_local/_config/cors", NodeRoute::ConfigSection("cors".to_owned()));
        check("/_node/_local/_stats/couchdb/open_databases", {
            NodeRoute::Stats(vec!["couchdb".to_owned(), "open_databases".to_owned()])
        });
        check("/_node/_local/_backup", NodeRoute::Backup);
        check("/_node/elsewhere/_config", NodeRoute::NoSuchNode("elsewhere".to_owned()));
        check("/_node/_local/_nothing", NodeRoute::Unknown);
    }

    #[test]
    fn databases() {
        check("/db", DatabaseRoute::Database);
        check("/db/", DatabaseRoute::Database);
        check("/db/_all_docs", DatabaseRoute::Endpoint(Endpoint::List(Listed::All)));
        check("/db/_local_docs/queries", DatabaseRoute::Endpoint(Endpoint::ListQueries(Listed::Local)));
        check("/db/_find", DatabaseRoute::Endpoint(Endpoint::Later));
        check("/db/_temp_view", DatabaseRoute::Endpoint(Endpoint::TempView));
    }

    #[test]
    fn partitions() {
        let check = |path: &str, name: &str, route| check(path, DatabaseRoute::Partition(name.to_owned(), route));
        check("/db/_partition", "", PartitionRoute::Nameless);
        check("/db/_partition/a%2Fb", "a/b", PartitionRoute::Partition);
        check("/db/_partition//_all_docs", "_all_docs", PartitionRoute::Partition);
        check("/db/_partition/p/_all_docs/queries", "p", PartitionRoute::AllDocsQueries);
        check("/db/_partition/p/_design/d/_view/v", "p", PartitionRoute::Later);
        check("/db/_partition/p/_find", "p", PartitionRoute::Later);
        check("/db/_partition/p/x", "p", PartitionRoute::Unknown);
        check("/db/_partition/p/_design/d", "p", PartitionRoute::Unknown);
    }

    #[test]
    fn a_plus_is_what_the_configuration_says() {
        let route = super::parse("/db/a+b", Plus::Literal).unwrap();
        assert_eq!(route, Route::Database("db".to_owned(), DatabaseRoute::Document(id("a+b"))));
    }

    #[test]
    fn documents() {
        check("/db/a", DatabaseRoute::Document(id("a")));
        check("/db/a+b%2Bc%2Fd", DatabaseRoute::Document(id("a b+c/d")));
        check("/db/_design/d", DatabaseRoute::Document(id("_design/d")));
        check("/db/_design%2Fd", DatabaseRoute::Document(id("_design/d")));
        check("/db/_local/x", DatabaseRoute::Local(id("_local/x")));
        check("/db/_local%2Fx", DatabaseRoute::Local(id("_local/x")));
        check("/db/_design/d/_view/v", DatabaseRoute::Endpoint(Endpoint::Later));
        assert!(parse("/db/_nothing").is_err());
        assert!(parse("/db/_local/x/att").is_err());
    }

    #[track_caller]
    fn check_refused(path: &str, expected: (&str, &str)) {
        let Error(error) = parse(path).unwrap_err();
        assert_eq!((&*error.error, &*error.reason), expected, "{path}");
    }

    #[test]
    fn what_names_nothing() {
        let no_local = ("bad_request", "Invalid _local document id.");
        check_refused("/db/_local", no_local);
        check_refused("/db/_local/", no_local);
        check_refused("/db/_local%2F", no_local);
        check_refused("/db/_local/a/b", ("bad_request", "_local documents do not accept attachments."));
        check_refused("/db/_design/", ("illegal_docid", "Illegal document id `_design/`"));
        assert_eq!(parse("/_all_dbs/_all_docs").unwrap(), Route::Server(ServerRoute::Unknown));
        assert_eq!(parse("/_dbs_info/x").unwrap(), Route::Server(ServerRoute::Unknown));
    }

    #[test]
    fn attachments() {
        check("/db/a/b", DatabaseRoute::Attachment(id("a"), "b".to_owned()));
        check("/db/a/b/c%2Fd", DatabaseRoute::Attachment(id("a"), "b/c/d".to_owned()));
        check("/db/_design/d/b.js", DatabaseRoute::Attachment(id("_design/d"), "b.js".to_owned()));
        check("/db/_design%2Fd/b.js", DatabaseRoute::Attachment(id("_design/d"), "b.js".to_owned()));
    }

    /// Source: `chttpd:handle_request_int`, which takes a path's parts by `string:tokens`.
    #[test]
    fn empty_parts_mean_nothing() {
        assert_eq!(parse("//_all_dbs/").unwrap(), Route::Server(ServerRoute::AllDbs));
        check("//db", DatabaseRoute::Database);
        check("/db//", DatabaseRoute::Database);
        check("/db//_all_docs", DatabaseRoute::Endpoint(Endpoint::List(Listed::All)));
        check("//db//doc/", DatabaseRoute::Document(id("doc")));
        check("/db/doc//att/", DatabaseRoute::Attachment(id("doc"), "att".to_owned()));
        check("/db/doc/a//b", DatabaseRoute::Attachment(id("doc"), "a/b".to_owned()));
        check("/db/%2F", DatabaseRoute::Document(id("/")));
    }
}
