//! A program in a context of its own, ready to be called.

use std::cell::RefCell;
use std::rc::Rc;

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{Array, Context, Ctx, Function, Object, Persistent, Runtime, String as Text, Value};

use crate::projection::Slot;
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
    slots: Rc<Slots>,
    context: Context,
}

/// How the program takes its first and its second document.
#[derive(Default)]
struct Slots {
    first: RefCell<Slot>,
    second: RefCell<Slot>,
}

impl Compiled {
    /// Compiles `program` in a new context of `runtime`, and runs what stands around the function.
    pub(crate) fn new(runtime: &Runtime, program: &Program, limits: &Limits, log: &Rc<Log>) -> Result<Self, Error> {
        let context = Context::custom::<Intrinsics>(runtime).map_err(|fault| unexpected(&fault))?;
        let slots = Rc::new(Slots::default());
        let [validate, filter, passes, map] = context.with(|ctx| {
            let bind = harness(&ctx, program, limits, (&slots, log))?;
            let function = function(&ctx, program.source())?;
            let entries: Object<'_> = bind.call((function,)).map_err(|fault| compile_fault(&ctx, &fault))?;
            let entry = |name: &str| {
                let entry: Function<'_> = entries.get(name).map_err(|fault| fault_of(&ctx, &fault))?;
                Ok::<_, Error>(Persistent::save(&ctx, entry))
            };
            Ok::<_, Error>([entry("validate")?, entry("filter")?, entry("passes")?, entry("map")?])
        })?;
        Ok(Self { validate, filter, passes, map, slots, context })
    }

    pub(crate) fn validate(&self, input: &Validation<'_>) -> Result<Verdict, Error> {
        self.context.with(|ctx| {
            let (text, read) = document(&ctx, &self.slots.first, input.document)?;
            let (old_text, old_read) = match input.old_document {
                Some(old) => document(&ctx, &self.slots.second, old)?,
                None => (Value::new_undefined(ctx.clone()), Value::new_null(ctx.clone())),
            };
            let user = parse(&ctx, input.user)?;
            let security = parse(&ctx, input.security)?;
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
                let (text, read) = document(&ctx, &self.slots.first, each.as_ref())?;
                truth(&ctx, entry.call((text, read, request.clone())))
            });
            each.collect()
        })
    }

    pub(crate) fn passes<D: AsRef<[u8]>>(&self, documents: &[D]) -> Result<Vec<bool>, Error> {
        self.context.with(|ctx| {
            let entry = restore(&ctx, &self.passes)?;
            let each = documents.iter().map(|each| {
                let (text, read) = document(&ctx, &self.slots.first, each.as_ref())?;
                truth(&ctx, entry.call((text, read)))
            });
            each.collect()
        })
    }

    pub(crate) fn map(&self, text: &[u8]) -> Result<Vec<Row>, Error> {
        self.context.with(|ctx| {
            let entry = restore(&ctx, &self.map)?;
            let (text, read) = document(&ctx, &self.slots.first, text)?;
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
    (slots, log): (&Rc<Slots>, &Rc<Log>),
) -> Result<Function<'js>, Error> {
    let internal = |fault: rquickjs::Error| fault_of(ctx, &fault);
    let design = match program.design() {
        Some(design) => parse(ctx, design)?,
        None => Value::new_undefined(ctx.clone()),
    };
    let host = Object::new(ctx.clone()).map_err(internal)?;
    let (slots, log) = (Rc::clone(slots), Rc::clone(log));
    let learn = move |slot: u8, name: Option<String>| {
        let slot = if slot == 0 { &slots.first } else { &slots.second };
        slot.borrow_mut().learn(name);
    };
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

/// A document as the harness takes it: its text and the members to read; or nothing and the document.
fn document<'js>(ctx: &Ctx<'js>, slot: &RefCell<Slot>, text: &[u8]) -> Result<(Value<'js>, Value<'js>), Error> {
    let slot = slot.borrow();
    let mut part = Vec::with_capacity(256);
    if slot.is_whole() || !slot.project(text, &mut part)? {
        return Ok((Value::new_undefined(ctx.clone()), parse(ctx, text)?));
    }
    let text = std::str::from_utf8(text).map_err(not_text)?;
    let text = Text::from_str(ctx.clone(), text).map_err(|fault| fault_of(ctx, &fault))?;
    Ok((text.into_value(), parse_owned(ctx, part)?))
}

fn not_text(_: std::str::Utf8Error) -> Error {
    Error::Input
}

fn parse<'js>(ctx: &Ctx<'js>, text: &[u8]) -> Result<Value<'js>, Error> {
    std::str::from_utf8(text).map_err(not_text)?;
    let mut owned = Vec::with_capacity(text.len() + 1); // The engine wants a zero behind it.
    owned.extend_from_slice(text);
    parse_owned(ctx, owned)
}

fn parse_owned<'js>(ctx: &Ctx<'js>, text: Vec<u8>) -> Result<Value<'js>, Error> {
    ctx.json_parse(text).map_err(|fault| {
        let fault = fault_of(ctx, &fault);
        if matches!(fault, Error::Memory | Error::Stack) { fault } else { Error::Input }
    })
}

fn restore<'js>(ctx: &Ctx<'js>, entry: &Persistent<Function<'static>>) -> Result<Function<'js>, Error> {
    entry.clone().restore(ctx).map_err(|fault| unexpected(&fault))
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

/// What was thrown, as the harness tells it.
fn thrown(ctx: &Ctx<'_>, outcome: &Value<'_>) -> Error {
    let part = |name| outcome.as_object().and_then(|told| told.get::<_, String>(name).ok());
    match (part("error"), part("reason")) {
        (Some(error), Some(reason)) => classify(error, reason),
        _ => fault_of(ctx, &rquickjs::Error::Unknown),
    }
}

/// The engine's own words for a limit are the limit.
fn classify(error: String, reason: String) -> Error {
    match (error.as_str(), reason.as_str()) {
        ("InternalError", "out of memory") => Error::Memory,
        ("RangeError", "Maximum call stack size exceeded") => Error::Stack,
        _ => Error::Thrown { error, reason },
    }
}

/// What went wrong in the engine.
fn fault_of(ctx: &Ctx<'_>, fault: &rquickjs::Error) -> Error {
    if fault.is_exception() {
        exception(&ctx.catch())
    } else if matches!(fault, rquickjs::Error::Allocation) {
        Error::Memory
    } else {
        unexpected(fault)
    }
}

/// Memory may end while the exception is made, which leaves none.
fn exception(value: &Value<'_>) -> Error {
    let Some(object) = value.as_object() else {
        return match value.as_string().and_then(|text| text.to_string().ok()) {
            Some(reason) => Error::Thrown { error: "unknown_error".to_owned(), reason },
            None => Error::Memory,
        };
    };
    let part = |name| object.get::<_, String>(name).unwrap_or_default();
    classify(part("name"), part("message"))
}

fn unexpected(fault: &rquickjs::Error) -> Error {
    Error::Internal(fault.to_string())
}

/// An exception while compiling is the source's fault, unless a limit was reached.
fn compile_fault(ctx: &Ctx<'_>, fault: &rquickjs::Error) -> Error {
    if matches!(fault, rquickjs::Error::InvalidString(_)) {
        return Error::Compile { message: "NUL in source".to_owned(), line: None };
    }
    if !fault.is_exception() {
        return fault_of(ctx, fault);
    }
    let value = ctx.catch();
    let stack = value.as_object().and_then(|object| object.get::<_, String>("stack").ok());
    let line = stack.as_deref().and_then(line_of);
    let fault = exception(&value);
    let Error::Thrown { error, reason } = fault else { return fault };
    let message = if error == "unknown_error" { reason } else { format!("{error}: {reason}") };
    Error::Compile { message, line }
}

/// The line in the first place of the stack that is in the source.
fn line_of(stack: &str) -> Option<u32> {
    let (_, place) = stack.split_once("eval_script:")?;
    place.split(|each: char| !each.is_ascii_digit()).next()?.parse().ok()
}
