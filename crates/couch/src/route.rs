//! Which path means what. Matching is on the raw path, where `%2F` is part of a name and `/` isn't.
//!
//! Source: `chttpd_httpd_handlers`, `spec/couch.md` 2.

use crate::error::Error;
use tidegate_http::path::{Plus, Segment, Segments};
use tidegate_types::{DocId, DocKind};

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Server(ServerRoute),
    /// A database by the name in the path, legal or not, and what of it.
    Database(String, DatabaseRoute),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerRoute {
    Welcome,
    Up,
    Uuids,
    AllDbs,
    DbsInfo,
    /// CouchDB has it; Tidegate hasn't yet.
    Later,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseRoute {
    Database,
    Endpoint(Endpoint),
    Document(DocId),
    Local(DocId),
    Attachment(DocId, String),
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
    Compact,
    EnsureFullCommit,
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

/// What this path names.
pub(crate) fn parse(path: &str) -> Result<Route, Error> {
    let segments = Segments::parse(path)?;
    let Some((first, rest)) = segments.split_first() else { return Ok(Route::Server(ServerRoute::Welcome)) };
    if let Some(route) = server_route(first.text()) {
        return Ok(Route::Server(route));
    }
    let route = match rest {
        [] => DatabaseRoute::Database,
        [name] if name.text().is_empty() => DatabaseRoute::Database,
        [name, rest @ ..] => match endpoint(name.text(), rest) {
            Some(endpoint) => DatabaseRoute::Endpoint(endpoint),
            None => document_route(&segments)?,
        },
    };
    Ok(Route::Database(first.text().to_owned(), route))
}

fn server_route(name: &str) -> Option<ServerRoute> {
    Some(match name {
        "_up" => ServerRoute::Up,
        "_uuids" => ServerRoute::Uuids,
        "_all_dbs" => ServerRoute::AllDbs,
        "_dbs_info" => ServerRoute::DbsInfo,
        "_active_tasks" | "_cluster_setup" | "_db_updates" | "_membership" | "_node" | "_nouveau_analyze"
        | "_replicate" | "_reshard" | "_scheduler" | "_search_analyze" | "_session" | "_utils" => ServerRoute::Later,
        _ => return None,
    })
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
    // Such as `_compact/DESIGN` and `_partition/P`.
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
        "_auto_purge"
        | "_explain"
        | "_find"
        | "_index"
        | "_partition"
        | "_purged_infos_limit"
        | "_security"
        | "_shards"
        | "_sync_shards"
        | "_time_seq"
        | "_view_cleanup" => Endpoint::Later,
        _ => return None,
    })
}

/// A document, or something of one. `_design/d` and `_design%2Fd` are the same document.
fn document_route(segments: &Segments<'_>) -> Result<DatabaseRoute, Error> {
    let name = segments.get(1).map(|segment| segment.decoded(Plus::Space)).unwrap_or_default();
    let (id, next) = match (&*name, segments.get(2)) {
        ("_design" | "_local", Some(second)) => (format!("{name}/{}", second.decoded(Plus::Space)), 3),
        ("_design" | "_local", None) => (format!("{name}/"), 3),
        _ => (name.into_owned(), 2), // `_design%2Fd` is one segment
    };
    let id: DocId = id.parse()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DocId {
        text.parse().unwrap()
    }

    fn check(path: &str, expected: DatabaseRoute) {
        assert_eq!(parse(path).unwrap(), Route::Database("db".to_owned(), expected), "{path}");
    }

    #[test]
    fn server() {
        assert_eq!(parse("/").unwrap(), Route::Server(ServerRoute::Welcome));
        assert_eq!(parse("/_all_dbs").unwrap(), Route::Server(ServerRoute::AllDbs));
        assert_eq!(parse("/_node/_local/_config").unwrap(), Route::Server(ServerRoute::Later));
        assert_eq!(parse("/a%2Fb+c").unwrap(), Route::Database("a/b+c".to_owned(), DatabaseRoute::Database));
    }

    #[test]
    fn databases() {
        check("/db", DatabaseRoute::Database);
        check("/db/", DatabaseRoute::Database);
        check("/db/_all_docs", DatabaseRoute::Endpoint(Endpoint::List(Listed::All)));
        check("/db/_local_docs/queries", DatabaseRoute::Endpoint(Endpoint::ListQueries(Listed::Local)));
        check("/db/_find", DatabaseRoute::Endpoint(Endpoint::Later));
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

    #[test]
    fn attachments() {
        check("/db/a/b", DatabaseRoute::Attachment(id("a"), "b".to_owned()));
        check("/db/a/b/c%2Fd", DatabaseRoute::Attachment(id("a"), "b/c/d".to_owned()));
        check("/db/_design/d/b.js", DatabaseRoute::Attachment(id("_design/d"), "b.js".to_owned()));
        check("/db/_design%2Fd/b.js", DatabaseRoute::Attachment(id("_design/d"), "b.js".to_owned()));
    }
}
