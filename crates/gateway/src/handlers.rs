//! From a route to its handler.

use crate::{
    changes, channels, config,
    context::{Answer, Context},
    database, design, document,
    error::Error,
    explain, figures,
    keyspace::Keyspace,
    list, local, oidc, openapi, principals, replications, resync, revisions,
    route::{DatabaseRoute, ServerRoute},
    server,
    service::{Port, challenged},
    session, trial, upkeep,
};
use hyper::body::Incoming;
use tidegate_engine::Database;
use tidegate_types::{DbName, DocId};

/// Handlers are boxed: a request's future would have the size of the largest otherwise, and is moved about.
pub(crate) async fn answer_server(cx: &Context, route: ServerRoute, _body: Incoming) -> Answer {
    use ServerRoute as R;
    match route {
        R::Welcome => Ok(server::welcome(cx)),
        R::Ping => Ok(server::ping()),
        R::AllDbs => Box::pin(server::all_dbs(cx)).await,
        R::Config => server::config(cx),
        R::Logging => server::logging(cx),
        R::Status => Box::pin(figures::status(cx)).await,
        R::Expvar => Box::pin(figures::expvar(cx)).await,
        R::Metrics => Box::pin(figures::metrics(cx)).await,
        R::Stats => Ok(figures::stats(cx)),
        R::Api(file) => openapi::page::answer(&cx.request, file, (cx.shared.edition(), &cx.shared.document)),
        R::Later => Err(Error::not_implemented()),
    }
}

pub(crate) async fn answer_database(cx: &Context, keyspace: &Keyspace, route: DatabaseRoute, body: Incoming) -> Answer {
    use DatabaseRoute as R;
    let method = cx.request.method.as_str();
    if let (R::Database, "PUT") = (&route, method) {
        return Box::pin(database::create(cx, keyspace, body)).await;
    }
    let name = keyspace.database()?;
    if !route.takes_keyspace(method) {
        keyspace.check_whole()?;
    }
    if route == R::Session && cx.shared.port == Port::Public {
        return Box::pin(answer_own_session(cx, &name, body)).await;
    }
    if let R::Oidc(route) = route {
        return Box::pin(oidc::answer(cx, &name, route)).await;
    }
    if let (R::Database, "DELETE") = (&route, method) {
        return Box::pin(database::delete(cx, &name)).await;
    }
    let mut db = cx.database(&name).await?;
    if route.takes_keyspace(method) {
        db = keyspace.of(&db).await?;
    }
    if route.needs_service(method) {
        upkeep::check_service(&db)?;
    }
    answer_keyspace(cx, &db, (&route, method), body).await
}

/// Documents, and what is made of them.
async fn answer_keyspace(cx: &Context, db: &Database, route: (&DatabaseRoute, &str), body: Incoming) -> Answer {
    use DatabaseRoute as R;
    match route {
        (R::Database, "POST") => Box::pin(document::write::post(cx, db, body)).await,
        (R::Database, _) => Box::pin(database::info(cx, db)).await,
        (R::EnsureFullCommit, _) => Box::pin(database::ensure_full_commit(cx, db)).await,
        (R::Document(id), _) => answer_document(cx, db, id, body).await,
        (R::Attachment(id, name), _) => answer_attachment(cx, db, (id, name), body).await,
        (R::Local(id), _) => answer_local(cx, db, id, body).await,
        (R::AllDocs, "POST") => Box::pin(list::post(cx, db, body)).await,
        (R::AllDocs, _) => Box::pin(list::get(cx, db)).await,
        (R::Changes, "POST") => Box::pin(changes::post(cx, db, body)).await,
        (R::Changes, _) => Box::pin(changes::get(cx, db)).await,
        (R::BulkDocs, _) => Box::pin(document::bulk_docs::post(cx, db, body)).await,
        (R::BulkGet, _) => Box::pin(document::bulk_get::post(cx, db, body)).await,
        (R::RevsDiff, _) => Box::pin(revisions::revs_diff(cx, db, body)).await,
        (R::Session, "POST") => Box::pin(session::create(cx, db, body)).await,
        (R::Session, _) => Box::pin(session::get(cx, db)).await,
        (R::Design(id), "PUT") => Box::pin(design::put(cx, db, id, body)).await,
        (R::Design(id), "DELETE") => Box::pin(design::delete(cx, db, id)).await,
        (R::Design(id), _) => Box::pin(design::get(cx, db, id)).await,
        (R::View(id, view), _) => Box::pin(design::view(cx, db, (id, view))).await,
        _ => answer_upkeep(cx, db, route, body).await,
    }
}

/// What administrators set, on the admin port.
async fn answer_upkeep(cx: &Context, db: &Database, route: (&DatabaseRoute, &str), body: Incoming) -> Answer {
    use DatabaseRoute as R;
    match route {
        (R::Purge, _) => Box::pin(revisions::purge(cx, db, body)).await,
        (R::Raw(id), _) => Box::pin(revisions::raw(cx, db, id)).await,
        (R::DumpChannel(channel), _) => Box::pin(revisions::dump_channel(cx, db, channel)).await,
        (R::RevTree(id), _) => Box::pin(revisions::rev_tree(db, id)).await,
        (R::Config, "PUT" | "POST") => Box::pin(config::put(cx, db, body)).await,
        (R::Config, _) => Box::pin(config::get(cx, db)).await,
        (R::SyncFunction, _) => Box::pin(config::sync_function(cx, db, body)).await,
        (R::ImportFilter, _) => Box::pin(config::import_filter(cx, db, body)).await,
        (R::Online, _) => Box::pin(upkeep::online(cx, db, body)).await,
        (R::Offline, _) => Box::pin(upkeep::offline(db)).await,
        (R::Resync, _) => Box::pin(resync::resync(cx, db, body)).await,
        (R::Trial, _) => Box::pin(trial::post(cx, db, body)).await,
        (R::DryRun, _) => Box::pin(trial::dry_run(cx, db, body)).await,
        (R::Explain, _) => Box::pin(explain::get(cx, db)).await,
        (R::Compact, _) => Box::pin(upkeep::compact(cx, db)).await,
        (R::Flush, _) => Box::pin(upkeep::flush(cx, db)).await,
        (R::Repair, _) => upkeep::repair(),
        _ => answer_replications(cx, db, route, body).await,
    }
}

/// Replications with other servers, and what was the case with channels, on the admin port.
async fn answer_replications(cx: &Context, db: &Database, route: (&DatabaseRoute, &str), body: Incoming) -> Answer {
    use DatabaseRoute as R;
    match route {
        (R::UserChannels(name), _) => Box::pin(channels::of_user(db, name)).await,
        (R::DocumentChannels(id), _) => Box::pin(channels::of_document(db, id)).await,
        (R::Replications, "POST") => Box::pin(replications::put(cx, db, None, body)).await,
        (R::Replications, _) => Box::pin(replications::list(cx, db)).await,
        (R::Replication(id), "PUT") => Box::pin(replications::put(cx, db, Some(id), body)).await,
        (R::Replication(id), "DELETE") => Box::pin(replications::delete(cx, db, id)).await,
        (R::Replication(id), _) => Box::pin(replications::get(cx, db, id)).await,
        (R::ReplicationStatuses, _) => Box::pin(replications::statuses(cx, db)).await,
        (R::ReplicationStatus(id), "PUT") => Box::pin(replications::act(cx, db, id)).await,
        (R::ReplicationStatus(id), _) => Box::pin(replications::status(cx, db, id)).await,
        _ => answer_principals(cx, db, route, body).await,
    }
}

/// Users, roles and their sessions, on the admin port.
async fn answer_principals(cx: &Context, db: &Database, route: (&DatabaseRoute, &str), body: Incoming) -> Answer {
    use DatabaseRoute as R;
    match route {
        (R::Users, "POST") => Box::pin(principals::create_user(cx, db, body)).await,
        (R::Users, _) => Box::pin(principals::list_users(cx, db)).await,
        (R::User(name), "PUT") => Box::pin(principals::put_user(cx, db, name, body)).await,
        (R::User(name), "DELETE") => Box::pin(principals::delete_user(db, name)).await,
        (R::User(name), _) if cx.query()?.get("doc_id").is_some() => {
            Box::pin(channels::of_user_and_documents(cx, db, name)).await
        }
        (R::User(name), _) => Box::pin(principals::get_user(cx, db, name)).await,
        (R::Roles, "POST") => Box::pin(principals::create_role(cx, db, body)).await,
        (R::Roles, _) => Box::pin(principals::list_roles(cx, db)).await,
        (R::Role(name), "PUT") => Box::pin(principals::put_role(cx, db, name, body)).await,
        (R::Role(name), "DELETE") => Box::pin(principals::delete_role(db, name)).await,
        (R::Role(name), _) => Box::pin(principals::get_role(db, name)).await,
        (R::SessionOf(id), "DELETE") => Box::pin(session::delete(db, id, None)).await,
        (R::SessionOf(id), _) => Box::pin(session::show(cx, db, id)).await,
        (R::UserSessions(name), _) => Box::pin(session::delete_all(db, name)).await,
        (R::UserSession(name, id), _) => Box::pin(session::delete(db, id, Some(name))).await,
        _ => Err(Error::not_implemented()),
    }
}

/// The session of whoever asks, on the public port.
async fn answer_own_session(cx: &Context, name: &DbName, body: Incoming) -> Answer {
    let header = |name: &str| cx.request.headers.get(name).and_then(|value| value.to_str().ok());
    let credentials = cx.request.credentials(&header);
    match cx.request.method.as_str() {
        "POST" => session::log_in(cx, name, &credentials, body).await.map_err(challenged),
        "DELETE" => session::log_out(cx, name, &credentials).await,
        _ if cx.caller.is_somebody() => session::get(cx, &cx.database(name).await?).await,
        _ => Ok(session::nobody(cx)),
    }
}

async fn answer_document(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "PUT" => Box::pin(document::write::put(cx, db, id, body)).await,
        "DELETE" => Box::pin(document::write::delete(cx, db, id)).await,
        _ => Box::pin(document::read::get(cx, db, id)).await,
    }
}

async fn answer_attachment(cx: &Context, db: &Database, (id, name): (&DocId, &str), body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "PUT" => Box::pin(document::attachment::put(cx, db, id, name, body)).await,
        "DELETE" => Box::pin(document::attachment::delete(cx, db, id, name)).await,
        _ => Box::pin(document::attachment::get(cx, db, id, name)).await,
    }
}

async fn answer_local(cx: &Context, db: &Database, id: &DocId, body: Incoming) -> Answer {
    match cx.request.method.as_str() {
        "PUT" => Box::pin(local::put(cx, db, id, body)).await,
        "DELETE" => Box::pin(local::delete(cx, db, id)).await,
        _ => Box::pin(local::get(db, id)).await,
    }
}
