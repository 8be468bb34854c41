//! What a function is called with: documents that are read lazily, and values that hardly change between calls.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rquickjs::{Ctx, Function, Persistent, String as Text, Value};

use crate::Error;
use crate::fault::fault_of;
use crate::projection::Slot;
use crate::proof::proved;

/// What was learned of how a program takes its arguments.
#[derive(Default)]
pub(crate) struct Habits {
    /// The first document.
    pub(crate) first: RefCell<Slot>,
    /// The second document.
    pub(crate) second: RefCell<Slot>,
    is_user_read: Rc<Cell<bool>>,
    is_security_read: Rc<Cell<bool>>,
    is_meta_read: Rc<Cell<bool>>,
}

/// The numbers by which `harness.js` knows its arguments.
const SECOND: u8 = 1;
const USER: u8 = 2;
const SECURITY: u8 = 3;
const META: u8 = 4;

impl Habits {
    /// What the text of a function proves.
    pub(crate) fn of(source: &str) -> Self {
        let [first, second] = proved(source).map(|names| RefCell::new(Slot::new(names)));
        Self { first, second, ..Self::default() }
    }

    /// The function has read the member `name` of an argument; or, without a name, has looked at whole ones often.
    pub(crate) fn learn(&self, argument: u8, name: Option<String>) {
        match argument {
            USER => self.is_user_read.set(true),
            SECURITY => self.is_security_read.set(true),
            META => self.is_meta_read.set(true),
            SECOND => self.second.borrow_mut().learn(name),
            _ => self.first.borrow_mut().learn(name),
        }
    }

    /// The user, as CouchDB tells it.
    pub(crate) fn user(&self) -> Given {
        Given::new(USER, &self.is_user_read)
    }

    /// The security object.
    pub(crate) fn security(&self) -> Given {
        Given::new(SECURITY, &self.is_security_read)
    }

    /// What a sync function is told beside the document.
    pub(crate) fn meta(&self) -> Given {
        Given::new(META, &self.is_meta_read)
    }
}

/// A value that comes with call after call, often the same.
///
/// A function may change what it gets, and must not find it changed in the next call. As long as it has never touched the
/// value, one serves all calls. Then each call gets its own: parsed; or, when the text has come often enough to be worth
/// compiling, made by a function that is that text.
pub(crate) struct Given {
    argument: u8,
    is_read: Rc<Cell<bool>>,
    kept: RefCell<Kept>,
}

#[derive(Default)]
struct Kept {
    text: Vec<u8>,
    /// In how many calls in a row it has come.
    calls: u32,
    untouched: Option<Persistent<Value<'static>>>,
    maker: Option<Persistent<Function<'static>>>,
}

/// Compiling costs as much as parsing some fifty times.
const CALLS_BEFORE_MAKER: u32 = 64;
/// Longer texts aren't compiled: literals are made by code that takes more memory than they do.
const MAKER_BYTES_MAX: usize = 4096;

impl Given {
    fn new(argument: u8, is_read: &Rc<Cell<bool>>) -> Self {
        Self { argument, is_read: Rc::clone(is_read), kept: RefCell::default() }
    }

    /// The value for `text`; `untouched` is the entry of the harness that makes one which tells when it is touched.
    pub(crate) fn value<'js>(
        &self,
        ctx: &Ctx<'js>,
        text: &[u8],
        untouched: &Persistent<Function<'static>>,
    ) -> Result<Value<'js>, Error> {
        let mut kept = self.kept.borrow_mut();
        if kept.text != text {
            *kept = Kept { text: text.to_vec(), ..Kept::default() };
        }
        kept.calls = kept.calls.saturating_add(1);
        if self.is_read.get() {
            kept.untouched = None;
            return kept.made(ctx);
        }
        if let Some(value) = &kept.untouched {
            return value.clone().restore(ctx).map_err(|fault| fault_of(ctx, &fault));
        }
        parse(ctx, text)?;
        let entry = restore(ctx, untouched)?;
        let value: Value<'js> = entry.call((self.argument, unicode(text)?)).map_err(|fault| fault_of(ctx, &fault))?;
        kept.untouched = Some(Persistent::save(ctx, value.clone()));
        Ok(value)
    }
}

impl Kept {
    /// A value of this call alone.
    fn made<'js>(&mut self, ctx: &Ctx<'js>) -> Result<Value<'js>, Error> {
        if let Some(maker) = &self.maker {
            return restore(ctx, maker)?.call(()).map_err(|fault| fault_of(ctx, &fault));
        }
        let value = parse(ctx, &self.text)?;
        if self.calls == CALLS_BEFORE_MAKER && is_literal(&self.text) {
            let source = format!("() => ({})", unicode(&self.text)?);
            let maker: Function<'js> = ctx.eval(source).map_err(|fault| fault_of(ctx, &fault))?;
            self.maker = Some(Persistent::save(ctx, maker));
        }
        Ok(value)
    }
}

/// Whether JSON means the same in JavaScript. Only `__proto__` doesn't, which may be written with escapes.
fn is_literal(json: &[u8]) -> bool {
    const PROTO: &[u8] = b"__proto__";
    json.len() <= MAKER_BYTES_MAX && !json.contains(&b'\\') && !json.windows(PROTO.len()).any(|each| each == PROTO)
}

pub(crate) fn restore<'js>(ctx: &Ctx<'js>, entry: &Persistent<Function<'static>>) -> Result<Function<'js>, Error> {
    entry.clone().restore(ctx).map_err(|fault| fault_of(ctx, &fault))
}

fn not_text(_: std::str::Utf8Error) -> Error {
    Error::Input
}

fn unicode(text: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(text).map_err(not_text)
}

/// A document as the harness takes it: its text and the members to read; or nothing and the document.
pub(crate) fn document<'js>(
    ctx: &Ctx<'js>,
    slot: &RefCell<Slot>,
    text: &[u8],
) -> Result<(Value<'js>, Value<'js>), Error> {
    let slot = slot.borrow();
    let mut part = Vec::with_capacity(256);
    if slot.is_whole() || !slot.project(text, &mut part)? {
        return Ok((Value::new_undefined(ctx.clone()), parse(ctx, text)?));
    }
    if slot.is_proved() {
        return Ok((Value::new_undefined(ctx.clone()), parse(ctx, &part)?));
    }
    let text = Text::from_str(ctx.clone(), unicode(text)?).map_err(|fault| fault_of(ctx, &fault))?;
    Ok((text.into_value(), parse(ctx, &part)?))
}

pub(crate) fn parse<'js>(ctx: &Ctx<'js>, text: &[u8]) -> Result<Value<'js>, Error> {
    unicode(text)?;
    let mut owned = Vec::with_capacity(text.len() + 1); // The engine wants a zero behind it.
    owned.extend_from_slice(text);
    ctx.json_parse(owned).map_err(|fault| {
        let fault = fault_of(ctx, &fault);
        if matches!(fault, Error::Memory | Error::Stack) { fault } else { Error::Input }
    })
}
