//! From JSON to a job, with CouchDB's words for what is wrong. Source: `couch_replicator_parse`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{Asked, Endpoint, Fetch, Filter, Job, JobError, Style, Tuning, UserContext};
use crate::{SourceSeq, Wait};

type Members = Map<String, Value>;

/// The job that a document of `_replicator` or a body of `_replicate` asks for; or, with `cancel`, what it wants ended.
/// Members that mean nothing are ignored.
///
/// # Errors
/// [`JobError`], with CouchDB's text.
pub fn parse_job(body: &Value) -> Result<Asked, JobError> {
    let Some(members) = body.as_object() else {
        return Err(JobError::BadRequest("Request body must be a JSON object".to_owned()));
    };
    let cancel = flag(members, "cancel")?;
    let id = ["_local_id", "replication_id", "id"].iter().find_map(|name| members.get(*name)?.as_str());
    match (cancel, id) {
        (true, Some(id)) => Ok(Asked::Cancel(id.parse().map_err(|never: Infallible| match never {})?)),
        (true, None) => Ok(Asked::CancelSame(Box::new(job(members)?))),
        (false, _) => Ok(Asked::Start(Box::new(job(members)?))),
    }
}

fn job(members: &Members) -> Result<Job, JobError> {
    let (source_proxy, target_proxy) = proxies(members)?;
    let wait = if flag(members, "continuous")? { Wait::Forever } else { Wait::Never };
    let style = if flag(members, "winning_revs_only")? { Style::MainOnly } else { Style::AllDocs };
    let create_target = create_target(members)?;
    let tuning = tuning(members)?;
    let filter = filter(members)?;
    Ok(Job {
        doc_id: text(members, "_id").map(str::to_owned),
        source: Endpoint::parse(members.get("source"), source_proxy)?,
        target: Endpoint::parse(members.get("target"), target_proxy)?,
        wait,
        create_target,
        filter,
        style,
        since_seq: members.get("since_seq").map(SourceSeq::from_json).filter(|seq| !seq.is_zero()),
        tuning,
        user_ctx: members.get("user_ctx").and_then(Value::as_object).map(user_context),
        owner: text(members, "owner").map(str::to_owned),
    })
}

fn proxies(members: &Members) -> Result<(Option<&str>, Option<&str>), JobError> {
    let given = |name| text(members, name).filter(|proxy| !proxy.is_empty());
    let (both, source, target) = (given("proxy"), given("source_proxy"), given("target_proxy"));
    let exclusive = |other| Err(bad(format!("`proxy` is mutually exclusive with `{other}`")));
    match (both, source, target) {
        (Some(_), Some(_), _) => exclusive("source_proxy"),
        (Some(_), None, Some(_)) => exclusive("target_proxy"),
        (Some(both), None, None) => Ok((Some(both), Some(both))),
        (None, source, target) => Ok((source, target)),
    }
}

fn create_target(members: &Members) -> Result<Option<Members>, JobError> {
    let wanted = flag(members, "create_target")?;
    let params = object(members, "create_target_params", "a JSON object")?;
    Ok(wanted.then(|| params.cloned().unwrap_or_default()))
}

fn filter(members: &Members) -> Result<Filter, JobError> {
    let doc_ids = doc_ids(members)?;
    let selector = object(members, "selector", "a JSON object")?;
    let query = Arc::new(object(members, "query_params", "an object")?.cloned().unwrap_or_default());
    match (doc_ids, selector, members.get("filter")) {
        (None, None, None) => Ok(Filter::All),
        (Some(ids), None, None) => Ok(Filter::DocIds(ids)),
        (None, Some(selector), None) => Ok(Filter::Selector(Arc::new(selector.clone()))),
        (None, None, Some(name)) => named_filter(name.as_str().unwrap_or_default(), query),
        _ => Err(bad("`doc_ids`,`filter`,`selector` are mutually exclusive")),
    }
}

fn named_filter(name: &str, query: Arc<Members>) -> Result<Filter, JobError> {
    if name == "_view" {
        let view = query.get("view").and_then(Value::as_str).unwrap_or_default();
        if view.split('/').count() != 2 {
            return Err(bad("Invalid `view` parameter."));
        }
    }
    if name.starts_with('_') || name == BY_CHANNEL {
        return Ok(Filter::BuiltIn { name: name.to_owned(), query });
    }
    match name.split_once('/') {
        Some((design, name)) if !design.is_empty() && !name.is_empty() => {
            Ok(Filter::Function { design: design.to_owned(), name: name.to_owned(), query })
        }
        Some(_) | None => {
            let reason = "Invalid filter. Must match `ddocname/filtername`.";
            Err(JobError::BadDocument(reason.to_owned()))
        }
    }
}

/// Ids may be percent-encoded, as old replicators had them.
fn doc_ids(members: &Members) -> Result<Option<Arc<[String]>>, JobError> {
    let given = match members.get("doc_ids") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(ids)) => ids,
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            return Err(bad("parameter `doc_ids` must be an array"));
        }
    };
    let decoded = given.iter().map(|id| Some(percent_decode_str(id.as_str()?).decode_utf8_lossy().into_owned()));
    let ids: Option<Vec<_>> = decoded.collect();
    let mut ids = ids.ok_or_else(|| bad("parameter `doc_ids` must be an array of strings"))?;
    ids.sort();
    ids.dedup();
    Ok(Some(ids.into()))
}

fn tuning(members: &Members) -> Result<Tuning, JobError> {
    let usual = Tuning::default();
    let size = |name, usual: usize, least: usize| {
        let given = number(members, name)?.map(|given| usize::try_from(given).unwrap_or(usize::MAX));
        Ok(given.unwrap_or(usual).clamp(least, SIZE_MAX))
    };
    let interval = number(members, "checkpoint_interval")?.map(Duration::from_millis).or(usual.checkpoint_interval);
    let use_checkpoints = members.get("use_checkpoints").and_then(Value::as_bool).unwrap_or(true);
    let use_bulk_get = flag_or(members, "use_bulk_get", Some(true))?;
    let timeout = number(members, "connection_timeout")?.map(Duration::from_millis);
    let retries = number(members, "retries_per_request")?.map(|given| u32::try_from(given).unwrap_or(u32::MAX));
    Ok(Tuning {
        worker_batch_size: size("worker_batch_size", usual.worker_batch_size, 1)?,
        worker_processes: size("worker_processes", usual.worker_processes, 1)?.min(WORKERS_MAX),
        http_connections: size("http_connections", usual.http_connections, 2)?.min(CONNECTIONS_MAX),
        connection_timeout: timeout.unwrap_or(usual.connection_timeout),
        retries_per_request: retries.unwrap_or(usual.retries_per_request),
        checkpoint_interval: interval.filter(|_| use_checkpoints),
        fetch: if use_bulk_get { Fetch::Bulk } else { Fetch::Single },
    })
}

/// The filter that Sync Gateway has, which is no function of a design document.
const BY_CHANNEL: &str = "sync_gateway/bychannel";

/// CouchDB takes any size; ours stay in bounds that a server can bear from one document.
const SIZE_MAX: usize = 10_000;
const WORKERS_MAX: usize = 64;
const CONNECTIONS_MAX: usize = 256;

fn user_context(members: &Members) -> UserContext {
    let roles = members.get("roles").and_then(Value::as_array).into_iter().flatten();
    let roles = roles.filter_map(Value::as_str).map(str::to_owned).collect();
    UserContext { name: text(members, "name").map(str::to_owned), roles }
}

fn text<'m>(members: &'m Members, name: &str) -> Option<&'m str> {
    members.get(name).and_then(Value::as_str)
}

fn flag(members: &Members, name: &str) -> Result<bool, JobError> {
    flag_or(members, name, None)
}

fn flag_or(members: &Members, name: &str, usual: Option<bool>) -> Result<bool, JobError> {
    match members.get(name) {
        None => Ok(usual.unwrap_or(false)),
        Some(Value::Bool(given)) => Ok(*given),
        Some(Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Err(bad(format!("parameter `{name}` must be a boolean")))
        }
    }
}

fn object<'m>(members: &'m Members, name: &str, wanted: &str) -> Result<Option<&'m Members>, JobError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::Object(given)) => Ok(Some(given)),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(bad(format!("parameter `{name}` must be {wanted}")))
        }
    }
}

/// Numbers may be texts.
fn number(members: &Members, name: &str) -> Result<Option<u64>, JobError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    let given = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    given.map(Some).ok_or_else(|| bad(format!("parameter `{name}` must be an integer")))
}

fn bad(reason: impl Into<String>) -> JobError {
    JobError::BadRequest(reason.into())
}
