//! A program in a context of its own, ready to be called.

use std::rc::Rc;

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{Array, Context, Ctx, Function, Object, Persistent, Runtime, Value};

use crate::argument::{Given, Habits, document, parse, restore};
use crate::fault::{compile_fault, fault_of, thrown, unexpected};
use crate::sandbox::Log;
use crate::{Error, Limits, Program, Row, Validation, Verdict};

const HARNESS: &str = include_str!("harness.js");
/// How often documents are looked at whole before they are parsed whole from the start.
const OPENED_MAX: u32 = 4;

type Intrinsics = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// A compiled function and the entries of its harness.
pub(crate) struct Compiled {
    // The functions are dropped before the context they live in.
    validate: Persistent<Function<'static>>,
    filter: Persistent<Function<'static>>,
    passes: Persistent<Function<'static>>,
    map: Persistent<Function<'static>>,
    untouched: Persistent<Function<'static>>,
    user: Given,
    security: Given,
    habits: Rc<Habits>,
    context: Context,
}

impl Compiled {
    /// Compiles `program` in a new context of `runtime`, and runs what stands around the function.
    pub(crate) fn new(runtime: &Runtime, program: &Program, limits: &Limits, log: &Rc<Log>) -> Result<Self, Error> {
        let context = Context::custom::<Intrinsics>(runtime).map_err(|fault| unexpected(&fault))?;
        let habits = Rc::new(Habits::default());
        let [validate, filter, passes, map, untouched] = context.with(|ctx| {
            let bind = harness(&ctx, program, limits, (&habits, log))?;
            let function = function(&ctx, program.source())?;
            let entries: Object<'_> = bind.call((function,)).map_err(|fault| compile_fault(&ctx, &fault))?;
            let entry = |name: &str| {
                let entry: Function<'_> = entries.get(name).map_err(|fault| fault_of(&ctx, &fault))?;
                Ok::<_, Error>(Persistent::save(&ctx, entry))
            };
            Ok::<_, Error>([entry("validate")?, entry("filter")?, entry("passes")?, entry("map")?, entry("untouched")?])
        })?;
        let (user, security) = (habits.user(), habits.security());
        Ok(Self { validate, filter, passes, map, untouched, user, security, habits, context })
    }

    pub(crate) fn validate(&self, input: &Validation<'_>) -> Result<Verdict, Error> {
        self.context.with(|ctx| {
            let (text, read) = document(&ctx, &self.habits.first, input.document)?;
            let (old_text, old_read) = match input.old_document {
                Some(old) => document(&ctx, &self.habits.second, old)?,
                None => (Value::new_undefined(ctx.clone()), Value::new_null(ctx.clone())),
            };
            let user = self.user.value(&ctx, input.user, &self.untouched)?;
            let security = self.security.value(&ctx, input.security, &self.untouched)?;
            let entry = restore(&ctx, &self.validate)?;
            let arguments = (text, read, old_text, old_read, user, security);
            let outcome: Value<'_> = entry.call(arguments).map_err(|fault| fault_of(&ctx, &fault))?;
            if outcome.is_undefined() { Ok(Verdict::Accepted) } else { verdict(&ctx, &outcome) }
        })
    }

    pub(crate) fn filter<D: AsRef<[u8]>>(&self, documents: &[D], request: &[u8]) -> Result<Vec<bool>, Error> {
        self.context.with(|ctx| {
            let entry = restore(&ctx, &self.filter)?;
            let request = parse(&ctx, request)?;
            let each = documents.iter().map(|each| {
                let (text, read) = document(&ctx, &self.habits.first, each.as_ref())?;
                truth(&ctx, entry.call((text, read, request.clone())))
            });
            each.collect()
        })
    }

    pub(crate) fn passes<D: AsRef<[u8]>>(&self, documents: &[D]) -> Result<Vec<bool>, Error> {
        self.context.with(|ctx| {
            let entry = restore(&ctx, &self.passes)?;
            let each = documents.iter().map(|each| {
                let (text, read) = document(&ctx, &self.habits.first, each.as_ref())?;
                truth(&ctx, entry.call((text, read)))
            });
            each.collect()
        })
    }

    pub(crate) fn map(&self, text: &[u8]) -> Result<Vec<Row>, Error> {
        self.context.with(|ctx| {
            let entry = restore(&ctx, &self.map)?;
            let (text, read) = document(&ctx, &self.habits.first, text)?;
            let outcome: Value<'_> = entry.call((text, read)).map_err(|fault| fault_of(&ctx, &fault))?;
            match outcome.as_array() {
                Some(rows) => rows_of(&ctx, rows),
                None if outcome.is_undefined() => Ok(Vec::new()),
                None => Err(thrown(&ctx, &outcome)),
            }
        })
    }
}

/// Prepares the global object; what it answers binds a function to the entries.
fn harness<'js>(
    ctx: &Ctx<'js>,
    program: &Program,
    limits: &Limits,
    (habits, log): (&Rc<Habits>, &Rc<Log>),
) -> Result<Function<'js>, Error> {
    let internal = |fault: rquickjs::Error| fault_of(ctx, &fault);
    let design = match program.design() {
        Some(design) => parse(ctx, design)?,
        None => Value::new_undefined(ctx.clone()),
    };
    let host = Object::new(ctx.clone()).map_err(internal)?;
    let (habits, log) = (Rc::clone(habits), Rc::clone(log));
    let learn = move |slot: u8, name: Option<String>| habits.learn(slot, name);
    host.set("learn", Function::new(ctx.clone(), learn)).map_err(internal)?;
    host.set("log", Function::new(ctx.clone(), move |line: String| log.push(line))).map_err(internal)?;
    let bounds = Object::new(ctx.clone()).map_err(internal)?;
    bounds.set("opened", OPENED_MAX).map_err(internal)?;
    bounds.set("rows", limits.rows_max).map_err(internal)?;
    let install: Function<'js> = eval(ctx, HARNESS).map_err(internal)?;
    install.call((design, host, bounds)).map_err(internal)
}

/// What `source` evaluates to.
fn function<'js>(ctx: &Ctx<'js>, source: &str) -> Result<Value<'js>, Error> {
    if source.trim().is_empty() {
        return Err(Error::Compile { message: "missing function".to_owned(), line: None });
    }
    // As the last operand of a comma, an anonymous function is an expression, and may be followed by `;` and comments.
    let fault = match eval(ctx, &format!("0,{source}")) {
        Ok(value) => return Ok(value),
        Err(fault) => compile_fault(ctx, &fault),
    };
    // Statements before the function can't stand there.
    eval(ctx, source).map_err(|again| {
        ctx.catch();
        if again.is_exception() { fault } else { compile_fault(ctx, &again) }
    })
}

fn eval<'js, V: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, source: &str) -> rquickjs::Result<V> {
    let mut options = EvalOptions::default();
    options.strict = false;
    ctx.eval_with_options(source, options)
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
