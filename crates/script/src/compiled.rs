//! A program in a context of its own, ready to be called.

use std::rc::Rc;

use rquickjs::{Array, Context, Ctx, Function, Object, Persistent, Runtime, Value};

use crate::argument::{Given, document, parse, restore};
use crate::environment::{Host, Intrinsics, function, harness};
use crate::fault::{compile_fault, fault_of, thrown, unexpected};
use crate::log::Log;
use crate::outcome::outcome;
use crate::{Error, Limits, Program, Row, SyncCaller, SyncInput, SyncOutcome, Validation, Verdict};

/// A compiled function and the entries of its harness.
pub(crate) struct Compiled {
    // The functions are dropped before the context they live in.
    validate: Persistent<Function<'static>>,
    filter: Persistent<Function<'static>>,
    passes: Persistent<Function<'static>>,
    map: Persistent<Function<'static>>,
    untouched: Persistent<Function<'static>>,
    /// Sync functions have no other, others don't have this one.
    sync: Option<Persistent<Function<'static>>>,
    user: Given,
    security: Given,
    meta: Given,
    host: Rc<Host>,
    /// By how many columns the engine sees the source's first line shifted.
    shift: u32,
    context: Context,
}

/// What a sync function gets for `meta` when nothing is known.
const NO_META: &[u8] = br#"{"xattrs":{}}"#;

impl Compiled {
    /// Compiles `program` in a new context of `runtime`, and runs what stands around the function.
    pub(crate) fn new(runtime: &Runtime, program: &Program, limits: &Limits, log: &Rc<Log>) -> Result<Self, Error> {
        let context = Context::custom::<Intrinsics>(runtime).map_err(|fault| unexpected(&fault))?;
        let host = Rc::new(Host::new(program.source(), log));
        let ([validate, filter, passes, map, untouched], sync, shift) = context.with(|ctx| {
            let bind = harness(&ctx, program, limits, &host)?;
            let (function, shift) = function(&ctx, program.source())?;
            let entries: Object<'_> = bind.call((function,)).map_err(|fault| compile_fault(&ctx, &fault))?;
            let entry = |name: &str| {
                let entry: Function<'_> = entries.get(name).map_err(|fault| fault_of(&ctx, &fault))?;
                Ok::<_, Error>(Persistent::save(&ctx, entry))
            };
            let all = [entry("validate")?, entry("filter")?, entry("passes")?, entry("map")?, entry("untouched")?];
            let sync = if program.is_sync() { Some(entry("sync")?) } else { None };
            Ok::<_, Error>((all, sync, shift))
        })?;
        let (user, security, meta) = (host.habits.user(), host.habits.security(), host.habits.meta());
        Ok(Self { validate, filter, passes, map, untouched, sync, user, security, meta, host, shift, context })
    }

    /// The log is left to be taken.
    pub(crate) fn sync(&self, input: &SyncInput) -> Result<SyncOutcome, Error> {
        let Some(entry) = &self.sync else {
            return Err(Error::Internal("the program is no sync function".to_owned()));
        };
        let name = match &input.caller {
            SyncCaller::Unrestricted => None,
            SyncCaller::User(user) => Some(&*user.name),
        };
        self.host.caller.replace(input.caller.clone());
        self.host.expiry.replace(None);
        let decided = self.context.with(|ctx| {
            let [text, read, old_text, old_read] =
                self.documents(&ctx, &input.document, input.old_document.as_deref())?;
            let meta = self.meta.value(&ctx, input.meta.as_deref().unwrap_or(NO_META), &self.untouched)?;
            let arguments = (text, read, old_text, old_read, meta, name);
            let told = restore(&ctx, entry)?.call(arguments).map_err(|fault| fault_of(&ctx, &fault))?;
            outcome(&ctx, &told, &self.host.log)
        });
        self.host.caller.take();
        let expiry = self.host.expiry.take();
        let mut outcome = decided.map_err(|fault| fault.shifted(self.shift))?;
        outcome.expiry = expiry.filter(|_| outcome.rejection.is_none());
        Ok(outcome)
    }

    pub(crate) fn validate(&self, input: &Validation<'_>) -> Result<Verdict, Error> {
        self.context.with(|ctx| {
            let [text, read, old_text, old_read] = self.documents(&ctx, input.document, input.old_document)?;
            let user = self.user.value(&ctx, input.user, &self.untouched)?;
            let security = self.security.value(&ctx, input.security, &self.untouched)?;
            let entry = restore(&ctx, &self.validate)?;
            let arguments = (text, read, old_text, old_read, user, security);
            let outcome: Value<'_> = entry.call(arguments).map_err(|fault| fault_of(&ctx, &fault))?;
            if outcome.is_undefined() { Ok(Verdict::Accepted) } else { verdict(&ctx, &outcome) }
        })
    }

    /// A document and the one it replaces, as the harness takes them.
    fn documents<'js>(&self, ctx: &Ctx<'js>, new: &[u8], old: Option<&[u8]>) -> Result<[Value<'js>; 4], Error> {
        let (text, read) = document(ctx, &self.host.habits.first, new)?;
        let (old_text, old_read) = match old {
            Some(old) => document(ctx, &self.host.habits.second, old)?,
            None => (Value::new_undefined(ctx.clone()), Value::new_null(ctx.clone())),
        };
        Ok([text, read, old_text, old_read])
    }

    pub(crate) fn filter<D: AsRef<[u8]>>(&self, documents: &[D], request: &[u8]) -> Result<Vec<bool>, Error> {
        self.context.with(|ctx| {
            let entry = restore(&ctx, &self.filter)?;
            let request = parse(&ctx, request)?;
            let each = documents.iter().map(|each| {
                let (text, read) = document(&ctx, &self.host.habits.first, each.as_ref())?;
                truth(&ctx, entry.call((text, read, request.clone())))
            });
            each.collect()
        })
    }

    pub(crate) fn passes<D: AsRef<[u8]>>(&self, documents: &[D]) -> Result<Vec<bool>, Error> {
        self.context.with(|ctx| {
            let entry = restore(&ctx, &self.passes)?;
            let each = documents.iter().map(|each| {
                let (text, read) = document(&ctx, &self.host.habits.first, each.as_ref())?;
                truth(&ctx, entry.call((text, read)))
            });
            each.collect()
        })
    }

    pub(crate) fn map(&self, text: &[u8]) -> Result<Vec<Row>, Error> {
        self.context.with(|ctx| {
            let entry = restore(&ctx, &self.map)?;
            let (text, read) = document(&ctx, &self.host.habits.first, text)?;
            let outcome: Value<'_> = entry.call((text, read)).map_err(|fault| fault_of(&ctx, &fault))?;
            match outcome.as_array() {
                Some(rows) => rows_of(&ctx, rows),
                None if outcome.is_undefined() => Ok(Vec::new()),
                None => Err(thrown(&ctx, &outcome)),
            }
        })
    }
}

fn truth<'js>(ctx: &Ctx<'js>, outcome: rquickjs::Result<Value<'js>>) -> Result<bool, Error> {
    let outcome = outcome.map_err(|fault| fault_of(ctx, &fault))?;
    outcome.as_bool().ok_or_else(|| thrown(ctx, &outcome))
}

/// Rows come as keys and values in turn.
fn rows_of(ctx: &Ctx<'_>, texts: &Array<'_>) -> Result<Vec<Row>, Error> {
    let mut texts = texts.iter::<String>();
    let mut rows = Vec::new();
    while let (Some(key), Some(value)) = (texts.next(), texts.next()) {
        let fault = |fault: rquickjs::Error| fault_of(ctx, &fault);
        rows.push(Row { key: key.map_err(fault)?, value: value.map_err(fault)? });
    }
    Ok(rows)
}

/// What a validation threw, as the harness tells it.
fn verdict(ctx: &Ctx<'_>, outcome: &Value<'_>) -> Result<Verdict, Error> {
    let part = |name| outcome.as_object().and_then(|told| told.get::<_, String>(name).ok());
    match (part("verdict").as_deref(), part("reason")) {
        (Some("forbidden"), Some(reason)) => Ok(Verdict::Forbidden(reason)),
        (Some(_), Some(reason)) => Ok(Verdict::Unauthorized(reason)),
        _ => Err(thrown(ctx, outcome)),
    }
}
