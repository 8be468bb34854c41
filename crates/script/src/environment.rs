//! What a program finds around itself: the globals of `harness.js`, what the host does for them, and its own function.

use std::cell::RefCell;
use std::rc::Rc;

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{Ctx, Function, IntoJs, Object, String as Text, Value};

use crate::argument::{Habits, parse};
use crate::expiry::parse_expiry;
use crate::fault::{compile_fault, fault_of};
use crate::log::{Log, LogLevel};
use crate::{Error, Expiry, Limits, Program, SyncCaller};

const HARNESS: &str = include_str!("harness.js");
const SYNC: &str = include_str!("sync.js");
const UNDERSCORE: &str = include_str!("underscore.js");
/// How often documents are looked at whole before they are parsed whole from the start.
const OPENED_MAX: u32 = 4;
/// As the last operand of a comma, an anonymous function is an expression, and may be followed by `;` and comments.
const PREFIX: &str = "0,";
/// How much further right the engine sees the first line then.
const PREFIX_COLUMNS: u32 = 2;

pub(crate) type Intrinsics = (
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

/// What functions of the host work on. It holds nothing of the engine's: the engine holds it.
pub(crate) struct Host {
    pub(crate) habits: Habits,
    pub(crate) log: Rc<Log>,
    /// For whom a sync function runs.
    pub(crate) caller: RefCell<SyncCaller>,
    /// What a sync function said of the end.
    pub(crate) expiry: RefCell<Option<Expiry>>,
}

impl Host {
    pub(crate) fn new(source: &str, log: &Rc<Log>) -> Self {
        let (habits, log) = (Habits::of(source), Rc::clone(log));
        Self { habits, log, caller: RefCell::default(), expiry: RefCell::default() }
    }

    /// Whether the caller has what `kind` and `name` say.
    fn holds(&self, kind: u8, name: &str) -> bool {
        match &*self.caller.borrow() {
            SyncCaller::Unrestricted => true,
            SyncCaller::User(user) => match kind {
                0 => user.has_role(name),
                _ => user.reads(name),
            },
        }
    }

    fn expire(&self, text: &str) {
        match parse_expiry(text) {
            Some(expiry) => *self.expiry.borrow_mut() = Some(expiry),
            None => {
                let text = format!("expiry() ignores what is neither seconds nor a date of RFC 3339: {text}");
                self.log.push(LogLevel::Warning, text);
            }
        }
    }
}

/// Prepares the global object; what it answers binds a function to the entries.
pub(crate) fn harness<'js>(
    ctx: &Ctx<'js>,
    program: &Program,
    limits: &Limits,
    host: &Rc<Host>,
) -> Result<Function<'js>, Error> {
    let internal = |fault: rquickjs::Error| fault_of(ctx, &fault);
    let undefined = || Value::new_undefined(ctx.clone());
    let design = match program.design() {
        Some(design) => parse(ctx, design)?,
        None => undefined(),
    };
    let sync = if program.is_sync() { own(ctx, SYNC).map_err(internal)? } else { undefined() };
    let install: Function<'js> = own(ctx, HARNESS).map_err(internal)?;
    let (host, bounds) = (functions(ctx, host).map_err(internal)?, bounds(ctx, limits).map_err(internal)?);
    install.call((design, host, bounds, sync)).map_err(internal)
}

/// What the host does for the harness.
fn functions<'js>(ctx: &Ctx<'js>, host: &Rc<Host>) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    let this = Rc::clone(host);
    let learn = move |argument: u8, name: Option<String>| this.habits.learn(argument, name);
    object.set("learn", Function::new(ctx.clone(), learn))?;
    let this = Rc::clone(host);
    let log = move |level: u8, line: String| this.log.push(LogLevel::numbered(level), line);
    object.set("log", Function::new(ctx.clone(), log))?;
    let this = Rc::clone(host);
    // What isn't Unicode is nobody's name.
    let holds = move |kind: u8, name: Text<'js>| name.to_string().is_ok_and(|name| this.holds(kind, &name));
    object.set("holds", Function::new(ctx.clone(), holds))?;
    let this = Rc::clone(host);
    let expire = move |text: Text<'js>| this.expire(&text.to_string().unwrap_or_default());
    object.set("expire", Function::new(ctx.clone(), expire))?;
    object.set("underscore", Function::new(ctx.clone(), || UNDERSCORE))?;
    Ok(object)
}

fn bounds<'js>(ctx: &Ctx<'js>, limits: &Limits) -> rquickjs::Result<Value<'js>> {
    let bounds = Object::new(ctx.clone())?;
    bounds.set("opened", OPENED_MAX)?;
    bounds.set("rows", limits.rows_max)?;
    bounds.set("channels", limits.channels_max)?;
    bounds.set("grants", limits.grants_max)?;
    bounds.into_js(ctx)
}

/// Evaluates code of our own: by the `eval` of JavaScript, which gives it another name in stacks than the user's has.
fn own<'js, V: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, source: &str) -> rquickjs::Result<V> {
    let eval: Function<'js> = ctx.globals().get("eval")?;
    eval.call((source,))
}

/// What `source` evaluates to, and by how many columns the engine sees its first line shifted.
pub(crate) fn function<'js>(ctx: &Ctx<'js>, source: &str) -> Result<(Value<'js>, u32), Error> {
    if source.trim().is_empty() {
        return Err(Error::Compile { message: "missing function".to_owned(), place: None });
    }
    let fault = match eval(ctx, &format!("{PREFIX}{source}")) {
        Ok(value) => return Ok((value, PREFIX_COLUMNS)),
        Err(fault) => compile_fault(ctx, &fault).shifted(PREFIX_COLUMNS),
    };
    // Statements before the function can't stand there.
    match eval(ctx, source) {
        Ok(value) => Ok((value, 0)),
        Err(again) => {
            let again_fault = compile_fault(ctx, &again);
            Err(if again.is_exception() { fault } else { again_fault })
        }
    }
}

fn eval<'js>(ctx: &Ctx<'js>, source: &str) -> rquickjs::Result<Value<'js>> {
    let mut options = EvalOptions::default();
    options.strict = false;
    ctx.eval_with_options(source, options)
}
