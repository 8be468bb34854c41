//! `_sync`, `_dry_run`: a sync function is tried out, on one document or on all. Nothing is written.
//!
//! Sync Gateway has `_sync` on its diagnostic port; here it is on the admin port, and `_dry_run` is Tidegate's own. Source:
//! `spec/gateway.md` 2.7.

use crate::{
    context::{Answer, Context, json_value},
    error::Error,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, sync::Arc};
use tidegate_engine::{
    Database, DryRun, DryRunReport, Expiry, Grant, Granted, LogLevel, Place, Rejection, SyncCaller, SyncUser, Trial,
    TrialException, TrialInput,
};
use tidegate_http::respond::{self, Aborted, Source};
use tidegate_types::{Channel, PrincipalName};

/// One JSON value a line.
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
/// Documents told of that would change.
const EXAMPLES: u64 = 20;
const EXAMPLES_MAX: u64 = 1_000;

/// `{"doc", "oldDoc", "doc_id", "sync_function", "meta", "userCtx": {"name", "channels", "roles"}}`; all may be missing,
/// but for the document or its id.
pub(crate) async fn post(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let body = object(&cx.read_json(body).await?)?;
    let text = |name: &str| body.get(name).filter(|value| !value.is_null()).map(|value| Bytes::from(value.to_string()));
    let query = cx.query()?;
    let id = query.get("doc_id").or_else(|| body.get("doc_id").and_then(Value::as_str)).filter(|id| !id.is_empty());
    let id = id.map(str::parse).transpose().map_err(|_illegal| Error::bad_request("Invalid doc ID"))?;
    let input = TrialInput {
        source: source(&body)?,
        document: text("doc"),
        old_document: text("oldDoc"),
        id,
        meta: text("meta"),
        caller: caller(body.get("userCtx"))?,
    };
    if input.document.is_none() && input.id.is_none() {
        return Err(Error::bad_request("missing 'doc' or 'doc_id' property"));
    }
    let trial = db.try_sync(input).await?;
    Ok(json_value(StatusCode::OK, &trial_json(&trial)))
}

/// Lines of `{"done", "total"}` while it runs, and the report as the last one. The body may have a `sync_function`, and
/// say how many `examples` are told of.
pub(crate) async fn dry_run(cx: &Context, db: &Database, body: Incoming) -> Answer {
    let text = cx.read_json(body).await?;
    let body = if text.is_empty() { Map::new() } else { object(&text)? };
    let examples = body.get("examples").and_then(Value::as_u64).unwrap_or(EXAMPLES).min(EXAMPLES_MAX);
    let run = db.dry_run(source(&body)?.as_deref(), usize::try_from(examples).unwrap_or_default()).await;
    let run = match run {
        Err(tidegate_engine::Error::Script(tidegate_engine::ScriptError::Compile { message, place })) => {
            return Err(Error::bad_request(with_place(&message, place)));
        }
        run => run?,
    };
    Ok(respond::stream(StatusCode::OK, LINES, respond::pulled(Steps { run, is_done: false })))
}

/// A run as it goes on.
struct Steps {
    run: DryRun,
    is_done: bool,
}

impl Source for Steps {
    async fn next(&mut self) -> Result<Option<Bytes>, Aborted> {
        if self.is_done {
            return Ok(None);
        }
        let line = match self.run.step().await {
            Ok(Some(progress)) => json!({ "done": progress.done, "total": progress.total }),
            Ok(None) => {
                self.is_done = true;
                report_json(self.run.report())
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "a dry run failed");
                return Err(Aborted);
            }
        };
        Ok(Some(Bytes::from(format!("{line}\n"))))
    }
}

fn object(text: &[u8]) -> Result<Map<String, Value>, Error> {
    Ok(serde_json::from_slice(text)?)
}

fn source(body: &Map<String, Value>) -> Result<Option<String>, Error> {
    match body.get("sync_function") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(source)) => Ok(Some(source.clone()).filter(|source| !source.trim().is_empty())),
        Some(_) => Err(Error::bad_json("sync_function must be a string")),
    }
}

/// For whom the function runs: for nobody in particular, unless the body says.
fn caller(context: Option<&Value>) -> Result<SyncCaller, Error> {
    let Some(context) = context.filter(|context| !context.is_null()) else { return Ok(SyncCaller::Unrestricted) };
    let context = context.as_object().ok_or_else(|| Error::bad_json("userCtx must be an object"))?;
    let names = |member: &str| -> BTreeSet<String> {
        match context.get(member) {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::Object(names)) => names.keys().cloned().collect(),
            Some(_) | None => BTreeSet::new(),
        }
    };
    let name = context.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let roles = names("roles").into_iter().map(|role| role.trim_start_matches("role:").to_owned()).collect();
    Ok(SyncCaller::User(Arc::new(SyncUser { name, roles, channels: names("channels") })))
}

/// As Sync Gateway tells what a function decides.
pub(crate) fn trial_json(trial: &Trial) -> Value {
    let Trial { channels, access, roles, expiry, exception, log } = trial;
    let access: Map<String, Value> = access.iter().map(|(to, what)| (to.to_string(), json!(texts(what)))).collect();
    let names = |roles: &[PrincipalName]| roles.iter().map(PrincipalName::as_str).collect::<Value>();
    let roles: Map<String, Value> = roles.iter().map(|(to, what)| (to.to_string(), names(what))).collect();
    let lines = |of_errors: bool| -> Vec<&str> {
        let is_error = |level: LogLevel| level == LogLevel::Error;
        log.iter().filter(|line| is_error(line.level) == of_errors).map(|line| line.text.as_str()).collect()
    };
    let mut body = json!({
        "channels": texts(channels),
        "access": access,
        "roles": roles,
        "logging": { "errors": lines(true), "info": lines(false) },
    });
    let mut set = |name: &str, value: Value| {
        body.as_object_mut().into_iter().for_each(|body| drop(body.insert(name.to_owned(), value.clone())))
    };
    match expiry {
        Some(Expiry::After(seconds)) => set("expiry", (*seconds).into()),
        Some(Expiry::At(seconds)) => set("expiry", (*seconds).into()),
        None => {}
    }
    match exception {
        Some(TrialException::Refused(Rejection::Forbidden(reason))) => set("exception", format!("403 {reason}").into()),
        Some(TrialException::Refused(Rejection::Unauthorized(reason))) => {
            set("exception", format!("401 {reason}").into())
        }
        Some(TrialException::Failed(message, place)) => {
            set("exception", message.as_str().into());
            if let Some(Place { line, column }) = place {
                set("exception_place", json!({ "line": line, "column": column }));
            }
        }
        None => {}
    }
    body
}

/// What is wrong with a function, and where.
fn with_place(message: &str, place: Option<Place>) -> String {
    match place {
        Some(Place { line, column }) => format!("{message} (line {line}, column {column})"),
        None => message.to_owned(),
    }
}

fn texts(channels: &[Channel]) -> Vec<&str> {
    channels.iter().map(Channel::as_str).collect()
}

fn grants(grants: &[Grant]) -> Vec<Value> {
    let what = |what: &Granted| match what {
        Granted::Channel(channel) => channel.to_string(),
        Granted::Role(role) => format!("role:{}", PrincipalName::as_str(role)),
    };
    grants.iter().map(|grant| json!({ "to": grant.to.to_string(), "what": what(&grant.what) })).collect()
}

fn report_json(report: &DryRunReport) -> Value {
    let example = |moved: &tidegate_engine::Moved| {
        json!({
            "id": moved.id.as_str(),
            "from": texts(&moved.from),
            "to": texts(&moved.to),
            "grants": grants(&moved.grants),
            "withdraws": grants(&moved.withdraws),
            "refused": moved.refused,
        })
    };
    let user = |shift: &tidegate_engine::UserShift| {
        json!({
            "name": shift.name.as_str(),
            "docs_gained": shift.docs_gained,
            "docs_lost": shift.docs_lost,
            "channels_gained": texts(&shift.channels_gained),
            "channels_lost": texts(&shift.channels_lost),
        })
    };
    let channels: Map<String, Value> = report
        .channels
        .iter()
        .map(|(channel, flow)| (channel.to_string(), json!({ "entering": flow.entering, "leaving": flow.leaving })))
        .collect();
    json!({
        "docs_processed": report.processed,
        "docs_changed": report.changed,
        "docs_refused": report.refused,
        "examples": report.examples.iter().map(example).collect::<Vec<_>>(),
        "channels": channels,
        "users": report.users.iter().map(user).collect::<Vec<_>>(),
        "users_left_out": report.users_left_out,
    })
}
